"""Networks of others, through spandrel, which tells an architecture from its weights (`srlab[zoo]`)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from srlab.errors import InputError, one_line


class FromSpandrel(nn.Module):
    """A network that spandrel loaded, called as srlab's are.

    Parameters
    ----------
    descriptor : spandrel.ImageModelDescriptor
        Pads images to the sizes that its network can take, crops what comes out and clamps it, without gradients.

    Notes
    -----
    Of an image that asks for gradients the network itself is called, which neither pads nor clamps.
    """

    def __init__(self, descriptor):
        super().__init__()
        self.descriptor = descriptor
        self.network = descriptor.model  # a child of this module, so that `to` moves it

    def forward(self, lr: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 _H _W"]:
        return (self.network if lr.requires_grad else self.descriptor)(lr)


def load(weights: Mapping[str, Tensor], source: str, why: str):
    """What spandrel makes of weights of a network from RGB to RGB.

    Parameters
    ----------
    weights, source
        As in `open_with_spandrel`.
    why : str
        Why spandrel is asked, for messages.

    Returns
    -------
    spandrel.ImageModelDescriptor

    Raises
    ------
    InputError
        If spandrel is not installed, does not know the weights, or they map other channels.
    """
    try:
        import spandrel
    except ModuleNotFoundError:
        raise InputError(f"{source}: {why}; networks of others are read after `pip install 'srlab[zoo]'`") from None
    except Exception as error:  # torchvision of another build than torch fails with a RuntimeError
        raise InputError(
            f"{source}: {why}; spandrel, which reads those of others, cannot be imported ({one_line(error)}); "
            "torchvision must be the build that belongs to torch"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about how networks are written
            descriptor = spandrel.ModelLoader().load_from_state_dict(dict(weights))
    except spandrel.UnsupportedModelError:
        raise InputError(f"{source} are of no network that spandrel knows, and {why}") from None
    except Exception as error:  # names as in a network it knows, and shapes that are not
        raise InputError(f"{source}: spandrel cannot load them ({one_line(error)})") from error
    channels = (descriptor.input_channels, descriptor.output_channels)
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or channels != (3, 3):
        raise InputError(
            f"{source}: {descriptor.architecture.name} maps {channels[0]} channels to {channels[1]}; "
            "a network from RGB to RGB is expected"
        )
    return descriptor


def open_with_spandrel(model: str, weights: Mapping[str, Tensor], scale: int, source: str) -> FromSpandrel:
    """Build the network that weights belong to.

    Parameters
    ----------
    model : str
        The architecture that the weights must be of, by spandrel's name or id for it, in any case.
    weights : mapping of str to Tensor
        As released.
    scale : int
        The scale that they must be for.
    source : str
        How messages call the weights.

    Returns
    -------
    FromSpandrel
        On the CPU, in evaluation mode; its output is clamped to 0 to 1.

    Raises
    ------
    InputError
        As `load` does, and if the weights are of another architecture or scale.
    """
    descriptor = load(weights, source, f"'{model}' is none of `srlab models`")
    architecture = descriptor.architecture
    same = model.casefold() in (architecture.name.casefold(), architecture.id.casefold())
    if not same or descriptor.scale != scale:
        raise InputError(f"{source} are of {architecture.name} ×{descriptor.scale}, not {model} ×{scale}")
    return FromSpandrel(descriptor).eval()
