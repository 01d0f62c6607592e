import gzip
from collections import Counter

import numpy as np
import pytest

import stream.transport.fitsrows
from stream.errors import ConfigError
from stream.lat.photons import PHOTON
from stream.transport.ft1 import Ft1, merge
from tests.stream.transport.lat_files import bits, columns, write_ft1


def read(*paths, **options):
    """Return the photons of files and everything that was counted."""
    files, counters = [Ft1(path, **options) for path in paths], Counter()
    rows = np.concatenate([np.empty(0, PHOTON), *merge(files, counters)])
    for file in files:
        counters.update(file.counters)
    return rows, {name: number for name, number in counters.items() if number}


@pytest.mark.parametrize("rows", [7, 100_000])
def test_photons_are_those_of_the_file_however_it_is_read(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(stream.transport.fitsrows, "ROWS", rows)
    given = columns()
    path = write_ft1(tmp_path / "a.fits", given)
    found, counted = read(path)
    assert counted == {"read": 100}
    for ours, theirs in (("GLON", "L"), ("GLAT", "B"), ("ENERGY", "ENERGY"), ("ZENITH", "ZENITH_ANGLE")):
        np.testing.assert_array_equal(found[ours], given[theirs][2].astype("f4"))
    np.testing.assert_array_equal(found["TIME"], given["TIME"][2])
    np.testing.assert_array_equal(found["CONVERSION"], given["CONVERSION_TYPE"][2])
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read(tmp_path / "a.fits.gz")[0], found)


def test_front_and_back_by_the_bits_of_the_type(tmp_path):
    given = columns()
    kind = given.pop("CONVERSION_TYPE")[2]
    np.testing.assert_array_equal(read(write_ft1(tmp_path / "a.fits", given))[0]["CONVERSION"], kind)
    del given["EVENT_TYPE"]
    with pytest.raises(ConfigError, match=r"a.fits: EVENTS: front or back\? expected a column CONVERSION_TYPE or EVEN"):
        Ft1(write_ft1(tmp_path / "a.fits", given))


@pytest.mark.parametrize(
    ("form", "version", "bit"), [("32X", "P8R3", 7), ("J", "P8R2", 7), ("J", "P7V6", 2), ("I", "P7REP", 2)]
)
def test_only_photons_of_the_source_class(tmp_path, form, version, bit):
    given, classes = columns(4), np.array([1 << bit, 1 << (bit - 1), 3 << bit, 1])
    given["EVENT_CLASS"] = (form, None, bits(classes) if form == "32X" else classes)
    path = write_ft1(tmp_path / "a.fits", given, PASS_VER=version)
    found, counted = read(path)
    assert counted == {"read": 4, "other_class": 2}
    np.testing.assert_array_equal(found["TIME"], given["TIME"][2][[0, 2]])
    assert len(read(path, class_bit=0)[0]) == 1
    assert len(read(path, class_bit=-1)[0]) == 4


def test_no_numbers_and_no_good_time_are_counted(tmp_path):
    given = columns(10)
    given["ENERGY"][2][2] = np.nan
    given["B"][2][3] = np.inf
    given["TIME"][2][4] = np.nan
    given["ENERGY"][2][5] = 0.0
    time = given["TIME"][2]
    found, counted = read(write_ft1(tmp_path / "a.fits", given, gti=[(0, time[7] + 1e-3)]))
    assert counted == {"read": 10, "no_numbers": 4, "outside_gti": 2}
    assert len(found) == 4


def test_times_that_are_not_in_order_are_put_in_order_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(stream.transport.fitsrows, "ROWS", 16)
    given = columns()
    given["TIME"][2][[10, 60]] = given["TIME"][2][[60, 10]]
    found, counted = read(write_ft1(tmp_path / "a.fits", given))
    assert counted == {"read": 100, "unordered": 50}
    np.testing.assert_array_equal(found["TIME"], np.sort(given["TIME"][2]))


