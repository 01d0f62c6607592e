import gzip
import io
import time

import numpy as np
import pytest
from astropy import units
from astropy.io import votable as vo
from fastapi.testclient import TestClient

from serve.app import make_app
from serve.settings import Limits, Settings

FIT = ("spectrum", "rmf", "arf", "background")
EVENTS = {"psf_fwhm_px": "4.03"}


def client_of(folder, **more):
    return TestClient(make_app(Settings(folder, **more)), base_url="http://127.0.0.1:8642")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service") / "s"
    with client_of(folder, wait_s=60, limits=Limits(per_minute=10_000)) as client:
        client.folder = folder
        yield client


@pytest.fixture
def idle(tmp_path):
    """A service whose fits are jobs at once, and that refuses what is large."""
    with client_of(tmp_path / "s", wait_s=0, limits=Limits(upload_mb=4, unpacked_mb=4)) as client:
        yield client


def finished(client, url):
    for _ in range(3000):
        job = client.get(url).json()
        if job["phase"] not in ("PENDING", "EXECUTING"):
            return job
        time.sleep(0.02)
    raise AssertionError(job)


def table_of(client, url):
    answer = client.get(f"{url}/result", params={"format": "votable"})
    assert answer.headers["content-type"].startswith("application/x-votable+xml")
    return vo.parse(io.BytesIO(answer.content), verify="exception").get_first_table()


