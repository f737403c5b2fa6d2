"""One row of the explorer: which network, with which weights, in which layer."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path

import ipywidgets

from srlab.analysis.explore import TRAINED, UNTRAINED
from srlab.errors import InputError
from srlab.files import replacing
from srlab.weights.identify import SUFFIXES, examine

NONE = "–"
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
    file : ipywidgets.FileUpload
        A checkpoint of one's own computer.
    layer, turn : ipywidgets.IntSlider
        From 1. `turn`, the round, is there only where a layer has several.
    fault : str
        Why the chosen file cannot be looked into; "" if nothing is known against it.
    """

    def __init__(self, models: list[str], model: str, number: int, files: Sequence[str] = ()):
        self.fault = ""
        self.model = ipywidgets.Dropdown(
            options=models,
            value=model,
            **explained(f"network {number}", "Network to ask"),
            layout=WIDE,
        )
        self.weights = ipywidgets.Combobox(
            options=(TRAINED, UNTRAINED, *files),
            value=TRAINED,
            **explained(
                "weights",
                "trained: by this study, or by its reference until then. untrained: random. Or the path of a "
                "checkpoint: srlab's own .safetensors, or a released .pth. Network and scale become the file's.",
            ),
            continuous_update=False,
        )
        self.file = ipywidgets.FileUpload(
            accept=",".join(SUFFIXES),
            description="file",
            tooltip="Weights from your computer: network and scale become the file's. Of large files give the path",
            layout={"width": "90px", "flex": "none"},
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
        super().__init__([self.model, self.weights, self.file, self.layer, self.turn])
        self.fit(1, 1)

    def fit(self, layers: int, rounds: int) -> None:
        """Offer so many layers and rounds."""
        for slider, most in ((self.layer, layers), (self.turn, rounds)):
            slider.max = most
            slider.disabled = most == 1
        self.turn.layout.display = "none" if rounds == 1 else "flex"

    def arguments(self) -> dict[str, object]:
        """Of `srlab.analysis.explore.look`, but for the pixel."""
        return {
            "model": self.model.value,
            "weights": self.weights.value.strip() or TRAINED,
            "layer": self.layer.value - 1,
            "turn": self.turn.value - 1,
        }

    def recognise(self) -> tuple[str, int] | None:
        """The network and scale that the chosen file is of.

        None where it cannot be looked into, and `fault` says why; or if no file is chosen, or none is there.
        """
        self.fault, path = "", Path(self.weights.value.strip())
        if not path.is_file():
            return None
        try:
            found = examine(path)
        except InputError as error:
            self.fault = str(error)
            return None
        if found.model in self.model.options:
            return found.model, found.scale
        of = f"weights {path} are of {found.model} ×{found.scale}, whose layers cannot be looked into here"
        self.fault = of if found.model else found.fault
        return None

    def receive(self, folder: Path) -> None:
        """Keep an uploaded file in a folder, and choose it.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        for file in self.file.value:
            content = bytes(file["content"])
            content_of = sha256(content).hexdigest()[:8]  # another file of the same name stands beside it
            path = folder / content_of / Path(file["name"]).name
            with replacing(path) as beside:
                beside.write_bytes(content)
            self.weights.value = str(path)
