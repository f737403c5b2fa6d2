"""JupyterLab in a browser: start it, open and run a notebook, and find widgets by their labels."""

from __future__ import annotations

import json
import os
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
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

ROOT = Path(__file__).parents[2]
#: Settings without what JupyterLab fetches from the network at its first start.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "checkForUpdates": False,
        "fetchNews": "false",
    }
}
#: Milliseconds for a step that computes, on a busy machine.
PATIENCE = 30_000
#: JavaScript: a hash of a canvas's pixels; `BLANK` for a single colour.
PICTURE = """canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width || 1, canvas.height || 1);
    const pixels = new Uint32Array(data.buffer).filter((pixel, i, all) => pixel !== all[0]);
    return pixels.reduce((hash, pixel) => (Math.imul(hash, 31) + pixel) | 0, 0);
}"""
BLANK = 0
TRACEBACK = "Traceback (most recent call last)"


def find_chromium() -> str | None:
    """Find Chromium: $CHROMIUM, or on the PATH."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


def start_chromium(playwright: Playwright) -> Browser:
    """Start Chromium without a window and without requests of its own."""
    arguments = ["--disable-gpu", "--disable-quic", "--disable-sync"]
    return playwright.chromium.launch(executable_path=find_chromium(), args=arguments)


@contextmanager
def serve(folder: Path, results: Path, cells: Sequence[str]) -> Iterator[str]:
    """Serve a notebook of these cells, beside the study's profiles, by a JupyterLab on loopback; yield its address.

    It reads and writes nothing of the person's own Jupyter and none of srlab's variables.
    """
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "notebook.ipynb")
    own = folder / "jupyter"
    for name, content in SETTINGS.items():
        path = own / "settings" / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
    token = secrets.token_hex()
    variables = {
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": own / "config",
        "JUPYTER_DATA_DIR": own / "data",
        "JUPYTER_RUNTIME_DIR": own / "runtime",
        "JUPYTER_PREFER_ENV_PATH": 1,  # the kernel of this very environment
        "JUPYTERLAB_SETTINGS_DIR": own / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": own / "workspaces",
        "IPYTHONDIR": own / "ipython",
        "SRLAB_RESULTS": results,
    }
    options = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
    options += ["--LabApp.extension_manager=readonly"]  # without requests to the package index
    log = folder / "jupyterlab.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("SRLAB_")}
            | {name: str(value) for name, value in variables.items()},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield f"{_address(server, own / 'runtime', log)}lab/tree/notebook.ipynb?token={token}"
    finally:
        server.terminate()  # the server ends its kernels
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _address(server: subprocess.Popen, runtime: Path, log: Path) -> str:
    """Wait for the address that the server writes once it runs."""
    for _ in range(600):
        if server.poll() is not None:
            break
        for file in runtime.glob(f"jpserver-{server.pid}.json"):
            return json.loads(file.read_text())["url"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab does not start:\n{log.read_text()[-2000:]}")


def run_notebook(page: Page, address: str) -> None:
    """Open a notebook, run all cells by the menu and wait for the last; an error in a cell is an error here."""
    page.goto(address)
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=PATIENCE)  # the kernel is there
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(
        """traceback => [...document.querySelectorAll('.jp-OutputArea-output pre')].some(
                output => output.textContent.includes(traceback))
            || [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(
                prompt => /^\\[\\d+\\]:$/.test(prompt.textContent))""",
        arg=TRACEBACK,
        timeout=5 * PATIENCE,
    )
    errors = page.locator(".jp-OutputArea-output pre", has_text=TRACEBACK).all_inner_texts()
    assert not errors, "\n".join(errors)


class ExplorerPage:
    """The explorer in an open notebook: its controls by their labels, and its picture."""

    def __init__(self, page: Page):
        self.page = page
        output = page.locator(".jp-OutputArea-output", has=page.locator(".jupyter-matplotlib"))
        self.widget: Locator = output.locator(".jupyter-widgets").first
        self.canvas: Locator = self.widget.locator(".jupyter-matplotlib canvas").first
        self.wait_for_another_picture(than=BLANK)

    def _row(self, network: int | None) -> Locator:
        """Return the row of controls of a network by its number, or all rows."""
        if network is None:
            return self.widget
        return self.widget.locator(".widget-hbox", has=self.page.get_by_label(f"network {network}", exact=True))

    def control(self, label: str, network: int | None = None) -> Locator:
        """Return a control by its label, in the row of a network."""
        return self._row(network).get_by_label(label, exact=True)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a dropdown by its text."""
        self.control(label).select_option(label=option)

    def write(self, label: str, text: str, network: int | None = None) -> None:
        """Replace the text of a field, from the keyboard."""
        self.control(label, network).focus()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def slide(self, label: str, to: int, network: int | None = None) -> None:
        """Move a slider by the arrow keys."""
        handle = self._row(network).locator(".widget-slider", has_text=label).get_by_role("slider")
        while (at := float(handle.get_attribute("aria-valuenow"))) != to:
            handle.press("ArrowRight" if at < to else "ArrowLeft")
            expect(handle).not_to_have_attribute("aria-valuenow", str(at))

    def upload(self, text: str, file: Path) -> None:
        """Give a file to the upload button with this text."""
        with self.page.expect_file_chooser() as chooser:
            self.widget.get_by_role("button", name=text).click()
        chooser.value.set_files(file)

    def click(self, x: int, y: int) -> None:
        """Click on the picture, x pixels from its left and y from its top."""
        self.canvas.locator("..").click(position={"x": x, "y": y})

    def picture(self) -> int:
        """Return a hash of the picture once it has come to rest."""
        self.wait_for_another_picture(than=BLANK)
        last, picture = None, self.canvas.evaluate(PICTURE)
        while picture != last:
            self.page.wait_for_timeout(300)
            last, picture = picture, self.canvas.evaluate(PICTURE)
        return picture

    def wait_for_another_picture(self, than: int) -> None:
        """Wait until the picture differs from the one with this hash."""
        end = time.monotonic() + PATIENCE / 1000
        while self.canvas.evaluate(PICTURE) == than:  # whichever canvas is there by then
            assert time.monotonic() < end, "the picture stays as it is"
            self.page.wait_for_timeout(50)
