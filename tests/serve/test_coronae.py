"""Coronal spectra as jobs of the service: what is sampled, and what is refused."""

import io
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from fastapi.testclient import TestClient

from config.errors import ConfigError
from serve.app import CoronaForm, make_app
from serve.coronae import read_uploaded
from serve.settings import Limits, Settings
from serve.worker import answer
from sim.corona.truth import Setting, draw
from stream.corona.forward import Forward
from stream.corona.instrument import Instrument

SEED = 7


@pytest.fixture(scope="module")
def made():
    """Return the bytes of a file of three spectra, and their truth."""
    instrument = Instrument.of("small", np.linspace(12, 22.5, 701), 50.0, 0.03)
    forward = Forward.through(instrument, least=0.02)
    setting = Setting(shares=(1, 0, 0), snr=(8, 10), metals_dex=0, abundance_dex=0, area=0, shift_kms=20)
    truth = draw(forward, setting, 3, np.random.default_rng(SEED))
    counts = np.random.default_rng(SEED).poisson(forward.counts(truth.coronae, truth.line_photons))
    rows = np.zeros(3, [("NAME", "S8"), ("EXPOSURE", "<f8"), ("COUNTS", "<f4", (700,))])
    rows["NAME"], rows["EXPOSURE"], rows["COUNTS"] = [b"a", b"b", b"c"], truth.coronae.exposure_s, counts
    grid = np.zeros(1, [("EDGES", "<f8", (701,)), ("AREA", "<f8", (700,)), ("FWHM", "<f8", (700,))])
    grid["EDGES"], grid["AREA"], grid["FWHM"] = instrument.edges_a, instrument.area_cm2, instrument.fwhm_a
    return as_bytes({"SPECTRA": rows, "GRID": grid}), truth


def as_bytes(tables):
    out = io.BytesIO()
    hdus = [fits.BinTableHDU(rows, name=name) for name, rows in tables.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(out)
    return out.getvalue()


@pytest.fixture
def client(tmp_path):
    with TestClient(
        make_app(Settings(tmp_path / "s", limits=Limits(per_minute=10_000))), base_url="http://127.0.0.1:8642"
    ) as found:
        yield found


def finished(client, url):
    for _ in range(6000):
        job = client.get(url).json()
        if job["phase"] not in ("PENDING", "EXECUTING"):
            return job
        time.sleep(0.05)
    raise AssertionError(job)


def test_rows_of_a_file_are_read(made, tmp_path):
    data, truth = made
    path = tmp_path / "spectra.fits"
    path.write_bytes(data)
    instrument, counts, exposure, names = read_uploaded(path, [2, 0])
    assert (instrument.channels, counts.shape, names) == (700, (2, 700), ["c", "a"])
    np.testing.assert_allclose(exposure, truth.coronae.exposure_s[[2, 0]])
    assert len(read_uploaded(path, None)[1]) == 3
    one = Table({"wavelength_a": instrument.middle_a, "counts": counts[0], "area_cm2": instrument.area_cm2})
    one.meta["EXPOSURE"] = 1e4
    one.write(tmp_path / "one.fits")
    alone = read_uploaded(tmp_path / "one.fits", None)
    assert (alone[1].shape, alone[2].tolist(), alone[3]) == ((1, 700), [1e4], ["spectrum"])
    with pytest.raises(ConfigError, match="rows: 3: expected 0 to 2"):
        read_uploaded(path, [0, 3])


def test_files_and_rows_that_do_not_fit_are_one_line(client, made, tmp_path):
    data, _ = made
    for files, form, said in (
        ({"spectra": data}, {"rows": "1,1"}, "rows: expected numbers"),
        ({"spectra": data}, {"rows": "a"}, "rows"),
        ({"spectra": data}, {"lines": "1"}, "lines"),
        ({"spectra": b"no FITS"}, {}, "expected a FITS file"),
    ):
        refused = client.post("/v1/coronae", files=files, data=form)
        assert (refused.status_code, said in refused.json()["error"]) == (422, True), refused.text
        assert "\n" not in refused.json()["error"]
    pytest.importorskip("numpyro")
    small = np.zeros(1, [("EDGES", "<f8", (3,)), ("AREA", "<f8", (2,)), ("FWHM", "<f8", (2,))])
    rows = np.zeros(1, [("NAME", "S8"), ("EXPOSURE", "<f8"), ("COUNTS", "<f4", (9,))])
    for tables, form, said in (
        ({"SPECTRA": rows, "GRID": small}, {}, "expected tables SPECTRA and GRID"),
        ({"OTHER": rows}, {}, "spectra"),
        (None, {"rows": "5"}, "rows: 5: expected 0 to 2"),
        (None, {"log_t_low": 5.0}, "expected a range within"),
    ):
        (tmp_path / "spectra.fits").write_bytes(data if tables is None else as_bytes(tables))
        found = answer("corona", tmp_path, CoronaForm(**form).told())
        assert (found["fault"], said in found["error"]) == ("input", True), found
        assert "\n" not in found["error"]


@pytest.mark.slow
def test_a_corona_is_a_job_with_its_gates(client, made):
    pytest.importorskip("numpyro")
    data, truth = made
    accepted = client.post("/v1/coronae", files={"spectra": data}, data={"rows": "1", "lines": "8", "area_error": "0"})
    assert accepted.status_code == 202, accepted.text
    job = finished(client, accepted.headers["location"])
    assert (job["phase"], job["error"], job["kind"]) == ("COMPLETED", None, "corona")
    found = client.get(job["result"]).json()
    (star,) = found["sources"]
    assert star["star"] == "b"
    assert abs(star["log_t"] - truth.rows["log_t"][1]) < 4 * star["log_t_sd"]
    assert star["log_t_q05"] < star["log_t"] < star["log_t_q95"]
    assert found["most_r_hat"] <= 1.01
    assert found["least_ess"] >= 400
    assert found["divergences"] == 0
    table = client.get(job["result"], params={"format": "votable"})
    assert b"log_t_q05" in table.content
