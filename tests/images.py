"""Image files for tests."""

import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image


def write_png(path: Path, image: torch.Tensor) -> None:
    """Write UInt8[Tensor, "3 h w"] as PNG, in a folder that is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Return UInt8[Tensor, "3 h w"] of noise, equal for equal seeds."""
    return torch.randint(256, (3, height, width), generator=torch.manual_seed(seed)).to(torch.uint8)


def chw(array: np.ndarray) -> torch.Tensor:
    """Return channels, height, width of an array or a Pillow image."""
    return torch.from_numpy(np.array(array)).permute(2, 0, 1)


def png_16_bit(array: np.ndarray, row_filter: int = 0, key: bytes = b"") -> bytes:
    """A 16-bit PNG by hand. Filter 1 stores differences from the pixel to the left, 0 the values."""
    height, width, channels = array.shape
    rows = array.astype(">u2").view(np.uint8)
    if row_filter == 1:
        rows = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))
    rows = np.insert(rows.reshape(height, -1), 0, row_filter, axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", header), *([(b"tRNS", key)] if key else []), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    encoded = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(encoded)
