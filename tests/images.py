"""Image files for tests."""

from pathlib import Path

import torch
from PIL import Image


def write_png(path: Path, image: torch.Tensor) -> None:
    """Write UInt8[Tensor, "3 h w"] as PNG, in a folder that is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
