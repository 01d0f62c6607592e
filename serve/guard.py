"""What every request passes before it is read: host, origin, rate, token, size, room on the disk."""

import hmac
import json
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from contextlib import suppress
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from serve.settings import MB, Settings
from serve.store import Store
from serve.uploads import RefusedError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
OPEN: Final = ("/v1/health",)  # without a token
MOST_CLIENTS: Final = 10_000


class Guard:
    """ASGI: answers what is refused itself, hands on the rest with the owner in `state`.

    store: None for a service that keeps nothing. free: paths that need no token.
    """

    def __init__(self, app: Any, settings: Settings, store: Store | None, free: Collection[str] = OPEN) -> None:
        self._app, self._settings, self._store, self._free = app, settings, store, free
        self._rates = Rates(settings.limits.per_minute)
        self._coming = 0.0  # bytes that requests in progress may bring

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        try:
            room = self._admit(scope)
        except RefusedError as fault:
            await refuse(send, fault)
            return
        self._coming += room
        try:
            most = int(self._settings.limits.upload_mb * MB)
            await self._app(scope, _counted(receive, most), send)
        finally:
            self._coming -= room

    def _admit(self, scope: Message) -> float:
        """Return the room that a request takes."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if host_of(host) not in self._settings.hosts:
            raise RefusedError(421, "host: this service is not known by that name")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise RefusedError(403, "origin: pages of other sites may not use this service")
        client = scope["client"][0] if scope.get("client") else ""
        wait = self._rates.wait_s(client)
        if wait:
            raise RefusedError(429, f"more than {self._settings.limits.per_minute} requests a minute", wait)
        owner = self._owner(headers.get("authorization", ""))
        if owner is None and scope["path"] not in self._free:
            raise RefusedError(401, "expected Authorization: Bearer TOKEN")
        scope.setdefault("state", {})["owner"] = owner or ""
        return self._room(headers) if scope["method"] == "POST" else 0.0

    def _owner(self, given: str) -> str | None:
        """Return who it is; every token is compared, in constant time."""
        if not self._settings.tokens:
            return "local"
        found = None
        for token, name in self._settings.tokens.items():
            if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                found = name
        return found

    def _room(self, headers: dict[str, str]) -> float:
        limits = self._settings.limits
        most = limits.upload_mb * MB
        with suppress(ValueError):
            if int(headers.get("content-length", 0)) > most:
                raise RefusedError(413, f"more than {limits.upload_mb:g} MB in one request")
        room = most + limits.unpacked_mb * MB
        if self._store is not None and self._store.bytes_used() + self._coming + room > limits.disk_mb * MB:
            raise RefusedError(507, "the disk space of this service is used up", 60)
        return room


class Rates:
    """A bucket for each client: `per_minute` at once, filled again over a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock, self._lock = per_minute, clock, Lock()
        self._left: dict[str, tuple[float, float]] = {}  # requests, when

    def wait_s(self, client: str) -> int:
        """Return 0 and count the request, or the seconds until one is allowed."""
        now = self._clock()
        with self._lock:
            left, since = self._left.pop(client, (float(self._most), now))
            left = min(left + (now - since) * self._most / 60, self._most)
            allowed = left >= 1
            self._left[client] = (left - 1 if allowed else left, now)
            while len(self._left) > MOST_CLIENTS:
                del self._left[next(iter(self._left))]
        return 0 if allowed else int((1 - left) * 60 / self._most) + 1


def host_of(header: str) -> str:
    """Return the name in a Host header, in small letters, without port and brackets; "" for none."""
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
        return "" if "@" in header or "/" in header else parts.hostname or ""
    except ValueError:
        return ""


def _counted(receive: Receive, most: int) -> Receive:
    """Return a `receive` that refuses the request when its body is larger: nothing after that is read."""
    read = 0

    async def count() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            raise HTTPException(413, f"more than {most / MB:g} MB in one request", {"Connection": "close"})
        return message

    return count


async def refuse(send: Send, fault: RefusedError) -> None:
    """Answer with the fault; the connection is closed, for the body was not read."""
    body = json.dumps({"error": fault.text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))
    if fault.retry_s:
        headers.append((b"retry-after", str(fault.retry_s).encode()))
    if fault.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
