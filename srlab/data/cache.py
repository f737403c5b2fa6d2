"""A cache on disk of decoded training images and their LR images, shared by all runs that train on them.

A file is found by the images' contents, so a changed image is decoded anew. It may be deleted at any time. Of several
processes that make it simultaneously, the last one's file stays; all are equal.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from srlab.data.layouts import ImageRef
from srlab.data.resize import downscale, modcrop
from srlab.data.sources import load
from srlab.errors import InputError
from srlab.files import checksum, replacing

FORMAT = 1  # changes whenever the file made of the same images would change
Image = UInt8[Tensor, "3 _h _w"]


def folder() -> Path | None:
    """Return SRLAB_CACHE, or srlab's folder in XDG_CACHE_HOME (by default ~/.cache); None if nobody has a home."""
    try:
        if chosen := os.environ.get("SRLAB_CACHE"):
            return Path(chosen).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "srlab"
    except RuntimeError:  # nobody knows where "~" is
        return None


def key(refs: Sequence[ImageRef], scale: int) -> str:
    """Return 16 hex digits of the images' contents and crops, their order, and the scale."""
    digest = hashlib.sha256(repr((FORMAT, scale)).encode())
    for ref in refs:
        content = ""
        with suppress(InputError):  # decoding it reports the error
            content = checksum(ref.path)
        digest.update(repr((ref.crop, content)).encode())
    return digest.hexdigest()[:16]


def _decoded(refs: Sequence[ImageRef], scale: int, min_size: int) -> tuple[list[Image], list[Image]]:
    hr = [modcrop(image, scale) for image in load(refs, min_size)]
    return hr, [downscale(image, scale) for image in tqdm(hr, desc="making LR images", leave=False)]


def load_pairs(refs: Sequence[ImageRef], scale: int, min_size: int = 1) -> tuple[list[Image], list[Image]]:
    """Load HR images, cropped to multiples of the scale, and their LR images, from the cache where possible.

    All are 0 to 255; those from the cache are mapped from its file into memory while in use. The InputError has a line
    for each file that is unreadable or has fewer than `min_size` pixels a side.
    """
    kept = folder()
    if kept is None:
        return _decoded(refs, scale, min_size)
    path = kept / f"images-x{scale}-{key(refs, scale)}.safetensors"
    try:
        with safe_open(path, "pt") as file:
            hr, lr = ([file.get_tensor(f"{kind}.{i}") for i in range(len(refs))] for kind in ("hr", "lr"))
        if all(min(image.shape[1:]) >= min_size for image in hr):
            return hr, lr
    except (OSError, SafetensorError):
        pass
    hr, lr = _decoded(refs, scale, min_size)
    tensors = {f"{kind}.{i}": image for kind, images in (("hr", hr), ("lr", lr)) for i, image in enumerate(images)}
    try:
        with replacing(path) as beside:
            save_file({name: image.contiguous() for name, image in tensors.items()}, beside)
    except (InputError, SafetensorError):
        pass  # the cache cannot be written: images are decoded each time
    return hr, lr
