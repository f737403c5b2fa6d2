"""Data of the study's page: each section has a function that reads its tables, or returns None if they are missing."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path

import numpy as np
import pandas as pd

from srlab.files import read_table
from srlab.models.registry import REGISTRY, label
from srlab.plots.style import STYLE
from srlab.stats.rules import rules
from srlab.study.chapter import module_of

#: Levels of a weight in a map of the page, from 1 to this; 0 is no key.
LEVELS = 16
#: The profile with the explorer page of photographs, and those of them that open the page.
PHOTOGRAPHS = "quick"
SHOWN = ("brick", "rocket_tower", "page_left")
#: Profiles with heads on finished features.
FROZEN = ("frozen_x2", "frozen")
#: Profiles with a ceiling, by scale.
CEILINGS = {4: "ceiling", 2: "ceiling_x2"}


@dataclass(frozen=True)
class Results:
    """All results folders: the reader's own, `root`/PROFILE-DEVICE, before those of the reference."""

    root: Path
    reference: Path
    page: Path  # the folder that the page lies in

    def folders(self, profile: str) -> list[Path]:
        """List the folders of a profile, the reader's own first."""
        return [*sorted(self.root.glob(f"{profile}-*")), *sorted(self.reference.glob(f"{profile}-*"))]

    def files(self, profile: str, name: str) -> list[Path]:
        return [folder / name for folder in self.folders(profile) if (folder / name).is_file()]

    def file(self, profile: str, name: str) -> Path | None:
        return next(iter(self.files(profile, name)), None)

    def table(self, profile: str, name: str) -> pd.DataFrame | None:
        path = self.file(profile, f"tables/{name}.csv")
        return None if path is None else read_table(path)

    def link(self, path: Path) -> str:
        """Return a file's address in the page."""
        return Path(relpath(path, self.page)).as_posix()

    def source(self, profile: str, name: str) -> dict[str, str]:
        """Return whose and where a table is: `on`, a processor or device, and `address`."""
        path = self.file(profile, f"tables/{name}.csv")
        return {"on": path.parents[1].name.removeprefix(f"{profile}-"), "address": self.link(path)}


def arm(name: str) -> dict[str, str]:
    """Return how the page names, explains and colours a network."""
    model = name.split(" ")[0]
    known = {"name": name, "label": label(name), "idea": REGISTRY[model].title if model in REGISTRY else ""}
    return known | {"colour": STYLE[model].colour if model in STYLE else "#666666"}


def estimate(row: object, value: str, low: str = "low", high: str = "high") -> list[float]:
    """Return a row's value and the ends of its interval, rounded for the page."""
    return [round(float(getattr(row, name)), 5) for name in (value, low, high)]


def gains(results: Results) -> dict | None:
    """Read what attention adds to a trained trunk on photographs."""
    table, start = (results.table("verdicts", f"branched_{name}") for name in ("gains", "start"))
    if table is None or start is None:
        return None
    table = table[table["benchmark"] == "all"].sort_values("gain_db", ascending=False)
    rows = [arm(row.arm) | {"value": estimate(row, "gain_db", "low_db", "high_db")} for row in table.itertuples()]
    first = table.iloc[0]
    facts = {"rows": rows, "margin": float(first["margin_db"]), "seeds": int(first["seeds"])}
    facts |= {"images": int(first["images"]), "significant": int(table["significant"].sum())}
    facts |= {"runs": len(start), "below": int((start["change_db"] < 0).sum())}
    return facts | results.source("verdicts", "branched_gains")


def frozen(results: Results) -> list[dict]:
    """Read what attention adds to finished features, over a local layer, study by study: one more unit, then arms."""
    chapter, cases = module_of("frozen"), []
    for profile in FROZEN:
        if (table := results.table(profile, "frozen")) is None:
            continue
        shown = chapter.figures.styled(table[~table["arm"].isin([chapter.frames.NOTHING, chapter.RULES.local])])
        rows = [
            arm(row.arm) | {"label": row.name, "value": estimate(row, "over_local_db", "low_db", "high_db")}
            for row in shown.itertuples(index=False)
        ]
        first = table.iloc[0]
        facts = {"base": chapter.figures.shown(first["base"]), "rows": rows, "margin": chapter.RULES.margin_db}
        facts |= {"verdict": not (table["verdict"] == "no verdict").any(), "seeds": int(first["seeds"])}
        facts["below"] = chapter.all_lose(table)
        cases.append(facts | {"images": int(first["images"])} | results.source(profile, "frozen"))
    return cases


