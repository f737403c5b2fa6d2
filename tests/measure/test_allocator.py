"""Memory that a process keeps: page faults, names of settings, and what is left alone."""

import os
import platform
import subprocess
import sys

import pytest
from kept import ROOT

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
#: Print a process's setting, and the page faults of a hundred uses of 8 MiB.
CODE = """
import resource
from srlab.measure.allocator import allocator_setting, keep_memory
if {keep}:
    keep_memory()
def use():
    bytearray(2**23)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    use()
print(allocator_setting(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def measured(keep: bool, **own: str) -> tuple[str, int]:
    """Return a fresh process's setting and page faults."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    environment = {**environment, "PYTHONPATH": str(ROOT), **own}
    command = [sys.executable, "-c", CODE.format(keep=keep)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    *setting, faults = done.stdout.split()
    return " ".join(setting), int(faults)


@needs_glibc
def test_a_process_that_keeps_its_memory_pays_for_a_page_once():
    setting, faults = measured(False, MALLOC_MMAP_THRESHOLD_="1000000")
    assert setting == "own" and faults > 100 * 2000  # 8 MiB have 2048 pages
    setting, faults = measured(True)
    assert setting == "kept" and faults < 2000 and measured(False)[0] == "default"


@needs_glibc
@pytest.mark.parametrize(
    ("own", "setting"),
    [
        ({"MALLOC_TOP_PAD_": "131072"}, "own"),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, "own"),
        ({"LD_PRELOAD": "libjemalloc-absent.so"}, "not glibc"),
    ],
)
def test_what_a_user_chose_stays(own, setting):
    assert measured(True, **own)[0] == setting


def test_another_c_library_stays(monkeypatch):
    from srlab.measure import allocator

    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("mallopt is glibc's"))
    allocator.keep_memory()
    assert allocator.allocator_setting() == "not glibc"
