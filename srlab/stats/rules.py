"""The rules of claims.yaml: what is claimed, how it is judged, and that rules are older than the runs they judge."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

Share = Annotated[float, Field(gt=0, lt=1)]
#: The two halves of the rules, each with a hash of its own: runs that train are judged by one, measurements by the other.
Part = Literal["quality", "costs"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Claim(_Part):
    """What a paper prints.

    Attributes
    ----------
    source : str
        "arXiv:NUMBER".
    claim : str
    quantity : str
        Of which `claimed` is a number: dB, percent, a ratio to the rival, or an exponent.
    claimed : float, optional
        None where the paper names a direction only.
    compared_with, workload : str
        In the paper's words.
    """

    source: str
    claim: str
    quantity: Literal["psnr_gain_db", "time_reduction_percent", "latency_ratio", "memory_ratio", "growth_exponent"]
    claimed: float | None
    compared_with: str
    workload: str


class Contrast(_Part):
    """Which two networks a claim about quality compares.

    Attributes
    ----------
    arm, against : str
        By label: the model, and options that are not as its profile has them, e.g. "trunk_window side=8".
    experiment : {"branched", "from scratch"}
    benchmark : str
        Or "all".
    """

    arm: str
    against: str
    experiment: Literal["branched", "from scratch"]
    benchmark: str


class QualityClaim(Claim):
    contrasts: tuple[Contrast, ...]


class QualityRules(_Part):
    """How claims about PSNR are judged; claims.yaml says what each number means."""

    level: Share
    margin_db: PositiveFloat
    seeds: PositiveInt
    control: str
    claims: dict[str, QualityClaim]


class CostClaim(Claim):
    """A claim about time or memory.

    Attributes
    ----------
    arm : str
    against : tuple of str
        What is compared with each of what, by their labels in the runs that measure for claims.
    size : (int, int), optional
        Height and width of the LR input that the paper names.
    """

    arm: str
    against: tuple[str, ...]
    size: tuple[PositiveInt, PositiveInt] | None = None


class CostRules(_Part):
    """How claims about time and memory are judged; claims.yaml says what each number means."""

    level: Share
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


class Rules(_Part):
    """All of claims.yaml."""

    quality: QualityRules
    costs: CostRules

    def hash(self, part: Part) -> str:
        """Ten hex digits of SHA-256 over one part as canonical JSON."""
        content = getattr(self, part).model_dump(mode="json")
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:10]

    def hashes(self) -> dict[Part, str]:
        return {part: self.hash(part) for part in ("quality", "costs")}


@cache
def rules() -> Rules:
    """The rules in force."""
    return Rules(**yaml.safe_load((files("srlab.stats") / "claims.yaml").read_text(encoding="utf-8")))
