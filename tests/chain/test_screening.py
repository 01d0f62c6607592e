"""Screening in the whole chain: spread over processes it is what it is in one, and says what it did."""

import numpy as np
import pytest
from astropy.io import fits

from tests.chain.daemon import READOUTS, TABLES, Daemon, raysieve, tables
from tests.screens import p_of, screening


@pytest.fixture(scope="module")
def words(folder):
    return [word for key, value in screening(folder).items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def batch(folder, words):
    maps = ("--maps", folder / "maps.h5")
    done = raysieve("process", folder / "sky.h5", "-c", "quick", *words, *maps, "--out", folder / "batch")
    assert done.returncode == 0, done.stderr
    assert "sky.h5: screen: network net " in done.stderr
    assert "sky.h5: screen: judged: " in done.stderr
    return folder / "batch" / "events.fits"


def test_screened_events_say_why_and_how_likely(batch):
    found = tables(batch)
    both = np.concatenate([found[name]["ENERGY"] for name in ("EVENTS", "REJECTED")])
    p = np.concatenate([found[name]["P_PARTICLE"] for name in ("EVENTS", "REJECTED")])
    reason = np.concatenate([np.zeros(len(found["EVENTS"]), int), found["REJECTED"]["REASON"]])
    judged = (both >= 300) & (both < 10_000) & ((reason & 4) == 0)
    assert judged.sum() > 100
    np.testing.assert_array_equal(np.isfinite(p), judged)
    np.testing.assert_allclose(p[judged], p_of(both[judged]), atol=1e-5)
    kept = found["EVENTS"][np.isfinite(found["EVENTS"]["P_PARTICLE"])]
    assert (kept["P_PARTICLE"] <= 0.5).all()
    np.testing.assert_allclose(kept["P_CLASS"].sum(axis=1), 1, rtol=1e-6)
    assert (found["REJECTED"]["REASON"] == 32).sum() > 10
    assert (found["FRAMES"]["NREJECT"]).sum() == len(found["REJECTED"])
    header = fits.getheader(batch, "EVENTS")
    assert (header["SCREEN"], header["SCRTREES"], header["SCR_THR"]) == ("net", "wood", 0.5)


def test_spread_over_processes_it_is_the_same_bit_for_bit(folder, words, batch, tmp_path):
    daemon = Daemon(folder, tmp_path, *words)
    assert daemon.status()["screen"]["about"]["screen"]["network"].startswith("net ")
    done = raysieve("replay", folder / "sky.h5", "--to", daemon.url, "--rate", "max")
    assert done.returncode == 0, done.stderr
    code, said = daemon.end()
    assert code == 0
    assert "screen: network net " in said
    found, expected = tables(tmp_path / "events.fits"), tables(batch)
    for name in TABLES:
        assert found[name].tobytes() == expected[name].tobytes(), name
    status = daemon.status()
    assert status["screen"]["latencies"]["frame to decision"]["count"] == READOUTS
    assert status["screen"]["counters"]["events"] == len(expected["EVENTS"])


def test_explain_says_what_screens_and_where(words):
    done = raysieve("explain", "quick", *words, "--set", "screen.provider=cpu")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "on cpu f32; forest wood " in said
    assert "rejects p_particle > 0.5, at most 0.05 of the X-rays" in said


def test_a_damaged_model_ends_the_daemon_with_one_line(folder, words, tmp_path):
    model = next(word for word in words if word.startswith("screen.model="))
    path = tmp_path / "net.onnx"
    content = (folder / "net.onnx").read_bytes()
    path.write_bytes(content[:-1])
    path.with_suffix(".toml").write_text((folder / "net.toml").read_text())
    changed = [f"screen.model={path}" if word == model else word for word in words]
    daemon = Daemon(folder, tmp_path, *changed)
    code, said = daemon.end()
    assert code == 1
    assert "raysieve: process screen died: " in said
    assert "net.toml: sha256: expected " in said
