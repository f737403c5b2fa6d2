"""Networks of other projects, through spandrel, which recognises an architecture by its weights (`srlab[zoo]`)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from srlab.errors import InputError, one_line


class FromSpandrel(nn.Module):
    """A network that spandrel loaded.

    Its descriptor pads images to sizes that the network takes, crops the output and clamps it, without gradients. An
    image that requires gradients goes to the network itself, which neither pads nor clamps.
    """

    def __init__(self, descriptor):
        super().__init__()
        self.descriptor = descriptor
        self.network = descriptor.model  # a child of this module, so that `to` moves it

    def forward(self, lr: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 _H _W"]:
        return (self.network if lr.requires_grad else self.descriptor)(lr)


def load(weights: Mapping[str, Tensor], source: str, why: str):
    """Return spandrel's descriptor of a network from RGB to RGB; `source` and `why` go into errors.

    Without spandrel, for weights that it does not recognise, or other channels, there is an InputError.
    """
    try:
        import spandrel
    except ModuleNotFoundError:
        raise InputError(f"{source}: {why}; `pip install 'srlab[zoo]'` brings networks of other projects") from None
    except Exception as error:  # torchvision of another build than torch fails with a RuntimeError
        raise InputError(
            f"{source}: {why}; spandrel cannot be imported ({one_line(error)}); "
            "torchvision must be the build that belongs to torch"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about how networks are written
            descriptor = spandrel.ModelLoader().load_from_state_dict(dict(weights))
    except spandrel.UnsupportedModelError:
        raise InputError(f"{source}: {why}, and spandrel does not recognise them") from None
    except Exception as error:  # known names, and shapes that do not fit
        raise InputError(f"{source}: spandrel cannot load them ({one_line(error)})") from error
    channels = (descriptor.input_channels, descriptor.output_channels)
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or channels != (3, 3):
        raise InputError(
            f"{source}: {descriptor.architecture.name} maps {channels[0]} channels to {channels[1]}; "
            "a network from RGB to RGB is expected"
        )
    return descriptor


def open_with_spandrel(model: str, weights: Mapping[str, Tensor], scale: int, source: str) -> FromSpandrel:
    """Build the network of released weights, in evaluation mode; its output is clamped to 0 to 1.

    `model` is spandrel's name or id of the architecture, in any case; weights of another or another scale, and faults
    that `load` finds, are an InputError.
    """
    descriptor = load(weights, source, f"srlab has no network '{model}'")
    architecture = descriptor.architecture
    same = model.casefold() in (architecture.name.casefold(), architecture.id.casefold())
    if not same or descriptor.scale != scale:
        raise InputError(f"{source} are of {architecture.name} ×{descriptor.scale}, not {model} ×{scale}")
    return FromSpandrel(descriptor).eval()
