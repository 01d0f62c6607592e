"""ACIS-I's area of cycle 19, found again from clusters that were fitted through that of cycle 0."""

from dataclasses import replace

import numpy as np
import pytest

from analyse.crosscal.concordance import Prior, Shrinkage
from analyse.crosscal.likelihood import Data
from analyse.crosscal.local import locate, simulate
from bench.crosscal.drift import BAND_KEV, TAU, observe
from sim.crosscal.clusters import area_ratio
from sim.crosscal.grid import Inputs
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import family, middle_kev

pytestmark = pytest.mark.real
SHOWN_KEV = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 5.0])


def test_norms_and_column_densities_give_the_known_loss_back(data):
    folder = data / "responses"
    inputs = Inputs(str(folder / "acisi_aimpt_cy0.arf.gz"), str(folder / "acisi_aimpt_cy0.rmf.gz"))
    response, plasma = inputs.load()
    ratio = area_ratio(response, folder / "acisi_aimpt_cy19.arf.gz")
    setting = Setting(band_kev=BAND_KEV)
    clusters = observe(response, plasma, ratio, setting)
    kind = family("spline:6")
    kind = replace(kind, parameters=tuple(replace(p, low=-5.0, high=5.0) for p in kind.parameters))
    prior = Prior(kind, kind.names, kind.low, kind.high, np.zeros(6, bool), Shrinkage(TAU))
    kt = np.geomspace(0.85 * clusters.kt_0.min(), 1.15 * clusters.kt_0.max(), 8)
    templates = Templates(setting, response, plasma, kt)
    at, _ = locate(
        Data.of(clusters, True), prior, lambda theta: simulate(templates, kind, theta)[0], np.log(templates.kt_kev)
    )
    known = np.interp(SHOWN_KEV, middle_kev(response), ratio)
    assert known[0] == pytest.approx(111 / 424, rel=0.02)
    np.testing.assert_allclose(kind.factor(at, SHOWN_KEV)[0], known, rtol=0.06)
