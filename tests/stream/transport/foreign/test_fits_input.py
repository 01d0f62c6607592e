import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import ConfigError
from stream.transport.foreign.fits_input import read_image, read_table, read_tables
from tests.stream.transport.foreign.lists import table, write

COLUMNS = {"x": np.arange(5000), "TIME": np.linspace(0, 1, 5000), "PHAS": np.arange(45000).reshape(5000, 9)}
WANTED = {"X": (1,), "TIME": (1,), "PHAS": (9, 25)}


def test_columns_are_found_whatever_their_case(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fits", table({"OTHER": np.arange(2)}, "OTHER"), table(COLUMNS, EXPTIME=3))
    found = read_table(path, "EVENTS", WANTED)
    assert (found["X"].dtype, found["TIME"].dtype, found["PHAS"].shape) == (np.int64, np.float64, (5000, 9))
    assert np.array_equal(found["X"], COLUMNS["x"])
    assert found.number("EXPTIME") == 3
    assert found.number("NONE", 5.0) == 5
    assert read_table(path, "", {"OTHER": (1,)}).name == "OTHER"
    assert read_tables(path, "GTI", WANTED) == []


@pytest.mark.parametrize(
    ("keys", "mjdref"),
    [
        ({"MJDREF": 50814.0}, (50814, 0.0)),
        ({"MJDREF": 51544.25}, (51544, 0.25)),
        ({"MJDREFI": 51544, "MJDREFF": 0.00074287037037037}, (51544, 0.00074287037037037)),
    ],
)
def test_the_zero_of_time(tmp_path: Path, keys: dict[str, float], mjdref: tuple[int, float]) -> None:
    path = write(tmp_path / "a.fits", table(COLUMNS, **keys))
    assert read_table(path, "EVENTS", WANTED).mjdref() == mjdref


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
@settings(deadline=None, max_examples=20)
@given(share=st.floats(0, 0.999))
def test_a_truncated_file_is_refused(tmp_path_factory: pytest.TempPathFactory, name: str, share: float) -> None:
    whole = write(tmp_path_factory.mktemp("f") / name, table(COLUMNS)).read_bytes()
    needed = whole if name.endswith("gz") else whole[: 2880 + 2880 + 5000 * (4 + 8 + 36)]
    path = tmp_path_factory.mktemp("f") / name
    path.write_bytes(needed[: int(share * len(needed))])
    with pytest.raises(ConfigError) as fault:
        read_table(path, "EVENTS", WANTED)
    assert str(fault.value).startswith(f"{path}: ")
    assert "\n" not in str(fault.value)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bool) -> None:
    path = tmp_path_factory.mktemp("f") / "a.fits"
    path.write_bytes(b"SIMPLE  =                    T" + content if header else gzip.compress(content))
    for call in (lambda: read_table(path, "EVENTS", WANTED), lambda: read_image(path)):
        with pytest.raises(ConfigError) as fault:
            call()
        assert "\n" not in str(fault.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path, "not a whole FITS file"), (tmp_path / "none", "no such file")):
        with pytest.raises(ConfigError, match=said):
            read_table(path, "EVENTS", WANTED)
