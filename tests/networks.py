"""Small networks of the registry, for tests."""

import torch

from srlab.models import REGISTRY, build

SMALL = {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16}
SMALL |= {"heads": 2, "side": 8, "attended": 4}


def small(name: str, scale: int = 2, seed: int | None = 0, **options: object) -> torch.nn.Module:
    known = {key: value for key, value in SMALL.items() if key in REGISTRY[name].options}
    return build(name, scale, seed, **(known | options))
