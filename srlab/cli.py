"""The command line: `srlab --help`."""

from __future__ import annotations

import sys

import typer

from srlab.commands import data, measure, study

app = typer.Typer(
    name="srlab",
    help="A study that people can run: attention that lets super-resolution networks look far.\n\n"
    "`bash run_all.sh` makes the whole study; these commands make its parts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    study.run,
    study.where,
    study.notebook,
    study.index,
    study.train,
    measure.evaluate,
    measure.table,
    measure.profile,
    measure.models,
):
    app.command()(command)
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point: bad input becomes one sentence and status 2, Ctrl-C status 130."""
    from srlab.errors import InputError
    from srlab.training import NonFiniteLoss

    try:
        app()
    except (InputError, NonFiniteLoss) as error:
        typer.secho(f"srlab: {error}", fg="red", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.secho(
            "srlab: interrupted; the same command goes on where this one stopped", fg="yellow", err=True
        )
        sys.exit(130)
