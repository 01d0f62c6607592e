"""The routes of the view: the page, and what it asks for again and again. It reads only; there is nothing to post.

The page asks and is told of what is newest, as an onlooker is at the tap: a slow browser sees less, and nothing old.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Final

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from config.lat import Lat
from config.load import AnyConfig, digest
from config.schema import Config
from serve.guard import Guard
from serve.settings import Settings
from stream.errors import ModelError
from stream.wiring import processes
from view.drawn import THEMES, drawn
from view.findings import Findings
from view.frame import frame_of
from view.health import Health
from view.look import Looker, seen
from view.sight import EDGES_KEV, KINDS, Sight

PAGE: Final = Path(__file__).parent / "page"
ASSETS: Final = {"/": "index.html"} | {
    f"/{name}": name for name in ("view.css", "view.js", "draw.js", "products.js", "text.js")
}
SCRIPT: Final = "/bokeh.min.js"
OPEN: Final = (*ASSETS, SCRIPT, "/favicon.ico", "/v1/health")  # without a token: they hold nothing of the daemon
STATUS_EVERY_S: Final = 0.2
FINDINGS_EVERY_S: Final = 1.0
HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}  # styles: Bokeh puts its own into its shadow trees


@dataclass(slots=True)
class View:
    """What the routes read."""

    config: AnyConfig
    out: Path
    health: Health
    findings: Findings
    sight: Sight
    looker: Looker | None  # of a camera


def view_of(config: AnyConfig, out: Path) -> View:
    """Return a view of the daemon with this configuration that writes to OUT. Raises ConfigError."""
    cuts = isinstance(config, Config) and "pattern" in config.reconstruct.reject
    sight = Sight(cuts)
    looker = Looker(config, sight) if isinstance(config, Config) else None
    return View(config, out, Health(out, processes(config)), Findings(out), sight, looker)


class Repeated:
    """Calls something every so many seconds, in a thread of its own; what fails is tried again."""

    def __init__(self, call: Callable[[], None], every_s: float) -> None:
        self._call, self._every_s, self._over = call, every_s, Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self._call()
            self._over.wait(self._every_s)

    def close(self) -> None:
        """End."""
        self._over.set()
        self._thread.join(5)


class Once:
    """Makes something at the first question for it, for all who ask."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._lock = make, Lock()
        self._made: Any = None

    def __call__(self) -> Any:
        """Return it. Raises what making it raises, each time."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


def make_app(view: View, settings: Settings) -> Any:
    """Return the ASGI application; what it shows is looked at while it is served."""

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        tasks = [Repeated(view.health.look, STATUS_EVERY_S), Repeated(view.findings.look, FINDINGS_EVERY_S)]
        if view.looker is not None:
            view.looker.start()
        Thread(target=drawn, args=("light",), daemon=True).start()  # before the page asks, where they are not kept
        yield
        for task in tasks:
            task.close()
        if view.looker is not None:
            view.looker.close()

    routes = [*_pages(), *_numbers(view)]
    app = Starlette(routes=routes, lifespan=life, exception_handlers={HTTPException: _failed})
    return Guard(_with_headers(app), settings, None, OPEN)


def _pages() -> list[Route]:
    def asset(path: Path) -> Callable[[Request], Any]:
        async def give(_: Request) -> Response:
            return FileResponse(path)

        return give

    async def script(_: Request) -> Response:
        """Give Bokeh's script, as its package has it."""
        from importlib.util import find_spec

        spec = find_spec("bokeh")
        if spec is None or spec.origin is None:
            raise HTTPException(501, "bokeh: not installed here, pip install -e '.[view]'")
        path = Path(spec.origin).parent / "server" / "static" / "js" / "bokeh.min.js"
        return FileResponse(path, media_type="text/javascript", headers={"cache-control": "private, max-age=86400"})

    async def figures(request: Request) -> Response:
        theme = request.query_params.get("theme", "light")
        if theme not in THEMES:
            raise HTTPException(422, f"theme: expected {' or '.join(THEMES)}")
        return Response(await run_in_threadpool(drawn, theme), media_type="application/json")

    async def icon(_: Request) -> Response:
        return Response(status_code=204)

    pages = [Route(path, asset(PAGE / name)) for path, name in ASSETS.items()]
    return [*pages, Route(SCRIPT, script), Route("/v1/figures", figures), Route("/favicon.ico", icon)]


