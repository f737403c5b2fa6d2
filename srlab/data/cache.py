"""Decoded training images and their LR images, kept on disk: made once for all runs that train on them.

A file is found by what the images hold, so an image that changes is decoded anew. It may be deleted at any time, and
processes that make it at once do so each for itself; the last one's, which is equal, stays.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pooch
from jaxtyping import UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from srlab.data.layouts import ImageRef
from srlab.data.resize import downscale, modcrop
from srlab.data.sources import load
from srlab.errors import InputError
from srlab.files import replacing

#: Changes whenever what is kept of the same files would change.
FORMAT = 1
Image = UInt8[Tensor, "3 _h _w"]


def folder() -> Path:
    """Where the files are: SRLAB_CACHE, or srlab's folder in the user's cache."""
    return Path(os.environ.get("SRLAB_CACHE") or pooch.os_cache("srlab"))


def key(refs: Sequence[ImageRef], scale: int) -> str:
    """Sixteen hex digits of the images' contents and crops, their order, and the scale."""
    digest = hashlib.sha256(repr((FORMAT, scale)).encode())
    for ref in refs:
        try:
            content = ref.path.read_bytes()
        except OSError:
            content = b""  # reading it as an image tells what is wrong with it
        digest.update(repr((ref.crop, hashlib.sha256(content).hexdigest())).encode())
    return digest.hexdigest()[:16]


def load_pairs(refs: Sequence[ImageRef], scale: int, min_size: int = 1) -> tuple[list[Image], list[Image]]:
    """HR images, cropped to multiples of the scale, and their LR images; from the cache if they are there.

    Parameters
    ----------
    refs : sequence of ImageRef
    scale : int
    min_size : int
        Fewest pixels a side of an HR image.

    Returns
    -------
    hr, lr : list of UInt8[Tensor, "3 h w"]
        0 to 255. Read from the cache, they lie in the file, and in memory only while they are used.

    Raises
    ------
    InputError
        With one line for each file that is unreadable or too small.
    """
    path = folder() / f"images-x{scale}-{key(refs, scale)}.safetensors"
    try:
        with safe_open(path, "pt") as file:
            hr, lr = ([file.get_tensor(f"{kind}.{i}") for i in range(len(refs))] for kind in ("hr", "lr"))
        if all(min(image.shape[1:]) >= min_size for image in hr):
            return hr, lr
    except (OSError, SafetensorError):
        pass
    hr = [modcrop(image, scale) for image in load(refs, min_size)]
    lr = [downscale(image, scale) for image in tqdm(hr, desc="making LR images", leave=False)]
    tensors = {f"{kind}.{i}": image for kind, of in (("hr", hr), ("lr", lr)) for i, image in enumerate(of)}
    try:
        with replacing(path) as beside:
            save_file({name: image.contiguous() for name, image in tensors.items()}, beside)
    except (InputError, SafetensorError):
        pass  # no place to keep them: they are made anew each time
    return hr, lr