def test_many_files_are_one_stream_and_no_event_comes_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(stream.transport.fitsrows, "ROWS", 16)
    weeks = [
        write_ft1(tmp_path / f"{k}.fits", columns(seed=k, start=700.0 * k, stop=700.0 * k + 900), [(0, 9000)])
        for k in range(3)
    ]
    found, counted = read(weeks[2], weeks[0], weeks[1], weeks[0])
    assert counted == {"read": 400, "twice": 100}
    assert len(found) == 300
    assert (np.diff(found["TIME"]) >= 0).all()


@pytest.mark.parametrize(("unit", "factor"), [("TeV", 1e-6), ("GeV", 1e-3), ("keV", 1e3)])
def test_other_units_of_energy_are_converted_and_said(tmp_path, unit, factor):
    given = columns()
    mev = given["ENERGY"][2]
    given["ENERGY"] = ("E", unit, mev * factor)
    path = write_ft1(tmp_path / "a.fits", given)
    np.testing.assert_allclose(read(path)[0]["ENERGY"], mev, rtol=1e-6)
    assert Ft1(path).said[0].startswith(f"{path}: ENERGY is in {unit}: times")


def without(name):
    return lambda given: given.pop(name)


def with_unit(name, unit):
    return lambda given: given.update({name: (given[name][0], unit, given[name][2])})


@pytest.mark.parametrize(
    ("change", "cards", "said"),
    [
        (with_unit("ENERGY", None), {}, r"EVENTS.ENERGY: expected MeV \(or GeV, TeV, keV\), got no unit"),
        (with_unit("ENERGY", "erg"), {}, "EVENTS.ENERGY: expected MeV .* got erg"),
        (without("ENERGY"), {}, "EVENTS.ENERGY: expected MeV .* got no such column"),
        (with_unit("TIME", "d"), {}, "EVENTS.TIME: expected s, got d"),
        (without("TIME"), {}, "EVENTS: no column TIME"),
        (with_unit("L", "rad"), {}, "EVENTS.L: expected deg, got rad"),
        (without("B"), {}, "EVENTS: expected galactic places, L and B or GLON and GLAT"),
        (without("ZENITH_ANGLE"), {}, "EVENTS: no column ZENITH_ANGLE"),
        (without("EVENT_CLASS"), {}, "EVENTS: no column EVENT_CLASS; expected one, or --class-bit -1"),
        (lambda _: 0, {"PASS_VER": "NONE"}, "EVENTS: PASS_VER: expected P7... or P8..., or --class-bit N"),
        (lambda _: 0, {"MJDREFI": 55555}, "EVENTS: times since MJDREF 55555.* expected 51910"),
        (lambda _: 0, {"TIMESYS": "UTC"}, "EVENTS: times since MJDREF .* UTC; expected"),
    ],
)
def test_what_is_no_ft1_is_refused_in_one_line(tmp_path, change, cards, said):
    given = columns(3)
    change(given)
    path = write_ft1(tmp_path / "a.fits", given, **cards)
    with pytest.raises(ConfigError, match=said) as fault:
        Ft1(path)
    assert "\n" not in str(fault.value)
    assert str(path) in str(fault.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="no table GTI"):
        Ft1(write_ft1(tmp_path / "a.fits", columns(3), gti=()))
    (tmp_path / "b.fits").write_text("photons")
    with pytest.raises(ConfigError, match=r"b.fits: not FITS"):
        Ft1(tmp_path / "b.fits")
    path = write_ft1(tmp_path / "c.fits", columns(3000))
    path.write_bytes(path.read_bytes()[: 2880 * 8])
    with pytest.raises(ConfigError, match=r"c.fits: "):
        Ft1(path)


def test_a_file_without_photons(tmp_path):
    found, counted = read(write_ft1(tmp_path / "a.fits", columns(0)))
    assert len(found) == 0
    assert counted == {}
