"""What is a dB? PSNR of released networks under one change of the convention at a time.

    SRLAB_DATA=photos python benchmarks/conventions.py WEIGHTS [--data Set5] [--only hit_srf]

WEIGHTS is a folder with hit_srf_x4.pth and elan_light_x4.pth. Numbers of every image go to
`docs/conventions.csv`, where what is there is kept, and the tables made of them to
`conventions.md` beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pandas as pd
from torch import nn

from srlab.data.layouts import find_benchmarks
from srlab.files import write_text
from srlab.measure.devices import CHECKOUT
from srlab.measure.evaluation import convention, quality, restore
from srlab.measure.protocol import Protocol
from srlab.models.registry import label
from srlab.weights.checkpoints import open_network

#: The protocol to compare with: that of the chapter `released`.
DEFAULT = Protocol("none")
INTO = CHECKOUT / "docs"
#: The one to compare with, by the name of its row.
AS_IT_IS = "the default"
#: Of a large data set so many images, the first by name, where a change needs them enlarged anew by a network.
FIRST = 10


@dataclass(frozen=True)
class Change:
    """One row: a protocol, and which of the four numbers is read."""

    name: str
    protocol: Protocol = DEFAULT
    read: str = "psnr_y"

    @property
    def made(self) -> Protocol:
        """The protocol without what only measures: changes that have it in common share their SR images."""
        return replace(self.protocol, y_rounding=DEFAULT.y_rounding, border=DEFAULT.border)


def changed(**fields: object) -> Protocol:
    return replace(DEFAULT, **fields)


CHANGES = [
    Change(AS_IT_IS),
    Change("Y rounded to integers", changed(y_rounding="matlab")),
    Change("RGB instead of Y", read="psnr_rgb"),
    Change("no border left out", changed(border=0)),
    Change("LR not rounded to 8 bits", changed(lr="unrounded")),
    Change("LR by Pillow's bicubic", changed(lr="pillow")),
    Change("LR by OpenCV's bicubic: not antialiased", changed(lr="opencv")),
    Change("LR filled with zeros to multiples of 64", changed(zeros=64)),
    Change("tiles of 32, none around", changed(tile=32, overlap=0)),
    Change("tiles of 32, 32 around", changed(tile=32)),
    Change("tiles of 64, none around", changed(tile=64, overlap=0)),
    Change("tiles of 64, 32 around", changed(tile=64)),
    Change("tiles of 128, none around", changed(tile=128, overlap=0)),
    Change("tiles of 128, 32 around", changed(tile=128)),
    Change("bfloat16", changed(precision="bf16-mixed")),
    Change("self-ensemble of 8", changed(ensemble=True)),
]
#: What bicubic interpolation is tested by too: the others are about networks.
WITHOUT_NETWORK = 7


@dataclass(frozen=True)
class Model:
    """A network, or bicubic interpolation, and the changes that make sense of it."""

    name: str
    scale: int
    changes: list[Change]

    @property
    def label(self) -> str:
        return f"{label(self.name)} ×{self.scale}"

    @property
    def file(self) -> str | None:
        return None if self.name == "bicubic" else f"{self.name}_x{self.scale}.pth"

    def open(self, folder: Path) -> nn.Module | None:
        return open_network(self.name, folder / self.file, self.scale) if self.file else None


MODELS = [
    Model("hit_srf", 4, CHANGES),
    Model("elan_light", 4, CHANGES),
    Model("bicubic", 2, CHANGES[:WITHOUT_NETWORK]),  # no released weights ×2 are at hand
]
#: Data sets, and of how many images changes are measured that enlarge anew (None: all).
DATA_SETS = {"Set5": None, "Urban100": FIRST}


def command(model: Model, dataset: str, change: Change) -> str:
    """The one command that gives a row; `srlab evaluate` prints psnr_y and psnr_rgb beside each other."""
    words = ["srlab evaluate", f"--model {model.name}"]
    words += [f"--weights {model.file}"] if model.file else []
    words += [f"--scale {model.scale} --data {dataset}"]
    number = DATA_SETS[dataset]
    words += [f"--first {number}"] if number and model.file and change.made != DEFAULT else []
    usual = Protocol()
    for field in fields(Protocol):
        value = getattr(change.protocol, field.name)
        if value != getattr(usual, field.name):
            words.append(f"--{field.name.replace('_', '-')}" + ("" if value is True else f" {value}"))
    return " ".join(words)


def measure(model: Model, dataset: str, kept: pd.DataFrame, folder: Path) -> Iterator[pd.DataFrame]:
    """Rows of images that are missing, as many at once as share their SR images."""
    [benchmark] = find_benchmarks(dataset)
    network, there = None, set(kept["change"])
    for made in dict.fromkeys(change.made for change in model.changes):
        sharing = [c for c in model.changes if c.made == made and c.read == "psnr_y" and c.name not in there]
        if not sharing:
            continue
        network = network or model.open(folder)
        refs = benchmark.hr if made == DEFAULT or not model.file else benchmark.hr[: DATA_SETS[dataset]]
        facts = {"model": model.name, "scale": model.scale, "dataset": dataset}
        yield pd.DataFrame(
            {**facts, "change": change.name, "name": ref.name, **quality(ref, sr, hr, model.scale, change.protocol)}
            for ref, sr, hr in restore(network, refs, model.scale, made)
            for change in sharing
        )


def differences(images: pd.DataFrame, model: Model, dataset: str, change: Change, subset: bool) -> pd.Series:
    """What a change adds to each image's PSNR, dB; nothing where it was not measured."""
    own = images[(images["model"] == model.name) & (images["scale"] == model.scale) & (images["dataset"] == dataset)]
    own = own.set_index("name")
    usual = own.loc[own["change"] == AS_IT_IS, "psnr_y"]
    if subset:
        usual = usual.sort_index()[:FIRST]
    read = AS_IT_IS if change.read != "psnr_y" else change.name
    return (own.loc[own["change"] == read, change.read].reindex(usual.index) - usual).dropna()


