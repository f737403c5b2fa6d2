"""Branches: an arm continues from a trained trunk, and its closed gates change nothing at first."""

from functools import cache

import pytest
import torch

from srlab.errors import InputError
from srlab.models import REGISTRY, build
from srlab.models.trunk import ADDED, gates_of
from srlab.weights.checkpoints import save_network, start_from

SMALL = {"channels": 12, "groups": 2, "blocks": 1, "clusters": 4, "window": 12, "attended": 6}
ON_TRUNK = [name for name, entry in REGISTRY.items() if "groups" in entry.options]


@cache
def small(name: str, seed: int = 0, **options):
    known = REGISTRY[name].options
    own = {key: value for key, value in SMALL.items() if key in known}
    return build(name, 2, seed, skip="bicubic", first="details", **own, **options)


def stirred(network):
    """As if trained: the last layer is not zero."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return network.eval()


@pytest.fixture
def trunk(tmp_path):
    network = stirred(build("no_attention", 2, 0, skip="bicubic", first="details", channels=12, groups=2, blocks=1))
    save_network(tmp_path / "trunk.safetensors", network, "no_attention", 2, {})
    return network, tmp_path / "trunk.safetensors"


@pytest.mark.parametrize("name", ON_TRUNK)
def test_an_arm_begins_as_the_trunk_it_goes_on_from_bit_for_bit(trunk, name):
    network, file = trunk
    arm = start_from(small(name, seed=5, gates="closed"), file).eval()
    lr = torch.rand(2, 3, 17, 14)
    assert torch.equal(arm(lr), network(lr))
    assert all(opened == 0 for opened in gates_of(arm).values())
    assert len(gates_of(arm)) == (0 if name == "no_attention" else 2)


@pytest.mark.parametrize("name", [name for name in ON_TRUNK if name != "no_attention"])
def test_its_gates_learn_from_the_first_step_on_and_open_they_let_all_through(trunk, name):
    _, file = trunk
    arm = start_from(build(name, 2, 5, skip="bicubic", gates="closed", **options_of(name)), file).train()
    arm(torch.rand(2, 3, 17, 14)).square().sum().backward()
    gates = [unit.gate.weight for unit in arm.groups]
    assert all(gate.grad.abs().max() > 0 for gate in gates)
    published = stirred(build(name, 2, 5, **options_of(name)))
    opened = build(name, 2, 5, gates="closed", **options_of(name))
    identity = ADDED * torch.eye(12)[..., None, None]
    opened.load_state_dict(published.state_dict() | {f"groups.{i}.gate.weight": identity for i in range(2)})
    lr = torch.rand(1, 3, 17, 14)
    torch.testing.assert_close(opened.eval()(lr), published(lr), rtol=1e-4, atol=1e-4)


def options_of(name: str) -> dict:
    return {key: value for key, value in SMALL.items() if key in REGISTRY[name].options}


def test_another_trunk_is_refused(trunk):
    _, file = trunk
    with pytest.raises(InputError, match="does not fit Trunk"):
        start_from(build("trunk_nla", 2, 0, gates="closed", channels=8, groups=2, blocks=1), file)


def test_only_the_trunk_has_gates():
    with pytest.raises(InputError, match="gates is 'closed'; model 'esc' is not on the trunk"):
        build("esc", 2, 0, gates="closed")
    with pytest.raises(InputError, match="gates is 'ajar'; allowed are published, closed"):
        build("trunk_nla", 2, 0, gates="ajar")
