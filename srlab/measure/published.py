"""Tables of evaluation records, beside the numbers that papers publish."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from srlab.errors import InputError
from srlab.weights.catalogue import by_checksum

SOURCE = "Table 2 of https://arxiv.org/abs/2503.06671"
PUBLISHED_AS = {
    "hit_srf": "HiT-SRF",
    "elan_light": "ELAN-light",
    "esc": "ESC",
    "esc_light": "ESC-light",
    "esc_fp": "ESC-FP",
}
DECIMALS = {"psnr_y": 2, "ssim_y": 4}
FORMATS = ("markdown", "csv", "latex")
KEYS = ("model", "dataset", "scale", "psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "convention", "images")
HEADINGS = {
    "model": "Model",
    "dataset": "Data set",
    "scale": "Scale",
    "n": "n",
    "psnr_y": "PSNR (dB)",
    "psnr_y_published": "published (dB)",
    "psnr_y_difference": "difference (dB)",
    "ssim_y": "SSIM",
    "ssim_y_published": "published SSIM",
    "ssim_y_difference": "difference in SSIM",
}


def published() -> pd.DataFrame:
    """The published PSNR (dB) and SSIM on Y, as Table 2 of arXiv 2503.06671 collects them.

    Returns
    -------
    pandas.DataFrame
        Columns method, dataset (lower case), scale, psnr_y, ssim_y; a row for each number that is reported.
    """
    wide = _table()
    rows = [
        wide[["method", "scale"]].assign(
            dataset=dataset, psnr_y=wide[f"{dataset}_psnr"], ssim_y=wide[f"{dataset}_ssim"]
        )
        for dataset in ("set5", "set14", "b100", "urban100", "manga109")
    ]
    return pd.concat(rows).dropna(subset="psnr_y")


def published_costs(dataset: str, scale: int) -> pd.DataFrame:
    """What the same table has of costs, for 1280×720 pixels on its authors' GPU, float32, batch 1.

    Returns
    -------
    pandas.DataFrame
        A row a method: method, psnr_y (dB, on the data set), latency_ms, memory_mb, parameters.
    """
    rows = _table().query("scale == @scale").rename(columns={f"{dataset.lower()}_psnr": "psnr_y"})
    rows = rows.assign(parameters=1000 * rows["params_k"]).dropna(subset="psnr_y").reset_index(drop=True)
    return rows[["method", "psnr_y", "latency_ms", "memory_mb", "parameters"]]


def _table() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("published.csv"))


def read_records(paths: Sequence[Path]) -> list[dict]:
    """Read what `srlab evaluate --json` wrote.

    Raises
    ------
    InputError
        If a file is not there or holds anything else.
    """
    records = []
    for path in paths:
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError:
            raise InputError(f"{path}: no JSON; a file of `srlab evaluate --json` is expected") from None
        if not isinstance(read, list) or not all(
            isinstance(record, dict) and record.keys() >= set(KEYS) for record in read
        ):
            raise InputError(f"{path}: a list of records with {', '.join(KEYS)} is expected")
        records += read
    return records


def compare(records: Sequence[dict]) -> pd.DataFrame:
    """Measured PSNR and SSIM on Y beside the published ones.

    Parameters
    ----------
    records : sequence of dict
        As `srlab evaluate --json` writes them.

    Returns
    -------
    pandas.DataFrame
        A row for each record, with the columns of `HEADINGS`; n counts images. What is not published is NaN.
        A difference is the measured number less the published one, both rounded as published.
    """
    measured = pd.DataFrame(
        [{**{key: record[key] for key in KEYS[:5]}, "n": len(record["images"])} for record in records]
    )
    for quality, digits in DECIMALS.items():
        measured[quality] = measured[quality].round(digits)
    keys = measured.assign(method=measured["model"].map(PUBLISHED_AS), dataset=measured["dataset"].str.lower())
    joined = keys.merge(published(), how="left", on=["method", "dataset", "scale"], suffixes=("", "_published"))
    joined["dataset"] = measured["dataset"]
    for quality, digits in DECIMALS.items():
        joined[f"{quality}_difference"] = (joined[quality] - joined[f"{quality}_published"]).round(digits)
    return joined[list(HEADINGS)]


def render(records: Sequence[dict], form: str = "markdown") -> str:
    """A table for a page, a spreadsheet or a paper.

    Parameters
    ----------
    records : sequence of dict
        As `srlab evaluate --json` writes them.
    form : {"markdown", "csv", "latex"}
        The first and the last show the best of several models on a data set in bold, and the convention
        below; CSV has plain numbers, NaN as nothing.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If there are no records, or `form` is none of the three.
    """
    if form not in FORMATS:
        raise InputError(f"format '{form}' is unknown; there are: {', '.join(FORMATS)}")
    if not records:
        raise InputError("no records; at least one of `srlab evaluate --json` is expected")
    table = compare(records)
    if form == "csv":
        return table.to_csv(index=False)
    if form == "markdown":
        bold, times, minus, nothing = "**{}**", "×", "−", "–"
    else:
        bold, times, minus, nothing = r"\textbf{{{}}}", r"$\times$", "$-$", "--"
    shown = table.assign(scale=times + table["scale"].astype(str)).astype(object)
    for quality, digits in DECIMALS.items():
        best = _best(table, quality)
        for column, sign in ((quality, ""), (f"{quality}_published", ""), (f"{quality}_difference", "+")):
            shown[column] = [_figure(value, digits, sign, minus, nothing) for value in table[column]]
        shown[quality] = [bold.format(text) if mark else text for text, mark in zip(shown[quality], best, strict=True)]
    shown = shown.rename(columns=HEADINGS)
    note = " ".join([*conventions(records), *_origins(records), f"Published: {SOURCE}."])
    if form == "latex":
        return shown.to_latex(index=False, escape=False).replace("_", r"\_") + f"% {note}\n"
    align = ("left", "left", *["right"] * (len(HEADINGS) - 2))
    return f"{shown.to_markdown(index=False, colalign=align, disable_numparse=True)}\n\n{note}\n"


def _origins(records: Sequence[dict]) -> list[str]:
    """Who trained the catalogued weights that were tested, in one sentence; nothing where there are none."""
    trained = {}
    for record in records:
        if known := by_checksum(record.get("weights", {}).get("sha256", "")):
            trained[record["model"]] = known.trained
    return [f"Trained: {'; '.join(f'{model} {by}' for model, by in trained.items())}."] if trained else []


def _figure(value: float, digits: int, sign: str, minus: str, nothing: str) -> str:
    return nothing if pd.isna(value) else f"{value:{sign}.{digits}f}".replace("-", minus)


def _best(table: pd.DataFrame, quality: str) -> pd.Series:
    """Whether a row is the best of several models on its data set at its scale."""
    groups = table.groupby(["dataset", "scale"])
    several = groups["model"].transform("nunique") > 1
    return several & (table[quality] == groups[quality].transform("max"))


def conventions(records: Sequence[dict]) -> list[str]:
    """How the records' numbers were computed, and what tiling changed in them: sentences, each once."""
    told = []
    for record in records:
        how = record["convention"]
        told.append(
            f"Measured at ×{record['scale']}: {how['channel']}; rounding of Y: {how['y_rounding']}; "
            f"border left out: {how['border']} px; SSIM: {how['ssim']}; LR: {how['lr']}; SR: {how['sr']}; "
            f"tiling: {how['tiling']}; ensemble: {how['ensemble']}; {how['dtype']}; {how['device']}."
        )
    for record in records:
        if cut := record.get("tiling"):
            much = "0 levels"
            if cut["levels"]:
                much = f"at most {cut['levels']:.0f} of 255 levels (PSNR {cut['psnr']:.1f} dB)"
            told.append(
                f"Tiling changed {record['model']} by {much} on the middle "
                f"{cut['width']}×{cut['height']} LR pixels of {cut['image']} of {record['dataset']}."
            )
    return list(dict.fromkeys(told))
