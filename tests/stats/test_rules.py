"""The hash of rules: it covers numbers and code, and no words about them."""

import sys
from typing import get_args

import pytest

from srlab.stats.rules import Part, rules

module = sys.modules[rules.__module__]


@pytest.mark.parametrize("part", get_args(Part))
def test_a_hash_changes_with_numbers_and_code_and_not_with_docstrings(part, tmp_path, monkeypatch):
    law, own = rules(), getattr(rules(), part)
    changed = law.model_copy(update={part: own.model_copy(update={"level": 0.5})})
    assert changed.hash(part) != law.hash(part)
    for file in own.code:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text((module.files("srlab") / file).read_text(encoding="utf-8"), encoding="utf-8")
    began, judging = law.hash(part), tmp_path / own.code[0]
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    module._code.cache_clear()
    judging.write_text('"""Other words."""  # and more\n' + judging.read_text().partition('"""')[2].partition('"""')[2])
    assert law.hash(part) == began
    module._code.cache_clear()
    judging.write_text(judging.read_text().replace("0.95", "0.9") + "\nX = 1\n")
    assert law.hash(part) != began
    module._code.cache_clear()