def context(results: Results) -> dict | None:
    """Read the loss against the radius of real pixels: means over fillings, outer ends of their intervals."""
    losses, verdicts = (results.table("context", name) for name in ("context", "context_verdicts"))
    if losses is None or verdicts is None:
        return None
    judged = rules().context
    means = (
        losses[losses["filling"].isin(judged.fillings)].groupby(["benchmark", "network", "radius"])["loss_db"].mean()
    )
    benchmarks = []
    for benchmark, own in verdicts.groupby("benchmark", sort=False):
        networks = []
        for network, rows in own.groupby("network", sort=False):
            rows = rows.sort_values("radius").assign(loss=means[benchmark, network].to_numpy())
            curve = [estimate(row, "loss", "low_db", "high_db") for row in rows.itertuples()]
            nothing = (rows["verdict"] == "nothing").to_numpy()[::-1].cumprod()[::-1].astype(bool)
            least = int(rows["radius"][nothing].min()) if nothing.any() else None
            known = {"curve": curve, "verdicts": rows["verdict"].tolist(), "from": least}
            known["images"] = int(rows["images"].min())
            networks.append(arm(network) | known)
        images = int(own["images"].min())
        benchmarks.append({"name": benchmark, "images": images, "networks": networks})
    radii = sorted(int(radius) for radius in verdicts["radius"].unique())
    facts = {"benchmarks": benchmarks, "radii": radii, "margin": judged.margin_db}
    return facts | results.source("context", "context")


def ceiling(results: Results) -> dict | None:
    """Read what fusers gain from far patches, by match and content, at each scale.

    The gains of a distance are those of the linear fuser, then those of the network, where it was trained.
    """
    tables = {scale: results.table(name, "ceiling") for scale, name in CEILINGS.items()}
    known = {scale: table for scale, table in tables.items() if table is not None}
    cases, kinds = [], [(content, match) for content in ("SR", "HR") for match in ("seen", "perfect")]
    for scale, table in known.items():
        for (benchmark, base), own in table.groupby(["benchmark", "base"], sort=False):
            bars = own.set_index(["distance", "fuser", "content", "match"]).sort_index()
            found = {
                int(far): [
                    [estimate(bars.loc[far, fuser, *kind], "gain_db", "low_db", "high_db") for kind in kinds]
                    for fuser in rows["fuser"].unique()
                ]
                for far, rows in own.groupby("distance")
            }
            facts = {"benchmark": benchmark, "scale": scale, "base": module_of("ceiling").figures.shown(base)}
            cases.append(facts | {"images": int(own["images"].max()), "gains": found})
    sources = [{"scale": scale} | results.source(CEILINGS[scale], "ceiling") for scale in known]
    return {"cases": cases, "sources": sources} if known else None


def costs(results: Results) -> dict | None:
    """Read how many times less time or memory one side needs, over image size, with the claim in the same measure."""
    table, claims = (results.table("verdicts", name) for name in ("cost_claims", "claims"))
    if table is None or claims is None:
        return None
    known = claims.drop_duplicates("id").set_index("id")
    found: list[dict] = []
    for (id, against, code), own in table.groupby(["id", "against", "code"], sort=False):
        own = own.sort_values("height")
        saved = own["quantity"].iloc[0] == "time_reduction_percent"
        columns = own[["value", "low", "high", "claimed"]]
        times = 1 / (1 - columns / 100) if saved else columns
        ahead = (times["low"] > 1).to_numpy()[::-1].cumprod()[::-1].astype(bool)
        sizes = [f"{row.height}×{row.width}" for row in own.itertuples()]
        crossing = sizes[int(ahead.argmax())] if ahead.any() else None
        row = arm(against) | {"code": code, "sizes": own["height"].tolist(), "shown": sizes, "ahead": crossing}
        row |= {"values": times[["value", "low", "high"]].round(4).to_numpy().tolist()}
        case = next((case for case in found if case["id"] == id), None)
        if case is None:
            what = "memory" if "memory" in own["quantity"].iloc[0] else "time"
            case = {"id": id, "title": known.loc[id, "claim"], "arm": label(known.loc[id, "arm"]), "what": what}
            case |= {"claimed": float(times["claimed"].iloc[0]), "workload": own["workload"].iloc[0], "rows": []}
            case |= {"device": own["device"].iloc[0]}
            found.append(case)
        case["rows"].append(row)
    return {"cases": found, "processes": int(table["processes"].min())} | results.source("verdicts", "cost_claims")


