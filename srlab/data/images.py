"""Read image files as 8-bit RGB tensors."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from srlab.errors import InputError, one_line

IMAGE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "WEBP", "JPEG", "TIFF", "BMP")
GREY_16_BIT = ("I;16", "I;16B")
EIGHT_BIT = ("1", "L", "P", "RGB", "LA", "PA", "RGBA", "RGBX", "CMYK", "YCbCr")


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open a PNG, WebP, JPEG, TIFF or BMP file with Pillow; the content determines the format, not the name.

    InputError if the file is missing, empty, no image, or larger than Pillow's limit of 89 million pixels, or if the
    block fails to decode it.
    """
    try:
        if not path.is_file():  # a folder, or a pipe that would block
            raise FileNotFoundError
        size = path.stat().st_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of damaged metadata, which is not read here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; an image file is expected") from None
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Image.UnidentifiedImageError:
        content = f"{size} bytes that are no image" if size else "empty file"
        raise InputError(f"{path}: {content}; PNG, WebP, JPEG, TIFF or BMP is expected") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(f"{path}: more than the {Image.MAX_IMAGE_PIXELS} pixels allowed") from None
    except Exception as error:  # on damaged bytes the decoders raise far more kinds than OSError
        raise InputError(f"{path}: unreadable, damaged or truncated image ({one_line(error)})") from error


def read_image(path: str | Path) -> UInt8[Tensor, "3 h w"]:
    """Read an image file as RGB, 0 to 255.

    Grey is repeated in three channels, palettes are expanded, CMYK is converted without a profile, and alpha is dropped
    without blending. 16-bit grey v becomes round(v / 257); of 16-bit colour Pillow keeps the high byte, at most one
    level from that. Of a camera's JPEG with a preview (MPO) the photograph is read. An EXIF orientation is ignored,
    because benchmarks are compared pixel by pixel; Pillow applies that of a TIFF.

    InputError as of `open_image`; also if the image is animated, has several pages, or has a pixel type without a fixed
    white (32-bit integers and floats, Lab).
    """
    path = Path(path)
    with open_image(path) as image:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if frames > 1:
            raise InputError(f"{path}: animated or of several pages, {frames} frames; one is expected")
        image.load()

    image.info.pop("transparency", None)  # a palette's alpha, which is dropped
    if image.mode in GREY_16_BIT:
        grey = np.rint(np.asarray(image) / 257).astype(np.uint8)
        return torch.from_numpy(grey).repeat(3, 1, 1)
    if image.mode not in EIGHT_BIT:
        raise InputError(f"{path}: pixels of Pillow's mode {image.mode!r}; 8 or 16 bits a channel are expected")
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def list_images(folder: str | Path) -> list[Path]:
    """List the files of a folder with a suffix in `IMAGE_SUFFIXES`, by name; hidden files are left out.

    InputError if the folder does not exist or cannot be read, or an image in it is a broken link.
    """
    folder = Path(folder)
    try:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; a folder of images is expected")
        files = [path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir()]
    except PermissionError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from error
    images = sorted((path for path in files if path.suffix.lower() in IMAGE_SUFFIXES), key=lambda path: path.name)
    if broken := [path for path in images if not path.exists()]:
        raise InputError(f"{broken[0]}: a link to a file that does not exist; an image is expected")
    return [path for path in images if path.is_file()]