def cell(found: pd.Series) -> str:
    """Mean, lowest and highest, or that there is nothing."""
    if found.empty:
        return "–"
    numbers = (found.mean(), found.min(), found.max())
    mean, low, high = (f"{number:+.3f}" if abs(number) >= 0.0005 else "0" for number in numbers)
    return (mean if low == high else f"{mean} ({low} to {high})").replace("-", "−")


def table(images: pd.DataFrame, dataset: str, subset: bool) -> str:
    """Changes of a data set, or of its first images, as Markdown; a column a model."""
    rows = []
    for change in CHANGES[1:]:
        found = {
            model.label: differences(images, model, dataset, change, subset)
            for model in MODELS
            if change in model.changes
        }
        whole = {len(each) for each in found.values() if len(each)}
        if not whole or (not subset and DATA_SETS[dataset] in whole):
            continue
        cells = {model.label: cell(found.get(model.label, pd.Series())) for model in MODELS}
        rows.append({"one change": change.name, **cells})
    align = ("left", *["right"] * len(MODELS))
    return pd.DataFrame(rows).to_markdown(index=False, colalign=align, disable_numparse=True)


def defaults(images: pd.DataFrame) -> str:
    """The mean of each model and data set by the default."""
    own = images[images["change"] == AS_IT_IS]
    means = own.groupby(["model", "scale", "dataset"], sort=False)["psnr_y"].agg(["mean", "size"])
    return "; ".join(
        f"{label(name)} ×{scale} on {dataset} {row['mean']:.3f} dB (n {row['size']:.0f})"
        for (name, scale, dataset), row in means.iterrows()
    )


def largest(images: pd.DataFrame) -> str:
    """Which change moves the first model most on the first data set, and which least."""
    model, dataset = MODELS[0], next(iter(DATA_SETS))
    found = {change.name: differences(images, model, dataset, change, False) for change in CHANGES[1:]}
    means = pd.Series({name: each.mean() for name, each in found.items() if len(each)})
    order = means.abs().sort_values(ascending=False).index
    told = [f"{name} {means[name]:+.2f} dB".replace("-", "−") for name in order[:3]]
    small = int((means.abs() < 0.005).sum())
    return (
        f"{model.label} on {dataset} is moved most by: {'; '.join(told)}. {small} of {len(means)} changes move it by "
        "less than 0.005 dB."
    )


def as_markdown(images: pd.DataFrame) -> str:
    how = convention(4, DEFAULT)
    parts = [
        "# What is a dB?",
        largest(images),
        "PSNR of released weights under one change at a time, less that by the default: mean of images (lowest to "
        f"highest). The default, as in README's numbers that match the papers: Y of BT.601, rounding of Y: "
        f"{how['y_rounding']}; border left out: as many pixels as the scale; LR: {how['lr']}; SR: {how['sr']}; whole "
        f"images, {how['dtype']}. By it: {defaults(images)}.",
        'Networks ×2 were not at hand; bicubic enlargement stands in for them. "OpenCV\'s" is the formula of its '
        "INTER_CUBIC by torch, which a test compares with OpenCV where that is installed (here it was not); "
        '"Pillow\'s" is Pillow. Zeros: what a network sees at the bottom and right of an image with sides that are no '
        "multiples of 64, where by default it fills its windows itself, by reflection. Around a tile are LR pixels "
        "that are seen with it and then cut off.",
    ]
    for dataset, number in DATA_SETS.items():
        if (images["dataset"] == dataset).any():
            parts += [f"## {dataset}", table(images, dataset, False)]
            if number and len(subset := table(images, dataset, True)):
                parts += [f"## {dataset}, its first {number} images by name", subset]
    model, dataset = MODELS[0], next(iter(DATA_SETS))
    names = [change.name + ("" if change.read == "psnr_y" else f", {change.read}") for change in CHANGES]
    rows = [f"{command(model, dataset, change)}   # {name}" for change, name in zip(CHANGES, names, strict=True)]
    parts += [
        "## Commands",
        f"One a row, of {model.label} on {dataset}; for {', '.join(list(DATA_SETS)[1:])} those that enlarge anew have "
        f"`--first {FIRST}`. `python benchmarks/conventions.py WEIGHTS` makes all of it.",
        "```bash\n" + "\n".join(rows) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights", type=Path, help="The folder of released weights.")
    parser.add_argument("--data", nargs="*", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--only", nargs="*", choices=[m.name for m in MODELS], default=[m.name for m in MODELS])
    arguments = parser.parse_args()
    path = INTO / "conventions.csv"
    columns = ["model", "scale", "dataset", "change", "name", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"]
    images = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=columns)
    for dataset in arguments.data:
        for model in [each for each in MODELS if each.name in arguments.only]:
            kept = images[(images["model"] == model.name) & (images["dataset"] == dataset)]
            for rows in measure(model, dataset, kept, arguments.weights):
                images = pd.concat([images, rows[columns]], ignore_index=True) if len(images) else rows[columns]
                write_text(path, images.to_csv(index=False, float_format="%.6f"))
                print(f"{model.label} on {dataset}: {', '.join(rows['change'].unique())}", flush=True)
    write_text(INTO / "conventions.md", as_markdown(pd.read_csv(path)))


if __name__ == "__main__":
    main()
