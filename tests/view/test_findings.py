"""Products on the disk, as the page shows them."""

import json
import os

import numpy as np
import pytest

from stream.transport.products import write_calibration, write_coronae, write_sources
from tests.view.finds import BINS, CLASSES, calibration, coronae, fitted, gamma_ray_sky, sources
from view.findings import LEAST, MOST, Findings, plain


@pytest.fixture
def findings(tmp_path):
    made = Findings(tmp_path)

    def look(name):
        made.look()
        return made.of(name)

    made.see = look
    return made


def test_the_brightest_sources_come_first_with_their_classes(findings, tmp_path):
    (tmp_path / "run1").mkdir()
    write_sources(sources(MOST + 5), tmp_path / "run1")
    found = findings.see("sources")
    assert (found["number"], len(found["rows"]), found["file"]) == (MOST + 5, MOST, "run1/sources.fits")
    first = found["rows"][0]
    assert (first["ID"], first["LOG_FLUX"], first["P"]) == (MOST + 5, None, pytest.approx([0.2, 0.7, 0.1]))
    assert found["classes"] == list(CLASSES)
    json.dumps(found, allow_nan=False)


def test_a_file_is_read_again_only_when_it_is_new(findings, tmp_path):
    write_sources(sources(2), tmp_path)
    first = findings.see("sources")
    assert findings.see("sources") is first
    write_sources(sources(3), tmp_path)
    os.utime(tmp_path / "sources.fits", (2e9, 2e9))
    assert findings.see("sources")["number"] == 3
    assert findings.versions() == {"sources": 2e9}
    (tmp_path / "sources.fits").unlink()
    assert findings.see("sources") is None


def test_the_newest_run_is_shown(findings, tmp_path):
    for age, number in ((100, 2), (50, 4)):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        write_sources(sources(number), folder)
        os.utime(folder / "sources.fits", (2e9 - age, 2e9 - age))
    assert findings.see("sources")["number"] == 4


def test_a_damaged_product_is_one_line(findings, tmp_path):
    (tmp_path / "sources.fits").write_bytes(b"SIMPLE  = nothing")
    assert findings.see("sources")["error"].startswith("sources.fits: cannot be read")


def test_fits_are_drawn_in_bins_of_enough_counts(findings, tmp_path):
    write_sources(sources(3), tmp_path)
    curves = findings.see("sources")["curves"]
    assert sorted(curves) == ["1", "2"]
    fit, table = curves["2"], fitted(2)[1]
    counts = np.array(fit["error"]) ** 2 * np.array(fit["width"]) ** 2
    assert (counts[:-1] >= LEAST - 1e-3).all()
    assert counts.sum() == pytest.approx(table["COUNTS"][:BINS].sum(), rel=1e-4)
    shown = np.array(fit["model"]) * fit["width"]
    assert shown.sum() == pytest.approx(table["MODEL"][:BINS].sum(), rel=1e-4)
    assert sum(fit["width"]) == pytest.approx(7.5, rel=1e-4)
    json.dumps(findings.of("sources"), allow_nan=False)


def test_coronae(findings, tmp_path):
    write_coronae(coronae(1, "<b>star"), tmp_path)
    (row,) = findings.see("coronae")["rows"]
    assert (row["NAME"], row["FLAG"]) == ("<b>star", 0)
    assert row["LOG_N_SD"] == pytest.approx(0.3)


def test_calibrations_with_their_drift(findings, tmp_path):
    made = calibration()
    write_calibration(made, tmp_path)
    found = findings.see("calibration")
    assert [row["SET"] for row in found["sets"]] == ["whole", "reference", "window"]
    assert found["sets"][0]["KT"] == [1, 2, 5, 10]
    assert len(found["drift"]["p"]) == found["number"] == 6
    assert found["drift"]["p"][-1] < found["alarm_p"] == 1e-3
    json.dumps(found, allow_nan=False)


def test_the_sky_its_detections_and_its_alerts(findings, tmp_path):
    counted, lon = gamma_ray_sky(tmp_path)
    image = findings.see("map of mission")
    assert (image["photons"], sum(image["image"]), len(image["image"])) == (counted, counted, 180 * 360)
    found = findings.of("mission")
    assert (found["number"], found["known"]) == (12, [])
    assert found["rows"][0]["Signif_Avg"] == pytest.approx(30)
    assert found["places"]["l"] == pytest.approx(np.round(lon % 360, 3).tolist(), abs=2e-3)
    alerts = findings.of("alerts")
    assert alerts["number"] == 2
    assert {"event_name", "l", "b", "TS", "alert_tense"} <= alerts["rows"][0].keys()
    for name in findings.versions():
        json.dumps(findings.of(name), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float32(1 / 3), 0.333333),
        (np.nan, None),
        (b"a  ", "a"),
        (np.int16(3), 3),
        (np.array([1.0, np.inf]), [1.0, None]),
    ],
)
def test_values_for_json(value, shown):
    assert plain(value) == shown
