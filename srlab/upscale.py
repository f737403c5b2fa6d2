"""Upscale people's pictures into a folder: each keeps its name, format, bit depth, grey, alpha and ICC profile.

Pillow decodes colour of 16 bits to 8. Such a PNG or TIFF is therefore decoded twice, for the high and for the low byte
of each value. Pillow cannot encode it either: `encode_png` and tifffile do.
"""

import glob
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from jaxtyping import UInt8, UInt16
from PIL import Image, ImageOps
from torch import Tensor, nn
from tqdm.auto import tqdm

from srlab.data.images import EIGHT_BIT, GREY_16_BIT, IMAGE_SUFFIXES, list_images, open_image
from srlab.errors import InputError, out_of_memory
from srlab.files import check_writable, replacing
from srlab.measure.evaluation import super_resolve
from srlab.measure.precision import Precision

#: The default side of tiles in LR pixels, and the largest area that is processed whole by default.
TILE, WHOLE = 256, 512 * 512
SAVED = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383}  # pixels
#: Pillow's raw modes that decode the high bytes of 16-bit colour (N: as L), and those that decode the low bytes.
LOW_BYTES = {f"{mode};16{one}": f"{mode};16{other}" for mode in ("RGB", "RGBA") for one, other in ("BL", "LB", "NB")}
#: EXIF and TIFF tags that are lost: description, camera, date, artist, copyright, and the folders of EXIF and GPS.
LOST_TAGS = {0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298, 0x8769, 0x8825}
BITS, PLANES = 258, 284  # TIFF tags: bits of each channel; 1 where a pixel's channels lie together


@dataclass(frozen=True)
class Picture:
    """A picture as its file stores it; values are 0 to 255 or 0 to 65535."""

    rgb: UInt8[Tensor, "3 h w"] | UInt16[Tensor, "3 h w"]  # not converted by the profile
    alpha: UInt8[Tensor, "h w"] | UInt16[Tensor, "h w"] | None = None  # opacity, in the dtype of `rgb`
    grey: bool = False  # the file has one channel; `rgb` repeats it, and their mean is written
    kind: str = "PNG"  # or "JPEG", "WEBP", "TIFF", "BMP"
    profile: bytes | None = None  # ICC
    lost: tuple[str, ...] = ()  # names of further contents of the file, which are not kept


@dataclass(frozen=True)
class Outcome:
    """Targets written and skipped, an error for each failed picture, and targets by the contents they lost."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lost: dict[str, list[Path]] = field(default_factory=dict)


def find_pictures(inputs: Sequence[str], output: Path | None = None) -> list[Path]:
    """List files, the pictures directly in folders, and those that globs match, each once.

    What a recursive glob finds in the `output` folder are results of before, and left out, unless all lies there.
    InputError if an input does not exist, or a folder or glob holds no file with a suffix of `IMAGE_SUFFIXES`.
    """
    found: dict[Path, Path] = {}
    for entry in inputs:
        if os.path.isfile(entry):
            files = [Path(entry)]
        elif os.path.isdir(entry) or not glob.has_magic(entry):
            files = list_images(entry)
        else:
            matches = map(Path, sorted(glob.glob(entry, recursive=True)))
            files = [path for path in matches if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES]
        if not files:
            raise InputError(f"{entry}: no pictures; files with suffix {', '.join(IMAGE_SUFFIXES)} are expected")
        for file in files:
            found.setdefault(file.resolve(), file)
    outside = [file for place, file in found.items() if output is None or output.resolve() not in place.parents]
    return outside or list(found.values())


def read_picture(path: Path) -> Picture:
    """Read a picture of 8 or 16 bits a channel, turned by its EXIF orientation; of several pages the first.

    InputError as of `open_image`, or if the pixels are of another type.
    """
    with open_image(path) as image:
        raw, tags = image.tile[0].args if image.tile else "", getattr(image, "tag_v2", {})  # tags of TIFF
        raw = raw if isinstance(raw, str) else raw[0]
        lost, profile = _lost(image), image.info.get("icc_profile") if image.mode != "CMYK" else None
        ImageOps.exif_transpose(image, in_place=True)
        if raw in LOW_BYTES and tags.get(PLANES, 1) == 1:
            values = np.asarray(image).astype(np.uint16) << 8 | _decode(path, LOW_BYTES[raw])
        elif raw == "LA;16B":  # the four bytes of a pixel, decoded as if they were RGBA
            values = _decode(path, "RGBA").view(">u2").astype(np.uint16)
        elif image.mode in GREY_16_BIT:
            values = np.atleast_3d(np.asarray(image).astype(np.uint16))
        elif image.mode not in EIGHT_BIT or 16 in tags.get(BITS, ()):
            raise InputError(f"{path}: {raw or image.mode} pixels; interleaved grey or RGB of 8 or 16 bits is expected")
        else:
            mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
            values = np.atleast_3d(np.array(image.convert(mode + "A" if image.has_transparency_data else mode)))
        if values.dtype == np.uint16 and (key := image.info.get("transparency")) is not None:
            opaque = (values != np.array(key)).any(-1, keepdims=True)
            values = np.concatenate([values, opaque * np.uint16(65535)], -1)
    channels = torch.from_numpy(values).permute(2, 0, 1)
    grey, alpha = len(channels) < 3, None if len(channels) % 2 else channels[-1]
    rgb = (channels[:1].expand(3, -1, -1) if grey else channels[:3]).contiguous()
    return Picture(rgb, alpha, grey, image.format.replace("MPO", "JPEG"), profile, lost)


def _decode(path: Path, raw: str) -> UInt8[np.ndarray, "h w _c"]:
    """Decode the values by another of Pillow's raw modes, turned by the EXIF orientation."""
    with open_image(path) as image:
        args = raw if image.format == "PNG" else (raw, *image.tile[0].args[1:])
        image.tile = [tile._replace(args=args) for tile in image.tile]
        ImageOps.exif_transpose(image, in_place=True)
        return np.asarray(image)


