"""datasets/download.py against a server on loopback that cuts, forgets, lies and vanishes."""

import contextlib
import errno
import gzip
import hashlib
import io
import re
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from data.download import cifar, download, fetch
from data.download.catalogue import ENTRIES, Entry, Remote

ROOT = Path(__file__).resolve().parent.parent
NOISE = Random(0).randbytes(300_000)  # does not shrink, so that archives are as large


class Server(ThreadingHTTPServer):
    """Serves files, in whatever ways its attributes say."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}  # path -> content
        self.requests: list[str | None] = []  # the ranges that were asked for
        self.cuts: list[int] = []  # bytes after which the next answers end
        self.etag, self.content_type = '"one"', "application/zip"
        self.knows_ranges, self.dead = True, False
        self.tells_length, self.ends, self.is_silent = True, True, False
        self.sent = 0  # bytes of answers that never end
        self.is_closing = threading.Event()

    def handle_error(self, *_):
        """Say nothing of a client that has gone."""

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, asked = self.server, self.headers["Range"]
        assert isinstance(server, Server)
        server.requests.append(asked)
        content = server.files.get(self.path)
        if server.dead or content is None:
            self.send_error(503 if server.dead else 404)
            return
        start = 0
        is_same = self.headers["If-Range"] in (None, server.etag)
        if asked and server.knows_ranges and is_same:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.tells_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", server.content_type)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        stop = start + server.cuts.pop(0) if server.cuts else len(content)
        self.wfile.write(content[start:stop])
        self.close_connection = True
        if server.is_silent:
            server.is_closing.wait(10)
        with contextlib.suppress(OSError):  # the client has had enough
            while not server.ends and server.sent < 50_000_000:
                server.sent += self.wfile.write(bytes(100_000))


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetch, "WAIT", 0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.is_closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


def zip_of(members):
    """Return a zip of {name: bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


JUNK = {"__MACOSX/._toy": b"x", "toy/trainA/.DS_Store": b"x"}
TOY = zip_of({"toy/trainA/1": NOISE[:1000], "toy/trainB/1": NOISE, "toy/trainA/sub/2": b"2"} | JUNK)


@pytest.fixture
def toy(server, monkeypatch):
    """Make ``toy`` a known data set that the server has; returns a function that changes what is known of it."""
    server.files["/toy.zip"] = TOY

    def know(content=None, path="/toy.zip", **changes):
        if content is not None:
            server.files[path] = content
        remote = replace(Remote(urls=(server.url(path),), kind="zip"), **changes)
        entry = Entry(about="toys: A and B", licence="none", files=(remote,), folders=("trainA",))
        monkeypatch.setitem(ENTRIES, "toy", entry)

    know(size=len(TOY), checksum=f"sha256:{hashlib.sha256(TOY).hexdigest()}")
    return know


class Run:
    """Calls download.py in a folder of its own."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys

    def __call__(self, *args):
        """Return the exit status; ``out`` and ``err`` hold what was printed."""
        status: object = 0
        try:
            download.main([*args, "--folder", str(self.folder)])
        except SystemExit as stop:
            status = stop.code
        self.out, self.err = self.capsys.readouterr()
        return status

    def fails(self, *args):
        """Check that it ends with status 1 and one line, and return that line."""
        assert self(*args) == 1
        assert self.err.count("\n") == 1
        return self.err

    def check_toy(self):
        assert (self.folder / "toy" / "trainB" / "1").read_bytes() == NOISE
        assert [path.name for path in self.folder.iterdir()] == ["toy"]


@pytest.fixture
def run(tmp_path, capsys):
    return Run(tmp_path / "datasets", capsys)


def test_whole_data_set_arrives_with_its_card_and_nothing_else(toy, run):
    assert run("toy") == 0
    run.check_toy()
    files = sorted(path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file())
    assert files == ["toy/card.yaml", "toy/trainA/1", "toy/trainA/sub/2", "toy/trainB/1"]
    card = yaml.safe_load((run.folder / "toy" / "card.yaml").read_text())
    assert card == {"about": "toys: A and B", "licence": "none"}


@pytest.mark.parametrize("known", [True, False], ids=["checksum known", "nothing known"])
def test_download_cut_three_times_goes_on_where_it_stopped(toy, run, server, known):
    if not known:
        toy()
    server.cuts = [100_000, 70_000, 1]
    assert run("toy") == 0
    assert server.requests == [None, "bytes=100000-", "bytes=170000-", "bytes=170001-"]
    assert "going on at byte" not in run.err
    assert run.out.count("going on at") == 3
    run.check_toy()


@pytest.mark.parametrize("etag", ['"one"', ""], ids=["etag", "length only"])
def test_next_process_goes_on_where_the_last_one_stopped(toy, run, server, etag):
    toy()
    server.etag = etag
    server.cuts = [100_000] + fetch.PATIENCE * [0]
    error = run.fails("toy")
    assert f"the connection was cut after 100000 of {len(TOY)} bytes" in error
    assert f"100000 bytes are kept in {run.folder / '.toy.download'}" in error
    del server.requests[:]
    assert run("toy") == 0
    assert server.requests == ["bytes=100000-"]
    run.check_toy()


def test_server_that_ignores_ranges_sends_all_again(toy, run, server):
    server.knows_ranges = False
    server.cuts = [100_000]
    assert run("toy") == 0
    assert server.requests == [None, "bytes=100000-"]
    run.check_toy()


def test_file_that_changed_between_the_parts_is_fetched_anew(toy, run, server):
    toy(content=zip_of({"old/trainA/1": NOISE[::-1]}))
    server.cuts = [100_000] + fetch.PATIENCE * [0]
    run.fails("toy")
    toy(content=TOY)
    server.etag = '"two"'
    assert run("toy") == 0
    assert server.requests[-1] == "bytes=100000-"
    run.check_toy()


@pytest.mark.parametrize("num_bytes", [100_000, 299_000])
def test_changed_file_is_noticed_without_an_etag(toy, run, server, num_bytes):
    server.etag = ""
    toy(content=NOISE[::-1])  # of another size
    server.cuts = [num_bytes] + fetch.PATIENCE * [0]
    run.fails("toy")
    toy(content=TOY)
    assert run("toy") == 0
    run.check_toy()


def test_parts_that_do_not_fit_together_are_thrown_away_once(toy, run, server):
    server.etag = ""
    server.files["/toy.zip"] = bytes(len(TOY))
    server.cuts = [100_000] + fetch.PATIENCE * [0]
    run.fails("toy")
    server.files["/toy.zip"] = TOY
    assert run("toy") == 0
    assert "the parts do not fit together" in run.out
    assert server.requests[-2:] == ["bytes=100000-", None]
    run.check_toy()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checksum": "sha256:" + 64 * "0"}, f"its sha256 checksum is {hashlib.sha256(TOY).hexdigest()}, expected 000"),
        ({"checksum": "md5:" + 32 * "0"}, f"its md5 checksum is {hashlib.md5(TOY).hexdigest()}, expected 000"),
        ({"size": 5}, f"its size is {len(TOY)} bytes, expected 5"),
        ({"path": "/none.zip"}, "HTTP 404 Not Found"),
    ],
    ids=["sha256", "md5", "size", "404"],
)
def test_wrong_file_is_refused_and_leaves_nothing(toy, run, server, changes, message):
    toy(**changes)
    error = run.fails("toy")
    assert f"download.py: error: cannot download toy: {server.url('/')}" in error
    assert message in error
    assert "without a download: --dataroot rps_mini, --dataroot emoji_mini" in error
    assert list(run.folder.iterdir()) == []


def test_web_page_in_place_of_the_file_is_refused(toy, run, server):
    server.content_type = "text/html; charset=utf-8"
    assert "the server sent a web page" in run.fails("toy")


def test_second_address_is_asked_when_the_first_fails(toy, run, server):
    toy(urls=(server.url("/moved/toy.zip"), server.url("/toy.zip")))
    assert run("toy") == 0
    run.check_toy()


def test_server_out_of_order_is_given_up(toy, run, server):
    server.dead = True
    assert "HTTP 503 Service Unavailable" in run.fails("toy")
    assert len(server.requests) == fetch.PATIENCE


def test_server_that_never_ends_is_read_no_further_than_the_known_size(toy, run, server):
    server.ends = server.tells_length = False
    error = run.fails("toy")
    assert f"its size is {len(TOY) + 1} bytes, expected {len(TOY)}" in error
    assert server.sent < 20_000_000  # what lies in buffers of the system
    assert not (run.folder / ".toy.download").exists()


@pytest.mark.parametrize("num_bytes", [0, 1000])
def test_silent_server_is_given_up_and_what_came_is_kept(toy, run, server, monkeypatch, num_bytes):
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    monkeypatch.setattr(fetch, "PATIENCE", 1)
    server.is_silent, server.cuts = True, [num_bytes, 0, 0, 0]
    assert "no answer for 0 seconds" in run.fails("toy")
    server.is_silent, server.cuts = False, []
    assert run("toy") == 0
    assert server.requests[-1] == (f"bytes={num_bytes}-" if num_bytes else None)
    run.check_toy()


def tar_of(*members):
    """Return a tar.gz of (name, content), or of TarInfo for what is no file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                file.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                file.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_with_mode(mode):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        info = zipfile.ZipInfo("toy/trainA")
        info.create_system, info.external_attr = 3, mode << 16
        file.writestr(info, "/etc")
    return buffer.getvalue()


def zip_by(method):
    """Return a zip of one compressed member, with damage in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("toy/trainA/1", NOISE)
    return damaged(buffer.getvalue())


def damaged(archive):
    return archive[: len(archive) // 2] + bytes(20) + archive[len(archive) // 2 + 20 :]


BAD_ARCHIVES = {
    "zip dots": ("zip", zip_of({"toy/../../../evil": b"x"}), "'toy/../../../evil' would be written outside"),
    "zip absolute": ("zip", zip_of({"/tmp/evil": b"x"}), "'/tmp/evil' would be written outside"),
    "zip drive": ("zip", zip_of({"C:/evil": b"x"}), "'C:/evil' would be written outside"),
    "zip backslash": ("zip", zip_of({"..\\evil": b"x"}), "would be written outside"),
    "zip symlink": ("zip", zip_with_mode(stat.S_IFLNK | 0o777), "'toy/trainA' is a link"),
    "zip device": ("zip", zip_with_mode(stat.S_IFIFO | 0o666), "'toy/trainA' is a device"),
    "zip twice": ("zip", zip_of({"toy/trainA": b"x", "toy/trainA/1": b"x"}), "'toy/trainA/1' is in it twice"),
    "zip bomb": ("zip", zip_of({"toy/trainA/1": NOISE}), "toy.zip is refused: it unpacks to more than 200,000 bytes"),
    "zip damaged": ("zip", damaged(TOY), "toy.zip is damaged or no archive: Bad CRC-32 for file 'toy/trainB/1'"),
    "zip bz2": ("zip", zip_by(zipfile.ZIP_BZIP2), "toy.zip is damaged or no archive: Invalid data stream"),
    "zip lzma": ("zip", zip_by(zipfile.ZIP_LZMA), "toy.zip is damaged or no archive: Corrupt input data"),
    "zip deep": ("zip", zip_of({"/".join("d" * 1500): b"x"}), "toy.zip is refused: the name 'd/d/"),
    "zip long": ("zip", zip_of({"toy/" + "a" * 300: b"x"}), "is too long or too deep"),
    "tar deep": ("tar.gz", tar_of(("/".join("d" * 1500), b"x")), "toy.zip is refused: the name 'd/d/"),
    "zip not": ("zip", b"not an archive", "toy.zip is damaged or no archive: File is not a zip file"),
    "zip without trainA": ("zip", zip_of({"toy/trainB/1": b"x"}), "what was downloaded for toy has no folder trainA"),
    "tar dots": ("tar.gz", tar_of(("../evil", b"x")), "'../evil' would be written outside"),
    "tar absolute": ("tar.gz", tar_of(("/tmp/evil", b"x")), "'/tmp/evil' would be written outside"),
    "tar symlink": ("tar.gz", tar_of(special("toy/trainA", tarfile.SYMTYPE, "/etc")), "'toy/trainA' is a link"),
    "tar hard link": ("tar.gz", tar_of(special("toy/x", tarfile.LNKTYPE, "/etc/passwd")), "'toy/x' is a link"),
    "tar device": ("tar.gz", tar_of(special("toy/x", tarfile.CHRTYPE)), "'toy/x' is a device"),
    "tar twice": ("tar.gz", tar_of(("toy/x", b"1"), ("toy/x", b"2")), "'toy/x' is in it twice"),
    "tar bomb": ("tar.gz", tar_of(("toy/x", bytes(300_000))), "it unpacks to more than 200,000 bytes"),
    "tar header bomb": ("tar.gz", tar_of((2_000_000 * "x", b"x")), "it unpacks to more than 200,000 bytes"),
    "tar damaged": ("tar.gz", damaged(tar_of(("toy/trainA/x", NOISE))), "toy.zip is damaged or no archive: "),
    "tar cut": ("tar.gz", tar_of(("toy/trainA/x", NOISE))[:-9], "toy.zip is damaged or no archive: "),
    "tar not": ("tar.gz", b"not an archive", "toy.zip is damaged or no archive: Not a gzipped file"),
    "tar of nothing": ("tar.gz", gzip.compress(b""), "toy.zip is damaged or no archive: "),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_bad_archive_is_refused_and_leaves_nothing(toy, run, tmp_path, monkeypatch, case):
    monkeypatch.setattr(download, "MAX_EXPANSION", 0)
    monkeypatch.setattr(download, "ROOM", 200_000 if "bomb" in case else 1_000_000)
    kind, content, message = BAD_ARCHIVES[case]
    toy(content=content, kind=kind)
    assert message in run.fails("toy")
    assert [path for path in tmp_path.rglob("*") if path != run.folder] == []
    assert not Path("/tmp/evil").exists()


class FullDisk:
    """Stands in for a file on a disk that has room for so many bytes only."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(content[: self.room])
        if len(content) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(content)


def test_full_disk_stops_the_download_and_keeps_the_part(toy, run, server, monkeypatch):
    original = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(
            Path,
            "open",
            lambda path, mode="r", **kw: (
                FullDisk(original(path, mode), 100_000) if path.suffix == ".part" else original(path, mode, **kw)
            ),
        )
        error = run.fails("toy")
    work = run.folder / ".toy.download"
    assert f"the disk of {work} is full: 100000 bytes of toy.zip.part are kept" in error
    assert run("toy") == 0
    assert server.requests[-1] == "bytes=100000-"
    run.check_toy()


def test_disk_that_is_too_small_is_named_before_the_download(toy, run, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    assert f"toy.zip.part needs {len(TOY)} bytes more" in run.fails("toy")


def test_disk_that_is_full_when_unpacking_keeps_the_archive(toy, run, server, monkeypatch):
    def unpack(archive, kind, folder, limit):
        folder.mkdir()
        (folder / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(download, "unpack", unpack)
        error = run.fails("toy")
    work = run.folder / ".toy.download"
    assert f"the disk of {work} is full: toy is downloaded but not unpacked" in error
    assert sorted(path.name for path in work.iterdir()) == [".lock", "toy.zip"]
    assert run("toy") == 0
    assert len(server.requests) == 1
    run.check_toy()


def test_offline_is_one_line_with_the_addresses_and_what_needs_none(toy, run, server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        urls = (f"http://127.0.0.1:{port}/toy.zip", f"http://localhost:{port}/toy.zip")
        toy(urls=urls)
        error = run.fails("toy")
    for url in urls:
        assert f"{url} (Connection refused)" in error
    assert "without a download: --dataroot rps_mini, --dataroot emoji_mini" in error
    assert list(run.folder.iterdir()) == []
    assert server.requests == []


def test_unknown_name_is_answered_with_the_nearest(run):
    error = run.fails("horse2zebras")
    assert "no data set is known as 'horse2zebras'; did you mean 'horse2zebra'?" in error
    assert not run.folder.exists()


def test_data_set_that_is_there_is_left_alone(toy, run, server):
    (run.folder / "toy").mkdir(parents=True)
    (run.folder / "toy" / "mine").write_text("")
    assert run("toy") == 0
    assert run.out == f"{run.folder / 'toy'} is there already\n"
    assert server.requests == []


def test_empty_folder_of_that_name_is_filled_and_a_file_is_in_the_way(toy, run):
    (run.folder / "toy").mkdir(parents=True)
    assert run("toy") == 0
    run.check_toy()
    (run.folder / "mnist").write_text("")
    assert "mnist is in the way" in run.fails("mnist")


def test_embedded_data_sets_are_always_there(run):
    assert run("rps_mini") == 0
    assert "rps_mini is there already" in run.out


@pytest.mark.parametrize("name", ["celeba", "cityscapes"])
def test_data_sets_whose_terms_allow_no_direct_link_say_how_to_get_them(run, name):
    error = run.fails(name)
    assert f"{name} must be fetched by hand: " in error
    assert "http" in error
    assert str(run.folder / name) in error


def test_second_process_is_kept_out(toy, run):
    work = run.folder / ".toy.download"
    hold = f"from util.files import FolderLock; from pathlib import Path; lock = FolderLock(Path({str(work)!r}))"
    script = [sys.executable, "-c", f"{hold}; print(flush=True); input()"]
    with subprocess.Popen(script, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        assert f"{work} is in use by another process" in run.fails("toy")
        other.communicate(b"\n")
    assert run("toy") == 0
    run.check_toy()


def test_what_a_killed_process_left_is_cleared_away(toy, run):
    for leftover in ("raw/toy/trainA", "staged/trainB"):
        (run.folder / ".toy.download" / leftover).mkdir(parents=True)
    assert run("toy") == 0
    run.check_toy()


def test_list_names_every_data_set(run):
    assert run("--list") == 0
    assert [line.split()[0] for line in run.out.splitlines()] == list(ENTRIES)
    assert "cifar10                   170 MB  photographs in 10 classes" in run.out


def test_files_of_the_mnist_family_go_to_raw(server, monkeypatch, run):
    server.files |= {f"/{name}.gz": name.encode() for name in ("images", "labels")}
    files = tuple(
        Remote(urls=(server.url(f"/{name}.gz"),), kind="as it is", size=6, into="raw") for name in ("images", "labels")
    )
    monkeypatch.setitem(ENTRIES, "toy", Entry(about="digits", licence="none", files=files))
    assert run("toy") == 0
    assert (run.folder / "toy" / "raw" / "labels.gz").read_bytes() == b"labels"


def cifar_records(num, seed):
    records = np.random.default_rng(seed).integers(0, 256, (num, 3073), dtype=np.uint8)
    records[:, 0] = np.arange(num) % 10
    return records


def test_cifar_batches_become_class_folders(toy, run, monkeypatch):
    batches = {f"data_batch_{i}.bin": cifar_records(4, i) for i in range(1, 6)} | {
        "test_batch.bin": cifar_records(3, 0)
    }
    members = [(f"cifar-10-batches-bin/{name}", records.tobytes()) for name, records in batches.items()]
    toy(content=tar_of(*members, ("cifar-10-batches-bin/batches.meta.txt", b"airplane\n")), kind="tar.gz")
    entry = replace(ENTRIES["toy"], convert=cifar.to_class_folders, folders=("train/airplane", "test/truck"))
    monkeypatch.setitem(ENTRIES, "toy", entry)
    assert run("toy") == 0
    root = run.folder / "toy"
    assert sorted(path.name for path in root.iterdir()) == ["card.yaml", "test", "train"]
    assert len(list(root.glob("train/*/*.png"))) == 20
    with Image.open(root / "train" / "bird" / "00006.png") as image:  # the third image of the second batch
        expected = batches["data_batch_2.bin"][2, 1:].reshape(3, 32, 32)
        assert (np.asarray(image).transpose(2, 0, 1) == expected).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "0 bytes are no whole number"), (bytes(3074), "no whole number"), (b"\n" + bytes(3072), "has label 10")],
)
def test_damaged_cifar_batch_is_refused(tmp_path, content, message):
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        cifar.read_batch(tmp_path / "x.bin")


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_is_complete_and_documented(name):
    entry = ENTRIES[name]
    docs = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert f"`{name}`" in docs
    assert entry.about
    assert entry.licence
    is_made_here = name.startswith("mini")
    assert [bool(entry.files), bool(entry.by_hand), is_made_here].count(True) == 1
    assert not entry.files or entry.size > 0
    for file in entry.files:
        assert all(url.startswith(("https://", "http://")) and url.endswith(f"/{file.name}") for url in file.urls)
        assert file.kind == "as it is" or file.name.endswith(f".{file.kind}")
        assert re.fullmatch(r"(sha256:[0-9a-f]{64})?", file.checksum)
        assert all(url.rsplit("/", 1)[0] in docs for url in file.urls), f"docs/datasets.md lacks {file.urls}"


def test_script_runs_from_anywhere_and_imports_no_torch(tmp_path):
    script = [sys.executable, "-X", "importtime", str(ROOT / "datasets" / "download.py"), "--list"]
    result = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    assert "horse2zebra" in result.stdout
    assert not re.search(r"\|\s+torch$", result.stderr, re.MULTILINE)
