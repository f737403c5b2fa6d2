"""Key lines of a mechanism, as they run, to read in the notebook that is about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from textwrap import dedent

from IPython.display import Code


def code(*parts: Callable) -> Code:
    """The source of functions and methods, one below the other."""
    return Code("\n\n".join(dedent(inspect.getsource(part)).rstrip() for part in parts), language="python")
