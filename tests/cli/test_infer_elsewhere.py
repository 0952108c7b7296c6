"""``gantools infer`` with URLs: folders in a store and out of one, images of the web, and what goes wrong."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import typer
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner

from gantools import api
from gantools.cli.commands.infer import infer
from gantools.cli.output import console
from gantools.files import STAGED_PREFIX
from gantools.images.image import Image
from gantools.images.io import reader, writer

MISSING = [
    name for name in ("s3fs", "moto.server", "boto3") if importlib.util.find_spec(name.partition(".")[0]) is None
]
PNG = writer.encode(Image(np.full((3, 5, 3), 90, np.uint8)), "png")

app = typer.Typer(rich_markup_mode=None)
app.command()(infer)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANTOOLS_DEVICE", "cpu")
    MemoryFileSystem.store.clear()


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    """A server that behaves as S3 does, and the variables that lead there."""
    if MISSING:
        pytest.skip(f"a server like S3 needs {', '.join(MISSING)}: pip install s3fs 'moto[server]'")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "SECRET", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.get_host_and_port()[1]}"}.items():
            environment.setenv(name, value)
        yield
    server.stop()


@pytest.fixture(params=["memory://bucket", "s3://bucket"])
def root(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty bucket."""
    if request.param.startswith("s3"):
        request.getfixturevalue("s3")
    fs, path = fsspec.url_to_fs(request.param)
    fs.mkdirs(path, exist_ok=True)
    yield request.param
    fs.rm(path, recursive=True)


def put(root: str, **contents: bytes) -> None:
    for name, content in contents.items():
        fs, path = fsspec.url_to_fs(f"{root}/{name}")
        fs.pipe_file(path, content)


def names(url: str) -> list[str]:
    fs, path = fsspec.url_to_fs(url)
    fs.invalidate_cache()
    return sorted(name.partition(f"{path}/")[2] for name in fs.find(path))


def test_a_folder_goes_from_bucket_to_bucket(root: str, doubling: str) -> None:
    put(root, **{"in/a.png": PNG, "in/sub/b.png": PNG, "in/c.png": PNG[:-30], "in/notes.txt": b""})
    command = (doubling, f"{root}/in", "-o", f"{root}/out", "-r", "--json")
    planned = run(*command, "-n")
    assert (planned.exit_code, names(f"{root}/out")) == (0, [])
    done = run(*command)
    *rows, summary = map(json.loads, done.stdout.splitlines())
    assert (done.exit_code, names(f"{root}/out")) == (3, ["a.png", "sub/b.png"])
    assert [(row["input"], row["output"], row["status"]) for row in rows] == [
        (f"{root}/in/a.png", f"{root}/out/a.png", "done"),
        (f"{root}/in/c.png", f"{root}/out/c.png", "failed"),
        (f"{root}/in/sub/b.png", f"{root}/out/sub/b.png", "done"),
    ]
    assert (rows[0]["output_size"], summary["summary"]["failed"]) == ([10, 6], 1)
    fs, path = fsspec.url_to_fs(f"{root}/out/a.png")
    assert reader.read(fs.cat_file(path)).width == 10
    again = run(*command)
    assert again.exit_code == 2
    assert f"exists already: '{root}/out/a.png', '{root}/out/sub/b.png'; --overwrite" in again.stderr
    put(root, **{"in/c.png": PNG, "out/a.png": b"left as it is"})
    rest = [json.loads(line) for line in run(*command, "--skip-existing").stdout.splitlines()]
    assert [row["status"] for row in rest[:-1]] == ["skipped", "done", "skipped"]
    assert fs.cat_file(path) == b"left as it is"
    assert run(*command, "--overwrite").exit_code == 0
    assert fs.cat_file(path) != b"left as it is"


def test_from_here_to_a_bucket_and_back(root: str, doubling: str) -> None:
    Path("in/sub").mkdir(parents=True)
    for name in ("in/a.png", "in/sub/b.png"):
        Path(name).write_bytes(PNG)
    sent = run(doubling, "in", "-o", f"{root}/large", "-r")
    assert (sent.exit_code, sent.stdout) == (0, f"{root}/large/a.png\n{root}/large/sub/b.png\n")
    back = run(doubling, f"{root}/large/a.png", f"{root}/large/none.png", "-o", "out")
    assert (back.exit_code, back.stdout) == (3, "out/a.png\n")
    assert (
        f"gantools: '{root}/large/none.png': is not there: no such file, folder or bucket" in back.stderr.splitlines()
    )
    assert reader.read("out/a.png").width == 20
    assert run(doubling, "in/a.png", "-o", f"{root}/one.jpg").exit_code == 0
    assert "one.jpg" in names(root)


