"""Released networks on one chart: quality and costs, measured here, beside what papers publish."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from srlab.commands.options import DeviceName
from srlab.commands.weights import Folder

app = typer.Typer(
    help="Released networks ×4 side by side: `quality`, `costs`, then `show` and `draw`.", no_args_is_help=True
)
Only = Annotated[list[str] | None, typer.Option(help="A network's name; repeatable. All of the folder without it.")]


def records_folder() -> Path:
    """released-weights/ in the folder of results."""
    from srlab.study.study import find_root

    return find_root() / (os.environ.get("SRLAB_RESULTS") or "results") / "released-weights"


@app.command()
def quality(
    folder: Folder,
    only: Only = None,
    data: Annotated[list[str] | None, typer.Option(help="A data set; repeatable. The papers' four without it.")] = None,
    device: DeviceName = "auto",
) -> None:
    """PSNR and SSIM of bicubic interpolation and every network of a folder: a record each, in released-weights/.

    What is recorded is kept, so an interrupted command goes on. Run it before `costs`, or after: they are apart.
    """
    from srlab.data.layouts import find_benchmarks
    from srlab.files import check_writable
    from srlab.measure.devices import choose_device
    from srlab.measure.field import DATA_SETS, contenders, make_records

    into = records_folder()
    check_writable(into)
    benchmarks = [benchmark for name in data or DATA_SETS for benchmark in find_benchmarks(name)]
    make_records(contenders(folder, only or ()), benchmarks, into, choose_device(device))
    typer.echo(f"records in {into}; `srlab field show` prints them")


@app.command()
def costs(
    folder: Folder,
    only: Only = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 7,
    warmup: Annotated[int, typer.Option(min=0, help="Rounds before them.")] = 1,
    device: DeviceName = "auto",
) -> None:
    """Time and memory of all networks of a folder in one run, in turn, for 1280×720 and 512×512 pixels of output.

    Nothing else should run meanwhile.
    """
    from srlab.files import check_writable
    from srlab.measure.devices import choose_device
    from srlab.measure.field import contenders, measure_costs

    into = records_folder()
    check_writable(into)
    field = contenders(folder, only or ())
    table = measure_costs(field, into, choose_device(device), repeats, warmup)
    shown = ["label", "height", "width", "median_ms", "q25_ms", "q75_ms", "peak_mib", "gflops", "parameters"]
    typer.echo(table[shown].round(1).to_string(index=False))


@app.command()
def reach(
    folder: Folder,
    only: Only = None,
    data: Annotated[str, typer.Option(help="The data set whose images the places are of.")] = "Urban100",
    places: Annotated[int, typer.Option(min=1, help="How many; one an image, the first by name.")] = 32,
    device: DeviceName = "auto",
) -> None:
    """How far every network of a folder looks: attribution maps and receptive fields, into released-weights/reach.csv.

    A place is where bicubic enlargement errs most in its image. What is measured is kept, so an interrupted command
    goes on.
    """
    from srlab.analysis.field_reach import REACH, measure_reach
    from srlab.data.layouts import find_benchmarks
    from srlab.files import check_writable
    from srlab.measure.devices import choose_device
    from srlab.measure.field import contenders

    into = records_folder()
    check_writable(into)
    [benchmark] = find_benchmarks(data)
    measure_reach(contenders(folder, only or ()), benchmark, into, places, choose_device(device))
    typer.echo(into / REACH)


@app.command()
def kinds(
    folder: Folder,
    only: Only = None,
    data: Annotated[list[str] | None, typer.Option(help="A data set; repeatable. The papers' four without it.")] = None,
    device: DeviceName = "auto",
) -> None:
    """What images are like, and kinds of them: released-weights/similarity.csv and kinds.csv.

    How self-similar every image of the data sets is, and what every network makes of generated text, textures and
    repeated tiles. What is measured is kept, so an interrupted command goes on.
    """
    from srlab.analysis.field_kinds import KINDS, SIMILARITY, measure_kinds, measure_similarity
    from srlab.data.layouts import find_benchmarks
    from srlab.files import check_writable
    from srlab.measure.devices import choose_device
    from srlab.measure.field import DATA_SETS, contenders

    into = records_folder()
    check_writable(into)
    measure_similarity([benchmark for name in data or DATA_SETS for benchmark in find_benchmarks(name)], into)
    measure_kinds(contenders(folder, only or ()), into, choose_device(device))
    typer.echo(f"{into / SIMILARITY}\n{into / KINDS}")


@app.command()
def show() -> None:
    """Print both tables as README has them, from the records and the costs."""
    from srlab.measure.field import read_field
    from srlab.measure.published import render
    from srlab.stats.field import costs_markdown

    records, measured = read_field(records_folder())
    typer.echo(f"{render(records)}\n{costs_markdown(records, measured)}", nl=False)


@app.command()
def draw() -> None:
    """Draw what is measured: PSNR against latency, with memory as area; how far networks reach; and self-similarity."""
    from srlab.analysis.field_kinds import KINDS, SIMILARITY, read
    from srlab.analysis.field_reach import REACH, read_reach
    from srlab.errors import InputError
    from srlab.measure.field import COSTS, read_field
    from srlab.plots.drawings import draw as drawn
    from srlab.stats import field_kinds, field_reach
    from srlab.stats.field import elsewhere, measured

    into = records_folder()
    records, timed = read_field(into)
    if timed is None:
        raise InputError(f"{into / COSTS}: no such file; `srlab field costs` measures it")
    table = measured(records, timed)
    made = {"field": (table, elsewhere(table["dataset"].iloc[0]))}
    if (into / REACH).is_file():
        made["reach"] = (field_reach.places(records, read_reach(into)),)
    if (into / KINDS).is_file():
        made["similarity"] = field_kinds.tables(records, read(SIMILARITY, into), read(KINDS, into))
    for name, frames in made.items():
        drawn(name, into, *frames)
        typer.echo(into / "figures" / f"{name}.png")


@app.command()
def maps(folder: Folder) -> None:
    """Where ELAN-light looks, and what its layers that reuse weights would see by their own: tables and two figures.

    Maps are of the photographs that come with scikit-image; PSNR is of Set5, where it is, else of the same.
    """
    from srlab.analysis.reuse import example, look, quality
    from srlab.data.layouts import find_benchmarks, held_out
    from srlab.errors import InputError
    from srlab.files import check_writable
    from srlab.measure.field import PROTOCOL, SCALE, contenders
    from srlab.plots.drawings import draw as drawn
    from srlab.stats.answers import answer
    from srlab.stats.reuse import told_by_maps, told_by_stand_ins

    into, photographs = records_folder(), held_out()
    check_writable(into)
    [contender] = contenders(folder, ["elan_light"])
    network, source = contender.open(), {"sha256": contender.weights.sha256[:12]}
    try:
        [benchmark] = find_benchmarks("Set5")
    except InputError:
        benchmark = photographs
    looked, alike = look(network, photographs.hr, SCALE)
    measured = quality(network, benchmark, SCALE, PROTOCOL)
    shown, around = example(network, photographs.hr[0], SCALE)
    looked, shown, alike, measured = (each.round(6).assign(**source) for each in (looked, shown, alike, measured))
    drawn("maps", into, looked, shown, around)
    drawn("reused", into, alike, measured)
    told = f"{told_by_maps(looked)}\n\n{told_by_stand_ins(alike, measured)}"
    typer.echo(answer(told, into, "maps").data)
