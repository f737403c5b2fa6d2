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
FORMATS = ("markdown", "csv")
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
    """Return the published PSNR (dB) and SSIM on Y, collected in Table 2 of arXiv 2503.06671.

    Columns: method, dataset (lower case), scale, psnr_y, ssim_y; a row for each reported number.
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
    """Return the published costs for 1280×720 pixels on the authors' GPU, float32, batch 1.

    Columns: method, psnr_y (dB, on the data set), latency_ms, memory_mb, parameters.
    """
    rows = _table().query("scale == @scale").rename(columns={f"{dataset.lower()}_psnr": "psnr_y"})
    rows = rows.assign(parameters=1000 * rows["params_k"]).dropna(subset="psnr_y").reset_index(drop=True)
    return rows[["method", "psnr_y", "latency_ms", "memory_mb", "parameters"]]


def _table() -> pd.DataFrame:
    return pd.read_csv(Path(__file__).with_name("published.csv"))


def read_records(paths: Sequence[Path]) -> list[dict]:
    """Read the records that `srlab evaluate --json` writes; a file that holds anything else is an InputError."""
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
    """Compare measured PSNR and SSIM on Y with the published values: a row a record, with the columns of `HEADINGS`.

    n counts images, unpublished values are NaN. A difference is the measured less the published value, both rounded as
    published.
    """
    measured = pd.DataFrame(
        [{**{key: record[key] for key in KEYS[:5]}, "n": len(record["images"])} for record in records]
    )
    measured = measured.astype(dict.fromkeys(DECIMALS, float))  # null, of an image restored exactly, is NaN
    for quality, digits in DECIMALS.items():
        measured[quality] = measured[quality].round(digits)
    keys = measured.assign(method=measured["model"].map(PUBLISHED_AS), dataset=measured["dataset"].str.lower())
    joined = keys.merge(published(), how="left", on=["method", "dataset", "scale"], suffixes=("", "_published"))
    joined["dataset"] = measured["dataset"]
    for quality, digits in DECIMALS.items():
        joined[f"{quality}_difference"] = (joined[quality] - joined[f"{quality}_published"]).round(digits)
    return joined[list(HEADINGS)]


def render(records: Sequence[dict], form: str = "markdown") -> str:
    """Return the comparison as Markdown, with the convention below, or as CSV; without records, an InputError."""
    if form not in FORMATS:
        raise InputError(f"format '{form}' is unknown; there are: {', '.join(FORMATS)}")
    if not records:
        raise InputError("no records; at least one of `srlab evaluate --json` is expected")
    table = compare(records)
    if form == "csv":
        return table.to_csv(index=False)
    shown = table.astype(object)
    for quality, digits in DECIMALS.items():
        for column, sign in ((quality, ""), (f"{quality}_published", ""), (f"{quality}_difference", "+")):
            numbers = [f"{value:{sign}.{digits}f}".replace("-", "−") for value in table[column]]
            shown[column] = ["–" if text.endswith("nan") else text for text in numbers]
    note = " ".join([*conventions(records), *_origins(records), f"Published: {SOURCE}."])
    for column in ("model", "dataset"):
        shown[column] = shown[column].str.replace("|", "\\|")
    return f"{shown.rename(columns=HEADINGS).to_markdown(index=False, disable_numparse=True)}\n\n{note}\n"


def _origins(records: Sequence[dict]) -> list[str]:
    """Name the trainers of catalogued weights in one sentence, if there are any."""
    trained = {}
    for record in records:
        if known := by_checksum(record.get("weights", {}).get("sha256", "")):
            trained[record["model"]] = known.trained
    return [f"Trained: {'; '.join(f'{model} {by}' for model, by in trained.items())}."] if trained else []


def conventions(records: Sequence[dict]) -> list[str]:
    """List the conventions of the records and the changes by tiling as sentences, each once."""
    sentences = []
    for record in records:
        how = record["convention"]
        sentences.append(
            f"Measured at ×{record['scale']}: {how['channel']}; rounding of Y: {how['y_rounding']}; "
            f"border: {how['border']} px; SSIM: {how['ssim']}; LR: {how['lr']}; SR: {how['sr']}; "
            f"tiling: {how['tiling']}; ensemble: {how['ensemble']}; {how['dtype']}; {how['device']}."
        )
    for record in records:
        if cut := record.get("tiling"):
            much = "0 levels"
            if cut["levels"]:
                much = f"at most {cut['levels']:.0f} of 255 levels (PSNR {cut['psnr']:.1f} dB)"
            sentences.append(
                f"Tiling changed {record['model']} by {much} on the middle "
                f"{cut['width']}×{cut['height']} LR pixels of {cut['image']} of {record['dataset']}."
            )
    return list(dict.fromkeys(sentences))
