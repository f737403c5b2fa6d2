"""Film the explorer: click through pixels, layers and networks in JupyterLab, and keep the pictures as a GIF.

python tests/browser/film.py quick results/reference/quick-intel-xeon/explorer.gif
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from lab import ROOT, ExplorerPage, NotebookPage, serve, start_chromium
from PIL import Image
from playwright.sync_api import sync_playwright

CELLS = (
    "from srlab import widgets\nfrom srlab.study import Study\n\nstudy = Study({!r})",
    "widgets.Explorer(study)",
)
WIDTH = 900  # pixels of the film
SECONDS = 1.6  # of a picture
PAUSE = 3000  # milliseconds for a network to see an image for the first time


def film(profile: str, target: Path) -> None:
    """Write the film, and its last picture beside it as PNG."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(os.environ.get("SRLAB_RESULTS", ROOT / "results")).resolve()
        with serve(Path(folder) / "lab", results) as address, sync_playwright() as playwright:
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell.format(profile)) for cell in CELLS],
                metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            )
            nbformat.write(notebook, Path(folder) / "lab" / "notebooks" / "film.ipynb")
            page = start_chromium(playwright).new_page(viewport={"width": 1400, "height": 1500})
            NotebookPage(page, address.format("film")).run_all()
            explorer = ExplorerPage(page)
            shots = list(_shots(explorer, Path(folder)))
    pictures = [_framed(shot, max(shots, key=lambda each: each.height).height) for shot in shots]
    milliseconds = round(1000 * SECONDS)
    pictures[0].save(target, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0)
    shots[-1].save(target.with_suffix(".png"), optimize=True)


def _shots(explorer: ExplorerPage, folder: Path) -> Iterator[Image.Image]:
    """What a person does, and the explorer after each step."""

    def shot() -> Image.Image:
        explorer.page.wait_for_timeout(PAUSE)
        explorer.screenshot(folder / "shot.png")
        with Image.open(folder / "shot.png") as image:
            height = round(image.height * WIDTH / image.width)
            return image.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)

    def ask(row: int, col: int) -> None:
        explorer.write("row", str(row))
        explorer.write("column", str(col))

    ask(30, 20)
    yield shot()
    for row, col in ((52, 41), (60, 50)):
        ask(row, col)
        yield shot()
    explorer.choose("network 2", "nlsn")
    yield shot()
    explorer.slide("round", 3, network=2)
    yield shot()
    explorer.choose("network 3", "sscan")
    yield shot()
    explorer.choose("image", "held-out: page_left")
    yield shot()
    ask(20, 30)
    yield shot()


def _framed(shot: Image.Image, height: int) -> Image.Image:
    """A picture as high as all, with a palette of its own in which rare colours, which tell windows apart, have a place."""
    frame = Image.new("RGB", (WIDTH, height), "white")
    frame.paste(shot)
    return frame.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


if __name__ == "__main__":
    film(sys.argv[1], Path(sys.argv[2]))