def test_a_fit_finds_what_the_spectrum_was_made_of(service, upload):
    answer = service.post("/v1/fits", files=upload(*FIT), data={"model": "tbabs*powerlaw"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    nh, index = (found["parameters"][name] for name in ("tbabs_nh_1e22_cm2", "powerlaw_photon_index"))
    assert abs(nh["value"] - 0.3) < 4 * nh["error"]
    assert abs(index["value"] - 1.8) < 4 * index["error"]
    assert index["error"] < 0.2
    assert found["statistic"] == "wstat"
    assert found["exposure_s"] == 5000
    assert found["unabsorbed_flux_erg_cm2_s"] > found["flux_erg_cm2_s"] > 0
    assert found["flags"] == []
    url = answer.headers["content-location"].removesuffix("/result")
    table = table_of(service, url)
    row = table.array[1]
    assert (row["parameter"], row["value"]) == ("powerlaw_photon_index", index["value"])
    assert [path.name for path in (service.folder / "jobs" / url.split("/")[-1]).iterdir()] == ["result.json"]


def test_a_gzipped_upload_is_the_same_and_header_names_are_not_followed(service, upload, files):
    zipped = {name: gzip.compress(files[name]) for name in ("spectrum", "rmf", "arf")}
    answer = service.post("/v1/fits", files=upload(**zipped))
    assert answer.status_code == 200, answer.text
    assert answer.json()["statistic"] == "cstat"  # its BACKFILE was not looked for
    without = service.post("/v1/fits", files=upload("spectrum", "rmf"))
    assert "no ARF: the area is that of the RMF" in without.json()["flags"]


def test_a_catalogue_is_a_job_with_json_and_votable(service, upload):
    answer = service.post("/v1/catalogues", files=upload("events"), data=EVENTS)
    assert answer.status_code == 202, answer.text
    url = answer.headers["location"]
    assert answer.json()["url"] == url
    assert answer.json()["phase"] in ("PENDING", "EXECUTING")
    job = finished(service, url)
    assert (job["phase"], job["error"]) == ("COMPLETED", None)
    assert job["created"] <= job["started"] <= job["ended"] < job["expires"]
    found = service.get(job["result"]).json()
    assert len(found["sources"]) >= 3
    first = found["sources"][0]
    assert first["significance"] > 5
    assert 1e-15 < first["flux_erg_cm2_s"] < 1e-10
    assert 0 <= first["x_px"] < 96
    table = table_of(service, url)
    np.testing.assert_allclose(table.array["x_px"], [source["x_px"] for source in found["sources"]])
    fields = {field.name: field for field in table.fields}
    assert fields["id"].ucd == "meta.id;meta.main"
    assert fields["flux_erg_cm2_s"].ucd == "phot.flux;em.X-ray"
    assert fields["variable_probability"].ucd.startswith("stat.probability")
    assert fields["flux_erg_cm2_s"].unit == units.erg / units.cm**2 / units.s
    assert fields["nh_1e22_cm2"].unit == units.Unit("10+22cm-2", format="cds")
    assert "ra_deg" not in fields  # a field in detector coordinates
    assert url in [each["url"] for each in service.get("/v1/jobs").json()]
    assert service.delete(url).status_code == 204
    assert service.get(url).status_code == 404


def test_files_that_do_not_fit_are_one_line(service, upload, files):
    rows = {"model": "tbabs*powerlaw"}
    for parts, told, word in (
        (upload("spectrum", rmf=files["arf"]), rows, "rmf.fits: no extension MATRIX"),
        (upload("arf", "rmf", spectrum=files["rmf"]), rows, "spectrum.fits: no extension SPECTRUM"),
        (upload("spectrum", "rmf", arf=files["rmf"]), rows, "arf.fits: no extension SPECRESP"),
        (upload("spectrum", rmf=files["rmf"][:30_000]), rows, "rmf.fits: no extension EBOUNDS"),
        (upload("spectrum", "rmf"), {"model": "tbabs*nonsense"}, "no component 'nonsense'"),
        (upload("spectrum", "rmf"), {"band_kev_low": "500", "band_kev_high": "900"}, "band_kev"),
        (upload("spectrum", "rmf"), {"statistic": "wstat"}, "the spectrum has no background"),
    ):
        answer = service.post("/v1/fits", files=parts, data=told)
        assert answer.status_code == 422, answer.text
        assert word in answer.json()["error"]
        assert "\n" not in answer.json()["error"]
        assert str(service.folder) not in answer.text


def test_catalogues_of_files_that_do_not_fit_are_jobs_with_an_error(service, upload, files):
    for parts, told, word in (
        (upload(events=files["spectrum"]), EVENTS, "expected an event list"),
        (upload("events", "arf"), EVENTS, "arf: expected an rmf with it"),
        (upload("events"), {**EVENTS, "coordinates": "sky"}, "no columns X/Y"),
    ):
        job = finished(service, service.post("/v1/catalogues", files=parts, data=told).headers["location"])
        assert job["phase"] == "ERROR"
        assert word in job["error"]
        assert service.get(f"{job['url']}/result").status_code == 409


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        (b"", 422, "empty"),
        (b"BZh91AY&SY" + bytes(100), 422, "expected a FITS file"),
        (b"PK\x03\x04" + bytes(100), 422, "expected a FITS file"),
        (gzip.compress(b"SIMPLE  =" + bytes(90_000_000), 9), 413, "more than 4 MB unpacked"),
        (gzip.compress(gzip.compress(b"SIMPLE  =")), 422, "expected a FITS file"),
        (gzip.compress(b"SIMPLE  =" + bytes(range(256)) * 20)[:-20], 422, "gzip is cut"),
        (b"\x1f\x8b" + bytes(100), 422, "gzip is damaged"),
        (b"SIMPLE  =" + bytes(4_100_000), 413, "more than 4 MB in one request"),
    ],
)
def test_uploads_that_are_no_fits_or_too_large_are_refused(idle, upload, tmp_path, data, status, word):
    answer = idle.post("/v1/catalogues", files=upload(events=data), data=EVENTS)
    assert (answer.status_code, word in answer.json()["error"]) == (status, True), answer.text
    assert list((tmp_path / "s" / "jobs").iterdir()) == []


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(idle):
    sent = 0

    def body():
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="events"; filename="a"\r\n\r\n'
        for _ in range(100):
            sent += 1
            yield bytes(1_000_000)

    head = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = idle.post("/v1/catalogues", content=body(), headers=head)
    assert answer.status_code == 413
    assert "more than 4 MB" in answer.json()["error"]


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"band_kev_low": "9", "band_kev_high": "1"}, "band_kev_low"),
        ({"band_kev_low": "nan"}, "band_kev_low"),
        ({"model": "__import__('os')"}, "model"),
        ({"statistic": "chi2"}, "statistic"),
    ],
)
def test_settings_that_are_none_are_refused(idle, upload, told, word):
    answer = idle.post("/v1/fits", files=upload("spectrum", "rmf"), data=told)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(word)


