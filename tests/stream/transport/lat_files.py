"""FT1 and FT2 files as the mission writes them, small."""

import numpy as np
from astropy.io import fits

MET = {"MJDREFI": 51910, "MJDREFF": "7.428703703703703D-4", "TIMESYS": "TT", "PASS_VER": "P8R3"}


def bits(numbers):
    """Return numbers as 32 flags, most significant first."""
    return np.unpackbits(np.asarray(numbers, ">u4").view("u1").reshape(-1, 4), axis=1).astype(bool)


def columns(n=100, seed=0, start=0.0, stop=1000.0):
    """Return the columns of n photons of the source class, rising in time: name -> (format, unit, values)."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    return {
        "ENERGY": ("E", "MeV", 300 * rng.random(n) ** -0.7),
        "L": ("E", "deg", rng.uniform(0, 360, n)),
        "B": ("E", "deg", np.degrees(np.arcsin(rng.uniform(-1, 1, n)))),
        "ZENITH_ANGLE": ("E", "deg", rng.uniform(0, 85, n)),
        "TIME": ("D", "s", np.sort(rng.uniform(start, stop, n))),
        "EVENT_ID": ("J", None, np.arange(1, n + 1)),
        "RUN_ID": ("J", None, np.full(n, 7 + seed)),
        "EVENT_CLASS": ("32X", None, bits(np.full(n, 128 | 4))),
        "EVENT_TYPE": ("32X", None, bits(1 + kind)),
        "CONVERSION_TYPE": ("I", None, kind),
    }


def write_ft1(path, given, gti=((0.0, 1000.0),), **cards):
    made = [fits.Column(name, form, unit, array=values) for name, (form, unit, values) in given.items()]
    events = fits.BinTableHDU.from_columns(made, name="EVENTS")
    events.header.update(MET | cards)
    spans = np.array(list(gti), [("START", ">f8"), ("STOP", ">f8")])
    hdus = [fits.PrimaryHDU(), events]
    if gti is not None and len(spans):
        hdus.append(fits.BinTableHDU(spans, name="GTI"))
        hdus[-1].columns.change_unit("START", "s")
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def write_ft2(path, start=0.0, rows=40, step_s=30.0, **changed):
    time = start + step_s * np.arange(rows)
    ra = np.linspace(10, 90, rows)
    given = {
        "START": ("D", "s", time),
        "STOP": ("D", "s", time + step_s),
        "RA_SCZ": ("E", "deg", ra),
        "DEC_SCZ": ("E", "deg", np.full(rows, 20.0)),
        "RA_ZENITH": ("E", "deg", ra),
        "DEC_ZENITH": ("E", "deg", np.full(rows, -20.0)),
        "IN_SAA": ("L", None, np.zeros(rows, bool)),
        "LAT_CONFIG": ("B", None, np.ones(rows)),
        "DATA_QUAL": ("B", None, np.ones(rows)),
        "LIVETIME": ("D", "s", np.full(rows, 0.9 * step_s)),
    } | changed
    made = [fits.Column(name, form, unit, array=values) for name, (form, unit, values) in given.items()]
    hdu = fits.BinTableHDU.from_columns(made, name="SC_DATA")
    hdu.header.update(MET)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
    return path
