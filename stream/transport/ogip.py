"""OGIP files of X-ray spectra: PHA of types I and II (OGIP/92-007), RMF and ARF (CAL/GEN/92-002), gzipped or not.

Every refusal is a ConfigError of one line that names the file.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.spectra.grid import Floats
from stream.spectra.response import Response, Runs
from stream.spectra.spectrum import Spectrum
from stream.transport.fitsfile import open_fits
from stream.transport.ogip_writer import write_arf, write_rmf, write_spectrum
from stream.transport.pha_rows import choice_of, one_spectrum

__all__ = ["read_arf", "read_observation", "read_response", "read_spectrum", "write_arf", "write_rmf", "write_spectrum"]

MATRICES: Final = ("MATRIX", "SPECRESP MATRIX")
GRID_TOLERANCE: Final = 1e-3  # by which bins of energy of RMF and ARF may differ: they are rounded to float32
SAID: Final = ("TELESCOP", "INSTRUME", "FILTER", "OBJECT", "CHANTYPE")


def read_response(rmf: Path | str, arf: Path | str | None = None) -> Response:
    """Return the response of an RMF, with the area of an ARF if one is given."""
    path = Path(rmf)
    with open_fits(path) as hdus:
        matrix = _extension(hdus, path, "an RMF", *MATRICES)
        bounds = _extension(hdus, path, "an RMF", "EBOUNDS")
        low, high = (_column(matrix, path, name) for name in ("ENERG_LO", "ENERG_HI"))
        e_min, e_max = (_column(bounds, path, name) for name in ("E_MIN", "E_MAX"))
        first = _first_channel(matrix, bounds)
        runs = _runs(matrix, path, first, len(e_min))
        about = {key: str(matrix.header[key]) for key in SAID if key in matrix.header}
    _check_bins(path, low, high)
    channel = np.arange(first, first + len(e_min), dtype=np.int32)  # not EBOUNDS' own numbers: they may be garbage
    response = Response(low, high, channel, e_min, e_max, np.ones(len(low)), runs, about)
    if arf is None:
        return response
    arf_low, arf_high, area = read_arf(arf)
    if len(area) != len(low):
        raise ConfigError(f"{arf}: {len(area)} bins of energy, but {path.name} has {len(low)}")
    one = 0 if len(low) == 1 else 1  # the lower end of the first bin of a real EPIC RMF is 1 eV, 50 eV in its ARF
    if not (_alike(arf_low[one:], low[one:]) and _alike(arf_high, high) and arf_low[0] < high[0]):
        raise ConfigError(f"{arf}: its bins of energy are not those of {path.name}")
    return replace(response, energy_lo_kev=np.append(max(arf_low[0], low[0]), low[1:]), area_cm2=area, _bands={})


def _alike(ours: Floats, theirs: Floats) -> bool:
    return np.allclose(ours, theirs, GRID_TOLERANCE, 1e-4)


def read_arf(arf: Path | str) -> tuple[Floats, Floats, Floats]:
    """Return the energies low and high, keV, and the area, cm2, (n,) each."""
    path = Path(arf)
    with open_fits(path) as hdus:
        table = _extension(hdus, path, "an ARF", "SPECRESP")
        low, high, area = (_column(table, path, name) for name in ("ENERG_LO", "ENERG_HI", "SPECRESP"))
    _check_bins(path, low, high)
    if not np.all(np.isfinite(area) & (area >= 0)):
        raise ConfigError(f"{path}: SPECRESP: expected areas of 0 cm2 or more in every row")
    return low, high, area


def read_spectrum(pha: Path | str, background: Path | str | None = None, *, follow: bool = True) -> Spectrum:
    """Return a spectrum with its background: the given one, or that of its BACKFILE.

    pha may be one of several in a file of type II: "file.pha{3}". `about` holds RESPFILE and ANCRFILE as paths where
    the header names files, beside the instrument's names.
    follow=False: files that the header names are neither opened nor in `about`; for spectra of strangers.
    """
    spectrum = _read_pha(Path(pha))
    if not follow:
        spectrum = replace(spectrum, about={key: value for key, value in spectrum.about.items() if key in SAID})
    back = background if background is not None else spectrum.about.get("BACKFILE")
    if back is None:
        return spectrum
    off = _read_pha(Path(back))
    if len(off.counts) != len(spectrum.counts):
        raise ConfigError(f"{back}: {len(off.counts)} channels, but {Path(pha).name} has {len(spectrum.counts)}")
    return replace(spectrum, background=off)


def read_observation(
    pha: Path | str,
    rmf: Path | str | None = None,
    arf: Path | str | None = None,
    background: Path | str | None = None,
    *,
    follow: bool = True,
) -> tuple[Spectrum, Response]:
    """Return a spectrum and its response; files that are not given are those that its header names (`follow`)."""
    spectrum = read_spectrum(pha, background, follow=follow)
    rmf = rmf or spectrum.about.get("RESPFILE")
    if rmf is None:
        raise ConfigError(f"{pha}: RESPFILE names no response: give an RMF")
    response = read_response(rmf, arf or spectrum.about.get("ANCRFILE"))
    ours, theirs = spectrum.channel, response.channel
    if len(ours) != len(theirs) or ours[0] != theirs[0]:
        wanted = f"channels {theirs[0]}..{theirs[-1]} of {Path(rmf).name}"
        raise ConfigError(f"{pha}: channels {ours[0]}..{ours[-1]}, expected {wanted}")
    return spectrum, response


def _read_pha(chosen: Path) -> Spectrum:
    path, number = choice_of(chosen)
    with open_fits(path) as hdus:
        table = one_spectrum(_extension(hdus, path, "a spectrum", "SPECTRUM"), path, number)
        head, names = table.header, {name.upper() for name in table.columns.names}
        exposure = float(head.get("EXPOSURE", 0))
        if not (np.isfinite(exposure) and exposure > 0):
            raise ConfigError(f"{path}: EXPOSURE {head.get('EXPOSURE')}: expected seconds above 0")
        counts = _counts(table, path, names, exposure)
        channel = _channels(table, path, names, len(counts))
        scales = {key: _scale(table, path, names, key) for key in ("BACKSCAL", "AREASCAL")}
        quality, grouping = (_flags(table, names, key, len(counts)) for key in ("QUALITY", "GROUPING"))
        about = {key: str(head[key]).strip() for key in SAID if key in head}
        about |= {key: found for key in ("BACKFILE", "RESPFILE", "ANCRFILE") if (found := _named(head, path, key))}
    return Spectrum(counts, channel, exposure, scales["BACKSCAL"], scales["AREASCAL"], quality, grouping, about=about)


def _counts(table: Any, path: Path, names: set[str], exposure: float) -> Floats:
    name = "COUNTS" if "COUNTS" in names else "RATE"
    counts = _column(table, path, name) * (1.0 if name == "COUNTS" else exposure)
    if name == "RATE" and np.allclose(counts, np.round(counts), rtol=1e-4, atol=1e-3):
        counts = np.round(counts)
    if not np.all(np.isfinite(counts) & (counts >= 0)):
        row = int(np.argmin(np.isfinite(counts) & (counts >= 0)))
        raise ConfigError(f"{path}: {name} of row {row + 1} is {counts[row]:g}: expected 0 or more in every row")
    return counts


def _channels(table: Any, path: Path, names: set[str], count: int) -> NDArray[np.int32]:
    if "CHANNEL" not in names:
        return np.arange(1, count + 1, dtype=np.int32)
    channel = _column(table, path, "CHANNEL")
    if np.any(np.diff(channel) != 1):
        raise ConfigError(f"{path}: CHANNEL: expected numbers that rise by one")
    return channel.astype(np.int32)


def _scale(table: Any, path: Path, names: set[str], key: str) -> Floats:
    values = _column(table, path, key) if key in names else np.array([float(table.header.get(key, 1.0))])
    if not np.all(np.isfinite(values) & (values > 0)):
        raise ConfigError(f"{path}: {key}: expected values above 0")
    return values


def _flags(table: Any, names: set[str], key: str, count: int) -> NDArray[np.int16]:
    if key in names:
        return np.asarray(table.data[key], np.int16)
    return np.full(count, int(table.header.get(key, 0)), np.int16)


def _named(head: Any, path: Path, key: str) -> str | None:
    """Return the path of the file that a keyword names, beside the spectrum; None for none."""
    name = str(head.get(key, "")).strip()
    if name.lower() in ("", "none"):
        return None
    beside = path.parent / name
    zipped = beside.with_name(f"{beside.name}.gz")
    return str(zipped if zipped.is_file() and not beside.is_file() else beside)


def _first_channel(matrix: Any, bounds: Any) -> int:
    """Return the number of the first channel: TLMIN of F_CHAN, else of EBOUNDS' CHANNEL, else 1."""
    for table, name in ((matrix, "F_CHAN"), (bounds, "CHANNEL")):
        upper = [c.upper() for c in table.columns.names]
        key = f"TLMIN{upper.index(name) + 1}" if name in upper else ""
        if key in table.header:
            return int(table.header[key])
    return 1


