"""The bound beside the table of what is physically attainable, and beside its own limit of lines that stand alone."""

from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from sim.corona.bound import Bound, line_bound
from sim.corona.truth import Setting, draw
from stream.corona.forward import Coronae, Forward
from stream.corona.instrument import Instrument
from stream.corona.lines import shipped_lines

PRIOR = 0.289, 0.577  # of log T and log n: even over 1-10 MK and 1e9-1e11
FAINTEST = 3e-3  # of the strongest line: what that table took


def _table(low_a: float, high_a: float, snr: float, size: int = 300) -> tuple[np.ndarray, np.ndarray]:
    lines, rng, h = shipped_lines().select(low_a, high_a), np.random.default_rng(0), 0.02
    log_t, log_n = rng.uniform(6.05, 6.95, size), rng.uniform(9, 11, size)
    ln_g = lines.emissivity(log_t, log_n)[0]
    by_t = (lines.emissivity(log_t + h, log_n)[0] - lines.emissivity(log_t - h, log_n)[0]) / (2 * h)
    by_n = (lines.emissivity(log_t, log_n + h)[0] - lines.emissivity(log_t, log_n - h)[0]) / (2 * h)
    bright = np.exp(ln_g - ln_g.max(axis=1, keepdims=True))
    counts = snr**2 * np.where(bright > FAINTEST, bright, 0.0)
    variances = line_bound(counts, by_t, by_n, np.full(len(lines), 0.1), PRIOR)
    mean = np.sqrt(variances.mean(axis=0))
    return mean, variances.std(axis=0) / (2 * mean)  # of one draw


@pytest.mark.parametrize(
    ("band", "snr", "known"),
    [
        ((5, 30), 1, (0.074, 0.563)),
        ((5, 30), 3, (0.027, 0.516)),
        ((5, 30), 10, (0.009, 0.428)),
        ((90, 340), 1, (0.066, 0.547)),
        ((90, 340), 3, (0.024, 0.483)),
        ((90, 340), 10, (0.008, 0.370)),
    ],
)
def test_the_table_of_what_is_attainable_comes_back(band, snr, known):
    found, each = _table(*band, snr)
    error = np.hypot(each / np.sqrt(150), each / np.sqrt(300))  # of their 150 draws and of ours
    assert np.all(np.abs(found - known) < 3 * error + 0.001)  # and of their rounding


def test_lines_that_stand_alone_give_the_same_bound_by_both_ways():
    lines = shipped_lines()
    wanted = [("o_7", 21.602), ("o_7", 21.804), ("o_7", 22.098), ("o_8", 18.967), ("n_6", 29.535), ("fe_17", 15.013)]
    table = lines.take([lines.find(*name) for name in wanted])
    model = Forward.through(Instrument.of("sharp", np.linspace(14, 30, 8001), 1.0, 0.01), table, least=0)
    dark = replace(model.continuum, ln_photons=np.full_like(model.continuum.ln_photons, -60.0))
    model = replace(model, continuum=dark)
    setting = Setting(metals_dex=0, abundance_dex=0, area=0, shift_kms=1e-3, sigma_kms=(0, 1e-3))
    setting = replace(setting, background=(1e-9, 1.00001e-9))
    one = Coronae.of(model, 6.325, 1.0, 10.25)  # differences within one cell of the table
    one = replace(one, exposure_s=100 / model.line_counts(one).max(axis=1))
    full = Bound(model, setting).variances(one)
    _, by_t, by_n = table.emissivity(one.log_t[:, 0], one.log_n)
    alone = line_bound(model.line_counts(one), by_t, by_n, table.scatter, (1 / np.sqrt(12), 2 / np.sqrt(12)))
    assert np.allclose(np.sqrt(full), np.sqrt(alone), rtol=0.01)


def test_more_light_tells_more_and_nuisances_tell_less():
    model = Forward.through(Instrument.of("few", np.linspace(12, 24, 601), 10.0, 0.05), least=1e-2)

    def root(**changed) -> np.ndarray:
        setting = replace(Setting(shares=(1, 0, 0)), **changed)
        truth = draw(model, setting, 6, np.random.default_rng(4))
        return np.sqrt(Bound(model, setting).variances(truth.coronae).mean(axis=0))

    faint, bright = root(snr=(2, 2)), root(snr=(10, 10))
    sure = root(snr=(10, 10), scatter=0.0, metals_dex=0, abundance_dex=0, area=0)
    assert np.all(bright < faint)
    assert np.all(sure < bright)
    assert np.all(faint <= np.array(PRIOR) * 1.01)


def test_two_temperatures_are_refused():
    model = Forward.through(Instrument.of("few", np.linspace(12, 24, 61), 10.0, 0.05), least=1e-1)
    with pytest.raises(ConfigError, match="one temperature"):
        Bound(model, Setting()).variances(Coronae.of(model, [[6.1, 6.8]], 1.0, 10.0))
