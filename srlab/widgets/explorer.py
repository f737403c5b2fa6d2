"""Things to click on in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import ipywidgets
from matplotlib.backend_bases import KeyEvent, MouseEvent
from traitlets import Bunch

from srlab import plots, stats
from srlab.analysis import explore
from srlab.analysis.explore import Look, Scene
from srlab.errors import InputError
from srlab.models import REGISTRY
from srlab.models.registry import SCALES
from srlab.study.study import Study
from srlab.weights.identify import find_weights
from srlab.widgets.canvas import WholeCanvas, in_turn
from srlab.widgets.network_choice import NONE, WIDE, NetworkChoice, explained

STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
INCHES = 1.75  # a map's side on the screen


class Explorer(ipywidgets.VBox):
    """Choose an image and up to four networks, and ask a pixel where it looks in each of them.

    Ask by a click on any map of the image, by the arrow keys once the maps have the focus, or by row and
    column. Whatever cannot be shown is explained in `status`. All that is shown can be had from
    `srlab.analysis.explore` and `srlab.plots.attention`; `export` writes the call.

    Parameters
    ----------
    study : Study
        Offered are the images of its benchmarks (the middle, at most 128×128 LR pixels) and all networks.
    weights : str or Path, optional
        A folder of released weights, whose files are offered. Any other can be chosen by its path, or uploaded;
        network and scale become those of the file.

    Raises
    ------
    InputError
        If there is no such folder, or no file of weights in it.

    Attributes
    ----------
    image, scale : ipywidgets.Dropdown
    upload : ipywidgets.FileUpload
        One's own image, as HR.
    choices : tuple of NetworkChoice
    row, col : ipywidgets.BoundedIntText
        The query's pixel.
    field : ipywidgets.Checkbox
        Whether to show effective receptive fields.
    attribution : ipywidgets.Checkbox
        Whether to show local attribution maps.
    export : ipywidgets.Button
        Writes the view into the study's figures, and shows the call that draws it.
    status, code : ipywidgets.HTML
    canvas : ipympl.backend_nbagg.Canvas
    scene : Scene or None
    looks : list of Look
        What is drawn.
    """

    def __init__(self, study: Study, weights: str | Path | None = None):
        self.study = study
        files = [] if weights is None else find_weights(Path(weights))
        self._files = [str(file.path) for file in files if file.model in REGISTRY]
        self.scene: Scene | None = None
        self.looks: list[Look] = []
        self.image = ipywidgets.Dropdown(
            options=[(name, name) for name in explore.images(study)],
            **explained("image", "Image to ask about"),
        )
        self.scale = ipywidgets.Dropdown(
            options=[(f"×{scale}", scale) for scale in SCALES],
            value=study.profile.scale,
            **explained("scale", "LR is the image at 1/scale; the study's networks are trained at one scale"),
            layout=WIDE,
        )
        self.upload = ipywidgets.FileUpload(
            accept="image/*",
            description="own image",
            tooltip="An image of yours: it is HR, and LR is made of it",
        )
        self.row = ipywidgets.BoundedIntText(**explained("row", "Row of the query, LR pixels"), layout=WIDE)
        self.col = ipywidgets.BoundedIntText(**explained("column", "Column of the query, LR pixels"), layout=WIDE)
        asked = {
            "receptive fields (slower)": "What LR pixels the SR pixels at the query depend on, through the whole network",
            "attribution (slower still)": "What LR pixels added to the detail there (local attribution map)",
        }
        self.field, self.attribution = (
            ipywidgets.Checkbox(**explained(*words), indent=False) for words in asked.items()
        )
        self.export = ipywidgets.Button(
            description="export", icon="download", tooltip="Write this view as PNG and SVG, and show the call"
        )
        self.status, self.code = ipywidgets.HTML(), ipywidgets.HTML()
        self.choices = self._network_choices()
        self.canvas = WholeCanvas()
        self.canvas.mpl_connect("button_press_event", self._click)
        self.canvas.mpl_connect("key_press_event", self._press)
        self._size: tuple[float, float] | None = None
        self._changing = False
        super().__init__(
            [
                ipywidgets.HBox([self.image, self.scale, self.upload]),
                *self.choices,
                ipywidgets.HBox([self.row, self.col, self.field, self.attribution]),
                self.status,
                self.canvas,
                self.export,
                self.code,
            ]
        )
        self._queries = (self.row, self.col, self.field, self.attribution, *(c.layer for c in self.choices))
        self._queries += tuple(c.turn for c in self.choices)
        self._observe(True)
        for choice in self.choices:
            choice.model.observe(self._choose_network, "value")
            choice.weights.observe(self._choose_weights, "value")
            choice.file.observe(self._receive_weights, "value")
        self.image.observe(self._choose_image, "value")
        self.scale.observe(self._choose_image, "value")
        self.upload.observe(self._receive, "value")
        self.export.on_click(self._export)
        self._choose_image()

    def _network_choices(self) -> tuple[NetworkChoice, ...]:
        """Rows for four networks; at first the first two with trained weights, LCoA before others."""
        offered = [name for name in REGISTRY if name != "no_attention"]
        preferred = [m for m in dict.fromkeys(("lcoan", "trunk_nla", *self.study.profile.models)) if m in offered]
        run = self.study.training if self.study.profile.models else self.study.recalled
        trained = [model for model in preferred if self.study.weights(run(model))]
        shown = trained[:2] or ["lcoan"]
        return tuple(
            NetworkChoice([NONE, *offered], shown[i] if i < len(shown) else NONE, i + 1, self._files) for i in range(4)
        )

    def _observe(self, on: bool) -> None:
        for control in self._queries:
            (control.observe if on else control.unobserve)(self._draw, "value")

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Change several controls, and draw once, when all are changed."""
        if self._changing:
            yield
            return
        self._changing = True
        self._observe(False)
        yield
        self._observe(True)
        self._changing = False
        self._draw()

    @in_turn
    def _choose_image(self, _change: object = None) -> None:
        """Show it from its first place on."""
        try:
            self.scene = explore.open_scene(self.study, self.image.value, self.scale.value)
        except InputError as error:
            self.scene = None
            self._tell([str(error)])
            return
        with self._together():
            _, height, width = self.scene.lr.shape
            self.row.value = self.col.value = 0
            self.row.max, self.col.max = height - 1, width - 1
            self.row.value, self.col.value = self.scene.start
            self._offer_layers()

    @in_turn
    def _choose_network(self, _change: object = None) -> None:
        if not self._changing:  # else its scale may be about to change too
            with self._together():
                self._offer_layers()

    @in_turn
    def _choose_weights(self, change: Bunch) -> None:
        """Of a file, show the network that it is of, at its scale."""
        choice = next(each for each in self.choices if each.weights is change.owner)
        with self._together():
            if found := choice.recognise():
                choice.model.value, self.scale.value = found
            self._offer_layers()

    @in_turn
    def _receive_weights(self, change: Bunch) -> None:
        """Keep uploaded weights beside the study's results, and show them."""
        choice = next(each for each in self.choices if each.file is change.owner)
        try:
            choice.receive(self.study.folder / "uploads")
        except InputError as error:
            self._tell([str(error)])

    def _offer_layers(self) -> None:
        """As many layers and rounds as each chosen network has; drawing says why one cannot be had."""
        for choice in self.choices:
            if choice.model.value == NONE or choice.fault or self.scene is None:
                choice.fit(1, 1)
                continue
            try:
                told = choice.arguments()
                layers = self.scene.traced(told["model"], told["weights"]).layers
            except InputError:
                choice.fit(1, 1)
            else:
                choice.fit(len(layers), max(layer.rounds for layer in layers))

    @in_turn
    def _receive(self, _change: object = None) -> None:
        """Keep an uploaded image beside the study's results, and show it."""
        for file in self.upload.value:
            path = self.study.folder / "uploads" / Path(file["name"]).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file["content"])
            try:
                explore.open_scene(self.study, path, self.scale.value)
            except InputError as error:
                path.unlink()
                self._tell([str(error)])
                return
            own = (f"uploaded: {path.name}", str(path))
            if own not in self.image.options:
                self.image.options = (*self.image.options, own)
            self.image.value = str(path)

    @in_turn
    def _click(self, event: MouseEvent) -> None:
        if event.inaxes is not None and event.inaxes.get_label() == plots.LR_PIXELS:
            with self._together():
                self.row.value, self.col.value = round(event.ydata), round(event.xdata)

    @in_turn
    def _press(self, event: KeyEvent) -> None:
        if event.key in ("tab", "shift+tab"):  # which the canvas would keep for itself
            (self.export if event.key == "tab" else self.upload).focus()
        elif event.key in STEPS:
            down, right = STEPS[event.key]
            with self._together():
                self.row.value += down
                self.col.value += right

    def _arguments(self) -> list[dict[str, object]]:
        pixel = {"row": self.row.value, "col": self.col.value}
        pixel |= {"field": self.field.value, "attribution": self.attribution.value}
        chosen = [choice for choice in self.choices if choice.model.value != NONE and not choice.fault]
        return [{**choice.arguments(), **pixel} for choice in chosen]

    @in_turn
    def _draw(self, _change: object = None) -> None:
        self.code.value = ""
        if self.scene is None:
            return
        self.looks, faults = [], [choice.fault for choice in self.choices if choice.fault]
        for arguments in self._arguments():
            try:
                self.looks.append(explore.look(self.scene, **arguments))
            except InputError as error:
                faults.append(f"{arguments['model']}: {error}")
        self._tell(faults, [*self._notes(), *map(stats.describe_look, self.looks)])
        self.canvas.layout.display = "flex" if self.looks else "none"
        if self.looks:
            self._fit_canvas()
            plots.attention(self.looks, self.canvas.figure)
            self.canvas.draw_idle()

    def _notes(self) -> list[str]:
        """Whose weights are shown, and what of the image is not shown as it is."""
        notes = [stats.whose({look.model: look.source for look in self.looks})] if self.looks else []
        height, width = self.scene.lr.shape[1:]
        if self.scene.cut:
            notes.append(f"Shown is the middle of the image, {width}×{height} LR pixels.")
        if (factor := plots.shrink_factor((height, width))) > 1:
            notes.append(f"Maps are drawn at 1/{factor}: each square is the mean of {factor}×{factor} tokens.")
        return notes

    def _tell(self, faults: list[str], notes: list[str] = ()) -> None:
        lines = [f"<b>{escape(fault)}</b>" for fault in faults] + [escape(note) for note in notes]
        self.status.value = "<br>".join(lines)

    def _fit_canvas(self) -> None:
        """Give the figure the size that these maps need; the browser follows."""
        columns = 3 + max(1, *(len(look.view.panels) for look in self.looks))
        size = (columns * INCHES, (1 + len(self.looks)) * (INCHES + plots.TITLE))
        if size != self._size:
            self._size = size
            self.canvas.figure.set_size_inches(size)

    @in_turn
    def _export(self, _button: object = None) -> None:
        if not self.looks:
            self._tell(["Nothing is shown yet, so there is nothing to export."])
            return
        first = self.looks[0]
        name = f"explored_{Path(first.image.replace(': ', '_')).stem}_{first.view.row}_{first.view.col}"
        try:
            plots.save(plots.attention(self.looks), self.study.folder, name)
        except InputError as error:
            self._tell([str(error)])
            return
        call = explore.code(self.scene, self._arguments())
        files = self.study.folder / "figures" / name
        self.code.value = f"Written: {escape(str(files))}.png and .svg. The same by a call:<pre>{escape(call)}</pre>"
