"""Small networks of the registry, for tests."""

import torch

from srlab.models import REGISTRY, build

SMALL = {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16}
SMALL |= {"heads": 2, "side": 8, "attended": 4}


def small(name: str, scale: int = 2, **options: object) -> torch.nn.Module:
    known = REGISTRY[name].options
    return build(name, scale, seed=0, **{key: value for key, value in SMALL.items() if key in known}, **options)
