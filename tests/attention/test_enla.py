"""ENLA: its random features, its contrastive loss, and how training adds the loss."""

import copy

import pytest
import torch
from networks import small

from srlab.attention import ENLA
from srlab.attention.enla import contrastive_loss, orthogonal_gaussian
from srlab.data.patches import Patches
from srlab.errors import InputError
from srlab.measure.profiling import peak_memory
from srlab.models import build
from srlab.training import Budget, auxiliary_loss, train
from srlab.weights.checkpoints import from_released


def test_the_features_estimate_the_softmax():
    layer = ENLA(8, reduction=1, features=2**15, amplification=1.0).double().eval()
    x = torch.randn(1, 8, 5, 5, dtype=torch.float64)
    pattern = layer.pattern(x)
    softmax = (pattern.query @ pattern.key.mT).softmax(-1)
    assert (pattern.weights() - softmax).abs().max() < 0.05 * softmax.max()


def test_projection_rows_are_orthogonal_in_blocks_with_chi_distributed_lengths():
    rows = orthogonal_gaussian(4000, 32)
    block = torch.nn.functional.normalize(rows[32:64])
    torch.testing.assert_close(block @ block.mT, torch.eye(32), rtol=0, atol=1e-5)
    assert abs(rows.norm(dim=1).square().mean() - 32) < 1


def test_the_contrastive_loss_equals_the_released_one(golden):
    case = golden("enla_contrastive_loss")
    layer = from_released("enla", case.weights, **case.config).train()
    layer.contrastive_weight = 1.0
    layer(case.tensors["input"])
    torch.testing.assert_close(layer.auxiliary_loss, case.tensors["loss"][0], rtol=0, atol=1e-5)


def test_the_contrastive_loss_and_its_gradient_equal_the_plain_formula():
    tokens = torch.randn(2, 2, 1100, 4, dtype=torch.float64)
    query, key = 6**0.5 * torch.nn.functional.normalize(tokens, dim=-1) / 3
    query.requires_grad_()
    ranked = (query @ key.mT).exp().sort(-1, descending=True).values
    positive, negative = ranked[..., :15].mean(-1), ranked[..., 50:65].mean(-1)
    plain = (1 - (positive / (negative + 1e-6)).log()).relu().mean()
    ours = contrastive_loss(query, key)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=0)
    gradients = (torch.autograd.grad(loss, query)[0] for loss in (ours, plain))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_the_contrastive_loss_holds_no_matrix_of_all_scores():
    query = torch.randn(1, 4096, 8, requires_grad=True)
    held = peak_memory(lambda: contrastive_loss(query, query.detach()).backward(), "cpu")
    assert held < 4096 * 4096 * 4 / 2**20


def test_the_contrastive_loss_needs_65_tokens():
    layer = ENLA(8).train()
    layer(torch.randn(1, 8, 5, 13))
    with pytest.raises(InputError, match="contrastive_weight"):
        layer(torch.randn(1, 8, 8, 8))
    layer.eval()(torch.randn(1, 8, 8, 8))


def test_training_takes_the_mean_over_layers_once():
    network = build("enlcn", 2, seed=0, channels=32, groups=3, blocks=1).train()
    assert auxiliary_loss(network) == 0
    network(torch.rand(1, 3, 12, 12))
    each = [layer.auxiliary_loss for layer in network.non_local_layers()]
    assert all(0 <= loss < 1e-3 for loss in each)
    total = auxiliary_loss(network)
    torch.testing.assert_close(total, torch.stack(each).mean())
    total.backward()
    assert any(layer.match_key.weight.grad.abs().max() > 0 for layer in network.non_local_layers())
    assert auxiliary_loss(network) == 0
    copy.deepcopy(network)


@pytest.mark.parametrize(("name", "training"), [("enlcn", False), ("trunk_nla", True)])
def test_evaluation_and_other_networks_have_no_auxiliary_loss(name, training):
    network = small(name).train(training)
    network(torch.rand(1, 3, 9, 9))
    assert auxiliary_loss(network) == 0


def test_training_follows_the_contrastive_loss(tmp_path):
    def trained(weight: float) -> torch.Tensor:
        image = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
        network = small("enlcn", channels=32, contrastive_weight=weight)
        budget = Budget(steps=4, batch=2, patch=10, log_every=2, checkpoint_every=2)
        validation = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)
        patches = Patches([image], 2, budget.patch, budget.batch, seed=0)
        network, *_ = train(network, patches, validation, budget, tmp_path / str(weight), 0, torch.device("cpu"))
        return network.groups[0].attention.match_key.weight

    assert not torch.equal(trained(1e-3), trained(0.0))
