"""Start a network for one scale from one that was trained for another."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from srlab.errors import InputError
from srlab.models.esc import ESC
from srlab.models.registry import build
from srlab.models.trunk import Trunk


def start_at_scale(trained: Trunk | ESC, name: str, scale: int, **config: object) -> Trunk | ESC:
    """Build a network with the weights of one of the same name and configuration, but of another scale.

    In the trunk's networks the upsampler is new, and all else is copied. In ESC's all is copied, and the last
    convolution, which makes s×s pixels of each, is interpolated to the new number.

    Parameters
    ----------
    trained : Trunk or ESC
        Usually for ×2.
    name : str
    scale : {2, 3, 4, 8}
    **config
        What `trained` was built with.

    Raises
    ------
    InputError
        For networks of other families, or if `config` is not that of `trained`.
    """
    network = build(name, scale, **config)
    if not isinstance(network, Trunk | ESC):
        raise InputError(f"model '{name}': only the trunk's networks and ESC's start from another scale's")
    weights = trained.state_dict()
    if isinstance(network, Trunk):
        fresh = {f"upsampler.{key}": tensor for key, tensor in network.upsampler.state_dict().items()}
        weights = {key: tensor for key, tensor in weights.items() if not key.startswith("upsampler.")} | fresh
    else:
        for key in ("to_image.weight", "to_image.bias"):
            weights[key] = interpolate_subpixels(weights[key], trained.scale, scale)
    try:
        network.load_state_dict(weights)
    except RuntimeError:
        raise InputError(
            f"model '{name}' with this config has other weights than the network it shall start from"
        ) from None
    return network


def interpolate_subpixels(
    parameter: Float[Tensor, outputs * rest], source: int, target: int
) -> Float[Tensor, new * rest]:
    """Weight or bias of a convolution before a pixel shuffle, its s×s sub-pixels bilinearly resized.

    Output channels are laid out [3, s, s].

    References
    ----------
    arXiv 2503.06671, training at other scales.
    """
    pixels = parameter.flatten(1).T if parameter.dim() > 1 else parameter[None]
    resized = interpolate(
        pixels.unflatten(1, (-1, source, source)), (target, target), mode="bilinear", align_corners=False
    )
    return resized.flatten(1).T.reshape(-1, *parameter.shape[1:])
