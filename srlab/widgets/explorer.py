"""The explorer: a widget that shows where one pixel looks in several networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import ipywidgets
from matplotlib.backend_bases import KeyEvent, MouseEvent
from traitlets import Bunch

from srlab import plots
from srlab.analysis import explore
from srlab.analysis.explore import Look, Scene
from srlab.errors import InputError
from srlab.files import replacing
from srlab.models import REGISTRY
from srlab.models.registry import SCALES, label
from srlab.study.study import Study
from srlab.weights.identify import find_weights
from srlab.widgets.canvas import WholeCanvas, in_turn, together
from srlab.widgets.network_choice import NONE, WIDE, NetworkChoice, explained

STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
INCHES = 1.75  # a map's side on the screen


class Explorer(ipywidgets.VBox):
    """Inspect one pixel of an image in up to four networks.

    Choose the pixel by a click on any map of the image, by the arrow keys while the maps have the focus, or by row and
    column. `status` explains whatever cannot be shown. The plain functions are `srlab.analysis.explore` and
    `srlab.plots.attention`; `export` writes the call. `upload` takes an image of the reader's own as HR, `choices` are
    rows of `NetworkChoice`, and `looks` the drawn views of the `scene`.

    The study's images (the middle, at most 128×128 LR pixels) and all networks are offered, and released `weights` of a
    folder; one without such files raises InputError. Other files can be chosen by path or uploaded; network and scale
    follow the file.
    """

    def __init__(self, study: Study, weights: str | Path | None = None):
        self.study = study
        files = [] if weights is None else find_weights(Path(weights))
        self._files = [str(file.path) for file in files if file.model in REGISTRY]
        self.scene: Scene | None = None
        self.looks: list[Look] = []
        names = [(name, name) for name in explore.images(study)]
        self.image = ipywidgets.Dropdown(options=names, **explained("image", "Image to inspect"))
        words = explained("scale", "LR is the image at 1/scale; the study's networks are trained at one scale")
        scales = [(f"×{scale}", scale) for scale in SCALES]
        self.scale = ipywidgets.Dropdown(options=scales, value=study.profile.scale, **words, layout=WIDE)
        hint = "An image of yours as HR; LR is made from it"
        self.upload = ipywidgets.FileUpload(accept="image/*", description="own image", tooltip=hint)
        self.row = ipywidgets.BoundedIntText(**explained("row", "Row of the query, LR pixels"), layout=WIDE)
        self.col = ipywidgets.BoundedIntText(**explained("column", "Column of the query, LR pixels"), layout=WIDE)
        maps = {
            "receptive fields (slower)": "LR pixels that the SR pixels at the query depend on, in the whole network",
            "attribution (slower still)": "LR pixels that contributed to the detail there (local attribution map)",
        }
        self.field, self.attribution = (ipywidgets.Checkbox(**explained(*each), indent=False) for each in maps.items())
        hint = "Write this view as PNG and SVG, and show the call"
        self.export = ipywidgets.Button(description="export", icon="download", tooltip=hint)
        self.status, self.code = ipywidgets.HTML(), ipywidgets.HTML()
        self.choices = self._network_choices()
        self.canvas = WholeCanvas()
        self.canvas.mpl_connect("button_press_event", self._click)
        self.canvas.mpl_connect("key_press_event", self._press)
        self._size: tuple[float, float] | None = None
        self._changing = False
        images = ipywidgets.HBox([self.image, self.scale, self.upload])
        query = ipywidgets.HBox([self.row, self.col, self.field, self.attribution])
        super().__init__([images, *self.choices, query, self.status, self.canvas, self.export, self.code])
        sliders = (slider for choice in self.choices for slider in (choice.layer, choice.round))
        self._queries = (self.row, self.col, self.field, self.attribution, *sliders)
        for control in self._queries:
            control.observe(self._draw, "value")
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
        """Make four rows; the first two start with trained networks, LCoA before others."""
        offered = [name for name in REGISTRY if name != "no_attention"]
        preferred = [m for m in dict.fromkeys(("lcoan", "trunk_nla", *self.study.profile.models)) if m in offered]
        image = next(iter(explore.images(self.study).values()))
        trained = [m for m in preferred if self.study.weights(explore.run_on(self.study, m, image))]
        shown = [*(trained[:2] or ["lcoan"]), NONE, NONE, NONE]
        return tuple(NetworkChoice([NONE, *offered], shown[i], i + 1, self._files) for i in range(4))

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Change several controls, and draw once afterwards."""
        if self._changing:
            yield
            return
        with together(self._queries, self._draw):
            self._changing = True
            yield
            self._changing = False

    @in_turn
    def _choose_image(self, _change: object = None) -> None:
        """Open the image, and show its first query."""
        try:
            self.scene = explore.open_scene(self.study, self.image.value, self.scale.value)
        except InputError as error:
            self.scene = None
            self._report([str(error)])
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
        """Set network and scale to those of a chosen file."""
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
            self._report([str(error)])

    def _offer_layers(self) -> None:
        """Fit each row to the layers and rounds of its network; drawing reports those that fail."""
        for choice in self.choices:
            if choice.model.value == NONE or choice.fault or self.scene is None:
                choice.fit(1, 1)
                continue
            try:
                given = choice.arguments()
                layers = self.scene.traced(given["model"], given["weights"]).layers
            except InputError:
                choice.fit(1, 1)
            else:
                choice.fit(len(layers), max(layer.rounds for layer in layers))

    @in_turn
    def _receive(self, _change: object = None) -> None:
        """Keep an uploaded image beside the study's results, and show it."""
        for file in self.upload.value:
            path = self.study.folder / "uploads" / Path(file["name"]).name
            try:
                with replacing(path) as beside:
                    beside.write_bytes(file["content"])
                explore.open_scene(self.study, path, self.scale.value)
            except InputError as error:
                path.unlink(missing_ok=True)
                self._report([str(error)])
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
                faults.append(f"{label(arguments['model'])}: {error}")
        found = (f"{look.title}: {look.layer}. {explore.describe(look.view)}" for look in self.looks)
        self._report(faults, [*self._notes(), *found])
        self.canvas.layout.display = "flex" if self.looks else "none"
        if self.looks:
            self._fit_canvas()
            plots.attention(self.looks, self.canvas.figure)
            self.canvas.draw_idle()

    def _notes(self) -> list[str]:
        """Return sentences on the parts of the image that the maps leave out."""
        notes = []
        height, width = self.scene.lr.shape[1:]
        if self.scene.cut:
            notes.append(f"The maps show the middle of the image, {width}×{height} LR pixels.")
        if (factor := plots.shrink_factor((height, width))) > 1:
            notes.append(f"Maps are drawn at 1/{factor}: each square is the mean of {factor}×{factor} tokens.")
        return notes

    def _report(self, faults: list[str], notes: list[str] = ()) -> None:
        lines = [f"<b>{escape(fault)}</b>" for fault in faults] + [escape(note) for note in notes]
        self.status.value = "<br>".join(lines)

    def _fit_canvas(self) -> None:
        """Set the size that these maps need; the browser follows."""
        columns = 3 + max(1, *(len(look.view.panels) for look in self.looks))
        size = (columns * INCHES, (1 + len(self.looks)) * (INCHES + plots.TITLE))
        if size != self._size:
            self._size = size
            self.canvas.figure.set_size_inches(size)

    @in_turn
    def _export(self, _button: object = None) -> None:
        if not self.looks:
            self._report(["no network is shown, so there is no figure to export"])
            return
        first = self.looks[0]
        name = f"explored_{Path(first.image.replace(': ', '_')).stem}_{first.view.row}_{first.view.col}"
        try:
            plots.save(plots.attention(self.looks), self.study.folder, name)
        except InputError as error:
            self._report([str(error)])
            return
        call = explore.code(self.scene, self._arguments())
        files = self.study.folder / "figures" / name
        self.code.value = f"Written: {escape(str(files))}.png and .svg. Code:<pre>{escape(call)}</pre>"
