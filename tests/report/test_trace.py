"""A run is found by its hash, in folders and in packed records."""

import os
import re
import subprocess
import sys

import pytest
from kept import ROOT, reference

from srlab.errors import InputError
from srlab.files import read_table
from srlab.report.trace import trace
from srlab.study.records import records_in


def test_a_kept_run_is_described_with_its_tables():
    """In a process of its own, which has imported no chapter."""
    digits = read_table(reference("context") / "tables" / "context.csv")["run"][0].split()[0]
    environment = {**os.environ, "SRLAB_RESULTS": str(ROOT / "results"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "srlab", "trace", digits[:6]]
    text = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    [record] = records_in(reference("context"), f"*-{digits}")
    assert record.run.name in text and record.facts["environment"]["name"] in text
    assert re.search(r"in tables +context \W*\d+", text)


@pytest.mark.parametrize("digits", ["xyz!", "abc", "0123456789a", "ffffffffff"])
def test_other_digits_are_named(digits):
    with pytest.raises(InputError, match=digits):
        trace(digits, ROOT / "results")
