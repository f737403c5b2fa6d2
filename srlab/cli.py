"""The command line: `srlab --help`."""

from __future__ import annotations

import gc
import signal
import sys
from types import FrameType

import typer

from srlab.commands import data, measure, study, upscale, weights

app = typer.Typer(
    name="srlab",
    help="A study that people can run: attention that lets super-resolution networks look far.\n\n"
    "`bash run_all.sh` makes the whole study; these commands make its parts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    *(study.run, study.where, study.notebook, study.index, study.explorer, study.site, study.train, study.redraw),
    *(study.pack, study.trace, measure.evaluate, measure.table, upscale.upscale, weights.export, measure.profile),
    measure.models,
):
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as by Ctrl-C, so that nothing half-written remains."""
    raise KeyboardInterrupt


def main() -> None:
    """Entry point: what a person can mend becomes one sentence and status 2, Ctrl-C one and status 130.

    Any other exception is a fault of srlab and keeps its traceback.
    """
    from srlab.errors import InputError, NonFiniteLoss, out_of_memory
    from srlab.measure.allocator import keep_memory

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a sign that the terminal lacks, or a name that is no UTF-8, ends nothing
            stream.reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    # What is imported stays; Python looks for garbage among it less often, and starts half a second sooner.
    gc.set_threshold(10_000)
    keep_memory()
    try:
        app()
    except (KeyboardInterrupt, SystemExit) as end:  # typer turns Ctrl-C into a silent SystemExit of 130
        if getattr(end, "code", 130) != 130:
            raise
        sentence, status = "interrupted; nothing is left half-written, and the same command makes what is missing", 130
    except (InputError, NonFiniteLoss) as error:
        sentence, status = str(error), 2
    except Exception as error:
        if not out_of_memory(error):
            raise
        sentence, status = "out of memory; tiles (--tile), a smaller image or a smaller batch need less", 2
    typer.secho(f"srlab: {sentence}", fg="red", err=True)
    sys.exit(status)
