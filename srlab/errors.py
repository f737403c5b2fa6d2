"""What a user can mend: wrong input, told in a sentence, and too little memory."""

from __future__ import annotations

from pydantic import ValidationError


class InputError(ValueError):
    """Bad input, told in one sentence that names the file or parameter, its value and what is allowed.

    The command line prints the sentence and exits with status 2; no traceback is shown.
    """


class NonFiniteLoss(RuntimeError):
    """Training diverged; the message says at which step, and where the last good checkpoint is."""


class OutOfTime(Exception):
    """The deadline has come; what is done is kept, and the same call goes on from there."""


def explain(error: ValidationError, source: str) -> str:
    """One sentence for everything that pydantic found wrong in `source`."""
    faults = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            faults.append(f"key '{where}' is unknown")
        elif fault["type"] in ("missing", "missing_argument"):
            faults.append(f"key '{where}' is missing")
        else:
            message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            faults.append(f"'{where}' is {fault['input']!r}, allowed: {message}")
    return f"{source}: " + "; ".join(faults)


def out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: Python's own, a GPU's, or what torch asks of the system."""
    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or on_cpu


def one_line(error: Exception) -> str:
    """What an exception of another library says, to be told within a sentence: 200 characters at most."""
    told = " ".join(str(error).split()) or type(error).__name__
    return told if len(told) <= 200 else f"{told[:200]}…"
