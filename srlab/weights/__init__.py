"""What networks have learnt: our checkpoints, released ones, and those of other projects."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"checkpoints": ["from_released", "load_network", "open_network", "save_network"]}
)
