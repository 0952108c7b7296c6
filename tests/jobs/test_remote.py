"""Names with ``://``: which are, how they are shown, found, read and written; on fsspec's file system in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from gantools.errors import ImageError, UsageError
from gantools.jobs import remote
from gantools.jobs.outputs import settle
from gantools.jobs.plan import placed
from gantools.jobs.remote import RemotePath

STORE = MemoryFileSystem()


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    STORE.store.clear()
    yield
    STORE.store.clear()


def put(*names: str) -> None:
    for name in names:
        STORE.store.pop(name, None)
        STORE.pipe_file(name, b"content")


@pytest.mark.parametrize("name", ["s3://b/in.png", "gs://b", "https://h/in.jpg", "S3://B", "abfs://c@a/x"])
def test_a_scheme_means_elsewhere(name: str) -> None:
    assert remote.located(name) == RemotePath(name)


@pytest.mark.parametrize(
    "name", ["in.png", "./s3://b/in.png", "a/s3://b", "s3:/b", "C:\\in.png", "://b", "x:y", "é://b"]
)
def test_other_names_are_local(name: str) -> None:
    assert remote.located(name) == Path(name)


@pytest.mark.parametrize(
    ("url", "shown", "name"),
    [
        ("s3://b/in.png", "s3://b/in.png", "in.png"),
        ("s3://b/what?.png", "s3://b/what?.png", "what?.png"),
        ("https://h/a/in.jpg?X-Amz-Signature=SECRET&x=1", "https://h/a/in.jpg?…", "in.jpg"),
        ("https://h/in.jpg#token=SECRET", "https://h/in.jpg#…", "in.jpg"),
        ("https://me:SECRET@h:80/in.jpg", "https://…@h:80/in.jpg", "in.jpg"),
        ("https://SECRET@h/in@2x.jpg?raw", "https://…@h/in@2x.jpg?…", "in@2x.jpg"),
        ("https://h/get?file=SECRET/in.jpg", "https://h/get?…", "get"),
        ("s3://b/in/", "s3://b/in/", ""),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str, name: str) -> None:
    assert (str(RemotePath(url)), RemotePath(url).name) == (shown, name)


def test_places_are_in_the_order_of_local_folders_and_lead_nowhere_else() -> None:
    put("/in/b.png", "/in/a.png", "/in/B/x.png", "/in/B/A/y.png", "/in/a.png.d/z.png", "/inside/no.png")
    for name in ("/in/.hidden.png", "/in/.git/x.png", "/in/@eaDir/x.png", "/in/../up.png", "/in//etc/x.png"):
        STORE.store[name] = STORE.store["/in/a.png"]
    put("/in/out/old.png")
    folder, places = RemotePath("memory://in"), ["a.png", "b.png", "B/x.png", "B/A/y.png", "a.png.d/z.png"]
    found = remote.below(folder, RemotePath("memory://in/out"), recursive=True)
    assert list(map(str, found)) == places
    assert remote.below(folder, Path("out"), recursive=False) == [PurePath("a.png"), PurePath("b.png")]
    assert PurePath("out/old.png") in remote.below(folder, RemotePath("memory://in"), recursive=True)


def test_what_is_there() -> None:
    put("/in/a.png", "/in/photo")
    kinds = {name: remote.kind(RemotePath(f"memory://{name}")) for name in ("in", "in/photo", "in/none", "none/")}
    assert kinds == {"in": "folder", "in/photo": "file", "in/none": None, "none/": "folder"}
    put("/out/a.png", "/out/sub/c.png")
    asked = [RemotePath(f"memory://out/{name}") for name in ("a.png", "b.png", "sub", "sub/c.png", "no/d.png")]
    assert remote.existing(asked) == {asked[0], asked[3]}


def test_a_write_that_fails_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    path = RemotePath("memory://out/deep/a.png")
    remote.write(path, b"old")
    write = STORE.pipe_file

    def half(store: MemoryFileSystem, name: str, content: bytes) -> None:
        write(name, content[:2])
        raise ConnectionResetError("peer is gone")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", half)
    with pytest.raises(ImageError, match=r"'memory://out/deep/a.png': the connection .* \(peer is gone\); try again"):
        remote.write(path, b"new content")
    assert remote.read(path) == b"old"
    assert [name for name in STORE.store if "a.png" not in name] == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("x"), "is not there"),
        (PermissionError("Access Denied"), r"no permission \(Access Denied\); give credentials"),
        (type("NoCredentialsError", (Exception,), {})("none"), r"no permission \(none\); give credentials"),
        (Exception("403, message='Forbidden'"), "no permission .*403"),
        (type("ClientConnectorError", (OSError,), {})("Cannot connect"), "connection .* try again, --skip-existing"),
        (TimeoutError(), r"connection .*\(TimeoutError\)"),
        (OSError(5, "strange\nthings"), r"OSError: \[Errno 5\] strange things$"),
    ],
)
def test_failures_say_what_to_do(error: Exception, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise error

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail)
    with pytest.raises(ImageError, match=f"^'memory://in.png': .*{said}"):
        remote.read(RemotePath("memory://in.png"))


def test_secrets_of_a_library_s_message_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise ValueError("500, url='https://me:SECRET@h/in.png?X-Amz-Signature=SECRET'")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", fail)
    with pytest.raises(ImageError) as raised:
        remote.read(RemotePath("memory://in.png?sig=SECRET"))
    assert "SECRET" not in str(raised.value)
    assert raised.value.__cause__ is None, "a traceback would show it"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gs://b/in.png", r"^'gs://b/in.png': gs:// needs more packages .*: pip install 'gantools\[remote\]'$"),
        ("sftp://h/in.png", "^'sftp://h/in.png': sftp:// needs more packages .*paramiko.*: install what it names$"),
        ("s4://b/in.png", "Protocol not known: s4; known are"),
        ("simplecache::s3://b/in.png", "names with :: are not read"),
        ("zip://in.png::s3://b/x.zip", "names with :: are not read"),
    ],
)
def test_what_cannot_be_reached_is_one_line(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("gcsfs", "paramiko"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=said):
        remote.read(RemotePath(url))


def test_plans_across_stores(tmp_path: Path) -> None:
    put("/in/a.png", "/in/photo")
    jobs = placed(["memory://in"], "demo", str(tmp_path), "jpg", recursive=False, elsewhere=True)
    assert [(job.input, job.output) for job in jobs] == [("memory://in/a.png", tmp_path / "a.jpg")]
    (tmp_path / "b.png").touch()
    jobs = placed([str(tmp_path)], "demo", "memory://out/", None, recursive=False, elsewhere=True)
    assert [str(job.output) for job in jobs] == ["memory://out/b.png"]
    [job] = placed(["memory://in/photo"], "demo", "memory://in", "tif", recursive=False, elsewhere=True)
    assert str(job.output) == "memory://in/photo.tif"


@pytest.mark.parametrize(
    ("inputs", "output", "said"),
    [
        (["memory://none"], "out", "^no such file or folder: 'memory://none'$"),
        (["memory://none/"], "out", "'memory://none/': is not there"),
        (["memory://in/a.png"], None, "'memory://in/a.png': nothing is written beside it .* -o FILE$"),
        (["memory://in/a.png"], "memory://in/../in/b", "no format has this suffix"),
        (["memory://in"], None, "-o DIR"),
        (["memory://in"], "memory://o.png", "is one image, and there are several"),
        (["memory://in/sub"], "out", "no images in it .* -r looks into its sub-folders too$"),
    ],
)
def test_plans_that_cannot_be(inputs: list[str], output: str | None, said: str) -> None:
    put("/in/a.png", "/in/b.png", "/in/sub/deep/c.png", "/in/sub/notes.txt")
    with pytest.raises(UsageError, match=said):
        placed(inputs, "demo", output, None, recursive=False, elsewhere=True)


def test_what_exists_is_refused_left_or_replaced() -> None:
    put("/out/a.png")
    a, b = RemotePath("memory://out/a.png"), RemotePath("memory://out/b.png")
    claims = [("a.png", a), ("b.png", b)]
    with pytest.raises(UsageError, match=r"^exists already: 'memory://out/a.png'; --overwrite"):
        settle(claims, [], "refuse")
    assert settle(claims, [], "refuse", [b]) == frozenset()
    assert settle(claims, [], "skip") == {a}
    assert settle(claims, [], "overwrite") == frozenset()
    with pytest.raises(UsageError, match=r"inputs are never written over: 'memory://out/a.png'"):
        settle(claims, [RemotePath("memory:///out/a.png")], "overwrite")
    with pytest.raises(UsageError, match=r"several inputs would become one output: 'a.png' and 'x' → 'memory://out/a"):
        settle([*claims, ("x", a)], [], "overwrite")
    with pytest.raises(UsageError, match="nothing is written to https://"):
        settle([("a", RemotePath("https://h/a.png"))], [], "overwrite")


def test_other_commands_take_local_files() -> None:
    with pytest.raises(UsageError, match="this command reads local files; infer reads s3://"):
        placed(["memory://in"], "aligned", "out", None, recursive=False)
    with pytest.raises(UsageError, match="this command writes local files; infer writes to s3://"):
        settle([("a", Path("s3://b/a.png"))], [], "refuse")
