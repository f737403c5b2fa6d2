"""What all tests share; importing it turns on the checking of srlab's shape and type annotations."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook
from safetensors import safe_open

install_import_hook(["srlab"], "beartype.beartype")  # so nothing above may import srlab

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Golden:
    """A recorded case: how it was built, its state dict, and all that went in and came out."""

    config: dict
    weights: dict[str, torch.Tensor]
    tensors: dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """`golden(name)` reads tests/golden/NAME.safetensors."""

    def read(name: str) -> Golden:
        with safe_open(TESTS / "golden" / f"{name}.safetensors", framework="pt") as file:
            config = json.loads(file.metadata()["config"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
        prefix = "weights."
        weights = {
            key.removeprefix(prefix): tensors.pop(key) for key in list(tensors) if key.startswith(prefix)
        }
        return Golden(config, weights, tensors)

    return read


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the published data sets: $SRLAB_SHARED/data, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("SRLAB_SHARED", TESTS.parents[1] / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the data sets at {folder}; set SRLAB_SHARED to the folder that holds data/")
    return folder


@pytest.fixture(scope="module")
def smoke_study(tmp_path_factory: pytest.TempPathFactory):
    """The smoke study on the embedded photographs, in a folder of the module's own; nothing is made yet."""
    from srlab.study.study import Study

    with pytest.MonkeyPatch.context() as patch:
        for name in ("SRLAB_DATA", "SRLAB_DEVICE"):
            patch.delenv(name, raising=False)
        patch.setenv("SRLAB_RESULTS", str(tmp_path_factory.mktemp("results")))
        yield Study("smoke")
