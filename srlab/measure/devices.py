"""Which device there is, what it is called, and by what code a record was made."""

import platform
import re
import subprocess
from pathlib import Path

import torch

from srlab.errors import InputError

CHECKOUT = Path(__file__).resolve().parents[2]


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu" or "cuda" into a device; "auto" is the GPU where there is one, else the CPU.

    Raises
    ------
    InputError
        For any other name, and for "cuda" where PyTorch finds no GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device '{name}' is not known: choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' was asked for, but PyTorch finds no GPU here: choose auto or cpu.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_slug(device: torch.device | str) -> str:
    """Name a device for a folder: "cpu", or the GPU's name such as "nvidia-h200"."""
    device = torch.device(device)
    if device.type != "cuda":
        return device.type
    return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower()).strip("-")


def describe_device(device: torch.device | str) -> dict[str, str | int]:
    """Say what measurements on a device are measurements of.

    Returns
    -------
    dict
        `name` (the model of the CPU or GPU), `kind` ("cpu" or "cuda"), `threads` (PyTorch's on the CPU), the
        versions `torch`, `python` and `platform`, and `commit`, that of srlab's code (see `code_commit`).
    """
    device = torch.device(device)
    return {
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "kind": device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "commit": code_commit(),
    }


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux only; and not every architecture names its model there
    models = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else []
    return models[0] if models else platform.processor() or platform.machine()


def code_commit(root: Path = CHECKOUT) -> str:
    """Name the commit checked out at `root`: its short hash, with "-dirty" when tracked files differ from it.

    It is "unknown" where `root` is no Git checkout with a commit, or Git is not installed.
    """
    if not (root / ".git").exists():  # an installed copy must not take the commit of a checkout around it
        return "unknown"
    # Without optional locks, jobs that run side by side do not stand in each other's way.
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        git = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return git.stdout.strip()