def _numbers(view: View) -> list[Route]:
    cams = Once(lambda: _cams(view.config))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "version": version("raysieve")})

    async def now(_: Request) -> Response:
        return JSONResponse(_now(view))

    async def image(request: Request) -> Response:
        """Give counts as 32-bit numbers, row by row from low y."""
        kind = request.query_params.get("kind", KINDS[0])
        low, high = (_number(request, name, last) for name, last in (("low", 0), ("high", len(EDGES_KEV) - 1)))
        if kind not in KINDS or not 0 <= low < high < len(EDGES_KEV):
            raise HTTPException(422, f"expected kind of {', '.join(KINDS)}, 0 <= low < high < {len(EDGES_KEV)}")
        counts = view.sight.image(kind, low, high)
        shape = ",".join(map(str, counts.shape))
        return Response(
            counts.astype("<u4").tobytes(), media_type="application/octet-stream", headers={"x-shape": shape}
        )

    async def frame(request: Request) -> Response:
        """Give the newest frame, or 204 if the one asked about (after) is the newest, or there is none."""
        newest = view.looker.pixels() if view.looker is not None else None
        if newest is None or newest[0].sequence == _number(request, "after", -1):
            return Response(status_code=204)
        wanted = request.query_params.get("cams") == "1"
        found = await run_in_threadpool(_frame, view, newest[0], cams if wanted else None)
        return Response(status_code=204) if found is None else JSONResponse(found | {"age_s": round(newest[1], 3)})

    async def product(request: Request) -> Response:
        found = view.findings.of(request.path_params["name"])
        if found is None:
            raise HTTPException(404, "no such product")
        return JSONResponse(found)

    return [
        Route("/v1/health", health),
        Route("/v1/now", now),
        Route("/v1/image", image),
        Route("/v1/frame", frame),
        Route("/v1/products/{name}", product),
    ]


def _now(view: View) -> dict[str, Any]:
    """Return all numbers that move."""
    config = view.config
    return {
        "kind": "sky" if isinstance(config, Lat) else "camera",
        "time": time.time(),
        "daemon": view.health.told(),
        "seen": seen(view.sight),
        "products": view.findings.versions(),
        "limits_s": _limits(config),
        "edges_kev": [edge if np.isfinite(edge) else None for edge in EDGES_KEV],
        "view": {
            "configuration": digest(config),
            "out": str(view.out),
            "version": version("raysieve"),
            "unreadable": view.looker.bad if view.looker is not None else 0,
        },
    }


def _limits(config: AnyConfig) -> dict[str, float]:
    """Return the age in s from which a product is old: three times that from one to the next."""
    if isinstance(config, Lat):
        return {}  # downlinks come when they come
    every_s = 3 * max(config.accumulate.every_s, 20.0)
    return {"sources": every_s, "images": every_s}


def _cams(config: AnyConfig) -> Any:
    from view.cams import Cams

    assert isinstance(config, Config)
    return Cams(config)


def _frame(view: View, product: Any, cams: Once | None) -> dict[str, Any] | None:
    assert isinstance(view.config, Config)
    section, gain = view.config.reconstruct, view.config.detector.gain_ev_per_adu
    floor = section.split_threshold_ev or (section.split_threshold_adu or 0) * gain or 100.0
    try:
        return frame_of(product, view.sight, floor, cams() if cams is not None else None)
    except ModelError as fault:
        raise HTTPException(501, str(fault)) from None


def _number(request: Request, name: str, otherwise: int) -> int:
    try:
        return int(request.query_params.get(name, otherwise))
    except ValueError:
        raise HTTPException(422, f"{name}: expected a whole number") from None


async def _failed(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    return JSONResponse({"error": str(fault.detail)}, fault.status_code, fault.headers)


def _with_headers(app: Any) -> Any:
    """Return the application with headers that keep the page from anything but itself."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in given]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await app(scope, receive, told)

    return call
