"""A quasar's spectrum of Chandra through the service, beside the fit of the engine itself."""

import os
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from serve.app import make_app
from serve.settings import Settings
from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.transport.ogip import read_observation

DATA = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
FOLDER = DATA / "responses" / "3c273"
FILES = {"spectrum": "3c273.pi", "rmf": "3c273.rmf", "arf": "3c273.arf", "background": "3c273_bg.pi"}


@pytest.mark.real
def test_3c273_is_what_the_engine_says(tmp_path):
    if not FOLDER.is_dir():
        pytest.skip(f"no mission data: {FOLDER} is not there (set RAYSIEVE_DATA)")
    paths = [FOLDER / name for name in FILES.values()]
    direct = fit_spectrum(parse_model("tbabs*powerlaw"), *read_observation(*paths), band_kev=(0.5, 7.0))
    app = make_app(Settings(tmp_path / "s", wait_s=60))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        files = {name: path.read_bytes() for name, path in zip(FILES, paths, strict=True)}
        answer = client.post("/v1/fits", files=files, data={"band_kev_high": "7"})
        mixed = client.post("/v1/fits", files=files | {"rmf": (DATA / RMF).read_bytes()})
    found = answer.json()
    values = [row["value"] for row in found["parameters"].values()]
    assert values == pytest.approx(direct.values, rel=1e-6)
    assert found["statistic_value"] == pytest.approx(direct.value)
    assert found["converged"]
    assert (mixed.status_code, "\n" in mixed.text) == (422, False)


RMF = "responses/acisi_aimpt_cy19.rmf.gz"
