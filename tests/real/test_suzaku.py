"""Suzaku XIS: the mission's grades."""

import numpy as np
import pytest
from astropy.io import fits

from tests.real.conftest import pair

pytestmark = pytest.mark.real


def test_every_grade_is_the_missions(data, process):
    path = data / "suzaku" / "suzaku_xis0_crab_3x3_event_file_1.fits"
    ours, theirs = process("suzaku", path, "suzaku")["EVENTS"], fits.getdata(path, "EVENTS")
    keys = {"SRC_FRAME": "EXPOSURE_SEQ_NO", "SRC_CHIP": "SEGMENT", "SRC_X": "ACTX", "SRC_Y": "ACTY"}
    a, b = pair(ours, theirs, keys)
    assert len(a) == len(ours) == 100
    assert np.array_equal(ours["GRADE"][a], theirs["GRADE"][b])
