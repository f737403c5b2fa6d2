"""NLSA: equal to the released code, its hashing, and its fused path against the held scores."""

import pytest
import torch

from srlab.attention import NLSA, SortedWindows
from srlab.attention.nlsa import hash_codes
from srlab.measure.profiling import peak_memory
from srlab.weights.checkpoints import from_released


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_nlsa_equals_the_released_code(golden, backend):
    case = golden("nlsa_module")
    layer = from_released("nlsa", case.weights, **case.config)
    layer.backend = backend
    with torch.no_grad():
        y, shared = layer(case.tensors["input"], rotations=case.tensors["rotations"])
    assert shared is None
    torch.testing.assert_close(y, case.tensors["output"], rtol=0, atol=1e-5)


def test_the_code_is_the_nearest_direction_of_those_given_and_their_opposites():
    rotations = torch.eye(2)[None, :, None]  # one round; directions x and y
    tokens = torch.tensor([[[3.0, 1], [1, 3], [-3, 1], [1, -3]]])
    assert hash_codes(tokens, rotations).tolist() == [[[0, 1, 2, 3]]]


@pytest.mark.parametrize(
    ("length", "buckets"), [(1, 2), (143, 2), (144, 2), (288, 2), (432, 4), (144 * 127, 128), (10**6, 128)]
)
def test_a_bucket_for_each_window_even_and_at_most_128(length, buckets):
    assert NLSA(8).draw_rotations(length).shape == (1, 2, 4, buckets // 2)


def test_rotations_are_drawn_anew_in_training_and_the_same_in_evaluation():
    x = torch.randn(1, 8, 12, 12)
    layer = NLSA(8, window=16)
    state = torch.get_rng_state()
    assert not torch.equal(layer.train().pattern(x).codes, layer.pattern(x).codes)
    torch.set_rng_state(state)
    assert torch.equal(layer.eval().pattern(x).codes, layer.pattern(x).codes)
    assert torch.equal(torch.get_rng_state(), state)  # and leaves the global generator alone


def test_the_fused_gradients_are_those_of_held_scores_where_scores_are_large():
    tokens = [10 * torch.randn(1, 1, 50, 8, dtype=torch.float64) for _ in range(3)]
    codes = torch.randint(0, 4, (1, 3, 50))
    direction = torch.randn_like(tokens[0])
    found = []
    for sharing in ("recomputed", "stored", "plain"):
        query, key, value = inputs = [t.clone().requires_grad_() for t in tokens]
        y = SortedWindows(query, key, codes, 12, sharing).attend(value)
        found.append([y, *torch.autograd.grad((y * direction).sum(), inputs)])
    for fused, held, plain in zip(*found, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(held, plain, rtol=1e-9, atol=1e-9)


def test_the_fused_path_trains_in_mixed_precision():
    layer, x = NLSA(16, window=16), torch.randn(1, 16, 10, 10)
    rotations = layer.draw_rotations(100)
    gradients = []
    for enabled in (True, False):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            layer(x, rotations=rotations)[0].square().mean().backward()
        gradients.append(layer.match.weight.grad)
    mixed, full = gradients
    assert torch.nn.functional.cosine_similarity(mixed.flatten(), full.flatten(), 0) > 0.9


def test_the_fused_path_holds_no_scores():
    x = torch.randn(1, 16, 48, 48)
    held = {}
    for backend in ("fused", "reference"):
        layer = NLSA(16, backend=backend).eval()
        with torch.inference_mode():
            layer(x)
            held[backend] = peak_memory(lambda layer=layer: layer(x), "cpu")
    scores = 4 * 2304 * 3 * 144 * 4 / 2**20  # MiB
    assert held["reference"] > scores
    assert held["fused"] < scores / 2
