"""What all tests share; importing it turns on the checking of srlab's shape and type annotations."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import hypothesis
import pytest
import torch
from jaxtyping import install_import_hook
from safetensors import safe_open

install_import_hook(["srlab"], "beartype.beartype")  # so nothing above may import srlab

TESTS = Path(__file__).parent

# What a person's shell sets for srlab reaches no test, not even while tests are collected: their data are
# those that come with srlab, their device is this machine's, what they make goes to a folder of their own.
_OWN = TemporaryDirectory(prefix="srlab-tests-", ignore_cleanup_errors=True)
for _name in [name for name in os.environ if name.startswith("SRLAB_")]:
    if _name not in ("SRLAB_SHARED", "SRLAB_ARTIFACTS"):
        del os.environ[_name]
os.environ["SRLAB_RESULTS"] = str(Path(_OWN.name) / "results")
os.environ["SRLAB_CACHE"] = str(Path(_OWN.name) / "cache")


# A busy machine is no fault: no example has a time limit.
_UNHURRIED = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("srlab", deadline=None, suppress_health_check=_UNHURRIED)
hypothesis.settings.load_profile("srlab")

#: The files that take longest begin first, so that neither of two workers ends with one of them.
LONGEST = ("report/test_notebooks.py", "models/test_compile.py", "weights/test_export.py", "test_add_a_question.py")


def pytest_addoption(parser: pytest.Parser):
    which = "tests marked `alone`, which measure time: these only, or all others (run_tests.sh does both)"
    parser.addoption("--alone", choices=("only", "not"), help=which)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Of those alone only: import no file that has none. True or no opinion, as pytest asks."""
    if config.getoption("--alone") == "only" and collection_path.match("test_*.py"):
        return "mark.alone" not in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.hookimpl(trylast=True)  # when -m and -k have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]):
    if chosen := config.getoption("--alone"):
        left = [item for item in items if (item.get_closest_marker("alone") is None) == (chosen == "only")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]
    place = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(LONGEST)))  # stable: all others stay in order


@dataclass(frozen=True)
class Golden:
    """A recorded case: how it was built, its state dict, and all that went in and came out."""

    config: dict
    weights: dict[str, torch.Tensor]
    tensors: dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _own_folder():
    """Remove it at the end, in whichever process this is."""
    yield
    _OWN.cleanup()


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """`golden(name)` reads tests/golden/NAME.safetensors."""

    def read(name: str) -> Golden:
        with safe_open(TESTS / "golden" / f"{name}.safetensors", framework="pt") as file:
            config = json.loads(file.metadata()["config"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
        prefix = "weights."
        weights = {key.removeprefix(prefix): tensors.pop(key) for key in list(tensors) if key.startswith(prefix)}
        return Golden(config, weights, tensors)

    return read


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the published data sets: $SRLAB_SHARED/data, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("SRLAB_SHARED", TESTS.parents[1] / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the data sets at {folder}; set SRLAB_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="session")
def smoke_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the runs that smoke studies have made in this session, whichever worker made them."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "smoke-runs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def new_smoke_study(smoke_runs: Path) -> Callable[[], object]:
    """`new_smoke_study()`: the smoke study; what another has obtained in this session is copied from it."""
    from srlab.study.study import Study

    class Remembering(Study):
        def obtain(self, run, *options, **more):
            kept, folder = smoke_runs / run.name, self.record(run).folder
            if kept.is_dir() and not folder.exists():
                shutil.copytree(kept, folder)
            record = super().obtain(run, *options, **more)
            if not kept.is_dir():
                beside = smoke_runs / f"{os.getpid()}-{run.name}"
                shutil.copytree(folder, beside)
                with suppress(OSError):  # another worker was first
                    beside.rename(kept)
            return record

    return lambda: Remembering("smoke", TESTS.parent)


@pytest.fixture(scope="module")
def smoke_study(tmp_path_factory: pytest.TempPathFactory, new_smoke_study: Callable[[], object]):
    """The smoke study on the embedded photographs, in a folder of the module's own; nothing is there yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SRLAB_RESULTS", str(tmp_path_factory.mktemp("results")))
        yield new_smoke_study()


class Done(NamedTuple):
    """How a command ended and what it printed."""

    status: int
    output: str
    errors: str


@pytest.fixture
def srlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., Done]:
    """`srlab("evaluate", …, SRLAB_DATA=…)`: the command line's entry point, in this process and the current folder."""
    from srlab.cli import main

    def call(*arguments: object, **environment: str) -> Done:
        for name, setting in {"SRLAB_DATA": "", **environment}.items():
            monkeypatch.setenv(name, setting)
        monkeypatch.setattr(sys, "argv", ["srlab", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return Done(left.value.code or 0, *capsys.readouterr())

    return call
