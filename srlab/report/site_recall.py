"""Data of the page's sections on recall: tables where there are some, and the records of finished runs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from srlab.models.registry import entry
from srlab.report.site_data import Results, arm, estimate
from srlab.stats.rules import rules
from srlab.study.chapter import Tables
from srlab.study.records import records_in
from srlab.study.runs import Run
from srlab.study.study import Study

#: The profile of the recall test.
PROFILE = "recall"


def recall(results: Results) -> dict | None:
    """Read recall over the distance, what arms write where no copy exists, and patterns by embedding."""
    path = results.file(PROFILE, "tables/recall_groups.csv")
    if path is None:
        return None
    tables = Tables(path.parents[1])
    table, groups = tables["recall"], tables["recall_groups"]
    league = groups["league"].iloc[0]
    table, groups = table[table["league"] == league], groups[groups["league"] == league]
    bins = table[["from_px", "to_px"]].drop_duplicates().sort_values("from_px")
    arms = []
    for row in groups.itertuples():
        far = table[table["arm"] == row.arm].set_index("from_px")
        curve = [estimate(far.loc[start], "recall") if start in far.index else None for start in bins["from_px"]]
        known = arm(row.arm) | {"curve": curve, "group": row.group, "keys": row.seen}
        known |= {"far": estimate(row, "recall"), "near": row.near}
        arms.append(known | {"invented": estimate(row, "invented", "invented_low", "invented_high")})
    judged = rules().recall
    invents = [each["label"] for each in arms if each["invented"][2] < judged.invents]
    facts = {"bins": bins.to_numpy().tolist(), "arms": arms, "seeds": int(groups["seeds"].min())}
    facts |= {"needed": judged.seeds, "margin": judged.margin, "far": judged.far}
    facts |= {"invents": judged.invents, "inventors": invents}
    facts["embedding"] = []
    if "recall_embedding" in tables:
        facts["embedding"] = _embedding(tables["recall_embedding"], groups.set_index("arm"))
    return facts | results.source(PROFILE, "recall")


def _embedding(table: pd.DataFrame, groups: pd.DataFrame) -> list[dict]:
    """List the patterns with both embeddings: recall of far copies with each, the difference, the verdict."""
    rows = []
    for row in table.itertuples():
        usual = entry(row.model).options["tied"]
        other = groups.loc[f"{row.model} tied={int(not usual)}"]
        both = {usual: groups.loc[row.model], not usual: other}
        cells = {name: estimate(both[tied], "recall") for name, tied in (("tied", True), ("untied", False))}
        cells |= {"difference": estimate(row, "difference"), "verdict": row.verdict, "seeds": int(row.seeds)}
        rows.append(arm(row.model) | cells)
    return rows


def _planned(study: Study, folder: Path) -> dict[str, Run]:
    """Return the profile's runs by their hash in a results folder, which is named after the device."""
    device = folder.name.removeprefix(f"{PROFILE}-")
    moved = (run.model_copy(update={"device": device}) for run in study.chapter(PROFILE).runs)
    return {run.hash: run for run in moved}


def learning(results: Results, study: Study) -> dict | None:
    """Read recall in training of the finished runs of the profile `recall`, from the folder that has most of them."""
    best, on = [], ""
    for folder in results.folders(PROFILE):
        planned = _planned(study, folder)
        found = [record for record in records_in(folder) if record.run.hash in planned]
        if len(found) > len(best):
            best, on = sorted(found, key=lambda record: [*planned].index(record.run.hash)), folder.name
    if not best:
        return None
    arms: dict[str, dict] = {}
    for record in best:
        name = study.label(record.run)
        points = [[int(row.step), round(1 - row.loss, 3)] for row in record.table("curve").itertuples()]
        known = arm(name) | {"other": name != record.run.network.model, "runs": []}
        arms.setdefault(name, known)["runs"].append(points)
    facts = {"arms": list(arms.values()), "finished": len(best), "planned": len(planned)}
    facts["most"] = max(run[-1][0] for each in arms.values() for run in each["runs"])
    return facts | {"on": on.removeprefix(f"{PROFILE}-")}


def looks(results: Results, study: Study) -> dict | None:
    """Return `looks.json` with the names and colours of networks; None if one is of a run that the profile lacks."""
    path = results.file(PROFILE, "looks.json")
    if path is None:
        return None
    found, planned = json.loads(path.read_text(encoding="utf-8")), _planned(study, path.parent)
    if any(each.get("run") not in planned for each in found["networks"]):
        return None
    return found | {"networks": [arm(each["arm"]) | each for each in found["networks"]]}
