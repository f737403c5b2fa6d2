"""What a run's time goes into."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from srlab.study.records import Record

#: The parts of a run, and what `run.json` calls them.
PARTS = {
    "training_s": "seconds",
    "validation_s": "log_seconds",
    "start_s": "startup_seconds",
    "reading_s": "loading_seconds",
    "evaluation_s": "evaluation_seconds",
}


def spent(records: Sequence[Record]) -> pd.DataFrame:
    """What training runs took, mean over those of each network.

    Returns
    -------
    DataFrame
        model, steps_per_s, training_s, validation_s (with logs and checkpoints), start_s (Python and packages,
        which a process pays for once, however many runs it makes), reading_s (images), evaluation_s,
        training_percent (of all these), run (hashes). NaN is what runs of earlier versions did not tell.
    """
    rows = []
    for record in records:
        facts, run = record.facts, record.run
        parts = {part: float(facts.get(name, "nan")) for part, name in PARTS.items()}
        speed = run.budget.steps / facts["seconds"]
        rows.append({"model": run.network.model, "steps_per_s": speed, **parts, "run": run.hash})
    frame = pd.DataFrame(rows, columns=["model", "steps_per_s", *PARTS, "run"])
    frame["training_percent"] = 100 * frame["training_s"] / frame[list(PARTS)].sum(axis=1)
    means = {name: (name, "mean") for name in ("steps_per_s", *PARTS, "training_percent")}
    return frame.groupby("model", sort=False).agg(**means, run=("run", " ".join)).reset_index()
