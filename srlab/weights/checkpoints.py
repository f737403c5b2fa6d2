"""Weights in and out: safetensors of our own, and released files through maps of their key names.

No file is trusted: nothing in it is run, and its content is checked before use.
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

#: Keys under which training codes store a state dict, in the order of choice.
WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net", "generator")
#: What training frameworks put before every name.
PREFIXES = ("module.", "_orig_mod.", "net_g.", "model.", "generator.", "_forward_module.")

#: dtypes of weights and of the counters beside them.
NUMBERS = (
    *(torch.float32, torch.float16, torch.bfloat16, torch.float64),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)


class OwnNetwork(BaseModel, strict=True):
    """Metadata of a file of :func:`save_network`."""

    model: str
    scale: int
    config: dict[str, object]

    def __str__(self) -> str:
        return f"{self.model} ×{self.scale}"


def save_tensors(path: Path, tensors: StateDict, metadata: dict[str, object]) -> None:
    """Write a safetensors file with JSON metadata, beside and then renamed; an InputError leaves no half file."""
    contiguous = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with replacing(path) as beside:
        try:
            save_file(contiguous, beside, {key: json.dumps(value) for key, value in metadata.items()})
        except SafetensorError as error:  # its word for an OSError
            raise OSError(str(error)) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read a safetensors file: its tensors and its metadata, where JSON is parsed and all else remains text.

    A missing or broken file, or one with tensors of an unusual kind, is an InputError.
    """
    _check_readable(path)
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            metadata = {key: _parse(value) for key, value in (file.metadata() or {}).items()}
    except Exception as error:  # a broken file raises more kinds than SafetensorError
        raise InputError(f"weights {path}: broken, or no safetensors file ({one_line(error)})") from None
    return unwrap(tensors, f"weights {path}"), metadata


