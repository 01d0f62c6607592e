"""The routes of the service."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, File, Form, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from serve.cone import within
from serve.guard import Guard
from serve.pool import Pool
from serve.settings import MB, Settings
from serve.store import OPEN, RESULT, Job, Store
from serve.uploads import RefusedError, keep
from serve.votable import votable

VOTABLE: Final = "application/x-votable+xml"
STATUS: Final = {"input": 422, "limit": 503, "service": 500}
SAMPLERS: Final = {"emcee": ("analyse", "emcee"), "nuts": ("analyse", "numpyro")}  # packages of a method
STEP_S: Final = 0.01
ABOUT: Final = "Fits of X-ray spectra and catalogues of event lists. Long work is a job: 202 and its address."
File1 = Annotated[UploadFile, File(description="FITS, gzipped or not")]
File0 = Annotated[UploadFile | None, File(description="FITS, gzipped or not")]
Energy = Annotated[float, Form(gt=0, lt=1000)]


@dataclass(frozen=True, slots=True)
class FitForm:
    """What to fit, as the fields of a form."""

    model: Annotated[str, Form(max_length=200, pattern=r"^[A-Za-z+*() ]+$")] = "tbabs*powerlaw"
    band_kev_low: Energy = 0.5
    band_kev_high: Energy = 8.0
    statistic: Annotated[Literal["auto", "cstat", "wstat"], Form()] = "auto"
    method: Annotated[Literal["fit", "emcee", "nuts"], Form(description="others are jobs")] = "fit"
    seed: Annotated[int, Form(ge=0, lt=2**31)] = 0


@dataclass(frozen=True, slots=True)
class CoronaForm:
    """Which coronae to sample and how, as the fields of a form: as `raysieve analyse corona-population` takes them."""

    rows: Annotated[str, Form(max_length=200, pattern=r"^[0-9, ]*$", description="of the file, from 0 on; all")] = ""
    lines: Annotated[int, Form(ge=4, le=200)] = 30
    log_t_low: Annotated[float, Form()] = 6.0
    log_t_high: Annotated[float, Form()] = 7.0
    log_n_low: Annotated[float, Form()] = 9.0
    log_n_high: Annotated[float, Form()] = 11.0
    shared: Annotated[bool, Form(description="shift, width, errors of line data are the same in all")] = False
    spread: Annotated[bool, Form(description="a Gaussian emission measure, not one temperature")] = False
    likelihood: Annotated[Literal["poisson", "normal"], Form()] = "poisson"
    area_error: Annotated[float, Form(ge=0, lt=1, description="sd of ln area at each of five knots")] = 0.05
    metals_dex: Annotated[float, Form(ge=0, le=1, description="sd of what the abundances of metals share")] = 0.0
    abundance_dex: Annotated[float, Form(ge=0, le=1, description="sd of each abundance beside it")] = 0.0
    seed: Annotated[int, Form(ge=0, lt=2**31)] = 0

    def told(self) -> dict[str, Any]:
        """Return the settings of a job. Raises RefusedError for rows that are no list, or the same twice."""
        words = [word.strip() for word in self.rows.split(",")] if self.rows.strip() else []
        if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
            raise RefusedError(422, "rows: expected numbers with commas between, each once: 3,7,12")
        plain = asdict(self) | {"rows": [int(word) for word in words] or None}
        return plain | {f"log_{of}": [plain[f"log_{of}_{end}"] for end in ("low", "high")] for of in "tn"}


class Fault(BaseModel):
    """What was wrong."""

    error: str


class JobState(BaseModel):
    """A job, with the phases of the IVOA's UWS."""

    id: str
    url: str
    kind: Literal["fit", "sample", "catalogue", "corona"]
    phase: Literal["PENDING", "EXECUTING", "COMPLETED", "ERROR", "ABORTED"]
    created: datetime
    started: datetime | None
    ended: datetime | None
    expires: datetime | None
    error: str | None
    result: str | None


def make_app(settings: Settings) -> Any:
    """Return the ASGI application. Its folder is opened now (ConfigError); workers run while it is served."""
    store = Store(settings.folder, settings.limits.keep_h * 3600)
    service = Service(settings, store)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        service.pool = Pool(store, settings.workers, settings.limits)
        yield
        await run_in_threadpool(service.pool.close)
        store.close()

    # /docs and /redoc of FastAPI load scripts from elsewhere, which a page of this service must not
    app = FastAPI(
        title="raysieve", version=version("raysieve"), description=ABOUT, lifespan=life, docs_url=None, redoc_url=None
    )
    _add_fits(app, service)
    _add_catalogues(app, service)
    _add_coronae(app, service)
    _add_jobs(app, service)
    _add_faults(app)
    return Guard(app, settings, store)