def claims(results: Results) -> dict | None:
    """Read the papers' claims, each contrast once, with verdicts and runs."""
    table, slopes = results.table("verdicts", "claims"), results.table("verdicts", "cost_slopes")
    if table is None or slopes is None:
        return None
    rows = []
    once = module_of("claims").contrasts(table, slopes).astype(object)
    for row in once.where(once.notna(), "").itertuples():
        known = {"claim": row.claim, "pair": f"{label(row.arm)} against {label(row.against)}", "basis": row.basis}
        known |= {"claimed": row.claimed_words, "measured": row.measured_words, "order": [row.claimed, row.measured]}
        known |= {"kind": row.shown.removesuffix(" (CPU)"), "verdict": row.shown, "sentence": row.sentence}
        known |= {"paper": row.source, "run": row.run.split(" ")[0].removesuffix("none")}
        rows.append(known | {"work": ", ".join(filter(None, (row.spread, row.workload, row.device)))})
    kinds = pd.Series([row["kind"] for row in rows]).value_counts().to_dict()
    gains = table.loc[table["quantity"] == "psnr_gain_db", "claimed"]
    facts = {"rows": rows, "kinds": list(kinds.items()), "claims": len({row["claim"] for row in rows})}
    facts["gains"] = [float(gains.min()), float(gains.max())]
    return facts | results.source("verdicts", "claims")


def thousands(results: Results) -> list[int]:
    """Return the least and the most thousand parameters of the study's own networks, of comparison and claims."""
    table, claimed = results.table("quick", "comparison"), results.table("verdicts", "claims")
    found = [] if table is None else (1000 * table["Mparameters"].dropna()).round().astype(int).tolist()
    for work in [] if claimed is None else claimed["workload"].dropna():
        found += [int(size) for pair in re.findall(r"networks of (\d+) and (\d+) thousand", work) for size in pair]
    return [min(found), max(found)] if found else []


def released(results: Results) -> dict | None:
    """Read released networks: PSNR of each benchmark, and time, memory and parameters."""
    quality, field, printed = (results.table("released", f) for f in ("released_quality", "field", "field_published"))
    if quality is None or field is None:
        return None
    psnr = quality.pivot(index="model", columns="dataset", values="psnr_y")
    said = quality.set_index(["model", "dataset"])["published_psnr_y"]
    sizes = {size: own.set_index("model") for size, own in field.groupby("output")}
    large = sizes[max(sizes, key=lambda size: field.loc[field["output"] == size, "median_ms"].max())]
    rows = []
    for model in psnr.index:
        row = {"label": label(model), "psnr": psnr.loc[model].round(2).to_dict(), "published": said[model].to_dict()}
        cost = large.loc[model] if model in large.index else None
        names = {"median_ms": "ms", "peak_mib": "mib", "parameters": "parameters"}
        rows.append(row | {to: None if cost is None else float(cost[name]) for name, to in names.items()})
    images = quality.drop_duplicates("dataset").set_index("dataset")["images"].to_dict()
    facts = {"rows": sorted(rows, key=lambda row: -row["psnr"]["Urban100"]), "images": images}
    known = large.iloc[0]
    facts |= {"output": known["output"], "processor": known["name"], "threads": int(known["threads"])}
    facts |= {"printed": [] if printed is None else printed.to_dict("records")}
    return facts | results.source("released", "released_quality")


def conventions(path: Path) -> dict | None:
    """Read each image's PSNR under each convention, by network and data set."""
    if not path.is_file():
        return None
    table = read_table(path)
    usual = table["change"] == "the default"
    rgb = table[usual].assign(change="RGB instead of Y", psnr_y=table["psnr_rgb"])
    table = pd.concat([table[usual], rgb, table[~usual]]).assign(psnr=lambda rows: rows["psnr_y"].round(4))
    cases = []
    for (model, scale, dataset), own in table.groupby(["model", "scale", "dataset"], sort=False):
        psnr = {change: rows.set_index("name")["psnr"].to_dict() for change, rows in own.groupby("change", sort=False)}
        if min(len(images) for images in psnr.values()) < len(psnr["the default"]):  # the images that all have
            common = set.intersection(*(set(images) for images in psnr.values()))
            psnr = {change: {name: images[name] for name in sorted(common)} for change, images in psnr.items()}
        cases.append({"title": f"{label(model)} ×{scale} on {dataset}", "psnr": list(psnr.items())})
    return {"cases": cases}


