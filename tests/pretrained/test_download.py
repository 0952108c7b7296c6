"""Feature networks against a server on this machine: a whole file, another file, an incomplete one, an error."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gantools.errors import GantoolsError, ModelFileError
from gantools.pretrained import feature_networks
from gantools.pretrained.feature_networks import FeatureNetwork, fetch

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT as ``net``, half of it as ``short``."""

    def do_GET(self) -> None:
        name = self.path.rsplit("/")[-1].partition("-")[0]
        if name not in ("net", "short"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // (2 if name == "short" else 1)])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        monkeypatch.setattr(feature_networks, "ADDRESS", f"http://127.0.0.1:{running.server_port}")
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield
        running.shutdown()


@pytest.mark.usefixtures("server")
def test_a_whole_file_arrives_under_its_name_alone_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = FeatureNetwork("net", SHA256, 1, "a test")
    path = fetch(network, tmp_path / "new")
    assert (path.name, path.read_bytes()) == ("net.pth", CONTENT)
    assert list(path.parent.iterdir()) == [path]
    monkeypatch.setattr(feature_networks, "ADDRESS", "http://nowhere.invalid")
    assert fetch(network, tmp_path / "new") == path


@pytest.mark.usefixtures("server")
def test_a_file_from_elsewhere_keeps_its_suffix(tmp_path: Path) -> None:
    address = f"{feature_networks.ADDRESS}/net-of-faces.onnx"
    network = FeatureNetwork("faces", SHA256, 1, "a test", suffix=".onnx", address=address)
    assert fetch(network, tmp_path) == feature_networks.installed_file(network, tmp_path) == tmp_path / "faces.onnx"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("name", "sha256", "error"),
    [("net", "0" * 8, ModelFileError), ("short", SHA256, ModelFileError), ("none", SHA256, GantoolsError)],
)
def test_another_file_leaves_the_old_one_alone(tmp_path: Path, name: str, sha256: str, error: type[Exception]) -> None:
    (tmp_path / f"{name}.pth").write_bytes(b"old")
    with pytest.raises(error, match=r"http://127\.0\.0\.1"):
        fetch(FeatureNetwork(name, sha256, 1, "a test"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.pth"]
    assert (tmp_path / f"{name}.pth").read_bytes() == b"old"
