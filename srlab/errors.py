"""Errors that a user can correct: bad input, and too little memory."""

from __future__ import annotations

from pydantic import ValidationError

#: Messages of PyTorch, and of libraries below it, that found no memory.
NO_MEMORY = ("DefaultCPUAllocator", "bad_alloc", "could not create a primitive", "can't start new thread")


class InputError(ValueError):
    """Bad input: one sentence names the file or parameter, its value and what is allowed.

    The command line prints it without a traceback and exits with status 2.
    """


class NonFiniteLoss(RuntimeError):
    """Training diverged; the message names the step and the last good checkpoint."""


class OutOfTime(Exception):
    """The deadline has passed; finished work is saved, and the same call resumes it."""


def explain(error: ValidationError, source: str) -> str:
    """Join everything that pydantic found wrong in `source` in one sentence."""
    faults = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            faults.append(f"key '{where}' is unknown")
        elif fault["type"] in ("missing", "missing_argument"):
            faults.append(f"key '{where}' is missing")
        else:
            message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            faults.append(f"'{where}' is {fault['input']!r}, allowed: {message.replace('a valid tuple', 'a list')}")
    return f"{source}: " + "; ".join(faults)


def out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out: in Python, on a GPU, in PyTorch or in a library below it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


def one_line(error: Exception) -> str:
    """Return the message of another library's exception on one line, cut after 200 characters."""
    message = " ".join(str(error).split()) or type(error).__name__
    return message if len(message) <= 200 else f"{message[:200]}…"
