"""Print tables of commands."""

from __future__ import annotations

import typer


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows in columns; the first row holds the headings."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