# --- the explorer page of photographs ---------------------------------------------------------------------------


def photographs(results: Results) -> dict | None:
    """Read pictures and maps out of the first explorer page of trained networks for photographs."""
    for path in results.files(PHOTOGRAPHS, "explorer.html"):
        html = path.read_text(encoding="utf-8")
        facts = json.loads(re.search(r'id="facts">(.*?)</script>', html, re.S)[1])
        if facts["untrained"] or facts["task"]:
            continue
        packed = re.findall(r'data-image="(.*?)" data-network="(.*?)">(.*?)</script>', html, re.S)
        maps = {(image, network): base64.b64decode(content) for image, network, content in packed}
        known = {"images": facts["images"], "levels": facts["levels"], "maps": maps}
        return known | {"on": path.parent.name.removeprefix(f"{PHOTOGRAPHS}-"), "address": results.link(path)}
    return None


def unpacked(content: bytes) -> tuple[list[dict], list[np.ndarray]]:
    """Return the layers and planes that :func:`srlab.report.packing.pack` packed."""
    raw = zlib.decompress(content)
    end = 4 + int.from_bytes(raw[:4], "little")
    facts, planes = json.loads(raw[4:end]), []
    for height, width in facts["shapes"]:
        planes.append(np.frombuffer(raw, np.uint8, height * width, end).reshape(height, width))
        end += height * width
    return facts["layers"], planes


def text(planes: Iterable[np.ndarray]) -> str:
    """Deflate planes of bytes into base64."""
    return base64.b64encode(zlib.compress(b"".join(plane.tobytes() for plane in planes), 9)).decode()


def photograph_looks(found: dict) -> dict:
    """Return where networks look on photographs from a grid of pixels, in the first layer with weights."""
    images, networks, maps = [], {}, {}
    for image in [image for image in found["images"] if image["name"] in SHOWN] or found["images"][:1]:
        name = image["name"]
        tiles = [{"at": [row, col]} for row in image["rows"] for col in image["cols"]]
        images.append({"name": name, "side": image["size"][0], "picture": image["lr"], "tiles": tiles})
        for network in dict.fromkeys(network for _, network in found["maps"]):
            layers, planes = unpacked(found["maps"][name, network])
            layer = next((layer for layer in layers if layer["queries"][0]["weighed"]), None)
            if layer is None:
                continue
            own = [planes[query["plane"]] for query in layer["queries"]]
            step = (found["levels"] - 1) / (LEVELS - 1)
            levels = [np.where(plane > 0, 1 + np.round((plane - 1.0) / step), 0).astype(np.uint8) for plane in own]
            maps.setdefault(network, []).extend(levels)
            texts = [re.sub(r"^The query at .*? attends", "attends", query["text"]) for query in layer["queries"]]
            looks = [{"keys": int((plane > 0).sum()), "text": said} for plane, said in zip(own, texts, strict=True)]
            networks.setdefault(network, arm(network) | {"looks": []})["looks"].append(looks)
    planes = [plane for network in networks for plane in maps[network]]
    return {"levels": LEVELS, "images": images, "networks": list(networks.values()), "maps": text(planes)}


def lsp_steps(found: dict) -> dict | None:
    """Return clusters, windows and weights of one query of LSP, for a step-by-step drawing."""
    image = found["images"][0]
    content = found["maps"].get((image["name"], "trunk_lsp"))
    if content is None:
        return None
    layers, planes = unpacked(content)
    row, col = (len(image[axis]) // 2 for axis in ("rows", "cols"))
    query = layers[0]["queries"][row * len(image["cols"]) + col]
    groups, windows = query["panels"][0]
    kept = [planes[n] for n in (*groups["planes"], *windows["planes"], query["plane"])]
    labels = kept[0].astype(int) + 256 * kept[1].astype(int)
    facts = {"name": image["name"], "side": image["size"][0], "picture": image["lr"], "maps": text(kept)}
    facts |= {"at": [image["rows"][row], image["cols"][col]], "used": len(np.unique(labels))}
    return facts | {"keys": int((kept[3] > 0).sum()), "tokens": int(labels.size)}
