"""The report: one self-contained page of questions, figures and answers, to send to a colleague."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
import pandas as pd

from srlab import plots
from srlab.files import write_text
from srlab.notebooks import PAGES, Page, check_finished
from srlab.runs import Study

REPORT = jinja2.Template(
    """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Attention that looks far: report of {{ study.folder.name }}</title>
<style>
 body { font: 17px/1.55 Georgia, serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
 h1, h2, table, nav, figcaption, .small { font-family: system-ui, sans-serif } h1 { line-height: 1.2 }
 h2 { margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1rem } figure { margin: 1.2rem 0 }
 img { max-width: 100%; height: auto } figcaption, .small { color: #555; font-size: 0.85rem }
 .wide { overflow-x: auto } table { border-collapse: collapse; font-size: 0.78rem }
 td, th { padding: 0.3rem 0.5rem; text-align: left; vertical-align: top; border-bottom: 1px solid #eee }
 nav li { font-size: 0.9rem } code { font-size: 0.85em }
</style>
<h1>Attention that looks far across an image, cheaply: what holds?</h1>
<p>Mechanisms of non-local attention for super-resolution on one trunk, with one budget and one set of
data: only the attention differs. Profile <b>{{ study.profile.name }}</b>: ×{{ study.profile.scale }},
{{ study.profile.training.steps }} steps of {{ study.profile.training.batch }} patches of
{{ study.profile.training.patch }}×{{ study.profile.training.patch }} LR pixels,
{{ facts.train }} training photographs (<code>{{ facts.data }}</code>), {{ facts.images }},
seeds {{ study.profile.seeds | join(", ") }}.
{% if study.profile.seeds | length < 3 %}
<b>With fewer than three seeds no verdict on quality is drawn.</b>{% endif %}
Differences in quality are those of small networks after few steps, never the papers' fully trained
results.</p>
<p class="small">{% for name in facts.devices %}{{ name }}{% if not loop.last %}; {% endif %}{% endfor %}.
Every number comes from a run whose hash stands in the tables: <code>srlab trace HASH</code>.
LR: {{ facts.convention.lr }}. Y rounded: {{ facts.convention.y_rounding }};
border cropped: {{ facts.convention.border }} px.</p>
<nav><ol>{% for section in sections %}
<li><a href="#{{ section.page.name }}">{{ section.page.title }}</a></li>
{% endfor %}</ol></nav>
{% for section in sections %}
<h2 id="{{ section.page.name }}">{{ section.page.title }}</h2>
{% for figure in section.figures %}
<figure><img src="{{ figure.source }}" alt="{{ figure.caption }}"><figcaption>{{ figure.caption }}
Data: {% for table in figure.tables %}
<a href="tables/{{ table }}.csv">{{ table }}</a>{% if not loop.last %}, {% endif %}
{% else %}<a href="notebooks/{{ section.page.name }}.ipynb">notebook</a>{% endfor %}</figcaption></figure>
{% endfor %}
{{ section.answer | safe }}
{% if section.table %}<div class="wide">{{ section.table | safe }}</div>{% endif %}
<p class="small">Notebook: <a href="notebooks/{{ section.page.name }}.ipynb">{{ section.page.name }}</a>
{% for table in section.page.tables %} · <a href="tables/{{ table }}.csv">{{ table }}</a>{% endfor %}</p>
{% endfor %}
</html>
""",
    autoescape=True,
    trim_blocks=True,
)


def write_report(study: Study) -> Path:
    """Write the page that answers the study's questions, claims first.

    Figures are inside it; links lead to the notebooks and tables beside it.

    Returns
    -------
    Path
        `report.html` in the study's folder.

    Raises
    ------
    InputError
        If a run is missing.
    """
    records = check_finished(study)
    trained = [record.facts for record in records if record.run.kind == "training"]
    on = {
        (f["environment"]["name"], f["environment"]["threads"], f["environment"]["torch"])
        for f in (record.facts for record in records)
    }
    counts = {name: len(refs) for name, refs in study.data.benchmarks.items()}
    facts = {
        "data": trained[0]["data"],
        "train": len(study.data.train),
        "images": "evaluated on " + ", ".join(f"{name} ({number} images)" for name, number in counts.items()),
        "convention": trained[0]["convention"],
        "devices": [f"{name}, {threads} threads, torch {torch}" for name, threads, torch in sorted(on)],
    }
    order = sorted((page for page in PAGES if page.answered), key=lambda page: page.name != "claims")
    sections = [_section(study, page) for page in order]
    path = study.folder / "report.html"
    write_text(path, REPORT.render(study=study, facts=facts, sections=sections))
    return path


def _section(study: Study, page: Page) -> dict:
    """A page's figures of numbers, its answer, and of the claims their table."""
    from nbconvert.filters import markdown2html

    figures = []
    for name, caption in page.figures.items():
        if name in plots.DRAWINGS or name in page.in_report:
            png = (study.folder / "figures" / f"{name}.png").read_bytes()
            source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
            tables = plots.DRAWINGS[name].tables if name in plots.DRAWINGS else ()
            figures.append({"source": source, "caption": caption, "tables": tables})
    answer = markdown2html(page.answer(study).read_text(encoding="utf-8"))
    table = None
    if page.name == "claims":
        table = plots.claims_table(pd.read_csv(study.folder / "tables" / "claims.csv")).to_html()
    return {"page": page, "figures": figures, "answer": answer, "table": table}
