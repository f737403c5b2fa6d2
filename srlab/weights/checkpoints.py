"""Weights in and out: safetensors of our own, and released files through maps of their key names.

What a file says is not trusted: nothing in it is run, and what it holds is checked before it is used.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from srlab.errors import InputError, explain, one_line
from srlab.files import replacing
from srlab.models import REGISTRY, build
from srlab.models.registry import SCALES
from srlab.weights.released import RELEASED

StateDict = Mapping[str, Tensor]

#: What a state dict may wrap its weights in, in the order of choice: the names that training codes use.
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model", "net")

#: dtypes of weights and of the counters beside them.
NUMBERS = (
    *(torch.float32, torch.float16, torch.bfloat16, torch.float64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)


class Held(BaseModel, strict=True):
    """Which network a file of :func:`save_network` says that it holds."""

    model: str
    scale: int
    config: dict[str, object]

    def __str__(self) -> str:
        return f"{self.model} ×{self.scale}"


def save_tensors(path: Path, tensors: StateDict, metadata: dict[str, object]) -> None:
    """Write a safetensors file with JSON metadata, beside and then renamed: never half a file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    contiguous = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with replacing(path) as beside:
        try:
            save_file(contiguous, beside, {key: json.dumps(value) for key, value in metadata.items()})
        except SafetensorError as error:  # its word for an OSError
            raise OSError(str(error)) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read a safetensors file, such as :func:`save_tensors` writes.

    Returns
    -------
    tensors : dict of str to Tensor
    metadata : dict
        JSON is parsed; what is no JSON, in files of others, remains text.

    Raises
    ------
    InputError
        If the file is not there, is no safetensors file, or holds tensors of an unusual kind.
    """
    _check_readable(path)
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            metadata = {key: _parsed(value) for key, value in (file.metadata() or {}).items()}
    except Exception as error:  # a broken file raises more kinds than SafetensorError
        raise InputError(f"weights {path}: broken, or no safetensors file ({one_line(error)})") from None
    return unwrap(tensors, f"weights {path}"), metadata


def save_network(path: Path, network: nn.Module, name: str, scale: int, config: dict[str, object]) -> None:
    """Write a network's weights with what :func:`load_network` needs to build it again.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    metadata = {"model": name, "scale": scale, "config": config}
    save_tensors(path, network.state_dict(), metadata)


def load_network(path: Path) -> tuple[nn.Module, dict[str, object]]:
    """Build the network that a file of :func:`save_network` holds, in evaluation mode.

    Returns
    -------
    network : nn.Module
    metadata : dict
        Keys model, scale, config.

    Raises
    ------
    InputError
        If the file does not say which network it is, or its weights do not fit that network.
    """
    tensors, metadata = load_tensors(Path(path))
    held = _held(metadata, f"weights {path}")
    return _rebuild(held, tensors, f"weights {path}"), held.model_dump()


def open_network(model: str, weights: Path, scale: int) -> nn.Module:
    """The named network with the weights of a file: this project's, or those that its authors released.

    Parameters
    ----------
    model : str
        A key of the registry, or the name of an architecture that spandrel knows, such as "craft".
    weights : Path
        A file of :func:`save_network`; or a .pth or .safetensors file of the network as published.
    scale : int

    Returns
    -------
    nn.Module
        Maps Float[Tensor, "1 3 h w"] of 0 to 1 to Float[Tensor, "1 3 H W"]; in evaluation mode.

    Raises
    ------
    InputError
        If the file is unreadable, holds another network or scale, its weights do not fit or are not finite,
        or spandrel is needed and not installed.
    """
    weights, source = Path(weights), f"weights {weights}"
    if weights.suffix.lower() == ".safetensors":
        tensors, metadata = load_tensors(weights)
        if held := held_by(metadata, source):
            if (held.model, held.scale) != (model, scale):
                raise InputError(f"{source} are of {held}, not {model} ×{scale}")
            return _rebuild(held, tensors, source)
    else:
        tensors = read_pth(weights)
    if model not in REGISTRY:
        from srlab.weights.zoo import open_with_spandrel

        check_finite(tensors, source)
        return open_with_spandrel(model, tensors, scale, source)
    if model not in RELEASED:
        raise InputError(f"{source}: no released weights of '{model}' are known")
    return _released(model, scale, tensors, source)


def check_fit(module: nn.Module, weights: StateDict, source: str) -> None:
    """Compare names and shapes; no number is read, so the module may lie on torch's meta device.

    Raises
    ------
    InputError
        Naming what is missing, unexpected or of another shape.
    """
    own = module.state_dict()
    faults = {
        "missing": [key for key in own if key not in weights],
        "unexpected": [key for key in weights if key not in own],
        "of another shape": [
            f"{key} {tuple(weights[key].shape)} for {tuple(own[key].shape)}"
            for key in own
            if key in weights and weights[key].shape != own[key].shape
        ],
    }
    told = [f"{kind}: {_some(keys)}" for kind, keys in faults.items() if keys]
    if told:
        raise InputError(f"{source} does not fit {type(module).__name__}: {'; '.join(told)}")


def check_finite(weights: StateDict, source: str) -> None:
    """Raise an InputError that names the first tensor with NaN or infinite values, if there is one."""
    for key, tensor in weights.items():
        if not tensor.isfinite().all():
            raise InputError(f"{source}: '{key}' holds values that are not finite (NaN or infinite)")


