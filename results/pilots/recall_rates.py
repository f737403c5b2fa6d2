"""Try the rates of the rules on arms of `recall` and `recall_family` from the spare seed, for recall_rates.csv.

python results/pilots/recall_rates.py, under SRLAB_RESULTS; a trial that is finished is not made again. The best rate of
an arm, where it is not the profile's, goes to chapters.recall.rates of profiles/PROFILE.yaml.
"""

from pathlib import Path

import pandas as pd

from srlab.chapters.recall import RULES, recall_run
from srlab.chapters.recall.run import progress
from srlab.study import Study

STEPS = 900

rows = []
for profile in ("recall", "recall_family"):
    study = Study(profile)
    settings = study.settings["recall"]
    for _, model, options in settings.arms():
        for rate in RULES.rates:
            run = recall_run(study, settings, model, RULES.spare_seed, **options)
            budget = run.budget.model_copy(update={"steps": STEPS, "learning_rate": rate})
            run = run.model_copy(update={"budget": budget})
            recall, _ = progress(study.obtain(run).table("curve").to_dict("records"))
            rows.append({"arm": study.label(run), "learning_rate": rate, "recall": round(recall, 3), "run": run.hash})
            pd.DataFrame(rows).to_csv(Path(__file__).with_suffix(".csv"), index=False)
