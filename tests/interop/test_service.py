"""The web service as others' tools see it: pyvo's cone search over HTTP, schemathesis over its OpenAPI."""

import io
import threading
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from serve.app import make_app
from serve.settings import Limits, Settings

uvicorn = pytest.importorskip("uvicorn")
CENTRE = (266.4, -29.0)
STEP_DEG = 1e-3


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A running service."""
    folder = tmp_path_factory.mktemp("service") / "s"
    app = make_app(Settings(folder, wait_s=60, limits=Limits(per_minute=100_000)))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=30)


def on_the_sky(events):
    """Return an event list with X and Y on the sky, as missions have them."""
    with fits.open(io.BytesIO(events)) as hdus:
        table = Table.read(hdus["EVENTS"])
        table["X"], table["Y"] = table["DETX"], table["DETY"]
        del table["DETX"], table["DETY"]
        header = hdus["EVENTS"].header
        made = fits.table_to_hdu(table)
        for key in ("EXPOSURE", "TIMEDEL", "TELESCOP", "INSTRUME", "EXTNAME"):
            made.header[key] = header[key]
        for axis, name, projection, value, step in (
            ("X", "RA", "RA---TAN", CENTRE[0], -STEP_DEG),
            ("Y", "DEC", "DEC--TAN", CENTRE[1], STEP_DEG),
        ):
            column = made.columns.names.index(axis) + 1
            for key, word in (("TCTYP", projection), ("TCRPX", 48.0), ("TCRVL", value), ("TCDLT", step)):
                made.header[f"{key}{column}"] = word
            made.header[f"TCNAM{column}"] = name
        out = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), made, hdus["GTI"]]).writeto(out)
    return out.getvalue()


def test_pyvo_searches_a_cone_of_a_catalogue(address, files, until):
    httpx, pyvo = pytest.importorskip("httpx"), pytest.importorskip("pyvo")
    parts = {"events": ("events", on_the_sky(files["events"])), "rmf": ("rmf", files["rmf"])}
    parts["arf"] = ("arf", files["arf"])
    answer = httpx.post(f"{address}/v1/catalogues", files=parts, data={"psf_fwhm_px": "4.03"})
    assert answer.status_code == 202, answer.text
    job = f"{address}{answer.headers['location']}"
    until(lambda: httpx.get(job).json()["phase"] not in ("PENDING", "EXECUTING"), 120)
    every = httpx.get(f"{job}/result").json()["sources"]
    first = every[0]
    service = pyvo.dal.SCSService(f"{job}/cone")
    found = service.search(pos=(first["ra_deg"], first["dec_deg"]), radius=STEP_DEG / 2)
    assert len(found) == 1
    assert int(found[0].id) == first["id"]
    np.testing.assert_allclose([found[0].pos.ra.deg, found[0].pos.dec.deg], [first["ra_deg"], first["dec_deg"]])
    assert len(service.search(pos=CENTRE, radius=1.0)) == len(every) >= 3
    assert len(service.search(pos=(10.0, 10.0), radius=0.1)) == 0
    wrong = httpx.get(f"{job}/cone", params={"RA": 400, "DEC": 0, "SR": 1})
    assert (wrong.status_code, "RA" in wrong.json()["error"]) == (422, True)


def test_every_route_keeps_to_its_openapi(tmp_path):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from starlette.testclient import TestClient

    app = make_app(Settings(tmp_path / "s", wait_s=0, limits=Limits(per_minute=1_000_000, waiting=4, upload_mb=1)))
    ours = settings(
        max_examples=8, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def keeps(client, operation):
        known = {int(code) for code in operation.definition.raw["responses"] if code.isdigit()}

        @given(case=operation.as_strategy())
        @ours
        def answers(case):
            told = case.as_transport_kwargs(base_url="http://127.0.0.1:8642")
            told.pop("cookies", None)
            answer = client.request(**{key: value for key, value in told.items() if value is not None})
            assert answer.status_code < 500 or answer.status_code == 501, answer.text
            assert answer.status_code in known | {400, 404, 405, 411, 413, 422, 429}
            if answer.status_code >= 400:
                assert list(answer.json()) == ["error"]

        answers()

    with TestClient(app, base_url="http://127.0.0.1:8642") as client:
        operations = [
            each.ok()
            for each in schemathesis.openapi.from_dict(client.get("/openapi.json").json()).get_all_operations()
        ]
        for operation in operations:
            keeps(client, operation)
    assert len(operations) >= 8