def fit(module: nn.Module, weights: StateDict, source: str) -> nn.Module:
    """Load weights that must match the module in names and shapes, and be finite; evaluation mode.

    Raises
    ------
    InputError
        Naming what is missing, unexpected, of another shape, or not finite.
    """
    check_fit(module, weights, source)
    check_finite(weights, source)
    module.load_state_dict(dict(weights))
    return module.eval()


def start_from(network: nn.Module, path: Path) -> nn.Module:
    """Give a network on the trunk the weights of another run's trunk; its attention and gates stay as they were built.

    Parameters
    ----------
    network : Trunk
        With closed gates it computes, bit for bit, what the other network computes.
    path : Path
        A file of :func:`save_network`, of the trunk without attention.

    Raises
    ------
    InputError
        If the trunks differ.
    """
    tensors, _ = load_tensors(path)
    own = {key: tensor for key, tensor in network.state_dict().items() if ".attention." in key or ".gate." in key}
    return fit(network, own | tensors, f"weights {path}")


def read_pth(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a foreign .pth file; nothing in the file is run.

    Raises
    ------
    InputError
        If the file is not there, needs more than tensors to be read, or holds none.
    """
    path = Path(path)
    _check_readable(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles' protocols and of old storages
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(f"weights {path}: refused, it holds more than tensors or is no .pth file") from None
    except Exception:  # a broken pickle can raise anything
        raise InputError(f"weights {path}: broken, or no .pth file") from None
    return unwrap(loaded, f"weights {path}")


def unwrap(loaded: object, source: str = "state dict") -> dict[str, Tensor]:
    """The mapping of names to tensors, taken out of `params_ema`, `params` or the like if a file wraps it.

    Raises
    ------
    InputError
        If there is no such mapping, or a tensor is sparse, quantised, complex or the like.
    """
    for key in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    if not isinstance(loaded, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in loaded.items()
    ):
        raise InputError(f"{source}: not a mapping of names to tensors")
    for key, tensor in loaded.items():
        dense = tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_meta
        if not dense or tensor.dtype not in NUMBERS:
            raise InputError(
                f"{source}: '{key}' is of {tensor.dtype}, {tensor.layout}; dense real numbers are expected"
            )
    return dict(loaded)


def from_released(name: str, state_dict: StateDict, **config: object) -> nn.Module:
    """A network or module with the weights of its released implementation, in evaluation mode.

    Parameters
    ----------
    name : str
        A key of :data:`srlab.weights.released.RELEASED`.
    state_dict : mapping of str to Tensor
        With the released key names; found inside `params_ema` or `params` where the file wraps it.
    **config
        By the released implementation's names. Keys that only describe an input are passed over.

    Raises
    ------
    InputError
        For an unknown name, or weights that do not fit: missing, unexpected, of another shape.
    """
    if name not in RELEASED:
        raise InputError(f"released implementation '{name}' is unknown; there are: {', '.join(RELEASED)}")
    released = RELEASED[name]
    try:
        module = released.make(config)
    except KeyError as missing:
        raise InputError(f"released '{name}': config lacks {missing}") from None
    return fit(module, released.rename(unwrap(state_dict)), f"the released '{name}' state dict")


def held_by(metadata: dict[str, object], source: str) -> Held | None:
    """Which network a file's metadata names; None if it is no file of :func:`save_network`.

    Raises
    ------
    InputError
        If it names one in a way that cannot be.
    """
    return _held(metadata, source) if metadata.keys() >= Held.model_fields.keys() else None


def _held(metadata: dict[str, object], source: str) -> Held:
    try:
        return Held.model_validate(metadata)
    except ValidationError as error:
        raise InputError(explain(error, f"{source}, metadata")) from None


def _rebuild(held: Held, tensors: StateDict, source: str) -> nn.Module:
    """The network with these weights. It is first built without memory: what a file asks for may be huge."""
    try:
        with torch.device("meta"):
            outline = build(held.model, held.scale, **held.config)
    except Exception as error:  # numbers that no network can have raise all kinds of errors
        raise InputError(f"{source}: {held} cannot be built as its metadata says: {one_line(error)}") from error
    check_fit(outline, tensors, source)
    return fit(build(held.model, held.scale, **held.config), tensors, source)


def _released(model: str, scale: int, tensors: StateDict, source: str) -> nn.Module:
    """The published network with released weights; a misfit is told by what the weights are of."""
    network, renamed = build(model, scale), RELEASED[model].rename(tensors)
    try:
        return fit(network, renamed, source)
    except InputError:
        others = ((name, other) for name in RELEASED if name in REGISTRY for other in SCALES)
        for name, other in others:
            if (name, other) != (model, scale) and fits(name, other, tensors):
                raise InputError(f"{source} are of {name} ×{other}, not {model} ×{scale}") from None
        raise


def fits(model: str, scale: int, tensors: StateDict) -> bool:
    """Whether released weights are of that network, by names and shapes."""
    with torch.device("meta"):
        outline = build(model, scale)
    try:
        check_fit(outline, RELEASED[model].rename(tensors), model)
    except InputError:
        return False
    return True


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _parsed(value: str) -> object:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _check_readable(path: Path) -> None:
    try:
        if not path.is_file():
            raise FileNotFoundError
        path.open("rb").close()
    except FileNotFoundError:
        raise InputError(f"weights {path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"weights {path}: cannot be read ({error.strerror})") from error
