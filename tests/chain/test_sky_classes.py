"""From photons of two years and a half to a catalogue with classes, by the batch job."""

import numpy as np
import pytest
from astropy.io import fits

from stream.lat.cube import YEAR_S, YEARS_FROM_S
from stream.lat.photons import PHOTON, POINTING, good_times
from stream.transport.photons import PhotonStream, write_photons
from tests.chain.daemon import raysieve

PLACE = 40.0, 50.0  # Galactic
STEADY = 3000  # photons of the source
SPAN_S = 2.5 * YEAR_S
KINDS = ("BLL", "FSRQ", "PSR", "PWN", "FAKE")


def photons(seed=0):
    """Return an even sky with a source; photons of all energies lie as near to it as 2 GeV's do."""
    rng = np.random.default_rng(seed)
    even, begin_s = 30_000, YEARS_FROM_S + YEAR_S
    table = np.zeros(even + STEADY, PHOTON)
    lon, lat = rng.uniform(0, 360, even), np.degrees(np.arcsin(rng.uniform(-1, 1, even)))
    away = 0.3 * rng.standard_normal((2, STEADY))
    table["GLON"] = np.concatenate([lon, (PLACE[0] + away[0] / np.cos(np.radians(PLACE[1]))) % 360])
    table["GLAT"] = np.concatenate([lat, PLACE[1] + away[1]])
    table["TIME"] = begin_s + rng.uniform(0, SPAN_S, len(table))
    table["ENERGY"], table["CONVERSION"] = 300 * rng.random(len(table)) ** -0.8, rng.integers(0, 2, len(table))
    table = table[np.argsort(table["TIME"])]
    return PhotonStream("made", good_times([begin_s], [begin_s + SPAN_S]), np.empty(0, POINTING), lambda: iter([table]))


@pytest.mark.slow
@pytest.mark.parametrize(("windows", "there"), [('["mission"]', True), ('["day"]', False)])
def test_the_catalogue_of_the_mission_has_classes(tmp_path, windows, there):
    write_photons(tmp_path / "photons.h5", photons(), {"seed": 0})
    settings = {
        "localise.windows": windows,
        "accumulate_sky.exposure": "survey",
        "accumulate_sky.every_s": 1e9,
        "localise.least_ts": 100,
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = raysieve("process", tmp_path / "photons.h5", "-c", "lat", *words, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert ("classify_sky: classified: " in done.stdout) == there
    if not there:
        return
    with fits.open(tmp_path / "out" / "sky" / "mission" / "catalogue.fits") as file:
        rows = file[1].data
    best = rows[np.argmax(rows["Signif_Avg"])]
    assert np.hypot((best["GLON"] - PLACE[0]) * np.cos(np.radians(PLACE[1])), best["GLAT"] - PLACE[1]) < 0.1
    np.testing.assert_allclose(sum(rows[f"P_{name}"] for name in KINDS), 1, atol=1e-4)
    assert best["P_FAKE"] < 0.1
    assert best["CLASS1"] in {name.lower() for name in KINDS}
