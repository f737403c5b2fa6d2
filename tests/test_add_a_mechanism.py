"""README's "Add a mechanism", carried out in a copy of the checkout."""

from functools import partial

import copied
import pytest
import yaml

pytestmark = pytest.mark.slow

MECHANISM = '''
"""Toy: every token attends to its own row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from srlab.attention.contract import Pattern, ResidualAttention, softmax_attention, to_tokens


@dataclass
class RowPattern(Pattern):
    query: Float[Tensor, "b heads l d"]
    key: Float[Tensor, "b heads m d"]
    width: int

    def attend(self, value: Float[Tensor, "b heads m c"]) -> Float[Tensor, "b heads l c"]:
        rows = (tokens[:, 0].unflatten(1, (-1, self.width)) for tokens in (self.query, self.key, value))
        return softmax_attention(*rows).flatten(1, 2)[:, None]

    def multiplicity(self, queries: Int[Tensor, " q"] | None = None) -> Int[Tensor, "b heads q m"]:
        row = torch.arange(self.key.shape[2]) // self.width
        own = row if queries is None else row[queries]
        return (own[:, None] == row).long()[None, None].expand(len(self.key), -1, -1, -1)


class Toy(ResidualAttention):
    def __init__(self, channels: int):
        super().__init__(channels)
        self.embed = nn.Conv2d(channels, 2 * channels, 1)

    def pattern(self, x: Float[Tensor, "b c h w"], shared: Pattern | None = None) -> RowPattern:
        query, key = (to_tokens(half)[:, None] for half in self.embed(x).chunk(2, 1))
        return RowPattern(query, key, x.shape[3])
'''
ON_TRUNK = """

@register_on_trunk("toyn", "Toy", "every token attends to its own row", "none")
def toyn(i: int, channels: int) -> Toy:
    return Toy(channels)
"""
FIRST_USE = """
import srlab
from srlab.chapters.recall.measure import SETTINGS, measure_recall
from srlab.models import build, label
from srlab.report.site_data import arm
from srlab.study import Study
from srlab.widgets import Explorer

study = Study("smoke")
record = study.obtain(study.training("toyn"))
explorer = Explorer(study)
explorer.choices[0].model.value = "toyn"
found = measure_recall(build("toyn", 2, 0, channels=8, groups=1, blocks=1), 2, SETTINGS[1:])
print(srlab.__file__, label("toyn"), arm("toyn")["idea"], sep="\\n")
print(record.table("images").psnr_y.notna().sum(), explorer.looks[0].layer, sep="\\n")
print(any(run.name.startswith("recall-toyn-x2-seed0") for run in Study("recall_leagues").runs()))
print(found["seen"].mean().round(2), found["found"].mean())
"""


def insert(path, before, text):
    """Insert text before the first occurrence of `before`."""
    source = path.read_text(encoding="utf-8")
    at = source.index(before)
    path.write_text(source[:at] + text + source[at:], encoding="utf-8")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Copy the checkout and add a mechanism as README describes; no other file is touched."""
    tests = (f"tests/{name}" for name in ("conftest.py", "kept.py", "mechanisms.py", "attention/test_attention.py"))
    copy = copied.copy_checkout(tmp_path_factory.mktemp("checkout"), "pyproject.toml", *tests)

    (copy / "srlab/attention/toy.py").write_text(MECHANISM.lstrip(), encoding="utf-8")  # 1

    on_trunk = copy / "srlab/models/on_trunk.py"  # 2
    insert(on_trunk, "from srlab.attention.window import", "from srlab.attention.toy import Toy\n")
    on_trunk.write_text(on_trunk.read_text(encoding="utf-8") + ON_TRUNK, encoding="utf-8")

    profile = copy / "profiles/smoke.yaml"  # 3
    [models] = [line for line in profile.read_text().splitlines() if line.startswith("models:")]
    profile.write_text(profile.read_text().replace(models, models.replace("]", ", toyn]")))
    assert "toyn" in yaml.safe_load(profile.read_text())["models"]
    mechanisms = copy / "tests/mechanisms.py"
    insert(mechanisms, "\n# One entry for each way", "from srlab.attention.toy import Toy\n")
    insert(mechanisms, '    "nla": ', '    "toy": lambda c: [Toy(c)],\n')
    return copy


@pytest.fixture(scope="module")
def python(checkout):
    return partial(copied.python, checkout)


def test_the_oracle_proves_it(python, checkout):
    """Sizes, gradients, rows of weights, pixels of keys."""
    printed = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "toy", "tests/attention")
    assert "9 passed" in printed


def test_it_is_built_trained_explored_and_part_of_the_recall_study(python, checkout):
    place, *named, images, layer, listed, recall = python("-c", FIRST_USE).splitlines()
    assert place.startswith(str(checkout)) and named == ["Toy", "every token attends to its own row"]
    assert (images, layer, listed) == ("3", "Toy, layer 1 of 2", "True")
    # The copy lies in the next tile of the same row or column, and a query attends to its row of 24 pixels.
    seen, found = map(float, recall.split())
    assert seen == 24 and 0 < found < 1
