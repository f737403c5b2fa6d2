"""Fetch archives of the catalogue: resumed, verified, unpacked beside and renamed."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

import pooch
import requests
from tqdm.auto import tqdm

from srlab.data.catalogue import Archive, find_data_set
from srlab.data.images import IMAGE_SUFFIXES
from srlab.errors import InputError

TIMEOUT = 30  # seconds without a byte


def get(names: Sequence[str], root: Path) -> list[Path]:
    """Fetch data sets into `root`; what is there already is kept as it is.

    Parameters
    ----------
    names : sequence of str
        Of the catalogue, in any case.
    root : Path
        The folder SRLAB_DATA names; made if it does not exist. Archives lie in its `.downloads/` until they
        are unpacked.

    Returns
    -------
    list of Path
        The folders of these data sets.

    Raises
    ------
    InputError
        Before anything is fetched, if a data set is unknown or must be asked for; and as `download` and
        `unpack` do.
    """
    data_sets = [find_data_set(name) for name in names]
    for data_set in data_sets:
        if not data_set.archives:
            split = next(iter(data_set.images))
            raise InputError(
                f"{data_set.name} is not fetched; ask at {data_set.page} and put the images in "
                + str(root / split / data_set.name / ("HR" if split == "benchmark" else ""))
            )
    archives = [archive for data_set in data_sets for archive in data_set.archives]
    missing = [archive for archive in archives if not (root / archive.to).exists()]
    downloads = root / ".downloads"
    for position, archive in enumerate(missing, start=1):
        file = download(archive, downloads)
        unpack(file, archive.inside, root / archive.to)
        if archive.url not in [later.url for later in missing[position:]]:
            file.unlink()
    if downloads.is_dir() and not any(downloads.iterdir()):
        downloads.rmdir()
    return [root / archive.to for archive in archives]


def download(archive: Archive, folder: Path) -> Path:
    """Fetch an archive, or what is missing of it, and verify its checksum.

    Parameters
    ----------
    archive : Archive
    folder : Path
        Gets the file; until it is whole it is called `….part`.

    Returns
    -------
    Path
        The verified file; it is not fetched again if it is there.

    Raises
    ------
    InputError
        If the server cannot be reached or refuses, the disk is full or not writable (what came is kept), or
        the checksum is another (the file is removed).
    """
    name = PurePosixPath(urlsplit(archive.url).path).name
    pooch.get_logger().setLevel("WARNING")  # the progress bar says what is fetched
    try:
        return Path(
            pooch.retrieve(
                archive.url,
                archive.checksum,
                fname=name,
                path=folder,
                downloader=partial(_fetch_rest, part=folder / f"{name}.part"),
            )
        )
    except requests.RequestException as error:
        raise InputError(
            f"{archive.url}: {_reason(error)}; what came is kept, and the same command goes on from there"
        ) from error
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    except ValueError as error:  # so does pooch tell of a checksum
        raise InputError(
            f"{archive.url}: what came has not the checksum {archive.checksum} and is removed; it was "
            "damaged on the way, or the server has another file now"
        ) from error


def unpack(file: Path, inside: str, to: Path) -> None:
    """Unpack the images in one folder of an archive; `to` appears when it is complete.

    Parameters
    ----------
    file : Path
        A zip or tar file. Beside it is unpacked, so `to` must be on the same disk.
    inside : str
        The folder in it; anything else, and what is not an image, is left out.
    to : Path
        What the folder becomes; must not exist.

    Raises
    ------
    InputError
        If the archive is damaged, holds no images there, or a path that leads elsewhere; or if the disk is
        full or not writable.
    """
    beside = file.with_name(f"{file.name}.unpacked").resolve()
    shutil.rmtree(beside, ignore_errors=True)  # left by a process that was killed
    try:
        for name, open_member in tqdm(_members(file), desc=f"unpacking {file.name}", leave=False):
            path = PurePosixPath(name)
            if not path.is_relative_to(inside) or path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            target = (beside / path.relative_to(inside)).resolve()
            if not target.is_relative_to(beside):
                raise InputError(f"{file}: holds '{name}', which leads out of the archive")
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        if not beside.exists():
            raise InputError(f"{file}: no images in its folder {inside}/")
        to.parent.mkdir(parents=True, exist_ok=True)
        os.rename(beside, to)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{file}: neither a whole zip file nor a whole tar file ({error})") from error
    except OSError as error:
        raise InputError(f"{to}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _fetch_rest(url: str, output_file: str, _: object, part: Path) -> None:
    """Download into `part`, from its end on if the server can, and make it `output_file`."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # so that positions count the file's own bytes
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code != requests.codes.requested_range_not_satisfiable:  # else nothing is missing
            response.raise_for_status()
            resumed = response.status_code == requests.codes.partial_content
            rest = response.headers.get("Content-Length")
            with (
                part.open("ab" if resumed else "wb") as file,
                tqdm(
                    desc=part.stem,
                    initial=have if resumed else 0,
                    total=int(rest) + (have if resumed else 0) if rest else None,
                    unit="B",
                    unit_scale=True,
                    unit_divisor=1024,
                ) as bar,
            ):
                for chunk in response.iter_content(1 << 16):
                    file.write(chunk)
                    bar.update(len(chunk))
    os.replace(part, output_file)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"the server did not answer in {TIMEOUT} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    return "no connection"


def _members(file: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """Name and opener of each file in a zip or tar file; links and devices are left out."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, partial(archive.open, entry)
    else:
        with tarfile.open(file) as archive:
            for entry in archive:
                if entry.isfile():
                    yield entry.name, partial(archive.extractfile, entry)
