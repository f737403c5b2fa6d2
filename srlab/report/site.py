"""The study as one page: static, from results alone, with data files beside it that are loaded on demand."""

from __future__ import annotations

import json
from pathlib import Path

from srlab.errors import InputError
from srlab.files import finite, replacing, write_text
from srlab.models.registry import label
from srlab.plots.output import png
from srlab.report import site_data as data
from srlab.report import site_recall
from srlab.report.preview import preview
from srlab.report.templates import fill
from srlab.stats.rules import rules
from srlab.stats.words import count, estimate, listed, number, signed
from srlab.study.study import Study

#: The folder of data files beside the page.
BESIDE = "site"


def write_site(study: Study, into: Path | None = None, address: str = "") -> Path:
    """Write `index.html` into a study's folder, or into `into`, and data files into `site/` beside it.

    Tables come from all results folders, the reader's own before the reference. A missing table empties its section,
    which then says that it has not been measured. `address` is where the page will be published, if that is known: what
    shows a preview of a link wants the picture's whole address.
    """
    if address and not address.startswith(("https://", "http://")):
        raise InputError(f"--address '{address}': an address of the web begins with https:// or http://")
    for chapter in study.chapters:
        if hook := getattr(chapter.module, "looks", None):
            hook(study, chapter.settings)
    folder = into or study.folder
    results = data.Results(study.folder.parent, study.root / "results" / "reference", folder)
    photographs, recall = data.photographs(results), Study(site_recall.PROFILE, study.root)
    sections = {
        "recall": site_recall.recall(results),
        "learning": site_recall.learning(results, recall),
        "gains": data.gains(results),
        "frozen": data.frozen(results),
        "context": data.context(results),
        "ceiling": data.ceiling(results),
        "costs": data.costs(results),
        "claims": data.claims(results),
        "released": data.released(results),
        "conventions": data.conventions(study.root / "docs" / "conventions.csv"),
    }
    looks = {"recall": site_recall.looks(results, recall)}
    if photographs:
        looks["photograph"] = data.photograph_looks(photographs)
        sections["lsp"] = data.lsp_steps(photographs)
        sections["photographs"] = _pictures(photographs, folder / BESIDE)
    sections["looks"] = {name: each for name, each in looks.items() if each}
    facts = finite(sections)
    page, picture = folder / "index.html", ""
    if sections["context"]:
        picture = f"{BESIDE}/preview.png"
        with replacing(folder / picture) as beside:
            beside.write_bytes(png(preview(sections["context"])))
    words = {"count": count, "number": number, "signed": signed, "estimate": estimate, "listed": listed}
    appendix, old = _appendix(results), [name for name in OLD if (folder / name).is_file()]
    known = {"rules": rules(), "thousands": data.thousands(results), "appendix": appendix, "old": old}
    known |= {"address": address and address.rstrip("/") + "/", "picture": picture}
    arms = [arm for own in sections["looks"].values() for arm in own["networks"]]
    arms += (sections["gains"] or {"rows": []})["rows"]
    known["ideas"] = {arm["label"]: arm["idea"] for arm in arms}
    write_text(page, fill("site.html", facts=facts, **facts, **known, **words))
    return page


#: The study's older pages, in the same folder.
OLD = ("questions.html", "report.html", "explorer.html")


def _pictures(found: dict, folder: Path) -> dict:
    """Write the pictures of each photograph to a file of its own, loaded on demand; return their facts."""
    shown = []
    for image in found["images"]:
        pictures = {"HR": image["hr"]} | {name: sr["picture"] for name, sr in image["sr"].items()}
        content = json.dumps([image["name"], pictures], separators=(",", ":"))
        write_text(folder / f"{image['name']}.js", f"arrived({content});\n")
        psnr = {name: sr["psnr"] for name, sr in image["sr"].items()}
        shown.append({"name": image["name"], "psnr": psnr, "file": f"{BESIDE}/{image['name']}.js"})
    names = [[name, label(name)] for name in found["images"][0]["sr"]]
    return {"images": shown, "names": names, "on": found["on"], "address": found["address"]}


def _appendix(results: data.Results) -> list[dict]:
    """List the kept studies with their figures, answers and explorer."""
    kept = []
    for folder in sorted(path for path in results.reference.iterdir() if path.is_dir()):
        known: dict = {"name": folder.name}
        for kind in ("answers/*.md", "figures/*.png", "tables/*.csv", "explorer.html"):
            links = [{"name": path.stem, "address": results.link(path)} for path in sorted(folder.glob(kind))]
            known[kind.split("/")[0].removesuffix(".html")] = links
        kept.append(known)
    return kept
