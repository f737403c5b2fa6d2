"""A run is found by its hash, in folders and in packed records."""

import pytest
from kept import ROOT, reference

from srlab.chapters.recall.run import RecallRun
from srlab.errors import InputError
from srlab.report.trace import trace
from srlab.study.records import records_in


def test_a_kept_run_is_described_with_its_tables():
    record = records_in(reference("recall"), "recall-trunk_lsp-*")[0]
    assert isinstance(record.run, RecallRun)
    text = trace(record.run.hash[:6], ROOT / "results")
    assert record.run.name in text and record.facts["environment"]["name"] in text
    assert "recall_curves" in text or "recall (" in text


@pytest.mark.parametrize("digits", ["xyz!", "abc", "0123456789a", "ffffffffff"])
def test_other_digits_are_named(digits):
    with pytest.raises(InputError, match=digits):
        trace(digits, ROOT / "results")
