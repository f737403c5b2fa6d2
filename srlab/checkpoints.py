"""Weights in and out: safetensors of our own, and released files through maps of their key names."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from srlab.errors import InputError
from srlab.files import replacing
from srlab.models import build
from srlab.released import RELEASED

StateDict = Mapping[str, Tensor]


def save_tensors(path: Path, tensors: StateDict, metadata: dict[str, object]) -> None:
    """Write a safetensors file with JSON metadata, beside and then renamed: never half a file."""
    contiguous = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with replacing(path) as beside:
        save_file(contiguous, beside, {key: json.dumps(value) for key, value in metadata.items()})


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read what :func:`save_tensors` wrote.

    Raises
    ------
    InputError
        If the file is not there or is no safetensors file.
    """
    if not path.is_file():
        raise InputError(f"weights {path}: there is no such file")
    try:
        with safe_open(path, "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            metadata = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise InputError(f"weights {path}: not a safetensors file of this project ({error})") from None
    return tensors, metadata


def save_network(path: Path, network: nn.Module, name: str, scale: int, config: dict[str, object]) -> None:
    """Write a network's weights with what :func:`load_network` needs to build it again."""
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
    missing = [key for key in ("model", "scale", "config") if key not in metadata]
    if missing:
        raise InputError(f"weights {path}: the metadata lacks {', '.join(missing)}; save with save_network")
    network = build(metadata["model"], metadata["scale"], **metadata["config"])
    return fit(network, tensors, f"weights {path}"), metadata


def open_network(model: str, weights: Path, scale: int) -> nn.Module:
    """The named network with the weights of a file: this project's, or those that its authors released.

    Parameters
    ----------
    model : str
        A key of the registry.
    weights : Path
        A file of :func:`save_network`, or a released .pth of the network as published.
    scale : int

    Returns
    -------
    nn.Module
        In evaluation mode.

    Raises
    ------
    InputError
        If the file is unreadable, holds another network or scale, or its weights do not fit.
    """
    if weights.suffix == ".safetensors":
        network, held = load_network(weights)
        if (held["model"], held["scale"]) != (model, scale):
            raise InputError(
                f"weights {weights} are of {held['model']} ×{held['scale']}, not {model} ×{scale}"
            )
        return network
    if model not in RELEASED:
        raise InputError(f"weights {weights}: no released weights of '{model}' are known")
    return fit(build(model, scale), RELEASED[model].rename(read_pth(weights)), f"weights {weights}")


def fit(module: nn.Module, weights: StateDict, source: str) -> nn.Module:
    """Load weights that must match the module in names and shapes; evaluation mode.

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
    module.load_state_dict(dict(weights))
    return module.eval()


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def read_pth(path: str | Path) -> dict[str, Tensor]:
    """The state dict of a foreign .pth file; nothing in the file is run.

    Raises
    ------
    InputError
        If the file is not there, needs more than tensors to be read, or holds none.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"weights {path}: there is no such file")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(f"weights {path}: refused, it holds more than tensors or is no .pth file") from None
    except Exception:  # a broken pickle can raise anything
        raise InputError(f"weights {path}: broken, or no .pth file") from None
    return unwrap(loaded, f"weights {path}")


def unwrap(loaded: object, source: str = "state dict") -> dict[str, Tensor]:
    """The mapping of names to tensors, taken out of `params_ema` or `params` where a file wraps it."""
    for key in ("params_ema", "params"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(f"{source}: not a mapping of names to tensors")
    return dict(loaded)


def from_released(name: str, state_dict: StateDict, **config: object) -> nn.Module:
    """A network or module with the weights of its released implementation, in evaluation mode.

    Parameters
    ----------
    name : str
        A key of :data:`srlab.released.RELEASED`.
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
