"""People's pictures with all that they carry: 8 or 16 bits, grey, alpha, ICC profile, EXIF and orientation.

For pictures that must come out as they came in; experiments read 8-bit RGB through `srlab.data.images`.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyvips
import torch
from jaxtyping import UInt8, UInt16
from PIL import Image
from pyvips import GValue
from torch import Tensor

from srlab.errors import InputError
from srlab.files import replacing

#: Formats that can be read and written, by the suffixes of their names.
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff"}

#: How each is written: without loss, and JPEG at a quality at which loss is hard to see.
SAVED = {
    "png": {},
    "jpeg": {"Q": 95, "subsample_mode": "off"},
    "webp": {"lossless": True, "exact": True},
    "tiff": {"compression": "deflate", "predictor": "horizontal"},
}
LONGEST_SIDE = {"jpeg": 65_535, "webp": 16_383}  # pixels; PNG and TIFF have no limit to reach here
SIXTEEN_BIT = ("png", "tiff")
UNKNOWN_RESOLUTION = 1.0  # libvips' word for it
SCREEN = 72 / 25.4  # pixels per millimetre: EXIF's word for it

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
}
COLOUR = ("srgb", "rgb", "rgb16")
GREY = ("b-w", "grey16")
#: How libvips' names of what a picture carries begin.
CARRIED = ("icc-profile-data", "orientation", "exif-", "xmp-data", "iptc-data", "resolution-unit")

logging.getLogger("pyvips").addHandler(logging.NullHandler())  # or its warnings would reach the terminal

GVALUE = {bytes: GValue.blob_type, int: GValue.gint_type, str: GValue.refstr_type}


@dataclass(frozen=True)
class Picture:
    """Pixels as they are stored, and what the file says about them.

    Attributes
    ----------
    rgb : UInt8[Tensor, "3 h w"] or UInt16[Tensor, "3 h w"]
        0 to 255, or 0 to 65535; not turned by the orientation, not converted by the profile.
    alpha : UInt8[Tensor, "h w"] or UInt16[Tensor, "h w"], optional
        Opacity, in the dtype of `rgb`, whose colours are not multiplied by it.
    grey : bool
        Whether the file holds one channel, which `rgb` has three times. It is written as one again: the mean
        of the three, which a network may have made differ.
    metadata : dict of str to (bytes, int or str)
        ICC profile, EXIF, XMP, IPTC and unit of the resolution, by libvips' names.
    resolution : (float, float)
        Pixels per millimetre, horizontal and vertical; those of 72 dpi where the file does not say.
    notes : tuple of str
        What reading changed, in sentences without a full stop.
    """

    rgb: UInt8[Tensor, "3 h w"] | UInt16[Tensor, "3 h w"]
    alpha: UInt8[Tensor, "h w"] | UInt16[Tensor, "h w"] | None = None
    grey: bool = False
    metadata: dict[str, bytes | int | str] = field(default_factory=dict)
    resolution: tuple[float, float] = (SCREEN, SCREEN)
    notes: tuple[str, ...] = ()

    @property
    def profile(self) -> bytes | None:
        """The ICC profile, which says what colours the numbers mean."""
        return self.metadata.get("icc-profile-data")

    @property
    def orientation(self) -> int:
        """EXIF's 1 to 8: how a viewer turns the picture. 1, as it is stored, if nothing is said."""
        return self.metadata.get("orientation", 1)


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Let Ctrl-C wait for libvips, which itself reports to Python, where the exception would be lost."""
    if threading.current_thread() is not threading.main_thread():  # the only one that is interrupted
        yield
        return
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard:
            signal.raise_signal(signal.SIGINT)


@_interrupts_kept()
def read_picture(path: str | Path) -> Picture:
    """Read a picture with all that it carries; the format is told from the content.

    Parameters
    ----------
    path : str or Path
        A PNG, JPEG, WebP or TIFF file of 8 or 16 bits a channel: RGB, grey, palette or CMYK.

    Returns
    -------
    Picture
        CMYK is converted to sRGB, by the file's own profile if it has one, and its profile dropped, with a
        note. Palettes and fewer than 8 bits are expanded.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated or of another format; animated or of several pages; larger
        than Pillow's limit of 89 million pixels, which is checked before any pixel is decoded; or of another
        pixel type.

    Notes
    -----
    A TIFF's EXIF is not read, except for orientation and resolution, which are tags of TIFF itself.
    """
    path = Path(path)
    kind = _kind(path)
    try:
        load = getattr(pyvips.Image, f"{kind}load")
        image = load(str(path), access="sequential", fail_on="error", revalidate=True)
        frames = _png_frames(path) if kind == "png" else image.get_n_pages()
        if frames > 1:
            raise InputError(f"{path}: animated or of several pages, {frames} frames; one is expected")
        if image.width * image.height > Image.MAX_IMAGE_PIXELS:
            raise InputError(
                f"{path}: {image.width}×{image.height}, more than the {Image.MAX_IMAGE_PIXELS} pixels allowed"
            )
        metadata = {name: image.get(name) for name in image.get_fields() if name.startswith(CARRIED)}
        resolution = tuple(SCREEN if r == UNKNOWN_RESOLUTION else r for r in (image.xres, image.yres))
        notes = ()
        if image.interpretation == "cmyk":
            metadata.pop("icc-profile-data", None)
            notes = ("CMYK converted to sRGB",)
            depth = 16 if image.format == "ushort" else 8
            image = image.icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
        _check_pixels(path, image)
        pixels = torch.from_numpy(image.numpy().reshape(image.height, image.width, image.bands))
    except pyvips.Error as error:
        raise InputError(f"{path}: unreadable, damaged or truncated ({_reason(error)})") from None

    grey = image.interpretation in GREY
    channels = pixels.permute(2, 0, 1).contiguous()
    alpha = channels[-1] if image.hasalpha() else None
    rgb = channels[:1].expand(3, -1, -1) if grey else channels[:3]
    return Picture(rgb, alpha, grey, metadata, resolution, notes)


@_interrupts_kept()
def write_picture(path: str | Path, picture: Picture) -> tuple[str, ...]:
    """Write a picture with all that it carries; a reader sees the old file or the whole new one.

    Parameters
    ----------
    path : str or Path
        Its suffix says the format, one of `FORMATS`. JPEG is written at quality 95 with colours as fine as
        brightness, the others without loss. Its folder is made if it does not exist.
    picture : Picture

    Returns
    -------
    tuple of str
        What the format cannot hold and what became of it: JPEG and WebP have 8 bits a channel, JPEG no
        alpha (the picture is laid on white), WebP no profile of grey, for it has colours only. A damaged
        profile is left out.

    Raises
    ------
    InputError
        If the format is another, cannot hold so large a picture, or the file cannot be written.
    """
    path = Path(path)
    kind = format_of(path)
    _, height, width = picture.rgb.shape
    check_size(path, width, height)
    rgb, alpha, notes = picture.rgb, picture.alpha, []
    if rgb.dtype == torch.uint16 and kind not in SIXTEEN_BIT:
        notes.append(f"rounded to 8 bits, {kind.upper()} holds no more")
        rgb, alpha = _to_8_bit(rgb), None if alpha is None else _to_8_bit(alpha[None])[0]
    if picture.grey and kind == "webp" and picture.profile:  # libvips leaves it out
        notes.append("without its profile of grey, WEBP holds colours only")

    image = _image([_mean(rgb)] if picture.grey else rgb)
    if alpha is not None:
        image = image.bandjoin(_image([alpha]))
        if kind == "jpeg":
            notes.append("laid on white, JPEG holds no transparency")
            image = image.flatten(background=255)
    image = image.copy(xres=picture.resolution[0], yres=picture.resolution[1])
    for name, value in picture.metadata.items():
        image.set_type(GVALUE[type(value)], name, value)
    try:
        try:
            _save(image, path, kind)
        except pyvips.Error:
            if picture.profile is None:
                raise
            plain = image.copy()
            plain.remove("icc-profile-data")  # damaged ones are refused
            _save(plain, path, kind)
            notes.append("without its ICC profile, which is damaged")
    except pyvips.Error as error:
        raise InputError(f"{path}: cannot be written ({_reason(error)})") from None
    return tuple(notes)


def format_of(path: Path) -> str:
    """The format in which a file of that name is written: "png", "jpeg", "webp" or "tiff".

    Raises
    ------
    InputError
        If the suffix is none of `FORMATS`.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path}: a suffix of {', '.join(FORMATS)} is expected, not '{path.suffix}'")
    return FORMATS[path.suffix.lower()]


