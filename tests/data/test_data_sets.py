"""The catalogue, and fetching from a server on this machine that can resume, break off, refuse and lie."""

import hashlib
import io
import re
import shutil
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from srlab.cli import main
from srlab.data.catalogue import CATALOGUE, Archive, DataSet, find_data_set
from srlab.data.fetch import download, get, unpack
from srlab.data.images import read_image, write_png
from srlab.data.layouts import open_benchmark
from srlab.data.sources import open_data
from srlab.errors import InputError


class Server(ThreadingHTTPServer):
    """Serves `files`; notes the range of each request, and breaks off after `limit` bytes if that is set."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.sent: list[int] = []
        self.limit: int | None = None
        self.knows_ranges = True

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        content = server.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked and server.knows_ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:][: server.limit]
        self.wfile.write(body)
        server.sent.append(len(body))

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def images(tmp_path):
    """The content of two PNG files, by name."""
    contents = {}
    for value, name in ((1, "baby.png"), (2, "bird.png")):
        write_png(tmp_path / name, torch.full((3, 8, 8), value, dtype=torch.uint8))
        contents[name] = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
    return contents


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def archive_of(server, name, content, inside="", to="benchmark/Set2"):
    """Serve `content` as the file `name`."""
    server.files[name] = content
    return Archive(server.url(name), f"sha256:{hashlib.sha256(content).hexdigest()}", inside, to)


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


class TestCatalogue:
    def test_it_knows_the_data_sets_of_the_field(self):
        assert {name: data_set.images for name, data_set in CATALOGUE.items()} == {
            "DIV2K": {"train": 800, "benchmark": 100},
            "Set5": {"benchmark": 5},
            "Set14": {"benchmark": 14},
            "B100": {"benchmark": 100},
            "Urban100": {"benchmark": 100},
            "Manga109": {"benchmark": 109},
            "DIV8K": {"train": 1500},
            "RealSR": {"benchmark": 100},
            "General100": {"train": 100},
        }
        assert find_data_set("urban100").name == "Urban100"
        with pytest.raises(InputError, match="data set 'Set6' is unknown; known are DIV2K, Set5"):
            find_data_set("Set6")

    def test_what_is_fetched_has_a_checksum_and_a_place_that_is_found_again(self):
        for data_set in CATALOGUE.values():
            assert data_set.page.startswith("http") and data_set.licence
            places = [archive.to.removesuffix("/HR") for archive in data_set.archives]
            assert places in ([], [f"{split}/{data_set.name}" for split in data_set.images])
            for archive in data_set.archives:
                assert archive.url.startswith("https://")
                assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", archive.checksum)

    def test_the_counts_are_those_of_the_papers_data(self, shared_data):
        for benchmark, refs in open_data(shared_data).benchmarks.items():
            assert CATALOGUE[benchmark].images["benchmark"] == len(refs)


class TestDownload:
    CONTENT = bytes(range(256)) * 4000  # 1 MB, several times what is read at once

    def test_an_interrupted_download_asks_only_for_the_rest(self, server, tmp_path):
        archive = archive_of(server, "set.tar", self.CONTENT)
        server.limit = 600_000
        with pytest.raises(InputError, match=r"set.tar: the connection broke; what came is kept"):
            download(archive, tmp_path)
        assert files_in(tmp_path) == ["set.tar.part"]
        have = (tmp_path / "set.tar.part").stat().st_size
        assert 0 < have <= 600_000
        server.limit = None
        file = download(archive, tmp_path)
        assert file.read_bytes() == self.CONTENT
        assert server.ranges == [None, f"bytes={have}-"]
        assert server.sent == [600_000, len(self.CONTENT) - have]
        assert files_in(tmp_path) == ["set.tar"]
        assert download(archive, tmp_path) == file
        assert len(server.ranges) == 2  # what is there and right is not fetched again

    def test_a_server_without_ranges_starts_again(self, server, tmp_path):
        archive = archive_of(server, "set.tar", self.CONTENT)
        server.knows_ranges = False
        (tmp_path / "set.tar.part").write_bytes(self.CONTENT[:1000])
        assert download(archive, tmp_path).read_bytes() == self.CONTENT
        assert server.ranges == ["bytes=1000-"] and server.sent == [len(self.CONTENT)]

    def test_a_part_that_is_complete_needs_nothing_more(self, server, tmp_path):
        archive = archive_of(server, "set.tar", self.CONTENT)
        (tmp_path / "set.tar.part").write_bytes(self.CONTENT)
        assert download(archive, tmp_path).read_bytes() == self.CONTENT
        assert server.sent == []

    def test_another_checksum_is_refused_and_the_file_removed(self, server, tmp_path):
        archive = archive_of(server, "set.tar", self.CONTENT)
        (tmp_path / "set.tar.part").write_bytes(b"of an older file")
        with pytest.raises(InputError, match=f"set.tar: what came has not the checksum {archive.checksum}"):
            download(archive, tmp_path)
        assert files_in(tmp_path) == []
        assert download(archive, tmp_path).read_bytes() == self.CONTENT  # a second try starts afresh

    def test_a_missing_file_and_a_missing_server_are_one_sentence(self, server, tmp_path):
        with pytest.raises(InputError, match=r"none.tar: the server answers 404 Not Found"):
            download(Archive(server.url("none.tar"), "md5:" + "0" * 32, "", ""), tmp_path)
        with pytest.raises(InputError, match=r"http://127.0.0.1:1/set.tar: no connection"):
            download(Archive("http://127.0.0.1:1/set.tar", "md5:" + "0" * 32, "", ""), tmp_path)
        assert files_in(tmp_path) == []

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
    def test_a_full_disk_is_one_sentence(self, server, tmp_path):
        archive = archive_of(server, "set.tar", self.CONTENT)
        (tmp_path / "set.tar.part").symlink_to("/dev/full")
        with pytest.raises(InputError, match=r"cannot be written \(No space left on device"):
            download(archive, tmp_path)
        assert not (tmp_path / "set.tar").exists()

    def test_a_folder_that_cannot_be_made_is_one_sentence(self, server, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="file/downloads: cannot be written"):
            download(archive_of(server, "set.tar", self.CONTENT), tmp_path / "file" / "downloads")


@pytest.mark.parametrize("pack", [tar, zipped])
class TestUnpack:
    def unpack(self, tmp_path, content, inside="all/Set2"):
        (tmp_path / "downloads").mkdir(exist_ok=True)
        file = tmp_path / "downloads" / "archive"
        file.write_bytes(content)
        unpack(file, inside, tmp_path / "benchmark" / "Set2")

    def test_only_the_images_of_the_folder_are_kept(self, pack, tmp_path, images):
        members = {
            "all/Set2/HR/baby.png": images["baby.png"],
            "./all/Set2/LR_bicubic/X2/babyx2.png": images["bird.png"],
            "all/Set2/HR/Thumbs.db": b"no image",
            "all/Set20/HR/bird.png": images["bird.png"],
            "bird.png": images["bird.png"],
        }
        self.unpack(tmp_path, pack(members))
        assert files_in(tmp_path / "benchmark") == ["Set2/HR/baby.png", "Set2/LR_bicubic/X2/babyx2.png"]
        (ref,) = open_benchmark(tmp_path / "benchmark" / "Set2").lr(2)
        assert int(ref.read()[0, 0, 0]) == 2
        assert files_in(tmp_path / "downloads") == ["archive"]

    @pytest.mark.parametrize("name", ["all/Set2/../../../evil.png", "all/Set2/HR/../../../../../evil.png"])
    def test_paths_that_lead_out_are_refused(self, pack, tmp_path, images, name):
        members = {"all/Set2/HR/baby.png": images["baby.png"], name: images["bird.png"]}
        with pytest.raises(InputError, match=r"evil.png', which leads out of the archive"):
            self.unpack(tmp_path, pack(members))
        assert files_in(tmp_path) == ["downloads/archive"]
        assert not (tmp_path / "benchmark").exists() and not (tmp_path.parent / "evil.png").exists()

    def test_an_archive_without_the_folder_or_cut_short_leaves_nothing(self, pack, tmp_path, images):
        content = pack({f"all/Set2/{number}.png": bytes(5000) for number in range(9)})
        with pytest.raises(InputError, match="no images in its folder all/Set3/"):
            self.unpack(tmp_path, content, "all/Set3")
        for size in (len(content) // 2, 100, 0):
            with pytest.raises(InputError, match="neither a whole zip file nor a whole tar file"):
                self.unpack(tmp_path, content[:size])
        assert files_in(tmp_path) == ["downloads/archive"]
        assert not (tmp_path / "benchmark").exists()

    def test_what_a_killed_process_left_is_no_part_of_it(self, pack, tmp_path, images):
        left = tmp_path / "downloads" / "archive.unpacked" / "HR" / "left.png"
        left.parent.mkdir(parents=True)
        left.touch()
        self.unpack(tmp_path, pack({"all/Set2/HR/baby.png": images["baby.png"]}))
        assert files_in(tmp_path / "benchmark") == ["Set2/HR/baby.png"]


def test_links_in_an_archive_are_left_out(tmp_path, images):
    with tarfile.open(tmp_path / "archive", "w") as archive:
        for name, target in (("set/link.png", "/etc/passwd"), ("set/folder", "/tmp")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
        entry = tarfile.TarInfo("set/baby.png")
        entry.size = len(images["baby.png"])
        archive.addfile(entry, io.BytesIO(images["baby.png"]))
    unpack(tmp_path / "archive", "set", tmp_path / "to")
    assert files_in(tmp_path / "to") == ["baby.png"]


class TestGet:
    @pytest.fixture
    def two_sets(self, server, images, monkeypatch):
        """`One` and `Two` in the catalogue: they share an archive; `Two` has training images in another."""
        both = {f"all/{name}/HR/baby.png": images["baby.png"] for name in ("One", "Two")}
        shared = [
            archive_of(server, "all.tar", tar(both), f"all/{name}", f"benchmark/{name}") for name in ("One", "Two")
        ]
        train = archive_of(server, "two.zip", zipped({"T/bird.png": images["bird.png"]}), "T", "train/Two")
        one = DataSet("One", "https://page", "none stated", {"benchmark": 1}, (shared[0],))
        two = DataSet("Two", "https://page", "none stated", {"benchmark": 1, "train": 1}, (shared[1], train))
        monkeypatch.setitem(CATALOGUE, "One", one)
        monkeypatch.setitem(CATALOGUE, "Two", two)

    @pytest.fixture
    def srlab(self, monkeypatch, capsys):
        """`srlab("get", …, SRLAB_DATA=…)`: status, output and errors of `srlab data get …`."""

        def call(*arguments, **environment):
            for name, setting in {"SRLAB_DATA": "", **environment}.items():
                monkeypatch.setenv(name, setting)
            monkeypatch.setattr(sys, "argv", ["srlab", "data", *arguments])
            with pytest.raises(SystemExit) as left:
                main()
            return left.value.code or 0, *capsys.readouterr()

        return call

    def test_sets_of_one_archive_are_fetched_at_once(self, two_sets, server, tmp_path):
        folders = get(["one", "Two"], tmp_path / "data")
        assert files_in(tmp_path / "data") == [
            "benchmark/One/HR/baby.png",
            "benchmark/Two/HR/baby.png",
            "train/Two/bird.png",
        ]
        assert [folder.relative_to(tmp_path / "data").as_posix() for folder in folders] == [
            "benchmark/One",
            "benchmark/Two",
            "train/Two",
        ]
        assert len(server.ranges) == 2 and not (tmp_path / "data" / ".downloads").exists()
        source = open_data(tmp_path / "data")
        assert list(source.benchmarks) == ["One", "Two"] and int(source.train[0].read()[0, 0, 0]) == 2

    def test_what_is_there_is_kept_and_the_rest_is_fetched(self, two_sets, server, tmp_path):
        get(["Two"], tmp_path)
        shutil.rmtree(tmp_path / "train" / "Two")
        write_png(tmp_path / "benchmark" / "Two" / "HR" / "mine.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
        server.ranges.clear()
        get(["Two"], tmp_path)
        assert len(server.ranges) == 1
        assert int(read_image(tmp_path / "train" / "Two" / "bird.png")[0, 0, 0]) == 2
        assert (tmp_path / "benchmark" / "Two" / "HR" / "mine.png").exists()

    def test_a_broken_download_leaves_no_data_set(self, two_sets, server, srlab, tmp_path):
        server.limit = 600
        status, output, errors = srlab("get", "One", SRLAB_DATA=str(tmp_path))
        sentence = errors.strip().splitlines()[-1]
        assert status == 2 and output == "" and "Traceback" not in errors
        assert sentence.startswith("srlab: http://127.0.0.1") and "the connection broke" in sentence
        assert files_in(tmp_path) in ([".downloads/all.tar.part"], [])
        server.limit = None
        status, output, errors = srlab("get", "One", SRLAB_DATA=str(tmp_path))
        assert (status, output) == (0, f"{tmp_path / 'benchmark' / 'One'}\n")

    def test_what_must_be_asked_for_gives_the_page_and_fetches_nothing(self, two_sets, server, srlab, tmp_path):
        status, _, errors = srlab("get", "One", "manga109", SRLAB_DATA=str(tmp_path))
        assert status == 2 and errors.count("\n") == 1
        assert "ask at http://www.manga109.org" in errors and "benchmark/Manga109/HR" in errors
        assert server.ranges == [] and files_in(tmp_path) == []

    def test_without_srlab_data_there_is_one_sentence(self, srlab):
        status, _, errors = srlab("get", "Set5")
        assert status == 2
        assert errors.startswith("srlab: SRLAB_DATA is not set; set it to") and errors.count("\n") == 1

    def test_list_says_what_is_found(self, srlab, tmp_path):
        for folder in ("train/DIV2K", "benchmark/DIV2K/HR", "Urban100"):
            (tmp_path / folder).mkdir(parents=True)
        status, output, _ = srlab("list", SRLAB_DATA=str(tmp_path))
        lines = {line.split()[0]: line for line in output.splitlines()}
        assert status == 0 and all(name in lines and CATALOGUE[name].page in lines[name] for name in CATALOGUE)
        assert "800 train, 100 benchmark" in lines["DIV2K"] and "academic research only" in lines["DIV2K"]
        assert "train/DIV2K, benchmark/DIV2K " in lines["DIV2K"] and " get  Urban100 " in lines["Urban100"]
        assert " ask  no " in lines["Manga109"]
        assert "found: SRLAB_DATA is not set" in srlab("list")[1]