def test_a_sampler_that_is_not_there_is_said(idle, upload, monkeypatch):
    monkeypatch.setattr("serve.app.find_spec", lambda name: None)
    answer = idle.post("/v1/fits", files=upload("spectrum", "rmf"), data={"method": "emcee"})
    assert (answer.status_code, "emcee" in answer.json()["error"]) == (501, True)


@pytest.mark.slow
def test_a_posterior_is_a_job(service, upload):
    pytest.importorskip("analyse.source", exc_type=ImportError)
    pytest.importorskip("emcee")
    answer = service.post("/v1/fits", files=upload("spectrum", "rmf", "arf"), data={"method": "emcee", "seed": "1"})
    assert (answer.status_code, answer.json()["kind"]) == (202, "sample")
    job = finished(service, answer.headers["location"])
    assert job["phase"] == "COMPLETED", job
    found = service.get(job["result"]).json()
    assert found["posterior"]["passed"]
    index = next(row for row in found["posterior"]["parameters"] if row["name"] == "powerlaw.PhoIndex")
    assert abs(index["mean"] - 1.8) < 4 * index["sd"]
    assert len(table_of(service, job["url"]).array) == 3


def test_missing_files_unknown_jobs_and_paths_are_faults_of_one_line(idle, upload):
    assert "rmf" in idle.post("/v1/fits", files=upload("spectrum")).json()["error"]
    for path in ("/v1/jobs/none", "/v1/jobs/..%2f..%2fetc", "/v1/jobs/%00/result", "/docs", "/v1/jobs/../../etc"):
        answer = idle.get(path)
        assert answer.status_code == 404, path
        assert list(answer.json()) == ["error"]


def test_the_description_names_every_route_and_needs_nothing_from_elsewhere(idle):
    paths = idle.get("/openapi.json").json()["paths"]
    assert sorted(paths) == [
        "/v1/catalogues", "/v1/coronae", "/v1/fits", "/v1/health", "/v1/jobs",
        "/v1/jobs/{job}", "/v1/jobs/{job}/cone", "/v1/jobs/{job}/result",
    ]  # fmt: skip
    assert idle.get("/v1/health").json() == {"status": "ok", "version": "0.1.0", "pending": 0, "executing": 0}


def test_a_job_that_waits_is_aborted_and_too_many_are_refused(tmp_path, upload, monkeypatch):
    monkeypatch.setattr("serve.app.Pool", Standing)
    with client_of(tmp_path / "s", wait_s=0, limits=Limits(waiting=2)) as client:
        first = client.post("/v1/fits", files=upload("spectrum", "rmf"))
        assert (first.status_code, first.json()["phase"]) == (202, "PENDING")
        assert client.post("/v1/catalogues", files=upload("events"), data=EVENTS).status_code == 202
        full = client.post("/v1/fits", files=upload("spectrum", "rmf"))
        assert (full.status_code, full.headers["retry-after"]) == (429, "30")
        url = first.headers["location"]
        assert client.get(f"{url}/result").status_code == 409
        assert client.delete(url).status_code == 204
        assert client.get(url).json()["phase"] == "ABORTED"
        assert list((tmp_path / "s" / "jobs" / url.split("/")[-1]).iterdir()) == []


class Standing:
    """A pool whose workers are all busy."""

    def __init__(self, store, *_):
        self.store = store

    def abort(self, job):
        self.store.finish(job, "ABORTED")

    def close(self):
        pass


def test_results_expire(tmp_path, upload, monkeypatch):
    monkeypatch.setattr("serve.app.Pool", Standing)
    with client_of(tmp_path / "s", wait_s=0, limits=Limits(keep_h=0.05 / 3600)) as client:
        url = client.post("/v1/fits", files=upload("spectrum", "rmf")).headers["location"]
        client.delete(url)
        time.sleep(0.1)
        assert "expired" in client.get(url).json()["error"]
        assert client.get("/v1/jobs").json() == []
        assert list((tmp_path / "s" / "jobs").iterdir()) == []
