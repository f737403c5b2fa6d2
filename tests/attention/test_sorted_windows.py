"""Sorted windows: sorting, what each query attends to, rounds, hashing, and products in blocks."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mechanisms import assert_same

from srlab.attention import NLSA, SortedWindows, fused, sorted_windows
from srlab.attention.nlsa import hash_codes


@settings(max_examples=60)
@given(length=st.integers(1, 40), window=st.integers(1, 50), rounds=st.integers(1, 3), seed=st.integers(0, 99))
def test_each_query_attends_to_three_windows_a_round(length, window, rounds, seed):
    codes = torch.randint(0, 4, (1, rounds, length), generator=torch.Generator().manual_seed(seed))
    tokens = torch.zeros(1, 1, length, 3)
    counts = SortedWindows(tokens, tokens, codes, window).multiplicity()
    assert (counts.sum(-1) == 3 * rounds * min(window, length)).all()
    assert (counts.diagonal(dim1=-2, dim2=-1) >= rounds).all()  # its own window is among them


def test_sorting_is_stable_and_undone():
    tokens = torch.arange(5.0).reshape(1, 1, 5, 1)
    pattern = SortedWindows(tokens, tokens, torch.tensor([[[2, 0, 1, 0, 2]]]), window=2)
    assert pattern.slots.tolist() == [[[1, 3, 2, 0, 4, 4]]]  # the last one is repeated to fill the window
    assert pattern.slot_of.tolist() == [[[3, 0, 2, 1, 4]]]


def test_auto_stores_weights_up_to_a_size(monkeypatch):
    tokens, codes = torch.randn(1, 1, 40, 3), torch.randint(0, 4, (1, 1, 40))
    stored = 4 * 40 * 3 * 8  # bytes of float32, for 40 queries, three windows of 8
    for gradients, limit in ((True, "STORED_IN_TRAINING"), (False, "STORED")):
        for most, sharing in ((stored, "stored"), (stored - 1, "recomputed")):
            monkeypatch.setattr(sorted_windows, limit, most)
            with torch.set_grad_enabled(gradients):
                assert SortedWindows(tokens, tokens, codes, 8, "auto").sharing == sharing


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(1, 4000), st.integers(1, 6), st.integers(1, 2))
def test_products_in_blocks_are_softmax_attention_and_its_mass(length, window, block, depth, images):
    query, key = torch.randn(2, images, 3, length, depth)
    key, value = key[:, :, : min(window, length)], torch.randn(images, 3, min(window, length), depth + 2)
    scores = (query @ key.mT).double()
    with patch.object(fused, "BLOCK", block), torch.no_grad():
        assert fused.suits_blocks(query, key, value) == (length * key.shape[2] <= block)
        out, mass = fused.attend(query, key, value)
    torch.testing.assert_close(out, (scores.softmax(-1) @ value.double()).float())
    torch.testing.assert_close(mass.float(), scores.logsumexp(-1).float())


def test_all_ways_give_the_same_gradients_for_large_scores():
    query, key, value = ((10 * torch.randn(1, 1, 50, 8, dtype=torch.float64)).requires_grad_() for _ in range(3))
    codes = torch.randint(0, 4, (1, 3, 50))

    def output(sharing: str) -> torch.Tensor:
        return SortedWindows(query, key, codes, 12, sharing).attend(value)

    assert_same(output, ("plain", "recomputed", "stored"), [query, key, value], rtol=1e-9, atol=1e-9)


def test_a_hash_code_is_the_nearest_of_the_directions_and_their_opposites():
    rotations = torch.eye(2)[None, :, None]  # one round; directions x and y
    tokens = torch.tensor([[[3.0, 1], [1, 3], [-3, 1], [1, -3]]])
    assert hash_codes(tokens, rotations).tolist() == [[[0, 1, 2, 3]]]


@pytest.mark.parametrize(
    ("length", "buckets"), [(1, 2), (143, 2), (144, 2), (288, 2), (432, 4), (144 * 127, 128), (10**6, 128)]
)
def test_a_bucket_for_each_window_even_and_at_most_128(length, buckets):
    assert NLSA(8).draw_rotations(length).shape == (1, 2, 4, buckets // 2)


def test_rotations_are_drawn_anew_in_training_and_the_same_in_evaluation():
    x, layer = torch.randn(1, 8, 12, 12), NLSA(8, window=16)
    state = torch.get_rng_state()
    assert not torch.equal(layer.train().pattern(x).codes, layer.pattern(x).codes)
    torch.set_rng_state(state)
    assert torch.equal(layer.eval().pattern(x).codes, layer.pattern(x).codes)
    assert torch.equal(torch.get_rng_state(), state)  # evaluation leaves the global generator alone
