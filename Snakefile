# The study as a graph: runs, then the notebooks that read them, then the page that links all.
# `bash run_all.sh PROFILE` is the door to it; its further arguments come here.
from srlab.measure.devices import device_slug
from srlab.report.pages import pages_of
from srlab.study import Study

PROFILE = str(config["profile"])
DEVICES = config.get("devices", 1)  # processes that train one run together
STUDY = Study(PROFILE)
PAGES = pages_of(STUDY)
# What measures time has the machine to itself; on a cluster (--jobs), whose machines are others, so many cores.
THREADS = config.get("threads", 8) if workflow.resource_settings.nodes else workflow.cores
# On CPUs networks train side by side, a thread each: with networks so small that is the faster way, and ends with the
# same weights on every machine, however many cores it has.
TRAINING_THREADS = 1 if STUDY.device == device_slug("cpu") and DEVICES == 1 else THREADS


rule all:
    input:
        STUDY.folder / "index.html",
        STUDY.folder / "questions.html",
        STUDY.folder / "report.html",
        STUDY.folder / "explorer.html",
        # All that leads there too, so that whatever of it is missing is made again.
        [STUDY.record(run).files for run in STUDY.runs()],
        [page.outputs for page in PAGES],


for run in STUDY.runs():

    rule:
        name:
            f"run {run.name}"
        input:
            # Two processes would otherwise make one run at once.
            [STUDY.record(needed).files for needed in run.needs(STUDY)],
        output:
            STUDY.record(run).files,
        params:
            name=run.name,
        threads: TRAINING_THREADS if run.trains else THREADS
        priority: 2  # runs first, then the longest notebook beside the others
        shell:
            "OMP_NUM_THREADS={threads} python -m srlab run --profile {PROFILE:q} --only {params.name:q} --devices {DEVICES}"


for page in PAGES:

    rule:
        name:
            f"notebook {page.name}"
        input:
            page.source,
            [STUDY.record(run).folder / "run.json" for run in page.runs],
        output:
            page.outputs,
        params:
            name=page.name,
        priority: int(page.name.endswith("_maps"))
        shell:
            "python -m srlab notebook {params.name:q} --profile {PROFILE:q}"


rule explorer:
    name:
        "explorer"
    input:
        [STUDY.record(run).files for run in STUDY.runs()],
        [page.outputs for page in PAGES if page.chapter and page.chapter.name == "comparison"],  # its tables
    output:
        STUDY.folder / "explorer.html",
    shell:
        "python -m srlab explorer --profile {PROFILE:q}"


rule index:
    name:
        "index"
    input:
        [page.outputs for page in PAGES],
        STUDY.folder / "explorer.html",
    output:
        STUDY.folder / "questions.html",
        STUDY.folder / "report.html",
    shell:
        "python -m srlab index --profile {PROFILE:q}"


rule site:
    name:
        "site"
    input:
        STUDY.folder / "questions.html",
        STUDY.folder / "report.html",
    output:
        STUDY.folder / "index.html",
    shell:
        "python -m srlab site --profile {PROFILE:q}"
