"""Serves the page to this computer: no request leaves it, no file of it is given out but uploads and results."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterable
from importlib import metadata, util
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from gantools.errors import UsageError
from gantools.ui.guard import Guard
from gantools.ui.models import Models
from gantools.ui.options import FIRST_PORT, PORTS, UiOptions
from gantools.ui.worker import Worker

BYTES_PER_PIXEL, SPARE_BYTES = 8, 2**20
"""What a file of ``max_pixels`` has at most: four samples of 16 bits, and what is written beside them."""

SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SHARE": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}
LEAST_PILLOW = 13


def serve(named: Iterable[str], options: UiOptions, message: Callable[[str], None]) -> None:
    """Serve the page until a signal ends it; ``message`` gets its address. Raises UsageError before that.

    ``named`` are models beside the installed ones and the runs.
    """
    require_gradio()
    models = Models(named, Path(options.runs))
    with tempfile.TemporaryDirectory(prefix="gantools-ui-", ignore_cleanup_errors=True) as name, bound(options) as door:
        folder = Path(name).resolve()
        os.environ.update(SETTINGS, GRADIO_TEMP_DIR=str(folder))
        worker = Worker()
        try:
            keep_local()
            _serve(models, worker, folder, options, door, message)
        finally:
            worker.close()


def require_gradio() -> None:
    """Raise UsageError with what to install."""
    wanted = "pip install 'gradio>=6' && pip install 'pillow>=13'"
    if util.find_spec("gradio") is None:
        raise UsageError(f"the page needs gradio: {wanted}")
    if int(metadata.version("pillow").split(".")[0]) < LEAST_PILLOW:
        raise UsageError("the page reads uploads, which this Pillow does not do safely: pip install 'pillow>=13'")


def bound(options: UiOptions) -> socket.socket:
    """A socket that listens. Raises UsageError where the address or the port cannot be had."""
    ports = range(FIRST_PORT, FIRST_PORT + PORTS) if options.port is None else [options.port]
    try:
        family = socket.getaddrinfo(options.host, None, type=socket.SOCK_STREAM)[0][0]
        for port in ports:
            try:
                return socket.create_server((options.host, port), family=family)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise
                failure = os.strerror(error.errno or 0)
    except OSError as error:
        raise UsageError(f"--host {options.host}: no address of this computer; 0.0.0.0 means all it has") from error
    raise UsageError(f"--port {ports[0]}: {failure}; give another, or leave it out for the first free one")


def keep_local() -> None:
    """Let this process connect to no other computer from here on, whatever a library tries."""

    def check(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(given[1], tuple) and not is_local(str(given[1][0])):
            raise PermissionError(f"gantools ui connects to no other computer ({given[1][0]})")

    sys.addaudithook(check)


def is_local(host: str) -> bool:
    """Whether an address is this computer's own."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _serve(
    models: Models,
    worker: Worker,
    folder: Path,
    options: UiOptions,
    door: socket.socket,
    message: Callable[[str], None],
) -> None:
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    from gantools.ui import page
    from gantools.ui.tasks import Tasks

    host, port = door.getsockname()[:2]
    token = None if is_local(options.host) else secrets.token_urlsafe(24)
    built = page.build(models, Tasks(worker, folder, options))
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None), built, path="/", server_name=host, server_port=port, footer_links=[],
        run_history=False, show_error=True, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
        max_file_size=options.max_pixels * BYTES_PER_PIXEL + SPARE_BYTES, theme=page.theme(), css=page.STYLE,
    )  # fmt: skip
    named = socket.gethostname() if ip_address(host).is_unspecified else f"[{host}]" if ":" in host else host
    address = f"http://{named}:{port}/" + (f"?token={token}" if token else "")
    message(f"{address}  (Ctrl-C ends it)")
    if options.browser:
        webbrowser.open(address)
    guarded = Guard(app, port, token)
    config = uvicorn.Config(guarded, loop="asyncio", log_level="error", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[door])
