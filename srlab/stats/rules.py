"""The rules of claims.yaml: what is judged and how. Rules are older than the runs that they judge.

A part's hash covers its numbers and the code that judges by them, without docstrings and comments.
"""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

Share = Annotated[float, Field(gt=0, lt=1)]
#: The parts of the rules, each with its hash.
Part = Literal["quality", "costs", "context", "ceiling", "frozen", "recall"]


def hash_of(config: dict) -> str:
    """Return ten hex digits of SHA-256 over a config as canonical JSON."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Judging(_Part):
    code: Annotated[tuple[str, ...], Field(min_length=1)]  # files below srlab/ that judge by these rules
    level: Share  # of intervals


class Claim(_Part):
    """A claim that a paper prints; `compared_with` and `workload` are in its words."""

    source: str  # "arXiv:NUMBER"
    claim: str
    quantity: Literal["psnr_gain_db", "time_reduction_percent", "latency_ratio", "memory_ratio", "growth_exponent"]
    claimed: float | None  # dB, percent, a ratio to the rival, or an exponent; None for a direction only
    compared_with: str
    workload: str


class Contrast(_Part):
    """Two networks that a claim about quality compares, by label: the model, and options other than its profile's."""

    arm: str  # e.g. "trunk_window side=8"
    against: str
    experiment: Literal["branched", "from scratch"]
    benchmark: str  # or "all"


class FullSize(_Part):
    """The two networks of a claim as their authors released them, and the benchmark of the claim."""

    arm: str
    against: str
    benchmark: str


class QualityClaim(Claim):
    """A claim about PSNR: judged first on released networks, then by contrasts of the study's small ones."""

    full_size: FullSize
    contrasts: tuple[Contrast, ...]


class QualityRules(_Judging):
    """Rules for claims about PSNR; claims.yaml explains each number."""

    margin_db: PositiveFloat
    seeds: PositiveInt
    control: str
    claims: dict[str, QualityClaim]


class CostClaim(Claim):
    """A claim about time or memory: `arm` compared with each of `against`, by label in the runs that measure claims."""

    arm: str
    against: tuple[str, ...]
    size: tuple[PositiveInt, PositiveInt] | None = None  # height and width of the LR input that the paper names


class CostRules(_Judging):
    """Rules for claims about time and memory; claims.yaml explains each number."""

    margin: Share
    within: Share
    growth_margin: Share
    processes: PositiveInt
    sides: tuple[PositiveInt, ...]
    growth_sides: tuple[PositiveInt, ...]
    limit_s: PositiveFloat
    network_limit_s: PositiveFloat
    limit_mib: PositiveInt
    claims: dict[str, CostClaim]


class ContextRules(_Judging):
    """Rules of the chapter context; claims.yaml explains each number."""

    margin_db: PositiveFloat
    radii: tuple[int, ...]
    fillings: tuple[str, ...]
    tile: PositiveInt
    around: PositiveInt
    near: PositiveInt
    first_pieces: PositiveInt
    third: Share


class CeilingRules(_Judging):
    """Rules of the chapter ceiling; claims.yaml explains each number."""

    distances: tuple[PositiveInt, ...]
    match: PositiveInt
    middle: PositiveInt
    places: PositiveInt
    folds: PositiveInt
    first_pieces: PositiveInt
    ridge: PositiveFloat
    seeds: tuple[int, ...]
    channels: PositiveInt
    steps: PositiveInt
    batch: PositiveInt
    rate: PositiveFloat
    claims_db: tuple[PositiveFloat, ...]


class FrozenRules(_Judging):
    """Rules of the chapter frozen; claims.yaml explains each number."""

    margin_db: PositiveFloat
    seeds: PositiveInt
    local: str
    positive: str
    parameters_within: Share
    rise_db: PositiveFloat


class RecallRules(_Judging):
    """Rules of the chapter recall; claims.yaml explains each number."""

    seeds: PositiveInt
    bins: tuple[PositiveInt, ...]
    far: PositiveInt
    groups: Literal["overlap of simultaneous intervals"]
    margin: PositiveFloat
    invents: float
    keys: PositiveInt
    keys_within: Share
    rates: tuple[PositiveFloat, ...]
    spare_seed: PositiveInt
    settle_steps: PositiveInt
    settle_gain: PositiveFloat
    least_steps: PositiveInt
    begun: Share
    most_steps: PositiveInt


class Rules(_Part):
    """All of claims.yaml."""

    quality: QualityRules
    costs: CostRules
    context: ContextRules
    ceiling: CeilingRules
    frozen: FrozenRules
    recall: RecallRules

    #: Hashes by which kept records began, and the reason why these rules may judge them.
    admits: dict[Part, dict[str, str]] = {}

    def hash(self, part: Part) -> str:
        """Hash the numbers of a part and its code."""
        own = getattr(self, part)
        return hash_of({"rules": own.model_dump(mode="json"), "code": [_code(file) for file in own.code]})

    def hashes(self) -> dict[Part, str]:
        return {part: self.hash(part) for part in get_args(Part)}

    def judge(self, part: Part, began: str) -> bool:
        """Allow the judgement of a record that began under the rules of this hash."""
        return began == self.hash(part) or began in self.admits.get(part, {})


@cache
def _code(file: str) -> str:
    """Return a file's code, without docstrings, comments and layout."""
    tree = ast.parse((files("srlab") / file).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def rules() -> Rules:
    """Read the rules in force."""
    return Rules(**yaml.safe_load((files("srlab.stats") / "claims.yaml").read_text(encoding="utf-8")))
