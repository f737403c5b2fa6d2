"""HiT-SRF: equal to the released network, and to the published numbers with the released weights."""

from pathlib import Path

import pytest
import torch

from srlab.data.sources import open_data
from srlab.errors import InputError
from srlab.measure.evaluation import evaluate, summarise
from srlab.measure.profiling import count_parameters
from srlab.measure.protocol import Protocol
from srlab.models import build
from srlab.weights.checkpoints import from_released, read_pth

PUBLISHED = {
    "upscale": 4,
    "embed_dim": 60,
    "depths": [6, 6, 6, 6],
    "num_heads": [6, 6, 6, 6],
    "base_win_size": [8, 8],
    "hier_win_ratios": [0.5, 1, 2, 4, 6, 8],
    "expansion_factor": 2,
}


def test_equals_the_released_network(golden):
    case = golden("hit_srf_tiny_x2")
    network = from_released("hit_srf", case.weights, **case.config)
    expected = case.tensors["output"]
    for backend in ("reassociated", "reference"):
        for layer in network.non_local_layers():
            layer.backend = backend
        with torch.no_grad():
            y = network(case.tensors["input"])
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-4 * expected.abs().max().item())


def test_has_the_published_parameters():
    thousands = [round(count_parameters(build("hit_srf", scale)) / 1e3) for scale in (2, 3, 4)]
    assert thousands == [847, 855, 866]


def test_a_stage_of_other_depth_than_ratios_is_refused():
    with pytest.raises(InputError, match="a block for each ratio"):
        from_released("hit_srf", {}, **{**PUBLISHED, "depths": [6, 6, 6, 5]})


@pytest.mark.slow
@pytest.mark.parametrize(("benchmark", "psnr"), [("Set5", 32.57), ("Set14", 28.87)])
def test_released_weights_give_the_published_numbers(shared_data: Path, benchmark, psnr):
    path = shared_data.parent / "weights" / "hit_srf_x4.pth"
    if not path.is_file():
        pytest.skip(f"needs the released weights at {path}")
    network = from_released("hit_srf", read_pth(path), **PUBLISHED)
    refs = open_data(shared_data).benchmarks[benchmark]
    found = summarise(evaluate(network, refs, 4, Protocol("none")))
    assert found["psnr_y"] == pytest.approx(psnr, abs=0.01)