def test_a_bucket_that_is_missing_is_seen_before_any_work(s3: None, doubling: str) -> None:
    Path("a.png").write_bytes(PNG)
    done = run(doubling, "a.png", "-o", "s3://none/a.png")
    assert (done.exit_code, done.stderr) == (2, "gantools: 's3://none': is not there: no such file, folder or bucket\n")


def test_uploads_that_fail_cost_one_image_and_leave_nothing(doubling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put("memory://in", **{"a.png": PNG, "b.png": PNG})
    upload = MemoryFileSystem.mv

    def fail(store: MemoryFileSystem, staged: str, name: str) -> None:
        if name.endswith("a.png"):
            raise PermissionError("Access Denied")
        upload(store, staged, name)

    monkeypatch.setattr(MemoryFileSystem, "mv", fail)
    done = run(doubling, "memory://in", "-o", "memory://out")
    assert (done.exit_code, done.stdout) == (3, "memory://out/b.png\n")
    said = "'memory://in/a.png': 'memory://out/a.png': no permission (Access Denied); give credentials"
    assert said in done.stderr
    assert names("memory://out") == ["b.png"]


def test_a_run_that_is_stopped_leaves_whole_results(doubling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put("memory://in", **{f"{number}.png": PNG for number in range(40)})
    upload = MemoryFileSystem.pipe_file

    def slowly(store: MemoryFileSystem, name: str, content: bytes) -> None:
        upload(store, name, content[:9])
        time.sleep(0.05)
        upload(store, name, content, mode="overwrite")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", slowly)
    with api.infer(doubling, "memory://in", output="memory://out", io_workers=0) as results:
        next(results)
    found = names("memory://out")
    assert 0 < len(found) < 40
    assert not [name for name in found if STAGED_PREFIX in name]
    assert {reader.read(MemoryFileSystem().cat_file(f"/out/{name}")).width for name in found} == {10}


@pytest.fixture
def web() -> Iterator[Callable[[str], str]]:
    """URLs of the files here on a server."""
    pytest.importorskip("aiohttp", reason="https:// needs aiohttp: pip install 'gantools[remote]'")
    handler = functools.partial(_Handler, directory=os.getcwd())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield lambda name: f"http://127.0.0.1:{server.server_port}/{name}"
        server.shutdown()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def send_head(self) -> Any:
        if self.path.startswith("/private"):
            self.send_error(403)
            return None
        return super().send_head()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_images_of_the_web(web: Callable[[str], str], doubling: str) -> None:
    Path("in.png").write_bytes(PNG)
    Path("photo").write_bytes(PNG)
    Path("page.png").write_text("<html>sign in</html>")
    query = "?X-Amz-Signature=SECRET"
    done = run(doubling, web("in.png") + query, "-o", "out.jpg")
    assert (done.exit_code, done.stdout) == (0, "out.jpg\n"), done.stderr
    done = run(doubling, web("photo"), "-o", "out/")
    assert (done.exit_code, done.stdout) == (0, "out/photo.png\n"), done.stderr
    console.Settings.debug = True  # tracebacks, too
    names = ("in.png", "none.png", "page.png", "private.png")
    several = [web(name) + query for name in names]
    done = run(doubling, *several, "-o", "all", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()][:-1]
    assert done.exit_code == 3
    assert [row["input"] for row in rows] == [web(name) + "?…" for name in names]
    assert [row["status"] for row in rows] == ["done", "failed", "failed", "failed"]
    assert rows[1]["error"] == "is not there: no such file, folder or bucket"
    assert rows[2]["error"] == "not a PNG, JPEG, WebP, TIFF, BMP or PPM image"
    assert rows[3]["error"].startswith("no permission (403, message='Forbidden'")
    assert "Traceback" in done.stderr
    assert "SECRET" not in done.output


def test_local_names_import_nothing_for_others(doubling: str) -> None:
    Path("in.png").write_bytes(PNG)
    script = (
        "import atexit, sys; from gantools.cli.start import main;"
        "atexit.register(lambda: print({'fsspec', 's3fs', 'aiohttp'} & {*sys.modules}));"
        "sys.argv.insert(1, 'infer'); main()"
    )
    for inputs, imported in ((["in.png", "./s3:/in.png"], "set()"), (["memory://none.png"], "{'fsspec'}")):
        command = [sys.executable, "-c", script, doubling, *inputs, "-o", "out/", "-n"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.stdout.splitlines()[-1] == imported, done.stderr
