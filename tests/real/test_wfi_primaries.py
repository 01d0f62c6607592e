"""The energies of our protons against those that the WFI background group's Geant4 run started with."""

import gzip

import numpy as np
import pytest
from scipy.stats import kstest

from sim.geant4.spectrum import cumulative

pytestmark = pytest.mark.real
PROTONS = 14_062  # in the two logs of the four that we have
LIMIT = 0.0083  # 5 % of samples of all four (26,860) are further off


def test_the_energies_follow_our_spectrum(data):
    lines: list[str] = []
    for path in sorted((data / "wfi_geant4_mit").glob("*_EvtLog_*.gdat.gz")):
        with gzip.open(path, "rt") as text:
            lines += text.read().splitlines()[1:]
    theirs = np.array([line.split("\t")[2] for line in lines], float)
    assert theirs.size == PROTONS
    energy, share = cumulative()
    assert kstest(theirs, lambda at: np.interp(at, energy, share)).statistic < LIMIT
