"""IDL save files: numbers come back; damaged and hostile ones are one line."""

import struct
import zlib

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.transport import idlsave
from stream.transport.idlsave import read_idl
from tests.stream.transport.idl_files import write_idl


def test_numbers_come_back(tmp_path):
    grid = np.arange(6.0).reshape(2, 3)
    held = read_idl(write_idl(tmp_path / "a.save", ww=np.array([1.0, 2.0]), emis=grid, exptim=12.5))
    np.testing.assert_array_equal(held["ww"], [1.0, 2.0])
    np.testing.assert_array_equal(held["emis"], grid)
    assert float(held["exptim"]) == 12.5


@pytest.mark.parametrize("cut", [5, 30, 60])
def test_a_damaged_file_is_one_line(tmp_path, cut):
    path = write_idl(tmp_path / "a.save", ww=np.arange(30.0))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ConfigError, match=r"a\.save: a damaged IDL save file"):
        read_idl(path)


def test_another_file_is_refused(tmp_path):
    (tmp_path / "a.save").write_bytes(b"\x80\x04\x95 a pickle, by its first bytes")
    with pytest.raises(ConfigError, match="expected an IDL save file"):
        read_idl(tmp_path / "a.save")


def test_what_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(idlsave, "MOST", 1 << 20)
    packed = zlib.compress(b"\0" * (4 << 20), 9)
    head = b"SR\x00\x06" + struct.pack(">IIII", 2, 20 + len(packed), 0, 0)
    (tmp_path / "bomb.save").write_bytes(head + packed + struct.pack(">IIII", 6, 0, 0, 0))
    with pytest.raises(ConfigError, match="more than 1 MiB"):
        read_idl(tmp_path / "bomb.save")
