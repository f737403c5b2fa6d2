"""The one exception that means: the user's input is wrong, and this sentence says how."""

from __future__ import annotations

from pydantic import ValidationError


class InputError(ValueError):
    """Bad input, told in one sentence that names the file or parameter, its value and what is allowed.

    The command line prints the sentence and exits with status 2; no traceback is shown.
    """


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
