"""Drawn coronae: within their ranges, SNR as defined, splits by star, files that come back."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli
from sim.corona.sets import SPLITS, blocks, read_set, split_of, write_set
from sim.corona.truth import Setting, draw, line_sigma
from stream.corona.forward import Forward
from stream.corona.instrument import Instrument


@pytest.fixture(scope="module")
def model() -> Forward:
    return Forward.through(Instrument.of("few", np.linspace(12, 24, 601), 10.0, 0.05), least=1e-2)


@pytest.fixture(scope="module")
def truth(model):
    return draw(model, Setting(), 300, np.random.default_rng(3))


def test_truth_is_within_its_ranges(model, truth):
    rows = truth.rows
    for name, low, high in (("log_t", 6, 7), ("log_n", 9, 11), ("snr", 1, 10), ("sigma_kms", 0, 150)):
        assert rows[name].min() >= low - 1e-6
        assert rows[name].max() <= high + 1e-6
    assert np.bincount(rows["kind"], minlength=3) / 300 == pytest.approx([0.5, 0.25, 0.25], abs=0.1)
    assert np.all(rows["spread_dex"][rows["kind"] == 0] < 1e-6)
    assert np.all(rows["spread_dex"][rows["kind"] == 2] > 0.02)
    assert rows["log_t"].std() > 0.2


def test_snr_is_the_root_of_the_counts_of_the_strongest_line(model, truth):
    counts = model.line_counts(truth.coronae, truth.line_photons)
    assert np.allclose(np.sqrt(counts.max(axis=1)), truth.rows["snr"], rtol=1e-5)
    assert np.allclose(truth.line_photons, model.line_photons(truth.coronae))


def test_errors_of_line_data_are_as_large_as_said(model, truth):
    spread = np.log(truth.coronae.line_factor).std(axis=0)
    assert np.allclose(spread, model.lines.scatter, rtol=0.3)
    assert np.log(truth.coronae.area_factor).std() == pytest.approx(0.05 * np.sqrt(2 / 3), rel=0.3)


def test_a_line_alone_stands_out_by_the_root_of_its_counts(model, truth):
    dark = replace(truth.coronae, background=0 * truth.coronae.background)
    alone = np.zeros_like(truth.line_photons)
    row = model.lines.find("o_8", 18.967)
    alone[:, row] = truth.line_photons[:, row]
    only = replace(truth, coronae=dark, line_photons=alone)
    expected = model.counts(replace(dark, norm=0 * dark.norm), alone)
    sigma = line_sigma(model, only, expected)
    counts = model.line_counts(dark, alone)[:, row]
    assert np.allclose(sigma[:, row], np.sqrt(counts), rtol=0.12)  # the area is off by some per cent
    assert not sigma[:, np.arange(sigma.shape[1]) != row].any()


def test_counts_are_poisson_of_what_is_expected(model):
    block = next(blocks(model, Setting(snr=(5, 10)), 250, seed=1))
    pull = (block.counts - block.expected) / np.sqrt(block.expected)
    assert abs(pull.mean()) < 0.02
    assert pull.std() == pytest.approx(1.0, abs=0.05)


def test_a_longer_set_begins_as_a_shorter_one(model):
    short, long = (list(blocks(model, Setting(), n, seed=2)) for n in (30, 260))
    assert np.array_equal(short[0].counts, long[0].counts[:30])
    assert [len(block.counts) for block in long] == [250, 10]
    other = next(blocks(model, Setting(), 30, seed=3))
    assert not np.array_equal(other.counts, short[0].counts)


def test_splits_are_by_star():
    star = np.repeat(np.arange(100), 3)
    split = split_of(star)
    assert np.bincount(split).tolist() == [240, 30, 30]
    assert all(len(set(split[star == k])) == 1 for k in range(100))


def test_a_set_comes_back(model, tmp_path):
    path = tmp_path / "set.h5"
    assert list(write_set(path, model, Setting(per_star=2), 40, seed=5)) == [40]
    whole = read_set(path)
    assert whole.counts.shape == (40, 600)
    assert whole.seen.shape == (40, len(model.lines))
    assert np.array_equal(whole.wavelength_a, model.lines.wavelength_a)
    parts = [read_set(path, name) for name in SPLITS]
    assert sum(len(part.truth) for part in parts) == 40
    assert not set(parts[0].truth["star"]) & set(parts[2].truth["star"])
    expected = model.counts(whole.coronae(model))
    assert np.allclose(expected, whole.arrays["expected"].astype(float), rtol=5e-3, atol=1e-4)
    assert np.all(whole.truth["star"][::2] == whole.truth["star"][1::2])


def test_settings_and_files_that_cannot_be_are_refused(tmp_path):
    for wrong in ({"shares": (0, 0, 0)}, {"snr": (0, 3)}, {"log_t": (7, 6)}):
        with pytest.raises(ConfigError, match="corona: "):
            replace(Setting(), **wrong)
    (tmp_path / "no.h5").write_text("no")
    with pytest.raises(ConfigError, match="simulate corona"):
        read_set(tmp_path / "no.h5")


def test_the_command_writes_a_set_and_not_over_another(tmp_path):
    words = ["simulate", "corona", str(tmp_path / "c.h5"), "--spectra", "12", "--instrument", "euv", "--seed", "1"]
    made = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert made.exit_code == 0
    assert "12 spectra" in made.output
    assert isinstance(CliRunner().invoke(cli, words).exception, ConfigError)
    assert read_set(tmp_path / "c.h5").about["seed"] == 1