def _runs(matrix: Any, path: Path, first: int, channels: int) -> Runs:
    energy, start, length, values = [], [], [], []
    data = matrix.data
    for name in ("N_GRP", "F_CHAN", "N_CHAN", "MATRIX"):
        if name not in {c.upper() for c in matrix.columns.names}:
            raise ConfigError(f"{path}: no column {name}: expected an RMF")
    columns = (data["N_GRP"], data["F_CHAN"], data["N_CHAN"], data["MATRIX"])
    for row, (groups, at, long, row_values) in enumerate(zip(*columns, strict=True)):
        wide = np.atleast_1d(long)[:groups].astype(int)
        begin = np.atleast_1d(at)[:groups].astype(int) - first
        if len(wide) < groups or np.any(begin < 0) or np.any(begin + wide > channels):
            raise ConfigError(f"{path}: row {row + 1}: F_CHAN, N_CHAN beyond the {channels} channels from {first} on")
        given = np.atleast_1d(row_values)
        if given.size < wide.sum():
            raise ConfigError(f"{path}: row {row + 1}: {given.size} values of MATRIX, N_CHAN says {wide.sum()}")
        energy.append(np.full(len(wide), row))
        start.append(begin)
        length.append(wide)
        values.append(given[: wide.sum()])
    if not values or not sum(map(len, energy)):
        raise ConfigError(f"{path}: MATRIX holds nothing")
    flat = np.concatenate(values).astype(np.float32)
    if not np.all(np.isfinite(flat) & (flat >= 0)):
        raise ConfigError(f"{path}: MATRIX: expected values of 0 or more")
    ends = np.cumsum(np.concatenate(length), dtype=np.int64)
    return Runs(np.concatenate(energy).astype(np.int32), np.concatenate(start).astype(np.int32), ends, flat)


def _check_bins(path: Path, low: Floats, high: Floats) -> None:
    if not (len(low) and np.all(np.isfinite(low) & (low >= 0) & (high > low)) and np.all(np.diff(low) > 0)):
        raise ConfigError(f"{path}: ENERG_LO, ENERG_HI: expected rising bins of energy, keV")


def _column(table: Any, path: Path, name: str) -> Floats:
    if name not in {c.upper() for c in table.columns.names}:
        raise ConfigError(f"{path}: no column {name} in {table.name}")
    values: Floats = np.asarray(table.data[name], np.float64)
    return values


def _extension(hdus: Any, path: Path, what: str, *names: str) -> Any:
    for hdu in hdus[1:]:
        if hdu.name in names or str(hdu.header.get("HDUCLAS1", "")).upper() in names:
            return hdu
    for hdu in hdus[1:]:  # HDUCLAS2 of a matrix says of which kind: RSP_MATRIX
        if "MATRIX" in names and str(hdu.header.get("HDUCLAS2", "")).upper() == "RSP_MATRIX":
            return hdu
    raise ConfigError(f"{path}: no extension {names[0]}: expected {what}")
