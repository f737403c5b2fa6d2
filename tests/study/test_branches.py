"""Branched runs: arms that go on from a trained trunk, and change nothing of it at first."""

import json
from functools import cache

import pytest
import torch
from kept import ROOT

from srlab.errors import InputError
from srlab.models import REGISTRY, build
from srlab.models.trunk import ADDED, gates_of
from srlab.study.profiles import load_profile
from srlab.study.rules import rules
from srlab.study.study import Study
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


PROFILE = """
device: cpu
scale: 2
network: {channels: 8, groups: 2, blocks: 1, clusters: 4, window: 32}
skip: bicubic
training: {steps: 4, batch: 2, patch: 16, learning_rate: 1.0e-3, log_every: 2, checkpoint_every: 2}
seeds: [0, 1]
models: [no_attention]
branch:
  trunk: {steps: 6}
  training: {steps: 2, learning_rate: 5.0e-4}
  models: [no_attention, trunk_conv7, trunk_lsp]
  sides: [8]
"""


@pytest.fixture
def study(tmp_path, monkeypatch) -> Study:
    monkeypatch.setenv("SRLAB_RESULTS", str(tmp_path / "results"))
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "branched.yaml").write_text(PROFILE)
    return Study("branched", tmp_path)


def test_a_profile_asks_for_trunks_branches_and_runs_from_scratch_seed_by_seed(study):
    names = [run.slug for run in study.runs()]
    of_one = [
        "no_attention-x2",
        "no_attention-branch-x2",
        "trunk_conv7-branch-x2",
        "trunk_lsp-branch-x2",
        "trunk_window-branch-x2",
    ]
    assert names == [f"{name}-seed{seed}" for seed in (0, 1) for name in [*of_one, "no_attention-x2"]]
    assert [study.label(run) for run in study.branches()[::2]] == [
        "no_attention",
        "trunk_conv7",
        "trunk_lsp",
        "trunk_window side=8",
    ]
    assert [run.start_from for run in study.branches()[:2]] == [run.hash for run in study.trunks()]
    assert {run.budget.steps for run in study.trunks()} == {6} and study.branches()[0].budget.steps == 2
    # What a run from scratch is hashed by has nothing of it.
    assert "start_from" not in study.comparison()[0].model_dump()
    assert len({run.hash for run in study.runs()}) == len(study.runs())


def test_a_branch_is_made_from_the_trunk_of_its_seed_and_says_so(study):
    branch = next(run for run in study.branches() if run.network.model == "trunk_conv7")
    record = study.obtain(branch)
    trunk = study.record(study.trunks()[0])
    assert trunk.finished and record.finished
    assert record.facts["start"]["run"] == trunk.run.name and len(record.facts["start"]["sha256"]) == 64
    assert record.facts["rules"] == rules().hashes() and record.facts["began"]["commit"]
    assert record.facts["gates"].keys() == {"groups.0", "groups.1"}
    assert all(opened > 0 for opened in record.facts["gates"].values())
    assert not list(record.folder.glob("begun*"))


def test_a_run_that_goes_on_keeps_the_rules_it_began_by(study):
    record = study.record(study.trunks()[0])
    record.begin()
    begun = record.folder / "begun.json"
    older = json.loads(begun.read_text()) | {"rules": {"quality": "0123456789", "costs": "0123456789"}}
    begun.write_text(json.dumps(older))
    assert study.obtain(record.run).facts["rules"]["quality"] == "0123456789"


def test_a_profile_for_verdicts_begins_nothing_of_uncommitted_code(study, monkeypatch):
    study.profile = study.profile.model_copy(update={"committed": True})
    for commit in ("abc1234-dirty", "unknown"):
        monkeypatch.setattr("srlab.study.study.code_commit", lambda commit=commit: commit)
        with pytest.raises(InputError, match=f"not committed, and this is '{commit}'"):
            study.obtain(study.trunks()[0])
    monkeypatch.setattr("srlab.study.study.code_commit", lambda: "abc1234")
    assert study.obtain(study.trunks()[0]).finished


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("models: [no_attention, esc]", "networks on the trunk, not esc"),
        ("trunk: {stepz: 3}", "branch.trunk: key 'stepz' is unknown"),
    ],
)
def test_a_wrong_branch_is_told_in_a_sentence(tmp_path, change, told):
    key = change.partition(":")[0]
    lines = [line for line in PROFILE.splitlines() if not line.startswith(f"  {key}:")]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join([*lines, f"  {change}"]))
    with pytest.raises(InputError) as caught:
        load_profile(path)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["evening", "night"])
def test_profiles_for_verdicts_have_what_the_rules_compare(name):
    """Both controls, and both sides of every contrast, of at least as many seeds as a verdict needs."""
    profile, quality = load_profile(ROOT / "profiles" / f"{name}.yaml"), rules().quality
    assert profile.committed and {quality.control, "trunk_conv7"} < set(profile.branch.models)
    assert len(profile.seeds) >= quality.seeds
    arms = {*profile.branch.models, *(f"trunk_window side={side}" for side in profile.branch.sides)}
    for claim in quality.claims.values():
        for contrast in claim.contrasts:
            trained = arms if contrast.experiment == "branched" else profile.models
            assert {contrast.arm, contrast.against} <= set(trained)
            assert contrast.benchmark in ("all", *profile.benchmarks)


def test_weights_of_the_first_seed_are_kept_for_a_clone_branches_too(study, tmp_path, monkeypatch):
    """In half precision, under names that tell a branch from a run from scratch."""
    for run in study.runs():
        study.obtain(run)
    names = [path.stem for path in study.export_weights()]
    arms = ["no_attention", "trunk_conv7", "trunk_lsp", "trunk_window-side-8"]
    assert names == ["no_attention", *(f"{arm}-branch" for arm in arms)]
    (tmp_path / "results" / "reference").mkdir()
    study.folder.rename(tmp_path / "results" / "reference" / study.folder.name)
    clone = Study("branched", tmp_path)
    branch = clone.branches()[4]
    assert clone.weights(branch).source.startswith("reference: ")
    trained = clone.weights(branch).network().state_dict()
    assert "groups.0.gate.weight" in trained and clone.weights(clone.branches()[5]) is None
