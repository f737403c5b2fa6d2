"""Readers of untrusted files: any bytes give a valid result or an InputError."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from srlab.data.images import read_image
from srlab.errors import InputError
from srlab.models import build
from srlab.weights.checkpoints import load_tensors, open_network, read_pth

RGB = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
OPTIONS = {"channels": 8, "groups": 1, "blocks": 1}


def fuzz(examples: int) -> settings:
    """Run this many examples; all write to one folder."""
    suppressed = [*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, suppress_health_check=suppressed)


def encoded(image: Image.Image, kind: str, frames: int = 1, **options) -> bytes:
    buffer = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": [image.rotate(90 * i) for i in range(1, frames)]}
    image.copy().save(buffer, kind, **options)  # a copy, since saving leaves traces that bear on later saving
    return buffer.getvalue()


PHOTO = Image.fromarray(RGB)
IMAGES = {
    "PNG": encoded(PHOTO, "PNG"),
    "PNG of 16 bits": encoded(Image.fromarray(RGB[..., 0].astype(np.uint16) * 257), "PNG"),
    "PNG with a palette": encoded(PHOTO.quantize(16), "PNG", transparency=3),
    "JPEG, progressive": encoded(PHOTO, "JPEG", progressive=True),
    "JPEG of CMYK": encoded(PHOTO.convert("CMYK"), "JPEG"),
    "JPEG with a preview": encoded(PHOTO, "MPO", frames=2),
    "WebP, lossless": encoded(PHOTO.convert("RGBA"), "WEBP", lossless=True),
    "WebP, animated": encoded(PHOTO, "WEBP", frames=2),
    "TIFF, LZW": encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "TIFF of pages": encoded(PHOTO, "TIFF", frames=2),
    "BMP with a palette": encoded(PHOTO.quantize(16), "BMP"),
}


def pth(state: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


SMALL = {"head.weight": torch.ones(2, 3), "half": torch.ones(2).half(), "steps": torch.tensor(3)}
NETWORK = build("no_attention", 2, seed=0, **OPTIONS).state_dict()
SAFETENSORS = {
    "a network": save(NETWORK, {"model": '"no_attention"', "scale": "2", "config": json.dumps(OPTIONS)}),
    "others'": save(SMALL, {"format": "pt"}),
}
PTH = {
    "zipped": pth({"params": SMALL}),
    "older": pth({"params_ema": SMALL, "iteration": 3}, zipped=False),
    "a parameter": pth(dict(torch.nn.Linear(2, 2).named_parameters())),
}


@st.composite
def mutated(draw, files: dict[str, bytes]) -> bytes:
    """Draw one of the files after some edits, most near its beginning, where formats keep their structure."""
    content = bytearray(files[draw(st.sampled_from(sorted(files)))])
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, min(len(content), 300)) | st.integers(0, len(content)))
        byte, some, cut = st.binary(min_size=1, max_size=1), st.binary(min_size=1, max_size=40), st.integers(1, 40)
        # A byte changed (twice as often), some cut out, some inserted, or all from there on cut off.
        kinds = [(1, byte), (1, byte), (draw(cut), st.just(b"")), (0, some), (len(content), st.just(b""))]
        length, put = draw(st.sampled_from(kinds))
        content[place : place + length] = draw(put)
    return bytes(content)


def read_or_refused(path: Path, content: bytes, read: Callable, check: Callable) -> None:
    """Read the content from a file and check it, unless an error names the file in one sentence."""
    path.write_bytes(content)
    try:
        result = read(path)
    except InputError as error:
        assert path.name in str(error) and "\n" not in str(error)
    else:
        check(result)


def check_image(image: torch.Tensor) -> None:
    assert image.dtype == torch.uint8 and image.ndim == 3 and len(image) == 3 and image.numel()


def check_tensors(tensors: dict[str, torch.Tensor]) -> None:
    # Ordinary tensors: their numbers exist.
    assert all(isinstance(key, str) and tensor.isfinite().all() in (True, False) for key, tensor in tensors.items())


def check_network(network: torch.nn.Module) -> None:
    assert network(torch.rand(1, 3, 4, 4)).shape == (1, 3, 8, 8)


def open_trunk(path: Path) -> torch.nn.Module:
    return open_network("no_attention", path, 2)


READERS = {
    "image.png": (IMAGES, read_image, check_image),
    "weights.pth": (PTH, read_pth, check_tensors),
    "weights.safetensors": (SAFETENSORS, lambda path: load_tensors(path)[0], check_tensors),
    "network.safetensors": ({"a network": SAFETENSORS["a network"]}, open_trunk, check_network),
}


@pytest.mark.parametrize("name", READERS)
@fuzz(400)
@given(data=st.data())
def test_a_file_of_any_bytes_is_read_or_refused(tmp_path, name, data):
    files, read, check = READERS[name]
    read_or_refused(tmp_path / name, data.draw(mutated(files) | mutated(files) | st.binary(max_size=400)), read, check)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70) | st.floats() | st.text(max_size=5) | st.just(10**12),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(["channels", "groups", "blocks", "seed", "scale", "name"]) | st.text(max_size=5)


@fuzz(150)
@given(
    model=st.sampled_from(["no_attention", "nlsn", ""]) | VALUES,
    scale=st.sampled_from([2, 4, 5]) | VALUES,
    config=st.dictionaries(NAMES, VALUES, max_size=4) | VALUES,
)
def test_with_any_metadata_a_network_is_opened_or_refused(tmp_path, model, scale, config):
    held = {key: json.dumps(value) for key, value in {"model": model, "scale": scale, "config": config}.items()}
    read_or_refused(tmp_path / "fuzzed.safetensors", save(NETWORK, held), open_trunk, check_network)
