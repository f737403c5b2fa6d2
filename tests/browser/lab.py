"""JupyterLab as a person meets it: started, a notebook opened and run, widgets found by their labels."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

ROOT = Path(__file__).parents[2]
#: What JupyterLab would ask or fetch from the network at its first start.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "checkForUpdates": False,
        "fetchNews": "false",
    }
}
#: Milliseconds for a step that computes; far more than it takes, since the machine may be busy.
PATIENCE = 30_000
#: JavaScript: a hash of a canvas's pixels, which is that of no pixels where all are alike.
PICTURE = """canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width || 1, canvas.height || 1);
    const pixels = new Uint32Array(data.buffer).filter((pixel, i, all) => pixel !== all[0]);
    return pixels.reduce((hash, pixel) => (Math.imul(hash, 31) + pixel) | 0, 0);
}"""
BLANK = 0
TRACEBACK = "Traceback (most recent call last)"


def find_chromium() -> str | None:
    """Where Chromium is: as $CHROMIUM says, or on the PATH."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


def start_chromium(playwright: Playwright) -> Browser:
    """Start it without a window, and without what it would ask of the network."""
    return playwright.chromium.launch(
        executable_path=find_chromium(), args=["--disable-gpu", "--disable-quic", "--disable-sync"]
    )


@contextmanager
def serve(folder: Path, results: Path) -> Iterator[str]:
    """A JupyterLab on loopback whose files are the study's notebooks and profiles, copied into `folder`.

    Nothing of the person's own Jupyter is read or written, and none of srlab's variables is heard. The server
    and its kernels are gone afterwards.

    Yields
    ------
    str
        Address of a notebook, with `{}` in place of its name.
    """
    for name in ("notebooks", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
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
    options.append("--LabApp.extension_manager=readonly")  # which would ask the package index
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
        yield f"{_address(server, own / 'runtime', log)}lab/tree/notebooks/{{}}.ipynb?token={token}"
    finally:
        _stop(server)


def _address(server: subprocess.Popen, runtime: Path, log: Path) -> str:
    """The address that the server writes down once it answers."""
    for _ in range(600):
        if server.poll() is not None:
            break
        for file in runtime.glob(f"jpserver-{server.pid}.json"):
            return json.loads(file.read_text())["url"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab does not start:\n{log.read_text()[-2000:]}")


def _stop(server: subprocess.Popen) -> None:
    """Let the server end its kernels and itself; end whatever is left of it."""
    server.terminate()
    try:
        server.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


class NotebookPage:
    """A notebook, opened in JupyterLab by its address."""

    def __init__(self, page: Page, address: str):
        self.page = page
        page.goto(address)
        # Whoever runs cells before the kernel is there is asked to select one.
        expect(page.get_by_text("| Idle")).to_be_visible(timeout=PATIENCE)

    def run_all(self) -> None:
        """Run all cells by the menu and wait for the last; a cell's error is the test's."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.page.wait_for_function(
            """traceback => [...document.querySelectorAll('.jp-OutputArea-output pre')].some(
                    output => output.textContent.includes(traceback))
                || [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(
                    prompt => /^\\[\\d+\\]:$/.test(prompt.textContent))""",
            arg=TRACEBACK,
            timeout=5 * PATIENCE,
        )
        errors = self.page.locator(".jp-OutputArea-output pre", has_text=TRACEBACK).all_inner_texts()
        assert not errors, "\n".join(errors)


class ExplorerPage:
    """The explorer in an open notebook: its controls by their labels, its picture, what it says."""

    def __init__(self, page: Page):
        self.page = page
        output = page.locator(".jp-OutputArea-output", has=page.locator(".jupyter-matplotlib"))
        self.widget: Locator = output.locator(".jupyter-widgets").first
        self.canvas: Locator = self.widget.locator(".jupyter-matplotlib canvas").first
        self.wait_for_another_picture(than=BLANK)

    def _row(self, network: int | None) -> Locator:
        """The row of controls of a network by its number; without one, all rows."""
        if network is None:
            return self.widget
        return self.widget.locator(".widget-hbox", has=self.page.get_by_label(f"network {network}", exact=True))

    def control(self, label: str, network: int | None = None) -> Locator:
        """A dropdown, a field or a box to tick by its label, in the row of a network if there are several."""
        return self._row(network).get_by_label(label, exact=True)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a dropdown by its text."""
        self.control(label).select_option(label=option)

    def write(self, label: str, text: str, network: int | None = None) -> None:
        """Write into a field, from the keyboard, in place of what is there."""
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

    def press(self, text: str) -> None:
        """Press a button by its text."""
        self.widget.get_by_role("button", name=text).click()

    def upload(self, text: str, file: Path) -> None:
        """Give a file to the upload button with this text."""
        with self.page.expect_file_chooser() as chooser:
            self.press(text)
        chooser.value.set_files(file)

    def click(self, x: int, y: int) -> None:
        """Click on the picture, `x` pixels from its left and `y` from its top."""
        self.canvas.locator("..").click(position={"x": x, "y": y})

    def tab_to(self, label: str) -> None:
        """Press Tab until the control with this label has the keyboard."""
        for _ in range(50):
            if self.control(label).evaluate("control => control === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach '{label}'")

    def says(self) -> str:
        """All that it says in sentences."""
        return "\n".join(self.widget.locator(".widget-html-content").all_inner_texts())

    def picture(self) -> int:
        """A number that is another one when the picture is, once that has come to rest."""
        self.wait_for_another_picture(than=BLANK)
        last, picture = None, self.canvas.evaluate(PICTURE)
        while picture != last:
            self.page.wait_for_timeout(300)
            last, picture = picture, self.canvas.evaluate(PICTURE)
        return picture

    def screenshot(self, path: Path) -> None:
        """Keep what the explorer shows, once the picture has come to rest."""
        self.picture()
        self.widget.screenshot(path=path)

    def wait_for_another_picture(self, than: int) -> None:
        end = time.monotonic() + PATIENCE / 1000
        while self.canvas.evaluate(PICTURE) == than:  # whichever canvas is there by then
            assert time.monotonic() < end, "the picture stays as it is"
            self.page.wait_for_timeout(50)

    def seconds_to_another_picture(self, x: int, y: int) -> float:
        """Click, and take the time from the browser hearing it to its next frame with another picture."""
        self.canvas.evaluate(
            """(canvas, patience) => {
                const pixels = () => new Uint32Array(
                    canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer);
                const before = pixels();
                window.changed = new Promise((resolve, reject) => {
                    setTimeout(() => reject('the picture stays as it is'), patience);
                    document.addEventListener('pointerdown', () => {
                        const start = performance.now();
                        const look = () => pixels().every((pixel, i) => pixel === before[i])
                            ? requestAnimationFrame(look) : resolve((performance.now() - start) / 1000);
                        requestAnimationFrame(look);
                    }, {capture: true, once: true});
                });
            }""",
            PATIENCE,
        )
        self.click(x, y)
        return self.page.evaluate("window.changed")
