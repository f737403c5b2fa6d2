"""Readers of files that anyone may have made: of any bytes, a valid result or an InputError, and soon."""

import io
import json
from datetime import timedelta

import numpy as np
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from srlab.data.images import read_image
from srlab.errors import InputError
from srlab.models import build
from srlab.upscale import encode_png, read_picture, write_picture
from srlab.weights.checkpoints import load_tensors, open_network, read_pth

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (17, 23, 3), dtype=np.uint8)
OPTIONS = {"channels": 8, "groups": 1, "blocks": 1}


def fuzz(examples: int) -> settings:
    """So many examples, each within seconds: what never ends, or asks for all memory, is a fault too."""
    return settings(
        max_examples=examples,
        deadline=timedelta(seconds=10),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def encoded(image: Image.Image, kind: str, frames: int = 1, **options) -> bytes:
    buffer = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": [image.rotate(90 * i) for i in range(1, frames)]}
    image.copy().save(buffer, kind, **options)  # a copy, since saving leaves traces that bear on later saving
    return buffer.getvalue()


def tiff(array: np.ndarray) -> bytes:
    tifffile.imwrite(buffer := io.BytesIO(), array, photometric="rgb", compression="zlib")
    return buffer.getvalue()


PHOTO = Image.fromarray(RGB)
IMAGES = {
    "PNG": encoded(PHOTO, "PNG"),
    "PNG of 16 bits, grey": encode_png(RGB[..., :1].astype(np.uint16) * 257, None),
    "PNG of 16 bits": encode_png(RGB.astype(np.uint16) * 257, b"a profile"),
    "TIFF of 16 bits": tiff(RGB.astype(np.uint16) * 257),
    "PNG with a palette": encoded(PHOTO.quantize(16), "PNG", transparency=3),
    "PNG, animated": encoded(PHOTO, "PNG", frames=2),
    "JPEG": encoded(PHOTO, "JPEG"),
    "JPEG, progressive": encoded(PHOTO, "JPEG", progressive=True),
    "JPEG of CMYK": encoded(PHOTO.convert("CMYK"), "JPEG"),
    "JPEG with a preview": encoded(PHOTO, "MPO", frames=2),
    "WebP": encoded(PHOTO, "WEBP"),
    "WebP, lossless": encoded(PHOTO.convert("RGBA"), "WEBP", lossless=True),
    "WebP, animated": encoded(PHOTO, "WEBP", frames=2),
    "TIFF": encoded(PHOTO, "TIFF"),
    "TIFF, LZW": encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "TIFF, deflate": encoded(PHOTO, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF of pages": encoded(PHOTO, "TIFF", frames=2),
    "BMP": encoded(PHOTO, "BMP"),
    "BMP with a palette": encoded(PHOTO.quantize(16), "BMP"),
}


def pth(state: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


SMALL = {"head.weight": torch.ones(2, 3), "half": torch.ones(2).half(), "steps": torch.tensor(3)}
METADATA = {"model": "no_attention", "scale": 2, "config": OPTIONS}
SAFETENSORS = {
    "a network": save(
        build("no_attention", 2, seed=0, **OPTIONS).state_dict(),
        {key: json.dumps(value) for key, value in METADATA.items()},
    ),
    "others'": save(SMALL, {"format": "pt"}),
}
PTH = {
    "zipped": pth({"params": SMALL}),
    "older": pth({"params_ema": SMALL, "iteration": 3}, zipped=False),
    "a parameter": pth(dict(torch.nn.Linear(2, 2).named_parameters())),
}


@st.composite
def mutated(draw, files: dict[str, bytes]) -> bytes:
    """One of the files after some edits, most near its beginning, where formats keep their structure."""
    content = bytearray(files[draw(st.sampled_from(sorted(files)))])
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, min(len(content), 300)) | st.integers(0, len(content)))
        match draw(st.sampled_from(["flip", "flip", "cut", "insert", "end"])):
            case "flip":
                content[place : place + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del content[place : place + draw(st.integers(1, 40))]
            case "insert":
                content[place:place] = draw(st.binary(min_size=1, max_size=40))
            case "end":
                del content[place:]
    return bytes(content)


def assert_in_a_sentence(error: InputError, name: str) -> None:
    assert name in str(error) and "\n" not in str(error)


@fuzz(500)
@given(st.one_of(mutated(IMAGES), mutated(IMAGES), mutated(IMAGES), st.binary(max_size=400)))
def test_an_image_is_read_or_refused(tmp_path, content):
    path = tmp_path / "fuzzed.png"
    path.write_bytes(content)
    try:
        image = read_image(path)
    except InputError as error:
        assert_in_a_sentence(error, "fuzzed.png: ")
    else:
        assert image.dtype == torch.uint8 and image.ndim == 3 and len(image) == 3 and image.numel()


@fuzz(300)
@given(st.one_of(mutated(IMAGES), mutated(IMAGES), mutated(IMAGES), st.binary(max_size=400)))
def test_a_picture_is_read_and_written_or_refused(tmp_path, content):
    path = tmp_path / "fuzzed.png"
    path.write_bytes(content)
    try:
        picture = read_picture(path)
    except InputError as error:
        assert_in_a_sentence(error, "fuzzed.png: ")
    else:
        write_picture(tmp_path / "again", picture)


def check_tensors(tensors: dict[str, torch.Tensor]) -> None:
    for key, tensor in tensors.items():
        assert isinstance(key, str)
        tensor.isfinite().all()  # an ordinary tensor, whose numbers are there


@fuzz(300)
@given(st.one_of(mutated(PTH), mutated(PTH), mutated(PTH), st.binary(max_size=400)))
def test_a_pth_file_is_read_or_refused(tmp_path, content):
    path = tmp_path / "fuzzed.pth"
    path.write_bytes(content)
    try:
        check_tensors(read_pth(path))
    except InputError as error:
        assert_in_a_sentence(error, "fuzzed.pth: ")


@fuzz(300)
@given(st.one_of(mutated(SAFETENSORS), mutated(SAFETENSORS), mutated(SAFETENSORS), st.binary(max_size=400)))
def test_a_safetensors_file_is_read_or_refused(tmp_path, content):
    path = tmp_path / "fuzzed.safetensors"
    path.write_bytes(content)
    try:
        check_tensors(load_tensors(path)[0])
    except InputError as error:
        assert_in_a_sentence(error, "fuzzed.safetensors: ")


def assert_opens_or_refuses(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        network = open_network("no_attention", path, 2)
    except InputError as error:
        assert_in_a_sentence(error, path.name)
    else:
        with torch.no_grad():
            assert network(torch.rand(1, 3, 4, 4)).shape == (1, 3, 8, 8)


@fuzz(150)
@given(mutated({"a network": SAFETENSORS["a network"]}))
def test_a_network_is_opened_or_refused(tmp_path, content):
    assert_opens_or_refuses(tmp_path / "fuzzed.safetensors", content)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70) | st.floats() | st.text(max_size=5) | st.just(10**12),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=4,
)
CONFIGS = st.dictionaries(
    st.sampled_from(["channels", "groups", "blocks", "seed", "scale", "name"]) | st.text(max_size=5),
    VALUES,
    max_size=4,
)


@fuzz(150)
@given(
    model=st.sampled_from(["no_attention", "nlsn", ""]) | VALUES,
    scale=st.sampled_from([2, 4, 5]) | VALUES,
    config=CONFIGS | VALUES,
)
def test_whatever_metadata_says_a_network_is_opened_or_refused(tmp_path, model, scale, config):
    held = {"model": json.dumps(model), "scale": json.dumps(scale), "config": json.dumps(config)}
    state = build("no_attention", 2, **OPTIONS).state_dict()
    assert_opens_or_refuses(tmp_path / "fuzzed.safetensors", save(state, held))
