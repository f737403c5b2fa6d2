"""Things to click on in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import ipywidgets
from matplotlib.backend_bases import KeyEvent, MouseEvent

from srlab import findings, plots
from srlab.errors import InputError
from srlab.looking import explore
from srlab.looking.explore import TRAINED, UNTRAINED, Look, Scene
from srlab.looking.images import corners
from srlab.models import REGISTRY
from srlab.models.registry import SCALES
from srlab.study.study import Study
from srlab.widgets.canvas import WholeCanvas, in_turn

NONE = "–"
STEPS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
INCHES = 1.75  # a map's side on the screen
WIDE = ipywidgets.Layout(width="200px", flex="none")
SLIDER = {"width": "230px", "flex": "none"}


def explained(name: str, tooltip: str) -> dict[str, object]:
    """Description and tooltip of a control; the browser shows a dropdown's only as a part of its label."""
    label = f'<span title="{escape(tooltip)}">{name}</span>'
    return {"description": label, "description_allow_html": True, "tooltip": tooltip}


class NetworkChoice(ipywidgets.HBox):
    """One row of the explorer: which network, with which weights, in which layer and round.

    Attributes
    ----------
    model : ipywidgets.Dropdown
        A network of the registry, or `NONE`.
    weights : ipywidgets.Combobox
        "trained", "untrained", or the path of a checkpoint.
    layer, turn : ipywidgets.IntSlider
        From 1. `turn`, the round, is there only where a layer has several.
    """

    def __init__(self, models: list[str], model: str, number: int):
        self.model = ipywidgets.Dropdown(
            options=models,
            value=model,
            **explained(f"network {number}", "Network to ask"),
            layout=WIDE,
        )
        self.weights = ipywidgets.Combobox(
            options=(TRAINED, UNTRAINED),
            value=TRAINED,
            **explained(
                "weights",
                "trained: by this study, or by its reference until then. untrained: random. Or the path of a "
                "checkpoint: srlab's own .safetensors, or a released .pth.",
            ),
            continuous_update=False,
        )
        self.layer = ipywidgets.IntSlider(
            1,
            1,
            1,
            **explained("layer", "Attention layer, from the first"),
            continuous_update=False,
            layout=SLIDER,
        )
        self.turn = ipywidgets.IntSlider(
            1,
            1,
            1,
            **explained("round", "Round of sorting or hashing"),
            continuous_update=False,
            layout=SLIDER,
        )
        super().__init__([self.model, self.weights, self.layer, self.turn])
        self.fit(1, 1)

    def fit(self, layers: int, rounds: int) -> None:
        """Offer so many layers and rounds."""
        for slider, most in ((self.layer, layers), (self.turn, rounds)):
            slider.max = most
            slider.disabled = most == 1
        self.turn.layout.display = "none" if rounds == 1 else "flex"

    def arguments(self) -> dict[str, object]:
        """Of `srlab.looking.explore.look`, but for the pixel."""
        return {
            "model": self.model.value,
            "weights": self.weights.value.strip() or TRAINED,
            "layer": self.layer.value - 1,
            "turn": self.turn.value - 1,
        }


class Explorer(ipywidgets.VBox):
    """Choose an image and up to four networks, and ask a pixel where it looks in each of them.

    Ask by a click on any map of the image, by the arrow keys once the maps have the focus, or by row and
    column. Whatever cannot be shown is explained in `status`. All that is shown can be had from
    `srlab.looking.explore` and `srlab.plots.attention`; `export` writes the call.

    Parameters
    ----------
    study : Study
        Offered are the images of its benchmarks (the middle, at most 128×128 LR pixels) and all networks.

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

    def __init__(self, study: Study):
        self.study = study
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
            choice.weights.observe(self._choose_network, "value")
        self.image.observe(self._choose_image, "value")
        self.scale.observe(self._choose_image, "value")
        self.upload.observe(self._receive, "value")
        self.export.on_click(self._export)
        self._choose_image()

    def _network_choices(self) -> tuple[NetworkChoice, ...]:
        """Rows for four networks; at first the first two with trained weights, LCoA before others."""
        offered = [name for name in REGISTRY if name != "edsr_like"]
        preferred = [m for m in dict.fromkeys(("lcoan", "nlan", *self.study.profile.models)) if m in offered]
        run = self.study.training if self.study.profile.models else self.study.recalled
        trained = [model for model in preferred if self.study.weights(run(model))]
        shown = trained[:2] or ["lcoan"]
        return tuple(
            NetworkChoice([NONE, *offered], shown[i] if i < len(shown) else NONE, i + 1) for i in range(4)
        )

    def _observe(self, on: bool) -> None:
        for control in self._queries:
            (control.observe if on else control.unobserve)(self._draw, "value")

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Change several controls, and draw once."""
        self._observe(False)
        yield
        self._observe(True)
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
        with self._together():
            self._offer_layers()

    def _offer_layers(self) -> None:
        """As many layers and rounds as each chosen network has; drawing says why one cannot be had."""
        for choice in self.choices:
            if choice.model.value == NONE or self.scene is None:
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
        chosen = [choice for choice in self.choices if choice.model.value != NONE]
        return [{**choice.arguments(), **pixel} for choice in chosen]

    @in_turn
    def _draw(self, _change: object = None) -> None:
        self.code.value = ""
        if self.scene is None:
            return
        self.looks, faults = [], []
        for arguments in self._arguments():
            try:
                self.looks.append(explore.look(self.scene, **arguments))
            except InputError as error:
                faults.append(f"{arguments['model']}: {error}")
        self._tell(faults, [*self._notes(), *map(findings.describe_look, self.looks)])
        self.canvas.layout.display = "flex" if self.looks else "none"
        if self.looks:
            self._fit_canvas()
            plots.attention(self.looks, self.canvas.figure)
            self.canvas.draw_idle()

    def _notes(self) -> list[str]:
        """Whose weights are shown, and what of the image is not shown as it is."""
        notes = [findings.whose({look.model: look.source for look in self.looks})] if self.looks else []
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
        self.code.value = (
            f"Written: {escape(str(files))}.png and .svg. The same by a call:<pre>{escape(call)}</pre>"
        )
