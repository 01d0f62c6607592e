"""Products on the disk, as the page shows them."""

import json
import os

import numpy as np
import pytest

from stream.lat.bands import BANDS
from stream.lat.cube import MISSION, Sky
from stream.messages import Product
from stream.transport.gcn import write_notices
from stream.transport.lat_publish import Found, publish
from stream.transport.products import write_coronae, write_sources
from stream.transport.sky_files import write_window
from tests.stream.lat.catalogues import detections, even
from tests.stream.lat.skies import stream
from tests.stream.lat.test_flare import flaring
from tests.stream.stages.test_alert import stage, window
from view.findings import MOST, Findings, plain

CLASSES = ("AGN", "star", "CV")


def sources(number, classes=CLASSES):
    kinds = [("ID", "<i4"), ("X", "<f8"), ("Y", "<f8"), ("NET_COUNTS", "<f8"), ("LOG_FLUX", "<f4"), ("P", "<f4", (3,))]
    table = np.zeros(number, kinds)
    table["ID"], table["NET_COUNTS"] = np.arange(1, number + 1), np.arange(number)
    table["LOG_FLUX"], table["P"] = np.nan, [0.2, 0.7, 0.1]
    header = {"EXPOSURE": 60.0, "MODEL": "sources", **{f"CLASS{k}": name for k, name in enumerate(classes)}}
    return Product(stream="s", kind="sources", sequence=0, time_ns=0, header=header, tables={"SOURCES": table})


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


def test_coronae(findings, tmp_path):
    table = np.zeros(1, [("NAME", "S8"), ("LOG_T", "<f4"), ("FLAG", "<i4")])
    table["NAME"], table["LOG_T"] = b"<b>star", 6.5
    lines = np.zeros(1, [("ION", "S4")])
    tables = {"CORONAE": table, "LINES": lines}
    write_coronae(Product(stream="s", kind="coronae", sequence=0, time_ns=0, header={}, tables=tables), tmp_path)
    assert findings.see("coronae")["rows"] == [{"NAME": "<b>star", "LOG_T": 6.5, "FLAG": 0}]


def test_the_sky_its_detections_and_its_alerts(findings, tmp_path):
    sky = Sky()
    for message in list(stream(2_000)[1].messages())[1:-1]:
        tables, span = message.tables, (message.header["TSTART"], message.header["TSTOP"])
        sky.add(tables["PHOTONS"], tables["GTI"], tables["POINTING"], *span)
    (tmp_path / "sky").mkdir()
    mission = sky.windows()[MISSION]
    write_window(tmp_path / "sky" / "mission.fits", mission, None, {})
    counted = sum(int(mission.counts(channel).sum()) for channel in range(2 * BANDS))
    lon, lat = even(12, np.random.default_rng(5))
    rows = detections(lon, lat, np.linspace(25, 900, 12))
    publish(tmp_path / "sky" / "mission", Found(rows), {"WINDOW": "mission"})
    write_notices(
        list(stage().process(window(np.concatenate([flaring(), flaring(lon=90, ts=50)]))))[1],
        tmp_path / "sky" / "alerts",
    )
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
