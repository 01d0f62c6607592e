import gzip

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import ConfigError
from stream.transport.fitsfile import open_fits, places
from tests.event_lists import event_list, with_a_wrong_byte, write


@pytest.fixture(scope="module")
def good_file(tmp_path_factory):
    (path,) = write(tmp_path_factory.mktemp("good"), map(event_list, range(3)))
    return path


def test_the_places_are_those_that_astropy_finds(good_file):
    found = places(good_file, sums=True)
    with fits.open(good_file) as hdus:
        assert list(found) == [hdu.name for hdu in hdus[1:]]
        for name, place in found.items():
            rows = place.open()
            assert rows.dtype.names == tuple(hdus[name].columns.names)
            for column in rows.dtype.names:
                np.testing.assert_array_equal(rows[column], hdus[name].data[column])


@settings(deadline=None, max_examples=300)
@given(share=st.floats(0, 0.9999), bits=st.integers(1, 255))
def test_a_wrong_byte_is_always_noticed(good_file, share, bits):
    with pytest.raises(ConfigError, match=r"wrong\.fits: not a whole event list: .+"):
        places(with_a_wrong_byte(good_file, share, bits), sums=True)


@pytest.mark.parametrize(
    ("card", "wrong"),
    [("NAXIS2", "-5"), ("NAXIS2", "10**9"), ("TFIELDS", "99999"), ("EXTNAME", "5"), ("TFORM1", "'Z'")],
)
def test_a_card_that_says_nonsense(good_file, card, wrong):
    content = good_file.read_bytes()
    at = content.index(card.ljust(8).encode() + b"= ", 2880) + 10
    path = good_file.with_name("nonsense.fits")
    path.write_bytes(content[:at] + wrong.rjust(20).encode() + content[at + 20 :])
    with pytest.raises(ConfigError, match=r"nonsense\.fits: not a whole event list: .+"):
        places(path)


def test_a_file_of_others(tmp_path):
    table = fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=np.arange(3.0))], name="EVENTS")
    table.writeto(tmp_path / "theirs.fits")
    with pytest.raises(ConfigError, match=r"theirs\.fits: not a whole event list"):
        places(tmp_path / "theirs.fits")


def table_of(path):
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(np.zeros(1000, [("A", ">f8")]), name="T")]).writeto(path)
    return path


def test_what_is_no_fits_is_said_in_words_of_ours(tmp_path):
    whole = table_of(tmp_path / "whole.fits").read_bytes()
    (tmp_path / "folder").mkdir()
    cases = {
        "nofile": (None, "no such file"),
        "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), r"not FITS \(it is HDF5\)"),
        "empty": (b"", r"not FITS \(it is empty\)"),
        "text": (b"NAME,RA\n1,2\n", r"not FITS \(it is text\)"),
        "bytes": (bytes(range(200)), "not FITS"),
        "short": (b"SIMPLE", r"not FITS \(no card SIMPLE\)"),
        "half": (whole[:7000], "truncated: the file ends early"),
        "header": (whole[:1000], "truncated: the file ends early"),
        "zipped": (gzip.compress(whole, 0)[:7000], "truncated: the file ends early"),
        "folder": (None, "cannot be read: Is a directory"),
    }
    for name, (content, why) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"^{path}: {why}$"), open_fits(path) as hdus:
            len(hdus["T"].data)
