import gzip

import numpy as np
import pytest
from astropy.io import fits

from stream.crosscal.modifiers import family, middle_kev
from stream.errors import ConfigError
from stream.transport.arf_modified import modify_arf
from stream.transport.ogip import read_arf, read_response, write_arf, write_rmf
from tests.stream.spectra.camera import camera

GAUSSIAN = family("gaussian")
THETA = [1.8, 1.0, -0.08]


@pytest.fixture
def arf(tmp_path):
    """An ARF with a keyword of its own."""
    write_arf(tmp_path / "a.arf", camera())
    with fits.open(tmp_path / "a.arf", mode="update") as hdus:
        hdus[1].header["GRATING"] = "NONE"
    return tmp_path / "a.arf"


def test_a_modified_arf_reads_back_as_it_should_and_says_what_it_is(arf, tmp_path):
    modify_arf(arf, tmp_path / "b.arf", GAUSSIAN, THETA)
    low, high, area = read_arf(tmp_path / "b.arf")
    before = read_arf(arf)
    np.testing.assert_array_equal([low, high], before[:2])
    factor = GAUSSIAN.factor(THETA, 0.5 * (low + high))[0]
    np.testing.assert_array_equal(area, (before[2] * factor).astype(np.float32))
    with fits.open(tmp_path / "b.arf", checksum=True) as hdus:
        head = hdus["SPECRESP"].header
        told = "\n".join(str(line) for line in head["HISTORY"])
    assert head["GRATING"] == "NONE"
    assert (head["HDUCLAS1"], head["HDUCLAS2"]) == ("RESPONSE", "SPECRESP")
    assert "times family gaussian" in told
    assert "mu_kev = 1.8 keV" in told
    assert "amplitude = -0.08" in told
    assert "of a.arf" in told


def test_it_goes_with_the_matrix_of_its_source(arf, tmp_path):
    write_rmf(tmp_path / "a.rmf", camera())
    modify_arf(arf, tmp_path / "b.arf", GAUSSIAN, THETA)
    response = read_response(tmp_path / "a.rmf", tmp_path / "b.arf")
    factor = GAUSSIAN.factor(THETA, middle_kev(response))[0]
    np.testing.assert_allclose(response.area_cm2, camera().area_cm2 * factor, rtol=1e-6)


def test_a_zipped_one_is_the_same(arf, tmp_path):
    modify_arf(arf, tmp_path / "b.arf", GAUSSIAN, THETA)
    modify_arf(arf, tmp_path / "b.arf.gz", GAUSSIAN, THETA)
    assert gzip.decompress((tmp_path / "b.arf.gz").read_bytes()) == (tmp_path / "b.arf").read_bytes()
    modify_arf(tmp_path / "b.arf.gz", tmp_path / "c.arf", GAUSSIAN, [1.8, 1.0, 0.0])
    np.testing.assert_array_equal(read_arf(tmp_path / "c.arf"), read_arf(tmp_path / "b.arf"))


def test_a_negative_area_and_other_files_are_refused(arf, tmp_path):
    with pytest.raises(ConfigError, match=r"a\.arf: factor of family gaussian: -0\.\d+ at 1\.8"):
        modify_arf(arf, tmp_path / "b.arf", GAUSSIAN, [1.8, 1.0, -1.2])
    write_rmf(tmp_path / "a.rmf", camera())
    with pytest.raises(ConfigError, match="no extension SPECRESP"):
        modify_arf(tmp_path / "a.rmf", tmp_path / "b.arf", GAUSSIAN, THETA)
    with pytest.raises(ConfigError, match="no such file"):
        modify_arf(tmp_path / "c.arf", tmp_path / "b.arf", GAUSSIAN, THETA)
    assert not (tmp_path / "b.arf").exists()
