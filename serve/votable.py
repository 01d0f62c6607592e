"""Results as VOTable 1.3 (IVOA), made of what the JSON holds.

Not 1.4: its units (VOUnit) frown on erg, which the field writes its fluxes in.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from astropy.io.votable.tree import Field, Info, Resource, TableElement, VOTableFile
from numpy.ma import masked

TEXT: Final = {"datatype": "char", "arraysize": "*"}


def votable(result: Mapping[str, Any]) -> bytes:
    """Return the result of a job as a VOTable: a row for each source or star, or for each parameter."""
    if result["kind"] not in ("catalogue", "corona"):
        return _write(result, _PARAMETERS, [_parameter(*item) for item in result["parameters"].items()])
    rows = [list(source.values()) for source in result["sources"]]
    return _write(result, result["columns"], rows)


def _column(name: str, ucd: str, about: str, unit: str = "") -> dict[str, str]:
    return {"name": name, "unit": unit, "ucd": ucd, "about": about}


_PARAMETERS: Final = (
    _column("parameter", "meta.id;meta.main", "component, name and unit"),
    _column("xspec", "meta.id", "its name in XSPEC"),
    _column("unit", "meta.unit", ""),
    _column("value", "stat.fit.param", ""),
    _column("error", "stat.error;stat.fit.param", "1 sigma; none: frozen or at a bound"),
    _column("frozen", "meta.code", "1: was not fitted"),
    _column("at_bound", "meta.code.qual", "1: at the end of its range"),
)


def _parameter(name: str, facts: Mapping[str, Any]) -> list[Any]:
    flags = [int(facts["frozen"]), int(facts["at_bound"])]
    return [name, facts["xspec"], facts["unit"], facts["value"], facts["error"], *flags]


def _write(result: Mapping[str, Any], columns: Sequence[Mapping[str, str]], rows: Sequence[Sequence[Any]]) -> bytes:
    file = VOTableFile(version="1.3")
    resource = Resource()
    file.resources.append(resource)
    table = TableElement(file, name=result["kind"])
    resource.tables.append(table)
    for key, value in result.items():
        if isinstance(value, str | int | float) or value is None:
            resource.infos.append(Info(name=key, value="" if value is None else str(value)))
    for place, column in enumerate(columns):
        kind = _kind([row[place] for row in rows], column["name"])
        facts = {"ucd": column["ucd"] or None, "unit": column["unit"] or None}
        field = Field(file, ID=column["name"], name=column["name"], **kind, **facts)
        field.description = column["about"] or None
        table.fields.append(field)
    table.create_arrays(len(rows))
    for number, row in enumerate(rows):
        table.array[number] = tuple(_cell(value, field) for value, field in zip(row, table.fields, strict=True))
        table.array.mask[number] = tuple(value is None for value in row)
    out = io.BytesIO()
    file.to_xml(out)
    return out.getvalue()


def _cell(value: Any, field: Any) -> Any:
    if value is not None:
        return value
    return "" if field.datatype == "char" else float("nan") if field.datatype == "double" else masked


def _kind(values: Sequence[Any], name: str) -> dict[str, str]:
    known = [value for value in values if value is not None]
    if name in ("parameter", "xspec", "unit", "class", "star") or any(isinstance(value, str) for value in known):
        return TEXT
    whole = name in ("id", "flag", "frozen", "at_bound")
    return {"datatype": "int" if whole else "double"}
