"""On board, space packets, ground: the same events as in one process."""

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from raysieve import cli
from sim.commands.telemetry import telemetry
from stream.errors import RaysieveError
from stream.transport.ccsds import MOST_ADU
from tests.chain.daemon import CONFIG, camera, tables

READOUTS = 250
WIDE = ("--set", "record.island=5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("ccsds")
    camera(READOUTS, made)
    call(cli, "process", made / "sky.h5", "-c", "quick", "--maps", made / "maps.h5", "-o", made / "direct", *WIDE)
    return made


def call(command, *arguments):
    done = CliRunner().invoke(command, list(map(str, arguments)))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def ground(folder, out, *arguments):
    """Send the sky down and process it; return its tables and what was said of the packets."""
    sent = call(telemetry, folder / "sky.h5", out / "a.ccsds", "-c", "quick", "--maps", folder / "maps.h5", *arguments)
    said = call(cli, "convert", "ccsds", out / "a.ccsds", out / "a.h5")
    call(cli, "process", out / "a.h5", "-c", "quick", "-o", out, *WIDE)
    return tables(out / "events.fits"), sent, said


def by_place(found):
    """Return the rows of valid and rejected events by frame, quadrant, column, row."""
    return {tuple(map(int, (row["FRAME"], row["QUADRANT"], row["RAWX"], row["RAWY"]))): row
            for name in ("EVENTS", "REJECTED") for row in found[name]}  # fmt: skip


def is_clear(island, split_adu):
    """Return whether whole ADU can change neither the peak nor a pixel above split, and hold all values."""
    if np.nanmax(island) > MOST_ADU:
        return False
    others = np.delete(island.reshape(5, 5)[1:4, 1:4].ravel(), 4)
    return np.nanmin(np.abs(island - split_adu)) > 0.51 and np.nanmax(others) < island[12] - 1.01


def test_the_ground_finds_the_events_of_the_camera(folder, tmp_path):
    found, sent, said = ground(folder, tmp_path)
    assert f"{4 * READOUTS} frames" in said
    assert said.count("\n") == 1  # no fault
    direct, ground_events = by_place(tables(folder / "direct" / "events.fits")), by_place(found)
    assert f"{len(direct)} event candidates" in sent
    split = CONFIG.reconstruct.split_threshold_ev / CONFIG.detector.gain_ev_per_adu
    clear = [place for place, row in direct.items() if is_clear(row["PHAS"], split)]
    assert len(clear) > 0.95 * len(direct) > 500
    for place in clear:
        one, other = direct[place], ground_events[place]
        for name in ("PATTERN", "GRADE", "NEIGHBOURS", "VFAINT", "NPIX"):
            assert one[name] == other[name]
        assert abs(one["ENERGY"] - other["ENERGY"]) <= 0.52 * CONFIG.detector.gain_ev_per_adu * one["NPIX"]
        assert np.array_equal(np.isnan(one["PHAS"]), np.isnan(other["PHAS"]))
        assert np.nanmax(np.abs(one["PHAS"] - other["PHAS"])) < 0.51
    unclear = len(direct) - len(clear)
    assert abs(len(ground_events) - len(direct)) <= unclear
    assert len(ground_events.keys() - direct.keys()) <= unclear
    for name in ("LIVETIME", "EXPOSURE", "ONTIME"):
        assert fits.getval(tmp_path / "events.fits", name, 1) == fits.getval(folder / "direct" / "events.fits", name, 1)


def test_a_bad_link_costs_livetime_and_no_good_event(folder, tmp_path):
    (tmp_path / "whole").mkdir()
    whole, _, _ = ground(folder, tmp_path / "whole")
    found, sent, said = ground(
        folder, tmp_path, "--lose", "0.02", "--duplicate", "0.02", "--corrupt", "0.01", "--seed", "7"
    )
    assert all(name in sent for name in ("lost", "doubled", "damaged"))
    assert all(name in said for name in ("lost packets", "lost frames", "duplicates"))
    come = {(int(row["FRAME"]), int(row["QUADRANT"])) for row in found["FRAMES"]}
    lost = 4 * READOUTS - len(come)
    assert f"lost frames: {lost}\n" in said
    assert 10 < lost < 60
    gaps = sum(int(row["LAST"] - row["FIRST"] + 1) for row in found["GAPS"])
    assert gaps == lost  # seed 7 loses neither the first nor the last read-out
    good = {place for place in by_place(whole) if place[:2] in come}
    assert by_place(found).keys() == good
    live = fits.getval(tmp_path / "events.fits", "LIVETIME", 1)
    assert live == pytest.approx((READOUTS - lost / 4) * 0.005)


def test_frames_that_are_not_in_adu_are_refused(folder, tmp_path):
    call(telemetry, folder / "sky.h5", tmp_path / "a.ccsds", "-c", "quick", "--maps", folder / "maps.h5")
    call(cli, "convert", "ccsds", tmp_path / "a.ccsds", tmp_path / "a.h5")
    arguments = [tmp_path / "a.h5", tmp_path / "b.ccsds", "-c", "quick"]
    done = CliRunner().invoke(telemetry, list(map(str, arguments)))
    assert isinstance(done.exception, RaysieveError)
    assert "expected ADU" in str(done.exception)
    assert not (tmp_path / "b.ccsds").exists()


def test_the_command_explains_itself():
    assert "Example: raysieve simulate telemetry" in call(telemetry, "--help")
