"""Write files beside their place, then rename them, so that nothing half-written remains; read tables; checksums."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import file_digest
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from srlab.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the place of `path` if the block ends well.

    The folder is made if it does not exist. However the block ends, nothing half-written remains. InputError if `path`
    cannot be written: it is a folder or a device, its parent is a file, the disk is full, there is no permission. Any
    OSError of the block counts as such a failure.
    """
    beside = path.parent / f".part.{os.getpid()}.{path.name[-40:]}"  # a name of 255 bytes is the longest
    try:
        if path.exists() and not path.is_file():  # renaming would do away with a device such as /dev/null
            raise InputError(f"{path}: cannot be written (not a regular file)")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        beside.chmod(0o666 & ~_umask())  # some libraries write for their owner alone
        with beside.open("rb") as file:
            os.fsync(file.fileno())  # or a power cut leaves an empty file of that name
        os.replace(beside, path)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: cannot be written ({path.parent} is not a folder)") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as a whole, what is no UTF-8 escaped; InputError as of :func:`replacing`."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: object) -> None:
    """Write JSON as a whole, with null for infinite numbers and NaN; InputError as of :func:`replacing`."""
    write_text(path, json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def finite(content: object) -> object:
    """Replace infinite numbers and NaN by None, in lists and dicts too: JSON has none of them."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def check_writable(folder: Path) -> None:
    """Raise an InputError now, not after hours of work, if a folder cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{folder}: cannot be written to (not a folder)") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror})") from None


def checksum(path: Path) -> str:
    """Return SHA-256 of a file's content, in hexadecimal digits; InputError if it cannot be read.

    A process reads a file once, and again when its size or time of change differs.
    """
    try:
        state = path.stat()
        return _checksum(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


@cache
def _checksum(path: Path, *_state: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


#: Columns of text, in which "NA" or "0801" is a name.
TEXT = ("name", "model", "arm", "against", "benchmark", "dataset", "label", "run", "run_reference", "way", "recipe")


def read_table(source: Path | BytesIO) -> pd.DataFrame:
    """Read a CSV file of ours: names are text, and only empty cells are missing."""
    import pandas as pd

    text = dict.fromkeys(TEXT, str)
    return pd.read_csv(source, dtype=text, keep_default_na=False, na_values=[""])


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a data frame as CSV, as a whole."""
    write_text(path, frame.to_csv(index=False))
