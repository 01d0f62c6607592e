"""Alerts as notices of GCN's form `fermi/lat/flare` (JSON), marked `test`, as files: nothing is sent.

The form is stated here in our own words: which keys there are, of which type, and in which unit (NASA GCN's unified
schema, `gcn/notices/fermi/lat/flare` of version 7.2.0, with its cores Alert, DateTime, Event, Localization, Reporter,
Spectral and PowerLaw; keys that none of them has are not allowed). Drafts of the cores differ: there the radius of a
circle is `position_a_error`, the time of the notice `datetime_of_notice`; releases have had `ra_dec_error` and
`alert_datetime` since 1.0.0. `schema` gives the form as a JSON schema.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.time import Time

from stream.errors import ConfigError
from stream.lat.bands import REFERENCE_MEV
from stream.lat.flare import FLARE, decoded
from stream.lat.sphere import names
from stream.messages import Product
from stream.transport.fitsfile import disk_faults, new_file

SCHEMA: Final = "https://gcn.nasa.gov/schema/v7.2.0/gcn/notices/fermi/lat/flare.schema.json"
MJDREF: Final = (51910, 7.428703703703703e-4)  # of the mission's times: 2001-01-01 00:00:00 UTC, in TT
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

FORM: Final[dict[str, type | tuple[str, ...]]] = {  # key: its type, or the values that it may have
    "$schema": (SCHEMA,),
    "alert_datetime": str,  # UTC, ISO 8601
    "alert_tense": ("current", "archival", "planned", "injection", "commanded", "test"),
    "alert_type": ("initial", "update", "retraction"),
    "mission": str,
    "instrument": str,
    "messenger": ("EM", "GW", "Neutrino"),
    "spectral_band": list,  # two numbers
    "spectral_band_units": ("keV", "nm", "MHz"),
    "event_name": str,
    "id": str,
    "ra": float,  # degrees, ICRS
    "dec": float,
    "ra_dec_error": float,  # radius, degrees
    "containment_probability": float,
    "systematic_included": bool,
    "observation_start": str,
    "observation_stop": str,
    "observation_livetime": float,  # s
    "flux": float,
    "flux_error": float,
    "flux_unit": ("ph/cm2/s", "erg/cm2/s"),
    "alpha": float,  # index of the power law
    "alpha_error": float,
    "reference_catalog": str,
    "flux_ratio": float,
    "TS": float,
}
TIMES: Final = ("alert_datetime", "observation_start", "observation_stop")
NEEDED: Final = (*TIMES, "$schema", "alert_tense", "event_name", "ra", "dec", "flux", "flux_unit", "TS")
WRITTEN: Final = "test"  # the one tense that is written


def utc(met_s: float) -> str:
    """Return a time of the mission, seconds since MJDREF (leap seconds counted), as UTC in ISO 8601."""
    return f"{Time(MJDREF[0], MJDREF[1] + met_s / 86400, format='mjd', scale='tt').utc.isot}Z"


def notice_of(alert: Any, header: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
    """Return a row of ALERTS as a notice. header: that of its product, with TSTART and TSTOP, s of mission time.

    Raises ConfigError if it does not have the form, as without these times.
    """
    known = alert["kind"] == FLARE
    ra, dec = float(alert["ra_deg"]), float(alert["dec_deg"])
    own = names("RSV", ra, dec)[0]
    told: dict[str, Any] = {
        "$schema": SCHEMA,
        "alert_datetime": (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "alert_tense": WRITTEN,
        "alert_type": "initial",
        "mission": "Fermi",
        "instrument": "LAT",
        "messenger": "EM",
        "spectral_band": [1000 * edge for edge in REFERENCE_MEV],
        "spectral_band_units": "keV",
        "event_name": decoded(alert["name"]) if known else own,
        "id": own,
        "ra": ra,
        "dec": dec,
        "ra_dec_error": _short(alert["r95_deg"]),
        "containment_probability": 0.95,
        "systematic_included": False,
        "flux": _short(alert["flux"]),
        "flux_error": _short(alert["flux_error"]),
        "flux_unit": "ph/cm2/s",
        "alpha": _short(alert["index"]),
        "alpha_error": _short(alert["index_error"]),
        "TS": _short(alert["ts"]),
    }
    for key, card in (("observation_start", "TSTART"), ("observation_stop", "TSTOP")):
        if card in header:
            told[key] = utc(float(header[card]))
    if "LIVETIME" in header:
        told["observation_livetime"] = float(header["LIVETIME"])
    if known:
        told |= {"reference_catalog": str(header.get("REFCAT", "")), "flux_ratio": _short(alert["ratio"])}
    check(told)
    return told


def _short(value: Any) -> float:
    return float(f"{float(value):.5g}")


def check(notice: Mapping[str, Any], what: str = "notice") -> None:
    """Raise ConfigError, naming every fault, if a notice has not the form, or is not marked `test`."""
    faults = [f"{key}: not in the form" for key in notice if key not in FORM]
    faults += [f"{key}: missing" for key in sorted(set(NEEDED) - set(notice))]
    for key, value in notice.items():
        wanted = FORM.get(key)
        if isinstance(wanted, tuple) and value not in wanted:
            faults.append(f"{key}: {value!r}, not one of {', '.join(wanted)}")
        elif isinstance(wanted, type) and not isinstance(value, wanted):
            faults.append(f"{key}: {value!r}, not {wanted.__name__}")
        elif wanted is list and [type(part) for part in value] not in ([float] * 2, [int] * 2):
            faults.append(f"{key}: {value!r}, not two numbers")
        elif isinstance(value, float) and not np.isfinite(value):
            faults.append(f"{key}: {value}, not a number that JSON has")
        elif key in TIMES and not _TIME.fullmatch(str(value)):
            faults.append(f"{key}: {value!r}, not UTC in ISO 8601")
    if notice.get("alert_tense") not in (None, WRITTEN):
        faults.append(f"alert_tense: only {WRITTEN} is written")
    if faults:
        raise ConfigError(f"{what}: {'; '.join(faults)}")


def schema() -> dict[str, Any]:
    """Return the form of the notices that are written as a JSON schema (draft 2020-12)."""
    keys = {key: _schema_of(key) for key in FORM} | {"alert_tense": {"const": WRITTEN}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Alert of raysieve, of GCN's form fermi/lat/flare",
        "type": "object",
        "properties": keys,
        "required": sorted(NEEDED),
        "additionalProperties": False,
    }


def _schema_of(key: str) -> dict[str, Any]:
    wanted = FORM[key]
    if isinstance(wanted, tuple):
        return {"enum": list(wanted)}
    if wanted is list:
        return {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    if key in TIMES:
        return {"type": "string", "pattern": f"^{_TIME.pattern}$"}
    return {"type": {str: "string", float: "number", bool: "boolean"}[wanted]}


def write_notices(product: Product, folder: Path, now: datetime | None = None) -> list[Path]:
    """Write a JSON file for each alert of a product "alerts" into a folder; return their names.

    A name holds the window and its end (MET, s): a process that begins anew writes over no other's alerts. Raises
    LinkError if the disk refuses, ConfigError for alerts that have not the form.
    """
    notices = [notice_of(row, product.header, now) for row in product.tables["ALERTS"]]
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for row, notice in zip(product.tables["ALERTS"], notices, strict=True):
        window = re.sub(r"\W+", "", str(product.header.get("WINDOW", "window")))
        path = folder / f"alert_{window}_{float(product.header['TSTOP']):.0f}_{int(row['id']):04d}.json"
        with new_file(path) as file:
            file.write(json.dumps(notice, indent=1, allow_nan=False).encode() + b"\n")
        written.append(path)
    return written
