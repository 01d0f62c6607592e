"""Which sources of a window of time are brighter than they should be, and which should not be there.

How sure a rise is: a fit gave the flux f with error s and its TS. One bin of n = S + B counts, S of the source, has
that error if n = S^2 (s / f)^2 and that TS if TS = 2 (n ln(n / B) - S); both together give S and B, the counts that
told. The rise over a reference flux F then has 2 (n ln(n / m) - n + m), m = B + S F / f (Cash 1979, ApJ 228, 939).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from config.alert import Alert
from stream.lat.associate import Association, Rule, associate
from stream.lat.bands import CONFUSED, EDGE, NOT_SETTLED
from stream.lat.sphere import equatorial

Floats = NDArray[np.float64]
Table = NDArray[Any]

FLARE, TRANSIENT = 1, 2
NAME: Final = 24  # bytes
ALERT: Final = np.dtype(
    [
        ("id", "<i4"),  # of the detection
        ("entry", "<i4"),  # row of the catalogue; -1: none
        ("kind", "|u1"),  # FLARE or TRANSIENT
        ("name", "|u1", (NAME,)),  # of the source in the catalogue, ASCII, zeros after it
        ("glon_deg", "<f8"),
        ("glat_deg", "<f8"),
        ("ra_deg", "<f8"),  # ICRS
        ("dec_deg", "<f8"),
        ("r95_deg", "<f4"),
        ("flux", "<f4"),  # photons cm-2 s-1, 1 to 100 GeV, in the window
        ("flux_error", "<f4"),
        ("index", "<f4"),
        ("index_error", "<f4"),
        ("ts", "<f4"),
        ("reference_flux", "<f4"),  # of the catalogue, same band; NaN: none
        ("ratio", "<f4"),  # NaN: none
        ("rise_sigma", "<f4"),  # before trials; NaN: none
        ("over_brightest", "<f4"),  # flux over that of the catalogue's brightest interval; NaN: none known
    ]
)
_STEPS: Final = np.geomspace(1e-4, 1e6, 4001)  # S / B


def rise(flux: ArrayLike, error: ArrayLike, ts: ArrayLike, reference: ArrayLike) -> Floats:
    """Return how many sigma fluxes (n,) lie above references (n,); negative: below. NaN for what is not a number.

    A TS below (f / s)^2 fits no counts: then as a Gaussian, (f - F) / s. No source in the reference: sqrt(TS).
    """
    f, s, t, ref = (np.atleast_1d(np.asarray(each, float)) for each in (flux, error, ts, reference))
    with np.errstate(divide="ignore", invalid="ignore"):
        square = (f / s) ** 2
        over = np.interp(t / square, _ratio(_STEPS), _STEPS)  # S / B; the ends of the table where it has none
        source = square * (1 + over) / over
        total, base = source * (1 + over) / over, source / over
        expected = base + source * ref / f
        likely = 2 * (total * np.log(total / expected) - total + expected)
        told = np.sign(f - ref) * np.sqrt(np.maximum(likely, 0))
        told = np.where(t <= square * (1 + 1e-3), (f - ref) / s, told)
    known = np.isfinite(f) & (f > 0) & (s > 0) & np.isfinite(t) & np.isfinite(ref)
    return np.where(known, told, np.nan)


def _ratio(x: Floats) -> Floats:
    """Return TS over (f / s)^2 of one bin with S / B = x: 1 for none, rising."""
    return np.asarray(2 * ((1 + 1 / x) * np.log1p(x) - 1) * (1 + x) / x)


def find_alerts(found: Table, catalogue: Table, section: Alert) -> Table:
    """Return the alerts (k,) ALERT of the detections (n,) DETECTION of a window, most significant first.

    catalogue: (m,) `entry_dtype`, of the whole mission. Detections that the search itself doubts (at an edge, confused,
    not settled) are no transients: they are what a neighbour's or the sky's misfit looks like.
    """
    told = associate(found, catalogue, Rule(section.within_r95, section.within_deg))
    rows = _rows(found, catalogue, told)
    known = rows["entry"] >= 0
    flare = known & (rows["ts"] >= section.least_ts) & (rows["ratio"] >= section.least_ratio)
    flare &= rows["rise_sigma"] >= section.least_rise_sigma
    new = ~known & (rows["ts"] >= section.least_new_ts) & ((found["flag"] & (EDGE | CONFUSED | NOT_SETTLED)) == 0)
    rows["kind"] = np.where(flare, FLARE, TRANSIENT)
    kept = rows[flare | new]
    return kept[np.argsort(-kept["ts"], kind="stable")]


def _rows(found: Table, catalogue: Table, told: Association) -> Table:
    rows = np.zeros(len(found), ALERT)
    for name in ("id", "glon_deg", "glat_deg", "r95_deg", "flux", "flux_error", "index", "index_error", "ts"):
        rows[name] = found[name]
    rows["ra_deg"], rows["dec_deg"] = equatorial(found["glon_deg"], found["glat_deg"])
    rows["entry"] = told.entry
    for name in ("reference_flux", "ratio", "rise_sigma", "over_brightest"):
        rows[name] = np.nan
    on = told.entry >= 0
    entries = catalogue[told.entry[on]]
    reference = entries["flux1000"]
    rows["reference_flux"][on] = reference
    rows["ratio"][on] = rows["flux"][on] / reference
    rows["rise_sigma"][on] = rise(found["flux"][on], found["flux_error"][on], found["ts"][on], reference)
    rows["over_brightest"][on] = rows["ratio"][on] / _brightest(entries["flux_history"])
    rows["name"][on] = [encoded(name) for name in entries["name"].tolist()] or np.zeros((0, NAME), np.uint8)
    return rows


def _brightest(history: Floats) -> Floats:
    """Return the brightest interval of light curves (n, years) over their mean; NaN without one."""
    if not history.shape[1]:
        return np.full(len(history), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(history.max(axis=1) / history.mean(axis=1))


def encoded(name: str) -> NDArray[np.uint8]:
    """Return a name as NAME bytes: tables that travel hold numbers alone."""
    return np.frombuffer(name.encode("ascii", "replace")[:NAME].ljust(NAME, b"\0"), np.uint8)


def decoded(name: NDArray[np.uint8]) -> str:
    """Return the name of NAME bytes."""
    return bytes(name).rstrip(b"\0").decode("ascii", "replace")


def header_of(section: Alert, catalogue: str) -> Mapping[str, str | int | float | bool]:
    """Return what a product of alerts says of how it was made."""
    return {
        "REFCAT": catalogue,
        "LEASTTS": section.least_ts,
        "RATIO": section.least_ratio,
        "RISESIG": section.least_rise_sigma,
        "NEWTS": section.least_new_ts,
        "TEST": True,
    }
