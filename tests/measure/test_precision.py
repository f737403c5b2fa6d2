"""Networks in bfloat16: finite on every input, close to float32, and codes of float32."""

import pytest
import torch
from networks import small

from srlab.attention.kmeans import SphericalKMeans, assign
from srlab.attention.nlsa import hash_codes
from srlab.attention.routed_windows import choose_routes
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.measure.costs import measure_networks
from srlab.measure.evaluation import convention, super_resolve
from srlab.measure.precision import computing_in, has_bf16_units, parse_precision
from srlab.measure.protocol import Protocol
from srlab.models import REGISTRY

BF16, CPU = "bf16-mixed", torch.device("cpu")
PHOTO = embedded().benchmarks["held-out"][3].read()[:, :48, :64]
#: Least power of a network's output, without its mean, over that of its change by bfloat16.
DECIBELS = 30
#: With all its layers and first weights ELAN-light magnifies any rounding: float32 is 16 dB from float64 there.
TAME = {"elan_light": {"layers": 4}}


def extremes() -> list[torch.Tensor]:
    """Return black, white, a chessboard and one bright pixel."""
    place = torch.arange(24)[:, None] * 32 + torch.arange(32)
    images = (place < 0, place >= 0, (place // 32 + place) % 2 == 1, place == 11 * 32 + 13)
    return [(255 * image).to(torch.uint8).expand(3, -1, -1) for image in images]


@pytest.mark.parametrize("name", REGISTRY)
def test_bf16_is_finite_on_extremes_and_close_to_float32(name):
    network = small(name)
    for image in extremes():
        super_resolve(network, image, 2, precision=BF16)  # raises an error unless all is finite
    network, lr = small(name, **TAME.get(name, {})).eval(), PHOTO[None].float() / 255
    with torch.inference_mode():
        exact = network(lr)
        with computing_in(BF16, CPU):
            rounded = network(lr).float()
    error = (rounded - exact).square().mean()
    assert error > 0 and 10 * (exact.var() / error).log10() > DECIBELS


def test_codes_are_those_of_float32():
    """Of the very tokens that bfloat16 gives, near ties included: products in bfloat16 would decide otherwise."""
    tokens = torch.nn.functional.normalize(1 + 0.05 * torch.randn(1, 4096, 16), dim=-1).bfloat16()
    centroids = torch.nn.functional.normalize(1 + 0.05 * torch.randn(1, 32, 16), dim=-1)
    kmeans = SphericalKMeans(32, 16).eval()
    kmeans.means.copy_(centroids)
    rotations, windows = torch.randn(1, 16, 2, 32), tokens.unflatten(1, (64, 64))
    exact = assign(tokens.float(), centroids), hash_codes(tokens.float(), rotations)
    exact += (choose_routes(windows.float(), windows.float(), 8),)
    with computing_in(BF16, CPU):
        found = kmeans(tokens), hash_codes(tokens, rotations), choose_routes(windows, windows, 8)
        careless = assign(tokens, centroids)
    assert all(torch.equal(one, other) for one, other in zip(found, exact, strict=True))
    assert not torch.equal(careless, exact[0])


def test_the_layers_of_a_profile_compute_in_bfloat16_too():
    network, seen = small("trunk_nla"), []
    network.groups[0].attention.theta[0].register_forward_hook(lambda *call: seen.append(call[2].dtype))
    exact, rounded = (measure_networks({"": network}, [16], CPU, 1, 0, each)[1] for each in ("32-true", BF16))
    assert set(seen) == {torch.float32, torch.bfloat16}
    moved = [table.set_index("part").moved_mib["non-local layers"] for table in (exact, rounded)]
    assert moved[1] < moved[0]


def test_names_of_precisions(monkeypatch):
    assert parse_precision("bf16") == parse_precision("bf16-mixed") == BF16
    with pytest.raises(InputError, match="precision 'fp8'"):
        parse_precision("fp8")
    assert convention(2, Protocol(precision=BF16))["dtype"].startswith(BF16)
    for units in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda units=units: {"avx2": True, "avx512_bf16": units})
        assert has_bf16_units(CPU) == units