class Service:
    """What the routes share."""

    pool: Pool

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store, self.limits = settings, store, settings.limits

    async def submit(
        self, request: Request, kind: str, files: Mapping[str, UploadFile | None], told: dict[str, Any]
    ) -> Job:
        """Keep the files and add a job. Raises RefusedError."""
        if self.store.count("PENDING") >= self.limits.waiting:
            raise _busy()
        job = self.store.new_place()
        try:
            await run_in_threadpool(self._keep, job, files)
            if not self.store.add(job, owner(request), kind, told, self.limits.waiting):
                raise _busy()
        except BaseException:
            self.store.delete(job)
            raise
        return self.find(request, job)

    def _keep(self, job: str, files: Mapping[str, UploadFile | None]) -> None:
        left = int(self.limits.unpacked_mb * MB)
        for name, file in files.items():
            if file is not None:
                left -= keep(file.file, self.store.place(job) / f"{name}.fits", left)

    def find(self, request: Request, job: str) -> Job:
        """Return a job of the client. Raises RefusedError (404)."""
        found = self.store.get(job, owner(request))
        expires = found and self.store.expires(found)
        if found is None or (expires is not None and expires < time.time()):
            raise RefusedError(404, "no such job, or it has expired")
        return found

    def result(self, job: Job) -> dict[str, Any]:
        """Return what a finished job found."""
        found: dict[str, Any] = json.loads((self.store.place(job.id) / RESULT).read_text())
        return found

    def state(self, job: Job) -> JobState:
        """Return what a client is told of a job."""
        times = [_utc(when) for when in (job.created, job.started, job.ended, self.store.expires(job))]
        done = f"{_url(job)}/result" if job.phase == "COMPLETED" else None
        facts = dict(zip(("created", "started", "ended", "expires"), times, strict=True))
        about = {"id": job.id, "url": _url(job), "kind": job.kind, "phase": job.phase}
        return JobState.model_validate(about | facts | {"error": job.error or None, "result": done})

    def accepted(self, job: Job) -> JSONResponse:
        """Answer that a job is under way."""
        headers = {"Location": _url(job), "Retry-After": "1"}
        return JSONResponse(self.state(job).model_dump(mode="json"), 202, headers)


def _add_fits(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/fits",
        responses={202: {"model": JobState}, 413: {"model": Fault}, 422: {"model": Fault}, 429: {"model": Fault}},
    )
    async def fits(
        request: Request,
        spectrum: File1,
        rmf: File1,
        form: Annotated[FitForm, Depends()],
        arf: File0 = None,
        background: File0 = None,
    ) -> Any:
        """Fit a model to a spectrum (OGIP PHA, RMF, ARF). A short fit is answered at once, a long one as a job."""
        if form.method != "fit" and not all(map(find_spec, SAMPLERS[form.method])):
            raise RefusedError(501, f"method {form.method}: not installed here, pip install -e '.[analyse]'")
        if not form.band_kev_low < form.band_kev_high:
            raise RefusedError(422, "band_kev_low: expected less than band_kev_high")
        files, told = {"spectrum": spectrum, "rmf": rmf, "arf": arf, "background": background}, asdict(form)
        if form.method != "fit":
            return service.accepted(await service.submit(request, "sample", files, told))
        job = await service.submit(request, "fit", files, told)
        until = time.monotonic() + service.settings.wait_s
        while job.phase in OPEN and time.monotonic() < until:
            await asyncio.sleep(STEP_S)
            job = service.find(request, job.id)
        if job.phase in OPEN:
            return service.accepted(job)
        if job.phase != "COMPLETED":
            raise RefusedError(STATUS.get(job.fault, 409), job.error or "the job was aborted")
        return JSONResponse(service.result(job), headers={"Content-Location": f"{_url(job)}/result"})


def _add_catalogues(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/catalogues",
        status_code=202,
        response_model=JobState,
        responses={413: {"model": Fault}, 422: {"model": Fault}, 429: {"model": Fault}},
    )
    async def catalogues(
        request: Request,
        events: File1,
        psf_fwhm_px: Annotated[float, Form(ge=1, le=200, description="in pixels of the list's coordinates")],
        rmf: File0 = None,
        arf: File0 = None,
        threshold_sigma: Annotated[float, Form(ge=3, le=50)] = 5.0,
        bin_px: Annotated[int, Form(ge=1, le=256)] = 1,
        coordinates: Annotated[Literal["auto", "sky", "detector"], Form()] = "auto",
    ) -> Any:
        """Find the sources of an event list (FITS), measure them and fit their spectra: a job."""
        told: dict[str, Any] = {"psf_fwhm_px": psf_fwhm_px, "threshold_sigma": threshold_sigma, "bin_px": bin_px}
        told |= {"coordinates": coordinates, "class_model": service.settings.model}
        if psf_fwhm_px < bin_px:
            raise RefusedError(422, "bin_px: expected psf_fwhm_px or less")
        return service.accepted(
            await service.submit(request, "catalogue", {"events": events, "rmf": rmf, "arf": arf}, told)
        )


