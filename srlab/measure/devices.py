"""Devices, their names, and the commit of the code."""

import os
import platform
import re
import subprocess
from pathlib import Path

import torch

from srlab.errors import InputError
from srlab.measure.allocator import allocator_setting

CHECKOUT = Path(__file__).resolve().parents[2]


def choose_device(name: str) -> torch.device:
    """Return the device "auto" (a GPU if there is one), "cpu" or "cuda"; a missing or unknown one is an InputError."""
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device '{name}' is not known: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' was asked for, but PyTorch finds no GPU here: choose auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_slug(device: torch.device | str) -> str:
    """Name a device for a folder: a GPU by its name, "nvidia-h200", a CPU by maker and family, "amd-epyc"."""
    device = torch.device(device)
    if device.type != "cuda":
        return _family(_cpu_name())
    return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower()).strip("-")


def _family(model: str) -> str:
    """Return maker and family of a CPU, two words at most, from the name of its model; "cpu" if it has neither."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"\((r|tm|c)\)", "", model.lower()))
    makers = [number for number, word in enumerate(words) if word in ("amd", "apple", "intel")]
    words = [word for word in words[makers[0] if makers else 0 :] if word not in ("cpu", "processor")]
    first, second = (*words, "", "")[:2]
    # A family begins with a letter, a model with a digit; these two words stand before numbers.
    named = [first, second] if second[:1].isalpha() and second not in ("family", "rev") else [first]
    return "-".join(filter(None, named)) or "cpu"


def describe_device(device: torch.device | str) -> dict[str, str | int]:
    """Return model, kind ("cpu" or "cuda"), PyTorch's threads on the CPU, the allocator's setting, versions, commit."""
    device = torch.device(device)
    return {
        "name": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "kind": device.type,
        "threads": torch.get_num_threads(),
        "allocator": allocator_setting(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "commit": code_commit(),
    }


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")  # Linux only; and not every architecture names its model there
    models = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.M) if cpuinfo.exists() else []
    if platform.system() == "Darwin":
        models = [_output("sysctl", "-n", "machdep.cpu.brand_string")]
    return "".join(models[:1]) or platform.processor() or platform.machine()


def code_commit(root: Path = CHECKOUT) -> str:
    """Return the short hash of the commit at `root`, with "-dirty" if tracked files differ; else "unknown"."""
    if not (root / ".git").exists():  # an installed copy must not take the commit of a checkout around it
        return "unknown"
    # Without optional locks, jobs that run side by side do not stand in each other's way.
    command = ("git", "--no-optional-locks", "describe", "--always", "--dirty", "--exclude=*")
    return _output(*command, cwd=root) or "unknown"


def _output(*command: str, cwd: Path | None = None) -> str:
    # Hooks of git name their own repository, which is not that of `cwd`.
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    own = {name: value for name, value in os.environ.items() if name not in elsewhere}
    try:
        done = subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
