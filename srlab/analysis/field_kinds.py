"""What images of the field are like, and what released networks make of kinds of image that are generated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from srlab.analysis.kinds import kinds, self_similarity
from srlab.data.layouts import Benchmark
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.files import write_text
from srlab.measure.evaluation import evaluate
from srlab.measure.field import PROTOCOL, SCALE, Contender

#: Files in the folder of records: the self-similarity of images of data sets; networks on kinds of image.
SIMILARITY, KINDS = "similarity.csv", "kinds.csv"
#: Kinds that need no data: generated images, and crops of photographs that come with scikit-image.
GENERATED = ("text", "texture", "repeated")


def measure_similarity(benchmarks: Sequence[Benchmark], folder: Path) -> pd.DataFrame:
    """`self_similarity` of every HR image that has none yet, into similarity.csv, written after each data set.

    Returns
    -------
    DataFrame
        All rows of the file: dataset, name, self_similarity (0 to 1).
    """
    table = read(SIMILARITY, folder) if (folder / SIMILARITY).is_file() else pd.DataFrame()
    for benchmark in benchmarks:
        known = set(table.loc[table["dataset"] == benchmark.name, "name"]) if len(table) else set()
        refs = [ref for ref in benchmark.hr if ref.name not in known]
        rows = [
            {"dataset": benchmark.name, "name": ref.name, "self_similarity": self_similarity(ref.read())}
            for ref in tqdm(refs, desc=f"self-similarity, {benchmark.name}", unit="image")
        ]
        table = pd.concat([table, pd.DataFrame(rows)], ignore_index=True)
        write_text(folder / SIMILARITY, table.to_csv(index=False))
    return table


def measure_kinds(field: Sequence[Contender], folder: Path, device: str | torch.device = "cpu") -> pd.DataFrame:
    """Every network and bicubic interpolation on kinds of image that need no data, into kinds.csv.

    It is written after each network; rows of the same file of weights are kept.

    Returns
    -------
    DataFrame
        All rows of the file: model, sha256 (of the weights, "" of bicubic interpolation), kind, name, psnr_y (dB),
        self_similarity (0 to 1) of HR.
    """
    found = {kind: refs for kind, refs in kinds(embedded()).items() if kind in GENERATED}
    like = {ref.name: self_similarity(ref.read()) for refs in found.values() for ref in refs}
    table = read(KINDS, folder) if (folder / KINDS).is_file() else pd.DataFrame(columns=["model", "sha256"])
    for each in tqdm(field, desc="kinds of image", unit="network"):
        sha256 = each.weights.sha256 if each.weights else ""
        same = table["model"] == each.name
        if (table.loc[same, "sha256"] == sha256).any():
            continue
        network = each.open()
        network = network.to(device) if network else None
        rows = [
            evaluate(network, refs, SCALE, PROTOCOL, device)[["name", "psnr_y"]].assign(kind=kind)
            for kind, refs in found.items()
        ]
        own = pd.concat(rows, ignore_index=True).assign(model=each.name, sha256=sha256)
        own["self_similarity"] = own["name"].map(like)
        columns = ["model", "sha256", "kind", "name", "psnr_y", "self_similarity"]
        table = pd.concat([table[~same], own[columns]], ignore_index=True)
        write_text(folder / KINDS, table.to_csv(index=False))
    return table


def read(file: str, folder: Path) -> pd.DataFrame:
    """`SIMILARITY` or `KINDS` of a folder of records.

    Raises
    ------
    InputError
        If it is not there.
    """
    path = folder / file
    if not path.is_file():
        raise InputError(f"{path}: no such file; `srlab field kinds` measures it")
    return pd.read_csv(path, dtype={"name": str}).fillna({"sha256": ""})
