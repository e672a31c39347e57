"""Downloading: progress, going on after a break, checksum, and what is said without a network. All on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rung.data import fetch
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels

CONTENT = bytes(range(256)) * 4096
MD5 = hashlib.md5(CONTENT).hexdigest()


class Site(ThreadingHTTPServer):
    """A server of one file that can break off after some bytes, and can know nothing of ranges."""

    breaks_after: int | None = None
    breaks = 0
    knows_ranges = True
    status = 200
    asked: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        site = self.server
        wanted = self.headers.get("Range")
        site.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.knows_ranges else 0
        if site.status != 200 or start >= len(CONTENT):
            self.send_error(416 if site.status == 200 else site.status)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        rest = CONTENT[start:]
        if site.breaks_after is not None and site.breaks:
            site.breaks -= 1
            rest = rest[: site.breaks_after]
        self.wfile.write(rest)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Site(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_download_reports_progress_and_leaves_one_file(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    fetch.download(site.url, tmp_path / "new" / "x", MD5, lambda done, total: seen.append((done, total)))
    assert (tmp_path / "new" / "x").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(seen) == seen
    assert len(seen) > 2


def test_a_broken_connection_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.breaks, site.breaks_after = 2, 400_000
    fetch.download(site.url, tmp_path / "x", MD5)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == [None, "bytes=400000-", "bytes=800000-"]


def test_a_later_try_goes_on_where_the_first_gave_up(site: Site, tmp_path: Path) -> None:
    site.breaks, site.breaks_after = 100, 100_000
    with pytest.raises(DataError, match="could not be downloaded from"):
        fetch.download(site.url, tmp_path / "x", MD5)
    assert not (tmp_path / "x").exists()
    here = (tmp_path / "x.part").stat().st_size
    assert here >= 100_000
    site.breaks, site.asked = 0, []
    fetch.download(site.url, tmp_path / "x", MD5)
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == [f"bytes={here}-"]


def test_a_server_without_ranges_sends_all_again(site: Site, tmp_path: Path) -> None:
    site.knows_ranges = False
    (tmp_path / "x.part").write_bytes(CONTENT[:1000])
    fetch.download(site.url, tmp_path / "x", MD5)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_whole_part_needs_only_its_checksum(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(CONTENT)
    fetch.download(site.url, tmp_path / "x", MD5)
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_wrong_checksum_is_deleted_and_both_are_named(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has the MD5 {MD5}, not {'0' * 32}: it was deleted"):
        fetch.download(site.url, tmp_path / "x", "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_of_two_at_once_one_downloads_and_the_other_waits(site: Site, tmp_path: Path) -> None:
    threads = [threading.Thread(target=fetch.download, args=(site.url, tmp_path / "x", MD5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == [None]
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_refusal_is_not_tried_again(site: Site, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(DataError, match=r"could not be downloaded from .*Not Found"):
        fetch.download(site.url, tmp_path / "x", MD5)
    assert site.asked == [None]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "archive", "folder"), [(n, o.archive, o.folder) for n, o in (("cifar10", fetch.CIFAR10), ("cifar100", fetch.CIFAR100))])
def test_without_a_network_the_error_says_which_file_to_put_where(
    site: Site, name: str, archive: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.shutdown()
    site.server_close()
    monkeypatch.setattr(fetch, "OFFICIAL_SITE", f"http://127.0.0.1:{site.server_port}/")
    monkeypatch.setenv("RUNG_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=f"{folder} is not in {tmp_path}, .*refused.*: put {archive} .* or the folder {folder} into {tmp_path}, or let RUNG_DATA name"
    ):
        load(Data(sources=(name,)), Pixels())


def test_the_archive_is_downloaded_once_and_then_found(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "OFFICIAL_SITE", f"http://127.0.0.1:{site.server_port}/")
    monkeypatch.setenv("RUNG_DATA", str(tmp_path))
    official = fetch.Official("a.tar.gz", MD5, "a", ("one",))
    assert fetch.locate(official) == fetch.locate(official) == tmp_path / "a.tar.gz"
    assert len(site.asked) == 1


def test_the_folder_of_data_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_DATA", str(tmp_path / "mine"))
    assert fetch.data_folder() == tmp_path / "mine"
    monkeypatch.delenv("RUNG_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert fetch.data_folder() == tmp_path / "cache" / "rung"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert fetch.data_folder() == tmp_path / "home" / ".cache" / "rung"


def test_extracted_files_are_found_in_the_folder_or_as_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / fetch.CIFAR100.folder
    folder.mkdir()
    monkeypatch.setenv("RUNG_DATA", str(tmp_path))
    (folder / "meta").write_bytes(b"")
    with pytest.raises(DataError, match="lacks train, test: put them there"):
        fetch.locate(fetch.CIFAR100)
    for name in ("train", "test"):
        (folder / name).write_bytes(b"")
    assert fetch.locate(fetch.CIFAR100) == folder
    monkeypatch.setenv("RUNG_DATA", str(folder))
    assert fetch.locate(fetch.CIFAR100) == folder
