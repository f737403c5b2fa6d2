"""ConvAttn against its own plain formula, which is not a masked softmax."""

import pytest
import torch
from torch.nn.functional import pad

from srlab.attention import ConvAttn, DecomposedKernel, LargeKernel


def plain(kernels: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Σ over offsets of kernel · pixel, for kernels [b, out, in, k, k] of each image."""
    size = kernels.shape[-1]
    patches = pad(x, [size // 2] * 4).unfold(2, size, 1).unfold(3, size, 1)
    return torch.einsum("boikl,bihwkl->bohw", kernels, patches)


@pytest.mark.parametrize("size", [(9, 7), (3, 20), (1, 1)])
@pytest.mark.parametrize("kind", [LargeKernel, DecomposedKernel])
def test_equals_its_formula(kind, size):
    channels, attended, side = 6, 4, 7
    layer = ConvAttn(channels, attended, 2, kind(attended, side)).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, channels, *size, dtype=torch.float64)
    first = x[:, :attended]
    small = pad(layer.to_small(first).reshape(2, attended, 3, 3), [(side - 3) // 2] * 4)
    if kind is LargeKernel:
        variants = [layer.kernel.weight.rot90(i, (2, 3)) for i in range(4)]
        variants += [variant.transpose(2, 3) for variant in variants]
        kernels = sum(variants) / 8 + torch.einsum("bokl,oi->boikl", small, torch.eye(attended).double())
    else:
        kernels = torch.einsum("bokl,oi->boikl", layer.kernel.spatial[:, 0] + small, layer.kernel.mix[:, :, 0, 0])
    convolved = plain(kernels, first)
    merge = layer.merge.weight[:, :, 0, 0]
    expected = torch.einsum("oi,bihw->bohw", merge, torch.cat([convolved, x[:, attended:]], 1))
    y, _ = layer(x)
    torch.testing.assert_close(y, expected + layer.merge.bias[:, None, None], rtol=0, atol=1e-10)


def test_a_layer_without_kernel_uses_the_shared_one_and_small_kernels_start_at_zero():
    first, second = ConvAttn(6, 4, kernel=LargeKernel(4, 5)), ConvAttn(6, 4)
    x = torch.randn(1, 6, 8, 8)
    assert first.small_kernels(x).abs().max() == 0
    _, shared = first(x)
    y, passed_on = second(x, shared)
    assert passed_on is shared
    y.sum().backward()
    assert first.kernel.weight.grad.abs().max() > 0


def test_the_pattern_is_the_pixels_under_the_kernel():
    pattern = LargeKernel(4, 5).pattern(torch.zeros(1, 4, 6, 7))
    seen = pattern.multiplicity(torch.tensor([0, 3 * 7 + 3]))[0, 0].unflatten(1, (6, 7))
    assert seen[0].nonzero().max().item() == 2 and seen[0].sum() == 9
    assert seen[1].sum() == 25
