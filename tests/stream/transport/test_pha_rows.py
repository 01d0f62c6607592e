import numpy as np
import pytest
from astropy.io import fits

from stream.errors import ConfigError
from stream.transport.ogip import read_spectrum


@pytest.fixture
def several(tmp_path):
    """Two spectra of a grating, as CIAO writes them: orders -1 and 1, each with its exposure and response."""
    path = tmp_path / "orders.pha"
    counts = np.arange(2 * 16, dtype=np.int32).reshape(2, 16)
    channel = np.tile(np.arange(1, 17, dtype=np.int32), (2, 1))
    columns = [
        fits.Column("SPEC_NUM", "I", array=[1, 4]),
        fits.Column("CHANNEL", "16J", array=channel),
        fits.Column("COUNTS", "16J", array=counts),
        fits.Column("EXPOSURE", "D", array=[100.0, 250.0]),
        fits.Column("RESPFILE", "12A", array=["one.rmf", "none"]),
        fits.Column("BACKSCAL", "E", array=[1.0, 0.5]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header["HDUCLAS4"] = "TYPEII"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


def test_a_row_is_chosen_by_its_number_and_brings_its_own_keywords(several):
    one, four = (read_spectrum(f"{several}{{{number}}}") for number in (1, 4))
    assert one.counts.tolist() == list(range(16))
    assert (one.exposure_s, one.about["RESPFILE"]) == (100.0, str(several.parent / "one.rmf"))
    assert four.counts.tolist() == list(range(16, 32))
    assert (four.exposure_s, four.backscal[0]) == (250.0, 0.5)
    assert "RESPFILE" not in four.about


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ("", r"holds 2 spectra \(type II\): expected one of them, as orders.pha\{1\}"),
        ("{2}", r"no spectrum \{2\}; expected one of 1, 4"),
    ],
)
def test_without_a_good_choice_one_line_says_what_there_is(several, chosen, why):
    with pytest.raises(ConfigError, match=why) as refusal:
        read_spectrum(f"{several}{chosen}")
    assert "\n" not in str(refusal.value)
