"""Pages from templates: the HTML files beside this one."""

from __future__ import annotations

from pathlib import Path

import jinja2

TEMPLATES = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)


def fill(name: str, **facts: object) -> str:
    """The template of that name with these facts in it; what they hold is escaped."""
    return TEMPLATES.get_template(name).render(**facts)
