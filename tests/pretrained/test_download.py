"""Downloads against a server on this machine: whole, continued, redirected, broken, wrong."""

from __future__ import annotations

import fcntl
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gantools.errors import ModelFileError
from gantools.pretrained.download import download

CONTENT = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT: ``/file`` with ranges, ``/whole`` without, ``/short`` ends halfway, ``/away`` leads to ftp."""

    ranges: list[str | None]

    def do_GET(self) -> None:
        wish = self.headers.get("Range")
        self.server.ranges.append(wish)
        start = int(wish.removeprefix("bytes=").rstrip("-")) if wish and self.path == "/file" else 0
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", f"ftp://127.0.0.1:{self.server.server_port}/file")
            self.end_headers()
        elif self.path not in ("/file", "/whole", "/short"):
            self.send_error(404)
        elif start >= len(CONTENT):
            self.send_error(416)
        else:
            self.send_content(start)

    def send_content(self, start: int) -> None:
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT) // 2 if self.path == "/short" else len(CONTENT)
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.ranges = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def get(server: ThreadingHTTPServer, page: str, target: Path, digest: str = DIGEST, **more) -> None:
    download(f"http://127.0.0.1:{server.server_port}/{page}", target, digest, schemes=("http",), **more)


def test_a_whole_file_arrives_under_its_name_alone(server, tmp_path):
    seen = []
    get(server, "file", tmp_path / "new" / "net.pth", progress=lambda here, total: seen.append((here, total)))
    assert (tmp_path / "new" / "net.pth").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net.pth"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_download_is_continued_where_it_ended(server, tmp_path):
    half = len(CONTENT) // 2
    with pytest.raises(ConnectionError, match=f"{half} of {len(CONTENT)} bytes"):
        get(server, "short", tmp_path / "net.pth")
    assert not (tmp_path / "net.pth").exists()
    get(server, "file", tmp_path / "net.pth")
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={half}-"]


def test_a_server_without_ranges_starts_again(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT[:1000])
    get(server, "whole", tmp_path / "net.pth")
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_complete_part_needs_only_the_check(server, tmp_path):
    (tmp_path / "net.pth.part").write_bytes(CONTENT)
    get(server, "file", tmp_path / "net.pth")
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert not (tmp_path / "net.pth.part").exists()


@pytest.mark.parametrize("there", [b"", b"x" * 1000, b"x" * 2_000_000])
def test_other_content_is_thrown_away_and_the_old_file_stays(server, tmp_path, there):
    (tmp_path / "net.pth").write_bytes(b"old")
    (tmp_path / "net.pth.part").write_bytes(there)
    with pytest.raises(ModelFileError, match="sha256"):
        get(server, "file", tmp_path / "net.pth", digest="00000000")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]
    assert (tmp_path / "net.pth").read_bytes() == b"old"


@pytest.mark.parametrize(("page", "reason"), [("none", "404"), ("away", "only http is followed")])
def test_a_refusal_leaves_nothing_behind(server, tmp_path, page, reason):
    with pytest.raises(ConnectionError, match=reason):
        get(server, page, tmp_path / "net.pth")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheme", ["http", "ftp", "file"])
def test_only_https_is_followed_unless_told_otherwise(server, tmp_path, scheme):
    with pytest.raises(ConnectionError, match="only https is followed"):
        download(f"{scheme}://127.0.0.1:{server.server_port}/file", tmp_path / "net.pth", DIGEST)
    assert server.ranges == []


def test_nobody_listening_is_a_connection_error_with_the_address(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    with pytest.raises(ConnectionError, match=f"http://127.0.0.1:{port}/file: "):
        download(f"http://127.0.0.1:{port}/file", tmp_path / "net.pth", DIGEST, schemes=("http",))


def test_two_downloads_of_one_file_do_not_mix(server, tmp_path):
    with (tmp_path / "net.pth.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConnectionError, match="another process"):
            get(server, "file", tmp_path / "net.pth")
    assert server.ranges == []
