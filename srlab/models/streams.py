"""Random streams, one a named part of a network: its first weights do not depend on the parts built before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import torch


@contextmanager
def stream(name: str) -> Iterator[None]:
    """Draw from the stream of torch's seed and this name, leaving the generator outside as it was; streams nest."""
    digest = sha256(f"{torch.initial_seed()} {name}".encode()).digest()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest[:7]))
        yield
