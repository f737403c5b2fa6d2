"""One row of the explorer: a network, its weights, a layer and a round."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from html import escape
from pathlib import Path

import ipywidgets

from srlab.analysis.explore import TRAINED, UNTRAINED
from srlab.errors import InputError
from srlab.files import replacing
from srlab.models.registry import label
from srlab.weights.identify import SUFFIXES, examine

NONE = "–"
WIDE = ipywidgets.Layout(width="200px", flex="none")
SLIDER = {"width": "230px", "flex": "none"}


def explained(name: str, tooltip: str) -> dict[str, object]:
    """Return description and tooltip of a control; browsers show a dropdown's tooltip only as a part of its label."""
    description = f'<span title="{escape(tooltip)}">{name}</span>'
    return {"description": description, "description_allow_html": True, "tooltip": tooltip}


class NetworkChoice(ipywidgets.HBox):
    """A row of controls: network (or `NONE`), weights, layer and round.

    `weights` are "trained", "untrained", or the path of a checkpoint; `file` is one on the reader's own computer.
    `layer` and `round` count from 1; `round` is visible only if a layer has several. `fault` is the reason why the
    chosen file cannot be used, or "".
    """

    def __init__(self, models: Sequence[str], model: str, number: int, files: Sequence[str] = ()):
        self.fault = ""
        names = [(label(name), name) for name in models]
        words = explained(f"network {number}", "Network to inspect")
        self.model = ipywidgets.Dropdown(options=names, value=model, **words, layout=WIDE)
        hint = "trained: by this study, else by its reference. untrained: random. Or the path of a checkpoint: "
        hint += "srlab's .safetensors or a released .pth; network and scale then follow the file."
        style = {**explained("weights", hint), "continuous_update": False}
        self.weights = ipywidgets.Combobox(options=(TRAINED, UNTRAINED, *files), value=TRAINED, **style)
        hint = "Weights from your computer; network and scale follow the file. For large files enter a path"
        style = {"description": "file", "tooltip": hint, "layout": {"width": "90px", "flex": "none"}}
        self.file = ipywidgets.FileUpload(accept=",".join(SUFFIXES), **style)
        self.layer, self.round = (
            ipywidgets.IntSlider(1, 1, 1, **explained(*words), continuous_update=False, layout=SLIDER)
            for words in (("layer", "Attention layer, from the first"), ("round", "Round of sorting or hashing"))
        )
        super().__init__([self.model, self.weights, self.file, self.layer, self.round])
        self.fit(1, 1)

    def fit(self, layers: int, rounds: int) -> None:
        """Set the numbers of layers and rounds to choose from."""
        for slider, most in ((self.layer, layers), (self.round, rounds)):
            slider.max = most
            slider.disabled = most == 1
        self.round.layout.display = "none" if rounds == 1 else "flex"

    def arguments(self) -> dict[str, object]:
        """Return the arguments of `srlab.analysis.explore.look` without scene and pixel."""
        return {
            "model": self.model.value,
            "weights": self.weights.value.strip() or TRAINED,
            "layer": self.layer.value - 1,
            "round": self.round.value - 1,
        }

    def recognise(self) -> tuple[str, int] | None:
        """Return network and scale of the chosen file; None without a file, or with a `fault`."""
        self.fault, path = "", Path(self.weights.value.strip())
        if not path.is_file():
            return None
        try:
            found = examine(path)
        except InputError as error:
            self.fault = str(error)
            return None
        if found.model in {name for _, name in self.model.options}:
            return found.model, found.scale
        unknown = f"weights {path} belong to {found.model} ×{found.scale}, which the explorer cannot inspect"
        self.fault = unknown if found.model else found.fault
        return None

    def receive(self, folder: Path) -> None:
        """Keep an uploaded file in a folder, and choose it; an unwritable folder raises InputError."""
        for file in self.file.value:
            content = bytes(file["content"])
            # Files of one name and different content stay apart.
            path = folder / sha256(content).hexdigest()[:8] / Path(file["name"]).name
            with replacing(path) as beside:
                beside.write_bytes(content)
            self.weights.value = str(path)
