"""Writes OGIP spectra and responses that Sherpa and XSPEC read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.spectra.grid import Floats
from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum
from stream.transport.fitsfile import big_endian, disk_faults, new_file, write_hdu

FILES: Final = ("BACKFILE", "RESPFILE", "ANCRFILE", "CORRFILE")


def write_spectrum(path: Path, spectrum: Spectrum, files: Mapping[str, str] | None = None) -> None:
    """Write a PHA file of type I; the background is a file of its own.

    files: BACKFILE, RESPFILE, ANCRFILE by name. Keywords are those of OGIP/92-007, TELESCOP and the like from `about`.
    Raises LinkError when the disk refuses.
    """
    _write(path, _spectrum_hdu(spectrum, files))


def write_spectra(folder: Path, spectra: Mapping[str, tuple[Spectrum, Mapping[str, str]]]) -> None:
    """Write many spectra of one camera, by file name, with the files that each names: as `write_spectrum`.

    Several times faster than one by one: their headers differ in a few cards. All must have the same channels, whole
    counts and one BACKSCAL and AREASCAL. Each file is whole or not there, but a power cut may take it.
    Raises LinkError when the disk refuses.
    """
    if not spectra:
        return
    first, files = next(iter(spectra.values()))
    model = _spectrum_hdu(first, files)
    primary, header, rows = fits.PrimaryHDU().header, model.header, np.array(model.data)
    with disk_faults(folder):
        for name, (spectrum, files) in spectra.items():
            for key in ("COUNTS", "QUALITY", "GROUPING"):
                rows[key] = getattr(spectrum, key.lower())
            header["EXPOSURE"] = spectrum.exposure_s
            header["BACKSCAL"], header["AREASCAL"] = float(spectrum.backscal[0]), float(spectrum.areascal[0])
            for key in FILES:
                header[key] = files.get(key, "none")
            partial = folder / f".{name}.tmp"
            with partial.open("w+b") as file:
                write_hdu(file, primary)
                write_hdu(file, header, [big_endian(rows)])
            os.replace(partial, folder / name)


def _spectrum_hdu(spectrum: Spectrum, files: Mapping[str, str] | None) -> Any:
    counts = spectrum.counts
    whole = np.array_equal(counts, np.round(counts)) and counts.max(initial=0) < 2**31
    columns = [
        fits.Column("CHANNEL", "J", array=spectrum.channel),
        fits.Column("COUNTS", "J" if whole else "D", unit="count", array=counts),
        fits.Column("QUALITY", "I", array=spectrum.quality),
        fits.Column("GROUPING", "I", array=spectrum.grouping),
    ]
    head: dict[str, Any] = {"EXPOSURE": spectrum.exposure_s}
    for key, values in (("BACKSCAL", spectrum.backscal), ("AREASCAL", spectrum.areascal)):
        if values.size == 1:
            head[key] = float(values[0])
        else:
            columns.append(fits.Column(key, "D", array=values))
    head |= {key: (files or {}).get(key, "none") for key in FILES}
    head |= {"CORRSCAL": 0.0, "POISSERR": True, "STAT_ERR": 0, "SYS_ERR": 0}
    head |= {"CHANTYPE": spectrum.about.get("CHANTYPE", "PI"), "DETCHANS": len(counts)}
    head |= {"HDUCLAS1": "SPECTRUM", "HDUVERS": "1.2.1", "HDUCLAS2": "TOTAL", "HDUCLAS3": "COUNT", "HDUCLAS4": "TYPE:I"}
    table = _table("SPECTRUM", columns, head, spectrum.about)
    first, last = int(spectrum.channel[0]), int(spectrum.channel[-1])
    table.header["TLMIN1"], table.header["TLMAX1"] = first, last
    return table


def write_arf(path: Path, response: Response) -> None:
    """Write the area of a response as an ARF. Raises LinkError when the disk refuses."""
    columns = [
        fits.Column("ENERG_LO", "E", unit="keV", array=response.energy_lo_kev),
        fits.Column("ENERG_HI", "E", unit="keV", array=response.energy_hi_kev),
        fits.Column("SPECRESP", "E", unit="cm**2", array=response.area_cm2),
    ]
    head = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "SPECRESP", "HDUVERS": "1.1.0"}
    _write(path, _table("SPECRESP", columns, head, response.about))


def write_rmf(path: Path, response: Response) -> None:
    """Write the redistribution of a response as an RMF, the area left out. Raises LinkError when the disk refuses."""
    first, runs = int(response.channel[0]), response.runs
    n = len(response.energy_lo_kev)
    length = np.diff(runs.ends, prepend=0)
    of = [np.flatnonzero(runs.energy == j) for j in range(n)]
    begins = runs.ends - length
    rows = [np.concatenate([runs.values[begins[r] : runs.ends[r]] for r in rs] or [np.empty(0, "f4")]) for rs in of]
    columns = [
        fits.Column("ENERG_LO", "E", unit="keV", array=response.energy_lo_kev),
        fits.Column("ENERG_HI", "E", unit="keV", array=response.energy_hi_kev),
        fits.Column("N_GRP", "I", array=[len(rs) for rs in of]),
        _ragged("F_CHAN", "J", [runs.first[rs] + first for rs in of]),
        _ragged("N_CHAN", "J", [length[rs] for rs in of]),
        _ragged("MATRIX", "E", rows),
    ]
    head: dict[str, Any] = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "RSP_MATRIX", "HDUCLAS3": "REDIST", "HDUVERS": "1.3.0"}
    head |= {"CHANTYPE": response.about.get("CHANTYPE", "PI"), "DETCHANS": len(response.channel), "LO_THRES": 0.0}
    matrix = _table("MATRIX", columns, head, response.about)
    matrix.header["TLMIN4"], matrix.header["TLMAX4"] = first, int(response.channel[-1])
    edges = [
        fits.Column("CHANNEL", "J", array=response.channel),
        fits.Column("E_MIN", "E", unit="keV", array=response.e_min_kev),
        fits.Column("E_MAX", "E", unit="keV", array=response.e_max_kev),
    ]
    head = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "EBOUNDS", "HDUVERS": "1.2.0"}
    head |= {"CHANTYPE": response.about.get("CHANTYPE", "PI"), "DETCHANS": len(response.channel)}
    _write(path, matrix, _table("EBOUNDS", edges, head, response.about))


def _ragged(name: str, letter: str, rows: list[NDArray[Any]] | list[Floats]) -> Any:
    table = np.empty(len(rows), object)
    for j, row in enumerate(rows):
        table[j] = np.asarray(row, {"J": np.int32, "E": np.float32}[letter])
    return fits.Column(name, f"P{letter}()", array=table)


def _table(name: str, columns: list[Any], head: Mapping[str, Any], about: Mapping[str, Any]) -> Any:
    table = fits.BinTableHDU.from_columns(columns, name=name)
    said = {"TELESCOP": "unknown", "INSTRUME": "unknown", "FILTER": "none"}
    for key in ("TELESCOP", "INSTRUME", "FILTER", "OBJECT"):
        if about.get(key, said.get(key)):
            table.header[key] = about.get(key, said.get(key))
    table.header["HDUCLASS"] = "OGIP"
    for key, value in head.items():
        table.header[key] = value
    return table


def _write(path: Path, *tables: Any) -> None:
    with new_file(Path(path)) as file:
        fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(file, checksum=True)
