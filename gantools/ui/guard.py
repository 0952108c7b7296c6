"""What stands before the page: who may see it, and a policy by which browsers load nothing from elsewhere."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'; base-uri 'self'"
)
COOKIE = "gantools_token"


class Guard:
    """Answers those that may see the page by ``app``, and others with 403.

    Without a ``token`` only requests for this computer's own names are answered, so that no other site reaches it by a
    name of its own; with one, those that bring it, once in the address and then in a cookie. Requests that a page of
    another origin makes are refused.
    """

    def __init__(self, app: Any, port: int, token: str | None) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")
        is_own = origin is None or urlsplit(origin).netloc == host
        if scope["type"] != "http" or not is_own or not self._may_see(scope, headers, host):
            start = {"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]}
            await send(start)
            await send({"type": "http.response.body", "body": b"open the address that gantools ui printed"})
            return

        async def answer(part: MutableMapping[str, Any]) -> None:
            if part["type"] == "http.response.start":
                more = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
                if self._token is not None:
                    more["set-cookie"] = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                added = [(name.encode(), value.encode()) for name, value in more.items()]
                part = {**part, "headers": [*part.get("headers", ()), *added]}
            await send(part)

        await self._app(scope, receive, answer)

    def _may_see(self, scope: Scope, headers: dict[str, str], host: str) -> bool:
        if self._token is None:
            return host in self._hosts
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        return any(
            hmac.compare_digest(each.encode(), self._token.encode()) for each in (given, cookie.value if cookie else "")
        )