def _lost(image: Image.Image) -> tuple[str, ...]:
    carried = {
        "EXIF or TIFF tags": not LOST_TAGS.isdisjoint(image.getexif()),
        "XMP": "xmp" in image.info,
        "text": "comment" in image.info or bool(getattr(image, "text", None)),
        "further pages or frames": getattr(image, "n_frames", 1) > 1,
        "CMYK (converted to RGB without a profile)": image.mode == "CMYK",
    }
    return tuple(name for name, there in carried.items() if there)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as a whole or not at all (InputError): without loss, except for JPEG (quality 95, 4:4:4)."""
    values = picture.rgb.permute(1, 2, 0).numpy()
    if picture.grey:
        values = np.rint(values.mean(-1, dtype=np.float32, keepdims=True)).astype(values.dtype)
    if picture.alpha is not None:
        values = np.concatenate([values, picture.alpha[..., None].numpy()], -1)
    flat = values.squeeze(-1) if values.shape[-1] == 1 else values
    with replacing(path) as beside:
        if picture.kind == "TIFF":
            options = {"photometric": "minisblack" if picture.grey else "rgb", "compression": "zlib", "predictor": True}
            if values.shape[-1] > 1:
                options |= {"planarconfig": "contig", "extrasamples": [] if picture.alpha is None else ["unassalpha"]}
            tifffile.imwrite(beside, flat, metadata=None, iccprofile=picture.profile, **options)
        elif values.dtype == np.uint16:
            beside.write_bytes(encode_png(values, picture.profile))
        else:
            saved = {"icc_profile": picture.profile, **SAVED.get(picture.kind, {})}
            Image.fromarray(flat).save(beside, picture.kind, **saved)


def encode_png(values: UInt16[np.ndarray, "h w c"], profile: bytes | None) -> bytes:
    """Encode a PNG of 16 bits a channel; rows are stored as differences from the row above (filter 2)."""
    height, width, channels = values.shape
    rows = values.astype(">u2").reshape(height, width * channels).view(np.uint8)
    rows = np.insert(np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1])), 0, 2, axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    colours = [(b"iCCP", b"ICC\0\0" + zlib.compress(profile))] if profile else []
    encoded = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), *colours, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        encoded += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return encoded


def upscale_picture(
    picture: Picture,
    model: nn.Module | None,
    scale: int,
    device: str | torch.device = "cpu",
    ensemble: bool = False,
    tile: int | None = None,
    precision: Precision = "32-true",
) -> Picture:
    """Upscale the colours by `super_resolve`, with its parameters, and alpha by bicubic interpolation.

    By default a picture of more than 512×512 pixels is processed in tiles of 256. InputError as of `super_resolve`, or
    if the format cannot hold so large a picture.
    """
    _, height, width = picture.rgb.shape
    most = LONGEST_SIDE.get(picture.kind, np.inf)
    if scale * max(height, width) > most:
        raise InputError(f"{scale * width}×{scale * height} pixels: {picture.kind} holds at most {most} a side")
    if tile is None and height * width > WHOLE:
        tile = TILE
    rgb, alpha = super_resolve(model, picture.rgb, scale, device, ensemble, tile, precision), picture.alpha
    if alpha is not None:
        alpha = super_resolve(None, alpha.expand(3, -1, -1), scale, tile=tile)[0]
    return replace(picture, rgb=rgb, alpha=alpha)


def upscale_files(
    sources: Sequence[Path], folder: Path, model: nn.Module | None, scale: int, overwrite: bool = False, **options
) -> Outcome:
    """Upscale pictures into a folder, with a progress bar; a bad picture does not stop the rest.

    Files that exist are skipped unless `overwrite` is set, so an interrupted call resumes. The `options` are `device`,
    `ensemble`, `tile` and `precision` of `upscale_picture`. InputError if two pictures would become one file, one would
    replace a source, or a file cannot be written.
    """
    targets: dict[Path, Path] = {}
    for source in sources:
        other = targets.setdefault(folder / source.name, source)
        if other != source:
            raise InputError(f"{other} and {source}: both have the name {source.name}; use two output folders")
    if overlap := {target.resolve() for target in targets} & {source.resolve() for source in sources}:
        raise InputError(f"{min(overlap)} is an input; another output folder is expected")
    check_writable(folder)
    outcome = Outcome()
    for target, source in tqdm(targets.items(), desc=f"upscaling ×{scale}", unit="picture"):
        if target.exists() and not overwrite:
            outcome.skipped.append(target)
            continue
        try:
            picture = upscale_picture(read_picture(source), model, scale, **options)
        except Exception as error:
            if not isinstance(error, InputError) and not out_of_memory(error):
                raise
            reason = str(error) if isinstance(error, InputError) else "out of memory; smaller tiles (--tile) need less"
            outcome.failed.append(f"{source}: {reason.removeprefix(f'{source}: ')}")
            continue
        write_picture(target, picture)
        outcome.written.append(target)
        for name in picture.lost:
            outcome.lost.setdefault(name, []).append(target)
    return outcome