def read_pth(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a foreign .pth file; one that needs more than tensors is an InputError, and is not run."""
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


def read_weights(path: Path) -> tuple[dict[str, Tensor], OwnNetwork | None]:
    """Read the tensors of any file of weights and, of a file of :func:`save_network`, its metadata."""
    if path.suffix.lower() != ".safetensors":
        return read_pth(path), None
    tensors, metadata = load_tensors(path)
    if metadata.keys() >= OwnNetwork.model_fields.keys():
        return tensors, _own_network(metadata, path)
    return unwrap(tensors, f"weights {path}"), None


def unwrap(loaded: object, source: str = "state dict") -> dict[str, Tensor]:
    """Take the mapping of names to dense real tensors out of `params_ema`, `params` or the like; else an InputError.

    Wrappers may be nested. A prefix of `PREFIXES` that every name has is dropped.
    """
    while isinstance(loaded, Mapping):
        inner = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
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
    found = dict(loaded)
    while prefix := next((each for each in PREFIXES if found and all(key.startswith(each) for key in found)), None):
        found = {key.removeprefix(prefix): tensor for key, tensor in found.items()}
    return found


def save_network(path: Path, network: nn.Module, name: str, scale: int, config: dict[str, object]) -> None:
    """Write a network's weights, and what :func:`load_network` needs to build it again."""
    save_tensors(path, network.state_dict(), {"model": name, "scale": scale, "config": config})


def load_network(path: Path) -> tuple[nn.Module, dict[str, object]]:
    """Return the network of a file of :func:`save_network`, in evaluation mode, and its model, scale and config.

    A file that does not name its network, or weights that do not fit it, are an InputError.
    """
    tensors, metadata = load_tensors(Path(path))
    own = _own_network(metadata, path)
    return _rebuild(own, tensors, f"weights {path}"), own.model_dump()


def open_network(model: str, weights: Path, scale: int) -> nn.Module:
    """Build the named network with the weights of a file, in evaluation mode.

    It maps Float[Tensor, "1 3 h w"] of 0 to 1 to Float[Tensor, "1 3 H W"]. InputError if the file is unreadable, of
    another network or scale, its weights do not fit or are not finite, or spandrel is needed and not installed.

    `model` is a key of the registry, or the name of an architecture of spandrel, such as "craft". `weights` is a file
    of :func:`save_network`, or a .pth or .safetensors file of the network as published.
    """
    weights, source = Path(weights), f"weights {weights}"
    tensors, own = read_weights(weights)
    if own:
        if (own.model, own.scale) != (model, scale):
            raise InputError(f"{source} are of {own}, not {model} ×{scale}")
        return _rebuild(own, tensors, source)
    if model not in REGISTRY:
        from srlab.weights.zoo import open_with_spandrel

        check_finite(tensors, source)
        return open_with_spandrel(model, tensors, scale, source)
    if model not in RELEASED:
        raise InputError(f"{source}: no released weights of '{model}' are known")
    try:
        return fit(build(model, scale), RELEASED[model].rename(tensors), source)
    except InputError:
        found = find_released(tensors)
        if found not in (None, (model, scale)):
            raise InputError(f"{source} are of {found[0]} ×{found[1]}, not {model} ×{scale}") from None
        raise


def find_released(tensors: StateDict) -> tuple[str, int] | None:
    """Return the network and scale of released weights, by names and shapes; None if they fit no network."""
    for model in RELEASED:
        for scale in SCALES if model in REGISTRY else ():
            with torch.device("meta"):
                outline = build(model, scale)
            try:
                check_fit(outline, RELEASED[model].rename(tensors), model)
            except InputError:
                continue
            return model, scale
    return None


def from_released(name: str, state_dict: StateDict, **config: object) -> nn.Module:
    """Build a network or module with the weights of its released implementation, in evaluation mode.

    The state dict, possibly inside `params_ema` or `params`, and `config` have the released names. An unknown name, a
    missing option, or weights that do not fit are an InputError.
    """
    if name not in RELEASED:
        raise InputError(f"released implementation '{name}' is unknown; there are: {', '.join(RELEASED)}")
    try:
        module = RELEASED[name].build(config)
    except KeyError as missing:
        raise InputError(f"released '{name}': config lacks {missing}") from None
    return fit(module, RELEASED[name].rename(unwrap(state_dict)), f"the released '{name}' state dict")


def start_from(network: nn.Module, path: Path) -> nn.Module:
    """Give a network on the trunk the weights of another run's trunk; attention and gates stay as they were built.

    `path` is a file of :func:`save_network`, of the trunk without attention; another trunk is an InputError. With
    closed gates the network computes, bit for bit, what the other one computes.
    """
    tensors, _ = load_tensors(path)
    own = {key: tensor for key, tensor in network.state_dict().items() if ".attention." in key or ".gate." in key}
    return fit(network, own | tensors, f"weights {path}")


def fit(module: nn.Module, weights: StateDict, source: str) -> nn.Module:
    """Load weights that match the module in names and shapes and are finite; evaluation mode. Else an InputError."""
    check_fit(module, weights, source)
    check_finite(weights, source)
    module.load_state_dict(dict(weights))
    return module.eval()


def check_fit(module: nn.Module, weights: StateDict, source: str) -> None:
    """Compare names and shapes with a module, possibly on the meta device; an InputError names all differences."""
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
    parts = [
        f"{kind}: {', '.join(keys[:3])}" + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        for kind, keys in faults.items()
        if keys
    ]
    if parts:
        raise InputError(f"{source} does not fit {type(module).__name__}: {'; '.join(parts)}")


def check_finite(weights: StateDict, source: str) -> None:
    """Raise an InputError that names the first tensor with NaN or infinite values, if there is one."""
    for key, tensor in weights.items():
        if not tensor.isfinite().all():
            raise InputError(f"{source}: '{key}' holds values that are not finite (NaN or infinite)")


def _own_network(metadata: dict[str, object], path: Path) -> OwnNetwork:
    try:
        return OwnNetwork.model_validate(metadata)
    except ValidationError as error:
        raise InputError(explain(error, f"weights {path}, metadata")) from None


def _rebuild(own: OwnNetwork, tensors: StateDict, source: str) -> nn.Module:
    """Build the network with these weights: first without memory, for a file may describe a huge one."""
    try:
        with torch.device("meta"):
            outline = build(own.model, own.scale, **own.config)
    except Exception as error:  # numbers that no network can have raise all kinds of errors
        raise InputError(f"{source}: {own} cannot be built as its metadata says: {one_line(error)}") from error
    check_fit(outline, tensors, source)
    return fit(build(own.model, own.scale, **own.config), tensors, source)


def _parse(value: str) -> object:
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
