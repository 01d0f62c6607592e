"""Cone search (IVOA Simple Cone Search 1.03) in the sources of a finished catalogue."""

from collections.abc import Mapping
from typing import Any, Final

from astropy import units
from astropy.coordinates import SkyCoord

from serve.uploads import RefusedError

UCD1: Final = {"id": "ID_MAIN", "ra_deg": "POS_EQ_RA_MAIN", "dec_deg": "POS_EQ_DEC_MAIN"}  # the standard asks for these


def within(result: Mapping[str, Any], ra_deg: float, dec_deg: float, radius_deg: float) -> dict[str, Any]:
    """Return a result with those of its sources that are in a cone, as they were; none is a result, too.

    Raises RefusedError (409) for a job that is no catalogue, and for a list that was not in sky coordinates.
    """
    if result["kind"] != "catalogue":
        raise RefusedError(409, "cone: expected a catalogue, this job is a fit")
    if not any(column["name"] == "ra_deg" for column in result["columns"]):
        raise RefusedError(409, "cone: the list is in detector coordinates, its sources have no place on the sky")
    known = [each for each in result["sources"] if each["ra_deg"] is not None]
    places = SkyCoord([each["ra_deg"] for each in known], [each["dec_deg"] for each in known], unit=units.deg)
    near = places.separation(SkyCoord(ra_deg, dec_deg, unit=units.deg)).deg <= radius_deg if known else ()
    columns = [{**column, "ucd": UCD1.get(column["name"], column["ucd"])} for column in result["columns"]]
    sources = [each for each, inside in zip(known, near, strict=True) if inside]
    return {**result, "columns": columns, "sources": sources}
