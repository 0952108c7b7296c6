"""Who may see the page, what it gives out, and the process that does its jobs."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from gantools import api
from gantools.config.command import typed
from gantools.errors import GantoolsError, UsageError
from gantools.inference.options import InferOptions
from gantools.ui import server
from gantools.ui.guard import COOKIE, Guard
from gantools.ui.models import Models
from gantools.ui.options import UiOptions
from gantools.ui.worker import Cancelled, Worker


def ask(guard: Guard, query: str = "", **headers: str) -> list[dict[str, Any]]:
    """What a guard answers to a request."""
    sent: list[dict[str, Any]] = []

    async def send(part: Any) -> None:
        sent.append(part)

    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "headers": given, "query_string": query.encode()}
    with pytest.raises(StopIteration):  # nothing here waits; a browser's test may have left its loop in this thread
        guard(scope, None, send).send(None)  # type: ignore[arg-type]
    return sent


async def page(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page"})


@pytest.mark.parametrize(
    ("token", "query", "headers", "status"),
    [
        (None, "", {"host": "127.0.0.1:7860"}, 200),
        (None, "", {"host": "localhost:7860", "origin": "http://localhost:7860"}, 200),
        (None, "", {"host": "evil.example:7860"}, 403),  # a name that somebody let point here
        (None, "", {"host": "127.0.0.1:7860", "origin": "http://evil.example"}, 403),
        (None, "", {"host": "127.0.0.1:7860", "origin": "null"}, 403),
        ("secret", "", {"host": "box:7860"}, 403),
        ("secret", "token=secret", {"host": "box:7860"}, 200),
        ("secret", "token=secrets", {"host": "box:7860"}, 403),
        ("secret", "", {"host": "box:7860", "cookie": f"a=b; {COOKIE}=secret"}, 200),
        ("secret", "", {"host": "box:7860", "cookie": f"{COOKIE}=other"}, 403),
    ],
)
def test_only_those_who_may_see_the_page_get_it(
    token: str | None, query: str, headers: dict[str, str], status: int
) -> None:
    start, body = ask(Guard(page, 7860, token), query, **headers)
    assert (start["status"], body["body"] == b"page") == (status, status == 200)
    names = [name for name, _ in start["headers"]]
    assert (b"content-security-policy" in names) == (status == 200)
    assert (b"set-cookie" in names) == (status == 200 and token is not None)


def test_without_gradio_or_with_an_unsafe_pillow_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Any:
        return None if name == "gradio" else object()

    monkeypatch.setattr(util, "find_spec", find)
    with pytest.raises(UsageError, match=r"^the page needs gradio: pip install 'gradio>=[0-9.]+' && pip install 'pi"):
        server.require_gradio()
    monkeypatch.setattr(util, "find_spec", lambda name: object())
    monkeypatch.setattr(server.metadata, "version", lambda name: "12.3.0")
    with pytest.raises(UsageError, match=r"pip install 'pillow>=13'$"):
        server.require_gradio()


def test_the_port_is_the_first_free_one_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(server, "FIRST_PORT", port)
        monkeypatch.setattr(server, "PORTS", 50)
        with server.bound(UiOptions()) as door:
            assert door.getsockname()[1] > port
        with pytest.raises(UsageError, match=f"^--port {port}: Address already in use; give another"):
            server.bound(UiOptions(port=port))
        for host in ("192.0.2.1", "no such name"):
            with pytest.raises(UsageError, match=f"^--host {host}: no address of this computer"):
                server.bound(UiOptions(host=host))


def test_the_process_connects_to_no_other_computer() -> None:
    code = (
        "import socket; from gantools.ui.server import keep_local; keep_local()\n"
        "with socket.create_server(('127.0.0.1', 0)) as door: socket.create_connection(door.getsockname()).close()\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except PermissionError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "gantools ui connects to no other computer (192.0.2.1)\n"


def test_the_command_line_says_what_was_changed() -> None:
    changes = {"output": "a b.png", "scale_to": "native", "tta": True, "blend": 0.5, "mask": "m.png"}
    words = typed(InferOptions, changes)
    assert words == ["--output", "a b.png", "--scale-to", "native", "--tta", "--blend", "0.5", "--mask", "m.png"]


def test_models_are_those_that_are_named_installed_or_trained_and_no_others(tmp_path: Path) -> None:
    models = Models(["pix2pix"], tmp_path)
    assert models.names()[0] == "pix2pix"
    kinds = {name: models.find(name).kind for name in ("pix2pix", "srgan/psnr", "context_encoder", "stylegan2/shoes")}
    assert list(kinds.values()) == ["drawing", "image", "masked", "latent"]
    with pytest.raises(UsageError, match="is not offered here"):
        models.find("/etc/passwd")
    with pytest.raises(UsageError, match="no weights of 'pix2pic' are installed"):
        Models(["pix2pic"], tmp_path)


def _double(report: Any, number: int) -> int:
    report(1, 1, "doubling")
    if number < 0:
        raise UsageError(f"{number} is negative")
    return 2 * number


def _sleep(report: Any) -> None:
    report(0, 1, "sleeping")
    time.sleep(600)


@pytest.fixture(scope="module")
def worker() -> Any:
    works = Worker()
    yield works
    works.close()


def test_the_worker_does_jobs_and_a_cancelled_one_ends_at_once(worker: Worker) -> None:
    seen: list[Any] = []
    assert worker.run("me", lambda *told: seen.append(told), _double, number=4) == 8
    assert seen == [(1, 1, "doubling")]
    with pytest.raises(GantoolsError, match=r"^-1 is negative$"):
        worker.run("me", lambda *told: None, _double, number=-1)
    asleep = threading.Event()

    def stop() -> None:
        asleep.wait()
        worker.stop("somebody else")
        worker.stop("me")

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(Cancelled):
        worker.run("me", lambda *told: asleep.set(), _sleep)
    stopping.join()
    assert worker.run("me", lambda *told: None, _double, number=5) == 10


def test_stopping_a_training_signals_the_process_that_holds_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("recipe: srgan\n")
    with pytest.raises(UsageError, match="nothing trains this run"):
        api.stop_training(run)
    code = (
        "import sys, time; from pathlib import Path; from gantools.training.run.directory import RunDirectory\n"
        "with RunDirectory(Path(sys.argv[1])).lock():\n    print(flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, run], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as held:
        assert held.stdout is not None
        held.stdout.readline()
        assert api.is_training(run)
        assert api.stop_training(run) == held.pid
        assert held.wait(60) in (-signal.SIGINT, 1)
    assert not api.is_training(run)
    lock = run / "lock"
    lock.write_text("process 1 on elsewhere since 2026-01-01 00:00:00 UTC\n")
    with pytest.raises(UsageError, match="nothing trains this run"):
        api.stop_training(run)


def test_an_image_is_shown_upright_in_8_bits_and_one_too_large_is_refused_by_its_header(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    tall = Image.new("I;16", (20, 10), 30000)
    tall.save(tmp_path / "deep.tif", tiffinfo={274: 6})
    api.preview(tmp_path / "deep.tif", tmp_path / "shown.png")
    with Image.open(tmp_path / "shown.png") as shown:
        assert (shown.size, np.asarray(shown).dtype, shown.getpixel((0, 0))) == ((10, 20), np.uint8, 117)
    with pytest.raises(GantoolsError, match="over the limit of 100"):
        api.preview(tmp_path / "deep.tif", tmp_path / "no.png", max_pixels=100)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(GantoolsError):
        api.preview(tmp_path / "broken.png", tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


def test_a_page_names_nothing_that_browsers_load_from_elsewhere_and_gives_out_no_file(served: Any) -> None:
    import re

    status, text, headers = served.get("/")
    assert status == 200
    loaded = re.findall(r"""(?:src|href)=["']?(https?:)?//([^"'> ]+)""", text)
    assert loaded == []
    assert "fonts.googleapis" not in text
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "connect-src" not in headers["content-security-policy"]
    own = Path(__file__).resolve()
    for path in (own, "/etc/passwd", served.folder / "secret.png", "https://192.0.2.1/x", "http://192.0.2.1/x"):
        Path(served.folder / "secret.png").write_bytes(b"private words")
        status, text, _ = served.get(f"/gradio_api/file={path}")
        assert (status, "private words" in text or "root:" in text) == (403, False), path
    assert served.get("/gradio_api/proxy=https://192.0.2.1/x")[0] in (400, 403, 404)
    assert served.get("/", Host="evil.example")[0] == 403
    assert served.get("/", Origin="http://evil.example")[0] == 403
