"""Image files to and from 8-bit RGB tensors."""

import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from srlab.errors import InputError, one_line
from srlab.files import replacing

IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "WEBP", "JPEG", "TIFF", "BMP")
GREY_16_BIT = ("I;16", "I;16B")
EIGHT_BIT = ("1", "L", "P", "RGB", "LA", "PA", "RGBA", "RGBX", "CMYK", "YCbCr")


def read_image(path: str | Path) -> UInt8[Tensor, "3 h w"]:
    """Read an image file as 8-bit RGB; the format is told from the content, not from the file's name.

    Parameters
    ----------
    path : str or Path
        A PNG, WebP, JPEG, TIFF or BMP file.

    Returns
    -------
    UInt8[Tensor, "3 h w"]
        RGB, 0 to 255.

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, not an image of these formats, animated or of several
        pages, larger than Pillow's limit of 89 million pixels, or of a pixel type that has no fixed white
        (32-bit integers and floats, Lab).

    Notes
    -----
    Grey is repeated in three channels, palettes are expanded, CMYK is converted without a colour profile,
    alpha is dropped (the colours stay as stored, blended with nothing). 16-bit grey v becomes
    round(v / 257). Of 16-bit colour Pillow keeps the high byte, at most one level from that rounding; both
    are exact where the file holds 8-bit values spread over 16 bits. Of a camera's JPEG that carries more
    pictures, such as a preview (MPO), the photograph is read.
    An Exif orientation is not applied, because benchmarks are compared pixel for pixel; the orientation tag
    of a TIFF is part of the format, and Pillow applies it.
    """
    path = Path(path)
    try:
        if not path.is_file():  # a folder, or a pipe that would be waited for
            raise FileNotFoundError
        size = path.stat().st_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged metadata, which is not read here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
                if frames == 1:
                    image.load()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; an image file is expected") from None
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Image.UnidentifiedImageError:
        what = f"{size} bytes that are no image" if size else "empty file"
        raise InputError(f"{path}: {what}; PNG, WebP, JPEG, TIFF or BMP is expected") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(f"{path}: more than the {Image.MAX_IMAGE_PIXELS} pixels allowed") from None
    except Exception as error:  # on damaged bytes the decoders raise far more kinds than OSError
        raise InputError(f"{path}: unreadable, damaged or truncated image ({one_line(error)})") from error
    if frames > 1:
        raise InputError(f"{path}: animated or of several pages, {frames} frames; one is expected")

    image.info.pop("transparency", None)  # a palette's alpha, which is dropped
    if image.mode in GREY_16_BIT:
        grey = np.rint(np.asarray(image) / 257).astype(np.uint8)
        return torch.from_numpy(grey).repeat(3, 1, 1)
    if image.mode not in EIGHT_BIT:
        raise InputError(f"{path}: pixels of Pillow's mode {image.mode!r}; 8 or 16 bits a channel are expected")
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def list_images(folder: str | Path) -> list[Path]:
    """List the image files directly in a folder, by name; hidden files are left out.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    list of Path
        Files whose suffix, in either case, is in `IMAGE_SUFFIXES`; empty if there are none.

    Raises
    ------
    InputError
        If the folder does not exist or cannot be read.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; a folder of images is expected")
        files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    except PermissionError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error
    images = (path for path in files if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(images, key=lambda path: path.name)


def write_png(path: str | Path, image: UInt8[Tensor, "3 h w"]) -> None:
    """Write an RGB image as PNG; a reader sees the old file or the whole new one, never a part.

    Parameters
    ----------
    path : str or Path
        Its folder is made if it does not exist.
    image : UInt8[Tensor, "3 h w"]
        RGB, 0 to 255.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(Path(path)) as beside:
        Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).save(beside, format="PNG")