def _add_coronae(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/coronae",
        status_code=202,
        response_model=JobState,
        responses={413: {"model": Fault}, 422: {"model": Fault}, 429: {"model": Fault}, 501: {"model": Fault}},
    )
    async def coronae(request: Request, spectra: File1, form: Annotated[CoronaForm, Depends()]) -> Any:
        """Sample temperature and density of coronal spectra (FITS) and of their population, by NUTS: a job."""
        if not all(map(find_spec, SAMPLERS["nuts"])):
            raise RefusedError(501, "coronae: no sampler is installed here, pip install -e '.[analyse]'")
        return service.accepted(await service.submit(request, "corona", {"spectra": spectra}, form.told()))


def _add_jobs(app: FastAPI, service: Service) -> None:
    @app.get("/v1/jobs")
    async def jobs(request: Request) -> list[JobState]:
        """List the jobs of this client, newest first."""
        service.store.expire()
        return [service.state(job) for job in service.store.of(owner(request))]

    @app.get("/v1/jobs/{job}", responses={404: {"model": Fault}})
    async def job_state(request: Request, job: str) -> JobState:
        """Say how a job stands."""
        return service.state(service.find(request, job))

    @app.get("/v1/jobs/{job}/result", responses={404: {"model": Fault}, 409: {"model": Fault}})
    async def job_result(
        request: Request, job: str, kind: Annotated[Literal["json", "votable"], Query(alias="format")] = "json"
    ) -> Response:
        """Give what a finished job found."""
        found = service.find(request, job)
        if found.phase != "COMPLETED":
            raise RefusedError(409, found.error or f"the job is {found.phase}")
        result = await run_in_threadpool(service.result, found)
        if kind == "json":
            return JSONResponse(result)
        return Response(await run_in_threadpool(votable, result), media_type=VOTABLE)

    @app.get("/v1/jobs/{job}/cone", responses={404: {"model": Fault}, 409: {"model": Fault}, 422: {"model": Fault}})
    async def job_cone(
        request: Request,
        job: str,
        ra: Annotated[float, Query(alias="RA", ge=0, le=360, description="ICRS, degrees")],
        dec: Annotated[float, Query(alias="DEC", ge=-90, le=90, description="ICRS, degrees")],
        radius: Annotated[float, Query(alias="SR", ge=0, le=180, description="degrees")],
    ) -> Response:
        """Give the sources of a finished catalogue within a cone, as the IVOA's Simple Cone Search (VOTable)."""
        found = service.find(request, job)
        if found.phase != "COMPLETED":
            raise RefusedError(409, found.error or f"the job is {found.phase}")
        near = within(await run_in_threadpool(service.result, found), ra, dec, radius)
        return Response(await run_in_threadpool(votable, near), media_type=VOTABLE)

    @app.delete("/v1/jobs/{job}", status_code=204, responses={404: {"model": Fault}})
    async def delete(request: Request, job: str) -> None:
        """Abort an open job; forget a finished one."""
        found = service.find(request, job)
        if found.phase in OPEN:
            service.pool.abort(found.id)
        else:
            await run_in_threadpool(service.store.delete, found.id)

    @app.get("/v1/health")
    async def health() -> dict[str, Any]:
        """Say that the service runs, and how many jobs wait."""
        counts = {phase.lower(): service.store.count(phase) for phase in OPEN}
        return {"status": "ok", "version": app.version, **counts}


def _add_faults(app: FastAPI) -> None:
    """Make every fault one line: {"error": ...}."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, fault: RefusedError) -> JSONResponse:
        headers = {"Retry-After": str(fault.retry_s)} if fault.retry_s else None
        return JSONResponse({"error": fault.text}, fault.status, headers)

    @app.exception_handler(HTTPException)
    async def failed(_: Request, fault: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(fault.detail)}, fault.status_code, fault.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, fault: RequestValidationError) -> JSONResponse:
        lines = [f"{each['loc'][-1]}: {each['msg']}" for each in fault.errors()]
        return JSONResponse({"error": "; ".join(lines)}, 422)


def owner(request: Request) -> str:
    """Return whose request it is, as the guard found."""
    return str(request.state.owner)


def _busy() -> RefusedError:
    return RefusedError(429, "too many jobs wait", 30)


def _url(job: Job) -> str:
    return f"/v1/jobs/{job.id}"


def _utc(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
