"""What was found on the gamma-ray sky as others read it: FITS and VOTable with 4FGL's columns, regions for DS9."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from astropy.io import fits
from astropy.io.votable.tree import Info, VOTableFile
from astropy.table import Column, Table
from numpy.typing import NDArray

from stream.errors import LinkError
from stream.lat.associate import Association
from stream.lat.bands import BANDS, EDGES_MEV
from stream.lat.catalogue import CLASSES, Catalogue
from stream.lat.sphere import equatorial, names
from stream.transport.fitsfile import new_file

Rows = NDArray[Any]
Frame = Literal["galactic", "fk5"]

PREFIX: Final = "RSV"
FLUX: Final = "ph cm-2 s-1"
COLUMNS: Final[dict[str, tuple[str, str, str]]] = {  # name: unit, UCD (IVOA UCD1+ 1.4), what it is
    "Source_Name": ("", "meta.id;meta.main", "RSV JHHMM.m+DDMM, truncated"),
    "RAJ2000": ("deg", "pos.eq.ra;meta.main", "right ascension, ICRS"),
    "DEJ2000": ("deg", "pos.eq.dec;meta.main", "declination, ICRS"),
    "GLON": ("deg", "pos.galactic.lon", "Galactic longitude"),
    "GLAT": ("deg", "pos.galactic.lat", "Galactic latitude"),
    "Conf_68_SemiMajor": ("deg", "phys.angSize.smajAxis;pos.errorEllipse", "68 % error radius, statistical"),
    "Conf_68_SemiMinor": ("deg", "phys.angSize.sminAxis;pos.errorEllipse", "the same: a circle"),
    "Conf_68_PosAng": ("deg", "pos.posAng;pos.errorEllipse", "of the major axis"),
    "Conf_95_SemiMajor": ("deg", "phys.angSize.smajAxis;pos.errorEllipse", "95 % error radius, statistical"),
    "Conf_95_SemiMinor": ("deg", "phys.angSize.sminAxis;pos.errorEllipse", "the same: a circle"),
    "Conf_95_PosAng": ("deg", "pos.posAng;pos.errorEllipse", "of the major axis"),
    "Signif_Avg": ("", "stat.snr", "square root of TS, 0.3 GeV to 1 TeV"),
    "Flux1000": (FLUX, "phot.flux;em.gamma", "1 to 100 GeV"),
    "Unc_Flux1000": (FLUX, "stat.error;phot.flux;em.gamma", "1 sigma"),
    "PL_Index": ("", "spect.index;em.gamma", "of the power law E^-index"),
    "Unc_PL_Index": ("", "stat.error;spect.index;em.gamma", "1 sigma"),
    "Flux_Band": (FLUX, "phot.flux;em.gamma", "in the bands of EnergyBounds, fitted alone"),
    "Unc_Flux_Band": (FLUX, "stat.error;phot.flux;em.gamma", "1 sigma"),
    "Npred_Band": ("ct", "phot.count;em.gamma", "counts expected of the source"),
    "Flags": ("", "meta.code.qual", "1 edge of a patch, 2 confused, 4 index at a bound, 8 fit not settled"),
    "P_Source": ("", "stat.probability", "that it is a source, as the network says"),
    "ASSOC1": ("", "meta.id.assoc", "name in the reference catalogue"),
    "ASSOC_Sep": ("deg", "pos.angDistance", "from that source"),
    "ASSOC_Ratio": ("", "arith.factor", "of the distance and the 95 % radii of both"),
    "ASSOC_CLASS1": ("", "meta.id.assoc;src.class", "class there; capitals: identified"),
    "CLASS1": ("", "src.class", "the most probable class"),
    **{f"P_{name}": ("", "stat.probability;src.class", f"that it is {name}") for name in (*CLASSES, "FAKE")},
}


@dataclass(frozen=True, slots=True)
class Found:
    """The detections of a search with all that is known of them; tables of the same length n."""

    rows: Rows  # (n,) DETECTION
    reference: Catalogue | None = None
    association: Association | None = None  # with `reference`
    classes: Mapping[str, NDArray[Any]] | None = None  # name in capitals -> probability (n,)


def table_of(found: Found) -> Table:
    """Return an astropy table with 4FGL's columns, units and UCDs; no detections: no rows."""
    rows = found.rows
    ra, dec = equatorial(rows["glon_deg"], rows["glat_deg"])
    values: dict[str, Any] = {
        "Source_Name": np.array(names(PREFIX, ra, dec), "<U20"),
        "RAJ2000": ra,
        "DEJ2000": dec,
        "GLON": rows["glon_deg"],
        "GLAT": rows["glat_deg"],
    }
    for level in (68, 95):
        radius = rows[f"r{level}_deg"]
        values |= {f"Conf_{level}_SemiMajor": radius, f"Conf_{level}_SemiMinor": radius}
        values |= {f"Conf_{level}_PosAng": np.zeros(len(rows), np.float32)}
    values |= {
        "Signif_Avg": np.sqrt(np.maximum(rows["ts"], 0)),
        "Flux1000": rows["flux"],
        "Unc_Flux1000": rows["flux_error"],
        "PL_Index": rows["index"],
        "Unc_PL_Index": rows["index_error"],
        "Flux_Band": rows["flux_band"],
        "Unc_Flux_Band": rows["flux_band_error"],
        "Npred_Band": rows["counts"],
        "Flags": rows["flag"],
        "P_Source": rows["probability"],
    }
    values |= _associated(found) | _classified(found)
    table = Table()
    for name, value in values.items():
        unit, ucd, about = COLUMNS[name]
        table[name] = Column(value, unit=unit or None, description=about, meta={"ucd": ucd})
    return table


