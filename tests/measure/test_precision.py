"""Networks in bfloat16: finite whatever they are shown, close to float32, and codes of float32."""

import json

import pytest
import torch
from images import write_png
from networks import small

from srlab.attention.kmeans import SphericalKMeans, assign
from srlab.attention.nlsa import hash_codes
from srlab.attention.routed_windows import choose_routes
from srlab.cli import app, main
from srlab.data.sources import embedded
from srlab.errors import InputError
from srlab.measure.costs import profile_network
from srlab.measure.evaluation import super_resolve
from srlab.measure.precision import computing_in, has_bf16_units, parse_precision
from srlab.models import REGISTRY, build
from srlab.weights.checkpoints import save_network

BF16, CPU = "bf16-mixed", torch.device("cpu")
#: Power of a network's output, without its mean, over that of what bfloat16 changes in it.
DECIBELS = 30
#: With all its layers and first weights ELAN-light magnifies any rounding: float32 is 16 dB from float64 there.
TAME = {"elan_light": {"layers": 4}}


def photograph() -> torch.Tensor:
    return embedded().benchmarks["held-out"][3].read()[:, :48, :64]


def extremes() -> dict[str, torch.Tensor]:
    black = torch.zeros(3, 24, 32, dtype=torch.uint8)
    bright = black.clone()
    bright[:, 11, 13] = 255
    board = (torch.arange(24)[:, None] + torch.arange(32)) % 2
    return {
        "black": black,
        "white": 255 - black,
        "checkerboard": (255 * board).to(torch.uint8).expand(3, -1, -1),
        "one bright pixel": bright,
    }


@pytest.mark.parametrize("name", REGISTRY)
def test_nothing_makes_a_network_give_nan(name):
    network = small(name)
    for image in extremes().values():
        super_resolve(network, image, 2, precision=BF16)  # raises an error unless all is finite


@pytest.mark.parametrize("name", REGISTRY)
def test_bf16_is_close_to_float32(name):
    network, lr = small(name, **TAME.get(name, {})).eval(), photograph()[None].float() / 255
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
    exact = (
        assign(tokens.float(), centroids),
        hash_codes(tokens.float(), rotations),
        choose_routes(windows.float(), windows.float(), 8),
    )
    with computing_in(BF16, CPU):
        found = kmeans(tokens), hash_codes(tokens, rotations), choose_routes(windows, windows, 8)
        careless = assign(tokens, centroids)
    assert all(torch.equal(one, other) for one, other in zip(found, exact, strict=True))
    assert not torch.equal(careless, exact[0])


def test_float32_is_what_no_autocast_gives():
    network, image = small("lcoan"), photograph()
    assert torch.equal(super_resolve(network, image, 2, precision="32-true"), super_resolve(network, image, 2))


def test_the_layers_of_a_profile_compute_in_bfloat16_too():
    network, seen = small("trunk_nla"), []
    network.groups[0].attention.theta[0].register_forward_hook(lambda *call: seen.append(call[2].dtype))
    exact, rounded = (profile_network(network, CPU, 16, 1, 0, precision) for precision in ("32-true", BF16))
    assert set(seen) == {torch.float32, torch.bfloat16}
    moved = [table.set_index("part").moved_mib["non-local layers"] for table in (exact, rounded)]
    assert moved[1] < moved[0]


def test_names_of_precisions():
    assert parse_precision("bf16") == parse_precision("bf16-mixed") == BF16
    with pytest.raises(InputError, match="precision 'fp8' is not known: choose 32-true or bf16-mixed"):
        parse_precision("fp8")


@pytest.fixture
def srlab(monkeypatch, capsys):
    """`srlab("evaluate", …)`: status, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["srlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return call


@pytest.mark.parametrize("units", [True, False])
def test_commands_name_the_precision_and_say_where_it_is_slow(srlab, monkeypatch, tmp_path, units):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": units})
    assert has_bf16_units(CPU) == units
    options = {"channels": 8, "groups": 1, "blocks": 1}
    photo, weights = tmp_path / "photo.png", tmp_path / "weights.safetensors"
    write_png(photo, photograph())
    save_network(weights, build("no_attention", 2, **options), "no_attention", 2, options)
    of_network = ("--scale", 2, "--device", "cpu", "--precision", "bf16")
    for arguments in (
        (
            "evaluate",
            "--model",
            "no_attention",
            "--weights",
            weights,
            "--data",
            photo.parent,
            "--json",
            tmp_path / "out",
        ),
        ("upscale", photo, "--model", "no_attention", "--weights", weights, "-o", tmp_path / "large"),
        ("profile", "--model", "no_attention", "--size", 8, "--repeats", 1, "--set", "channels=8", "--set", "groups=1"),
    ):
        status, output, errors = srlab(*arguments, *of_network)
        assert status == 0, errors
        slow = [line for line in errors.splitlines() if line.startswith("bf16-mixed is slower than 32-true here: ")]
        assert len(slow) == (not units)
        if arguments[0] in ("evaluate", "profile"):
            assert "bf16-mixed network (bfloat16 convolutions" in output
    [record] = json.loads((tmp_path / "out").read_text())
    assert record["convention"]["dtype"].startswith("bf16-mixed network")
    assert (tmp_path / "large" / "photo.png").exists()


def test_an_unknown_precision_is_one_sentence(srlab):
    for command in ("evaluate", "profile"):
        status, _, errors = srlab(command, "--precision", "fp8")
        assert status == 2 and errors.startswith("srlab: precision 'fp8' is not known") and errors.count("\n") == 1


def test_every_command_that_calls_networks_has_the_option():
    """That make no record of a study, whose runs say themselves in what they compute."""
    having = {
        command.callback.__name__
        for command in app.registered_commands
        if "precision" in command.callback.__annotations__
    }
    assert having == {"evaluate", "upscale", "profile"}
