"""FGCA and BRA: the chosen windows, at any image size, and a fast path that copies few keys and values."""

import pytest
import torch
from mechanisms import assert_same

from srlab.attention import BRA, FGCA, routed_windows
from srlab.measure.profiling import peak_memory


@pytest.mark.parametrize(
    ("kind", "options", "size", "windows", "pixels"),
    [
        (FGCA, {"side": 4}, (8, 12), 6, 16),
        (FGCA, {"side": 4}, (7, 9), 6, 16),
        (FGCA, {"side": 4}, (1, 9), 3, 16),
        (FGCA, {"side": 4}, (1, 1), 1, 16),
        (BRA, {"windows": 7}, (9, 9), 49, 4),
        (BRA, {"windows": 7}, (7, 14), 49, 2),
        (BRA, {"windows": 7}, (3, 20), 49, 3),
        (BRA, {"windows": 7}, (1, 1), 49, 1),
    ],
)
def test_any_size_is_cut_into_whole_windows(kind, options, size, windows, pixels):
    layer, x = kind(8, top=4, **options).eval(), torch.randn(2, 8, *size)
    pattern = layer.pattern(x)
    assert pattern.routes.shape == (2, windows, min(4, windows))
    assert pattern.query.shape == (2, 4, size[0] * size[1], 2)
    assert pattern.key.shape == (2, 4, windows * pixels, 2)
    alone, layer.residual_scale = layer(x)[0], 0.1
    torch.testing.assert_close(layer(x)[0], x + 0.1 * alone)
    assert (pattern.multiplicity().sum(-1) == pixels * min(4, windows)).all()


def test_a_window_chooses_those_whose_mean_key_matches_its_mean_query():
    layer = FGCA(4, heads=2, side=2, top=2).double().eval()
    x = torch.randn(1, 4, 4, 6, dtype=torch.float64)
    tokens = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).permute(0, 2, 3, 4, 1).reshape(6, 4, 4)
    query, key, _ = layer.qkv(tokens).mean(1).chunk(3, -1)
    assert torch.equal(layer.pattern(x).routes[0], (query @ key.mT).topk(2).indices)


@pytest.mark.parametrize(
    ("kind", "options", "mode"), [(FGCA, {"side": 4, "top": 1}, "reflect"), (BRA, {"windows": 2, "top": 4}, "constant")]
)
def test_padding_counts_like_the_rest(kind, options, mode):
    layer = kind(4, heads=1, **options).double().eval()
    x = torch.randn(1, 4, 3, 4, dtype=torch.float64)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 1), mode=mode)
    torch.testing.assert_close(layer(x)[0], layer(padded)[0][:, :, :3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("gathered", [1, 3000, 2**30])
def test_groups_of_any_size_give_the_same_numbers_and_gradients(gathered, monkeypatch):
    monkeypatch.setitem(routed_windows.GATHERED, "cpu", gathered)
    layer = FGCA(8, side=3, top=2).double()
    x = torch.randn(2, 8, 8, 7, dtype=torch.float64, requires_grad=True)

    def output(backend: str) -> torch.Tensor:
        layer.backend = backend
        return layer(x)[0]

    assert_same(output, ("fused", "reference"), [x, *layer.parameters()], rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True])
def test_the_fast_path_holds_few_copies_of_keys_and_values(training):
    x, held = torch.randn(1, 32, 128, 128), []
    for backend in ("fused", "reference"):
        layer = FGCA(32, side=8, top=16, backend=backend).requires_grad_(training)
        finish = torch.Tensor.backward if training else torch.Tensor.detach
        for _ in range(2):  # first without workspaces
            held.append(peak_memory(lambda layer=layer, finish=finish: finish(layer(x)[0].sum()), "cpu"))
    held = held[1::2]
    copies = 2 * 16 * x.numel() * 4 / 2**20  # MiB
    assert held[1] > max(copies, 3 * held[0])