def _associated(found: Found) -> dict[str, Any]:
    told, reference = found.association, found.reference
    if told is None or reference is None:
        return {}
    on = told.entry >= 0
    entries = reference.rows[told.entry[on]]
    name, kind = np.full(len(on), "", "<U24"), np.full(len(on), "", "<U6")
    name[on] = entries["name"]
    kind[on] = np.where(entries["identified"], np.char.upper(entries["class"]), entries["class"])
    return {
        "ASSOC1": name,
        "ASSOC_Sep": told.separation_deg.astype(np.float32),
        "ASSOC_Ratio": told.ratio.astype(np.float32),
        "ASSOC_CLASS1": kind,
    }


def _classified(found: Found) -> dict[str, Any]:
    if found.classes is None:
        return {}
    kinds = list(found.classes)
    p = np.stack([np.asarray(found.classes[name], np.float32) for name in kinds], axis=1)
    best = np.array([*kinds, ""])[np.where(np.isnan(p).any(axis=1), len(kinds), np.nan_to_num(p).argmax(axis=1))]
    return {"CLASS1": np.char.lower(best.astype("<U6"))} | {f"P_{name}": p[:, k] for k, name in enumerate(kinds)}


def write_fits(path: Path, found: Found, header: Mapping[str, Any] | None = None) -> Path:
    """Write the catalogue as FITS: LAT_Point_Source_Catalog and EnergyBounds. Raises LinkError if the disk refuses."""
    table = table_of(found)
    hdu = fits.table_to_hdu(_without_meta(table))
    hdu.name = "LAT_Point_Source_Catalog"
    for number, name in enumerate(table.colnames, start=1):
        hdu.header[f"TUCD{number}"] = COLUMNS[name][1]
        hdu.header.comments[f"TTYPE{number}"] = COLUMNS[name][2][:45]
    if found.reference is not None:
        hdu.header["REFCAT"] = (found.reference.title, "of ASSOC1")
    edges = np.zeros(BANDS, [("LowerEnergy", "<f4"), ("UpperEnergy", "<f4")])
    edges["LowerEnergy"], edges["UpperEnergy"] = EDGES_MEV[:-1], EDGES_MEV[1:]
    bounds = fits.BinTableHDU(edges, name="EnergyBounds")
    for column in bounds.columns:
        column.unit = "MeV"
    primary = fits.PrimaryHDU()
    for key, value in {"ORIGIN": "raysieve", "CREATOR": "raysieve", **(header or {})}.items():
        primary.header[key] = value
    content = io.BytesIO()
    fits.HDUList([primary, hdu, bounds]).writeto(content, checksum=True)
    return _put(path, content.getvalue())


def _without_meta(table: Table) -> Table:
    plain = table.copy()
    for name in plain.colnames:
        plain[name].meta = {}
    return plain


def write_votable(path: Path, found: Found, header: Mapping[str, Any] | None = None) -> Path:
    """Write the catalogue as VOTable 1.4, with UCDs and the frame of the places. Raises LinkError."""
    table = table_of(found)
    file = VOTableFile.from_table(table)
    file.version = "1.4"
    resource = file.resources[0]
    told = {"creator": "raysieve", "bands_MeV": " ".join(f"{edge:g}" for edge in EDGES_MEV), **(header or {})}
    if found.reference is not None:
        told["reference_catalogue"] = found.reference.title
    resource.infos.extend(Info(name=str(key), value=str(value)) for key, value in told.items())
    resource.tables[0].name = "sources"
    content = io.BytesIO()
    file.to_xml(content, tabledata_format="tabledata")
    return _put(path, content.getvalue())


def write_regions(path: Path, found: Found, frame: Frame = "galactic") -> Path:
    """Write a region file for DS9: the ellipse of 95 % of each source, with its name; red: no association."""
    rows = found.rows
    ra, dec = equatorial(rows["glon_deg"], rows["glat_deg"])
    lon, lat = (rows["glon_deg"], rows["glat_deg"]) if frame == "galactic" else (ra, dec)
    known = np.ones(len(rows), bool) if found.association is None else found.association.entry >= 0
    lines = ["# Region file format: DS9 version 4.1", "global color=green width=1", frame]
    for one, (x, y, r) in enumerate(zip(lon.tolist(), lat.tolist(), rows["r95_deg"].tolist(), strict=True)):
        colour = "" if known[one] else " color=red"
        name = names(PREFIX, ra[one], dec[one])[0]
        lines.append(f"ellipse({x:.5f},{y:.5f},{r:.5f}d,{r:.5f}d,0) # text={{{name}}}{colour}")
    return _put(path, ("\n".join(lines) + "\n").encode())


def _put(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all. Raises LinkError, naming the path."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise LinkError(f"{path}: cannot be written: {fault.strerror}") from fault
    with new_file(path) as file:
        file.write(content)
    return path


def publish(folder: Path, found: Found, header: Mapping[str, Any] | None = None) -> Sequence[Path]:
    """Write catalogue.fits, catalogue.vot and sources.reg into a folder; return their paths. Raises LinkError."""
    return (
        write_fits(folder / "catalogue.fits", found, header),
        write_votable(folder / "catalogue.vot", found, header),
        write_regions(folder / "sources.reg", found),
    )
