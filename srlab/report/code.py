"""Show key lines of a mechanism in the notebook about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from textwrap import dedent

from IPython.display import Code


def code(*parts: Callable) -> Code:
    """Return the source of functions and methods, in this order."""
    return Code("\n\n".join(dedent(inspect.getsource(part)).rstrip() for part in parts), language="python")