def check_size(path: Path, width: int, height: int) -> None:
    """Raise an InputError unless the format of that name holds pictures of so many pixels a side."""
    kind = format_of(path)
    most = LONGEST_SIDE.get(kind, max(width, height))
    if max(width, height) > most:
        raise InputError(
            f"{path}: {kind.upper()} holds at most {most} pixels a side, not {width}×{height}; PNG holds more"
        )


def _kind(path: Path) -> str:
    """The format by the first bytes; nothing else is ever given to libvips, which knows many more."""
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file; a picture is expected")
        with path.open("rb") as file:
            start = file.read(12)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return "webp"
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature):
            return kind
    what = "empty file" if not start else "GIF" if start.startswith(b"GIF8") else "unknown content"
    raise InputError(f"{path}: {what}; PNG, JPEG, WebP or TIFF is expected")


def _png_frames(path: Path) -> int:
    """How many frames a PNG says it has, in the chunk acTL before the pixels; libvips sees the first only."""
    with path.open("rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            if head[4:] == b"acTL":
                return int.from_bytes(file.read(4))
            file.seek(int.from_bytes(head[:4]) + 4, 1)
    return 1


def _check_pixels(path: Path, image: pyvips.Image) -> None:
    """Refuse what is neither grey nor RGB, with alpha or without, of 8 or 16 bits."""
    bands = image.bands - image.hasalpha()
    known = (image.interpretation in GREY and bands == 1) or (image.interpretation in COLOUR and bands == 3)
    if not known or image.format not in ("uchar", "ushort"):
        raise InputError(
            f"{path}: {image.bands} channels of {image.interpretation}, {image.format}; "
            f"RGB, grey or CMYK of 8 or 16 bits is expected"
        )


def _image(planes: Tensor | list[Tensor]) -> pyvips.Image:
    """Planes as a libvips image, which reads them where they are."""
    bands = [pyvips.Image.new_from_array(plane.contiguous().numpy()) for plane in planes]
    deep = bands[0].format == "ushort"
    space = ("grey16" if deep else "b-w") if len(bands) == 1 else ("rgb16" if deep else "srgb")
    return bands[0].bandjoin(bands[1:]).copy(interpretation=space)


def _save(image: pyvips.Image, path: Path, kind: str) -> None:
    large = {"bigtiff": image.width * image.height * image.bands > 2**30} if kind == "tiff" else {}
    with replacing(path) as beside:
        getattr(image, f"{kind}save")(str(beside), **SAVED[kind], **large)


def _mean(rgb: Tensor) -> Tensor:
    """One grey channel of three, rounded."""
    total = rgb[0].int()
    for channel in rgb[1:]:
        total += channel.int()
    return total.add_(1).floor_divide_(3).to(rgb.dtype)


def _to_8_bit(planes: Tensor) -> Tensor:
    """v / 257, rounded; plane by plane, for whole numbers of 32 bits take much memory."""
    return torch.stack([plane.int().add_(128).floor_divide_(257).to(torch.uint8) for plane in planes])


def _reason(error: pyvips.Error) -> str:
    """The last line of what libvips says: lines before it may be of other errors."""
    return str(error).strip().splitlines()[-1].strip()
