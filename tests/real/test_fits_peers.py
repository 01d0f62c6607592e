"""What other people's tools make of our event lists, and we of theirs."""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from stream.messages import Quality
from stream.transport.eventlist import read_event_list
from tests.event_lists import FRAME_NS, event_list, write

DATA = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
pytestmark = [  # stingray leaves its files open; any other complaint of theirs about our list is a failure
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def event_file(tmp_path):
    """Frames 0..9 and 20..29; 25 has too many hits, of 27 a quadrant is missing."""
    lists = [event_list(s) for s in (*range(10), *range(20, 25), 26)]
    lists += [event_list(25, quality={0: Quality.OVERFLOW, 3: Quality.OVERFLOW}), event_list(27, {0: 1})]
    (path,) = write(tmp_path, [*lists, event_list(28), event_list(29)], interval_s=0.03)
    return path


@pytest.mark.parametrize("fmt", ["hea", "ogip"])
def test_stingray_keeps_times_gti_and_channels(event_file, fmt):
    stingray = pytest.importorskip("stingray")
    events = stingray.EventList.read(str(event_file), fmt=fmt, additional_columns=["PI"])
    ours, header = read_event_list(event_file)
    np.testing.assert_allclose(events.gti.astype(float), [[0, 0.05], [0.1, 0.125], [0.13, 0.15]], atol=1e-12)
    np.testing.assert_allclose(events.time.astype(float), ours["EVENTS"]["TIME"], atol=1e-12)
    np.testing.assert_array_equal(events.pi, ours["EVENTS"]["PI"])
    np.testing.assert_allclose(events.energy, ours["EVENTS"]["ENERGY"] / 1e3, rtol=1e-6)
    assert float(events.mjdref) == pytest.approx(51544 + 0.00074287037037037, abs=1e-12)
    assert (events.mission, events.instr.lower(), events.timesys, events.timeref) == ("athena", "wfi", "tt", "local")
    assert float(events.dt) == header["TIMEDEL"] == FRAME_NS / 1e9


def test_stingray_finds_every_event_inside_the_gti(event_file):
    stingray = pytest.importorskip("stingray")
    events = stingray.EventList.read(str(event_file), fmt="hea")
    assert len(events.apply_gtis().time) == len(events.time) == len(read_event_list(event_file)[0]["EVENTS"])
    exposure = np.diff(events.gti).sum()
    assert float(exposure) == pytest.approx(read_event_list(event_file)[1]["ONTIME"], abs=1e-12)


@pytest.mark.parametrize("telescope", ["CHANDRA", "SUZAKU", "SIMULATED"])
def test_stingray_finds_the_gti_under_the_names_of_missions(tmp_path, event_file, telescope):
    stingray = pytest.importorskip("stingray")
    path = tmp_path / "renamed.fits"
    with fits.open(event_file) as hdus:
        for hdu in hdus:
            hdu.header["TELESCOP"] = telescope
        hdus.writeto(path)
    assert len(stingray.EventList.read(str(path), fmt="hea").gti) == 3


def test_astropy_reads_the_tables_with_units(event_file):
    table = Table.read(event_file, hdu="EVENTS")
    assert str(table["ENERGY"].unit) == "eV"
    assert table["PHAS"].shape == (len(table), 9)
    assert len(Table.read(event_file, hdu="FRAMES")) == 39
    with fits.open(event_file, checksum=True) as hdus:
        hdus.verify("exception")
        assert all(hdu.verify_checksum() == hdu.verify_datasum() == 1 for hdu in hdus)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rows"),
    [("xmm_mos/0201901401_mos1_clean_evts.fits.gz", 22_124), ("acis/acisf28229_repro_evt2.fits.gz", 26_745)],
)
def test_the_lists_of_missions_can_be_read(name, rows):
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"mission data not found: {path} (set RAYSIEVE_DATA)")
    tables, header = read_event_list(path)
    assert len(tables["EVENTS"]) == rows == header["NAXIS2"]
    with fits.open(path) as hdus:
        np.testing.assert_array_equal(tables["EVENTS"]["TIME"], hdus["EVENTS"].data["time"])
