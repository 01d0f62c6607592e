"""Observed spectra: cut, joined, moved; gaps of the area are told."""

import numpy as np
import pytest

from stream.corona.hot import shipped_hot
from stream.corona.instrument import Instrument
from stream.corona.lines import shipped_lines
from stream.corona.observed import Observed
from stream.errors import ConfigError


def star(area=10.0):
    edges = np.linspace(5.0, 15.0, 1001)
    return Observed("star", np.ones(1000), Instrument.of("i", edges, area, 0.02), 10.0)


def test_cut_join_move():
    part = star().within(8.0, 10.0)
    assert len(part.counts) == 200
    joined = part.joined(4)
    assert len(joined.counts) == 50
    assert joined.counts.sum() == 200
    np.testing.assert_allclose(joined.moved(0.01).instrument.edges_a, joined.instrument.edges_a - 0.01)


def test_gaps_are_not_usable():
    area = np.full(1000, 10.0)
    area[300:320] = 0.1
    usable = star(area).usable()
    assert not usable[300:320].any()
    assert usable[:300].all()


def test_faults():
    with pytest.raises(ConfigError, match="no bins"):
        star().within(20, 30)
    with pytest.raises(ConfigError, match="fewer than"):
        star().joined(2000)
    with pytest.raises(ConfigError, match="no counts"):
        Observed("dark", np.zeros(1000), star().instrument, 10.0)


def test_hot_tables_go_on_where_the_others_end():
    lines, continuum = shipped_hot()
    cool = shipped_lines()
    assert lines.log_t[-1] == pytest.approx(8.0)
    np.testing.assert_array_equal(lines.ln_g[:, : len(cool.log_t)], cool.ln_g)
    strong = cool.ln_g[:, -1, 0] > cool.ln_g[:, -1, 0].max() - 5
    steps = np.diff(lines.ln_g[strong, len(cool.log_t) - 2 : len(cool.log_t) + 1, 0], axis=1)
    assert np.abs(steps[:, 1] - steps[:, 0]).max() < 0.3  # of ln G in 0.05 dex: no kink where they join
    peak = lines.log_t[np.argmax(lines.ln_g[lines.find("fe_25", 1.85), :, 0])]
    assert 7.6 < peak < 7.9
    assert continuum.ln_photons.shape[1] == len(lines.log_t)
