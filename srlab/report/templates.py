"""Fill the HTML templates beside this file."""

from __future__ import annotations

from pathlib import Path

import jinja2

TEMPLATES = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)


def fill(name: str, **facts: object) -> str:
    """Render a template; values are escaped."""
    return TEMPLATES.get_template(name).render(**facts)
