"""JupyterLab in a browser: start it, open and run a notebook, and find widgets by their labels."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, expect

ROOT = Path(__file__).parents[2]
#: Settings without JupyterLab's requests to the network at its first start.
QUIET = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
#: Milliseconds for a step that computes, on a busy machine.
PATIENCE = 30_000
#: JavaScript: a hash of a canvas's pixels; `BLANK` for a single colour.
PICTURE = """canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width || 1, canvas.height || 1);
    const pixels = new Uint32Array(data.buffer).filter((pixel, i, all) => pixel !== all[0]);
    return pixels.reduce((hash, pixel) => (Math.imul(hash, 31) + pixel) | 0, 0);
}"""
BLANK = 0
#: JavaScript: an error is there, or every cell has run.
DONE = """traceback => {
    const texts = query => [...document.querySelectorAll(query)].map(each => each.textContent);
    return texts('.jp-OutputArea-output pre').some(text => text.includes(traceback))
        || texts('.jp-CodeCell .jp-InputPrompt').every(text => /^\\[\\d+\\]:$/.test(text));
}"""
TRACEBACK = "Traceback (most recent call last)"


def find_chromium() -> str | None:
    """Find Chromium: $CHROMIUM, or on the PATH."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


@contextmanager
def serve(folder: Path, results: Path, cells: Sequence[str]) -> Iterator[str]:
    """Serve a notebook of these cells by a JupyterLab on loopback, apart from the person's own; yield its address."""
    for name in ("profiles", "notebooks"):  # a study finds its chapters there
        shutil.copytree(ROOT / name, folder / name)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "notebook.ipynb")
    own = folder / "jupyter"
    (own / "settings" / QUIET).parent.mkdir(parents=True)
    (own / "settings" / QUIET).write_text('{"checkForUpdates": false, "fetchNews": "false"}')
    token = secrets.token_hex()
    folders = {f"JUPYTER_{name}_DIR": own / name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
    folders |= {f"JUPYTERLAB_{name}_DIR": own / name.lower() for name in ("SETTINGS", "WORKSPACES")}
    variables = folders | {"IPYTHONDIR": own / "ipython", "JUPYTER_TOKEN": token, "SRLAB_RESULTS": results}
    variables["JUPYTER_PREFER_ENV_PATH"] = 1  # the kernel of this very environment
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SRLAB_")}
    environment |= {name: str(value) for name, value in variables.items()}
    options = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
    options += ["--LabApp.extension_manager=readonly"]  # without requests to the package index
    log = folder / "jupyterlab.log"
    with log.open("w") as output:
        streams = {"stdout": output, "stderr": subprocess.STDOUT, "start_new_session": True}
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, cwd=folder, env=environment, **streams)
    try:
        facts, end = own / "runtime" / f"jpserver-{server.pid}.json", time.monotonic() + 60
        while not facts.is_file():  # the server writes its address once it runs
            assert server.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.1)
        yield f"{json.loads(facts.read_text())['url']}lab/tree/notebook.ipynb?token={token}"
    finally:
        server.terminate()  # the server ends its kernels
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def run_notebook(page: Page, address: str) -> None:
    """Open a notebook, run all cells by the menu and wait for the last; an error in a cell is an error here."""
    page.goto(address)
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=PATIENCE)  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(DONE, arg=TRACEBACK, timeout=5 * PATIENCE)
    errors = page.locator(".jp-OutputArea-output pre", has_text=TRACEBACK).all_inner_texts()
    assert not errors, "\n".join(errors)


def brightness(page: Page, where: str, colour: str) -> float:
    """Return the brightness of a colour of an element, from 0 to 1."""
    channels = page.locator(where).first.evaluate(f"each => getComputedStyle(each).{colour}")
    return sum(int(number) for number in re.findall(r"\d+", channels)[:3]) / 3 / 255


class ExplorerPage:
    """The explorer in an open notebook: its controls by their labels, and its picture."""

    def __init__(self, page: Page):
        self.page = page
        output = page.locator(".jp-OutputArea-output", has=page.locator(".jupyter-matplotlib"))
        self.widget: Locator = output.locator(".jupyter-widgets").first
        self.canvas: Locator = self.widget.locator(".jupyter-matplotlib canvas").first
        self.wait_for_another_picture(than=BLANK)

    def row(self, network: int | None) -> Locator:
        """Return the row of controls of a network by its number, or all rows."""
        own = self.page.get_by_label(f"network {network}", exact=True)
        return self.widget.locator(".widget-hbox", has=own) if network else self.widget

    def control(self, label: str, network: int | None = None) -> Locator:
        """Return a control by its label, in the row of a network."""
        return self.row(network).get_by_label(label, exact=True)

    def write(self, label: str, text: str, network: int | None = None) -> None:
        """Replace the text of a field, from the keyboard."""
        self.control(label, network).focus()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def picture(self) -> int:
        """Return a hash of the picture once it has come to rest."""
        self.wait_for_another_picture(than=BLANK)
        last, picture = None, self.canvas.evaluate(PICTURE)
        while picture != last:
            self.page.wait_for_timeout(150)
            last, picture = picture, self.canvas.evaluate(PICTURE)
        return picture

    def wait_for_another_picture(self, than: int) -> None:
        """Wait until the picture differs from the one with this hash."""
        end = time.monotonic() + PATIENCE / 1000
        while self.canvas.evaluate(PICTURE) == than:  # whichever canvas is there by then
            assert time.monotonic() < end, "the picture stays as it is"
            self.page.wait_for_timeout(50)
