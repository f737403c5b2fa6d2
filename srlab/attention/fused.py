"""PyTorch's fused attention kernels with the logsumexp they know, for softmax over keys met set by set.

`scaled_dot_product_attention` keeps to itself the logsumexp of each query's scores, its *mass* here. With it
the results over two sets of keys merge into the result over both, and a kernel's backward pass, given the
merged result and mass, yields the gradients of the merged softmax for the set it is shown.

The CPU's kernel wants keys and values of one width. Of narrower keys, filled up to it, plain products are faster, a block
of windows at a time, so that no more scores are held than a cache takes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

Queries = Float[Tensor, "b heads l d"]
Keys = Float[Tensor, "b heads m d"]
Values = Float[Tensor, "b heads m c"]
Outputs = Float[Tensor, "b heads l c"]
Mass = Float[Tensor, "b heads l"]

#: Scores of a block, 4 MiB of float32.
BLOCK = 2**20


def fit(
    query: Float[Tensor, "*q d"], key: Float[Tensor, "*k d"], value: Float[Tensor, "*k c"]
) -> tuple[Float[Tensor, "*q e"], Float[Tensor, "*k e"], Float[Tensor, "*k f"]]:
    """Widths and dtype as the kernels want them: filled with zeros, which change no dot product.

    The CPU's wants all of one width, the GPU's multiples of eight; what is amiss would otherwise be left to
    a kernel that holds all scores. The CPU's is slow where its matrices have fewer than sixteen columns, or
    no multiple of eight: heads of six channels take it half as long again as heads of sixteen.
    """
    depth, width = query.shape[-1], value.shape[-1]
    if value.device.type == "cpu":
        depth = width = max(depth, width, 16)
    depth, width = depth + -depth % 8, width + -width % 8
    return widen(query.to(value.dtype), depth), widen(key.to(value.dtype), depth), widen(value, width)


def widen(t: Float[Tensor, "*n d"], width: int) -> Float[Tensor, "*n e"]:
    """The same with zeros behind each row."""
    # Padding by nothing would copy, and unfold a view of overlapping windows.
    return t if t.shape[-1] == width else pad(t, (0, width - t.shape[-1]))


def attend(query: Queries, key: Keys, value: Values) -> tuple[Outputs, Mass]:
    """Softmax(query·keyᵀ)·value without scaling, and the logsumexp of each query's scores; no gradients flow."""
    if suits_blocks(query, key, value):
        return in_blocks(query, key, value)
    width = value.shape[-1]
    query, key, value = fit(query, key, value)
    if query.device.type == "cpu":
        out, mass = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value, scale=1.0)
        return out[..., :width], mass
    out, mass, _, _ = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, None, compute_log_sumexp=True, scale=1.0
    )
    return out[..., :width], mass[..., : query.shape[2]]


def softmax(scores: Float[Tensor, "*q m"]) -> Float[Tensor, "*q m"]:
    """Over the last dimension; in place of the scores where no gradient needs the memory that they have."""
    return scores.softmax(-1) if torch.is_grad_enabled() else torch.softmax(scores, -1, out=scores)


def suits_blocks(query: Queries, key: Keys, value: Values) -> bool:
    """Whether :func:`in_blocks` is the faster (1.8 times, at 144 queries and 432 keys of 32 channels, values of 128)."""
    narrower = query.device.type == "cpu" and key.shape[-1] < value.shape[-1] and query.dtype == value.dtype
    return narrower and value.dtype == torch.float32 and query.shape[2] * key.shape[2] <= BLOCK


def in_blocks(query: Queries, key: Keys, value: Values) -> tuple[Outputs, Mass]:
    """The same by plain products, of some windows (they are the heads) at a time."""
    out, mass = value.new_empty(*query.shape[:3], value.shape[3]), value.new_empty(query.shape[:3])
    size = BLOCK // (query.shape[2] * key.shape[2])
    for image in zip(query, key, value, out, mass, strict=True):
        for q, k, v, o, m in zip(*(t.split(size) for t in image), strict=True):
            scores = torch.bmm(q, k.mT)
            highest = scores.amax(-1)
            weights = softmax(scores)
            torch.sub(highest, weights.amax(-1).log_(), out=m)  # the highest weight is exp(highest score - mass)
            torch.bmm(weights, v, out=o)
    return out, mass


def attend_backward(
    gradient: Outputs, query: Queries, key: Keys, value: Values, out: Outputs, mass: Mass
) -> tuple[Queries, Keys, Values]:
    """Gradients of query, key and value, where key and value are some of those behind `out` and `mass`; fitted inputs."""
    if query.device.type == "cpu":
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            gradient, query, key, value, out, mass, dropout_p=0.0, is_causal=False, scale=1.0
        )
    unused = torch.empty((), dtype=torch.long)  # the random state of dropout
    gradients = torch.ops.aten._scaled_dot_product_efficient_attention_backward(
        gradient,
        query,
        key,
        value,
        None,
        out,
        pad(mass, (0, -mass.shape[2] % 32)),  # rows as long as the kernel itself makes them
        unused,
        unused,
        dropout_p=0.0,
        grad_input_mask=[True, True, True, False],
        scale=1.0,
    )
    return gradients[:3]
