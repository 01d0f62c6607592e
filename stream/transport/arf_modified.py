"""ARFs with their area times a factor of a family: all else of the source stays, HISTORY says what was done."""

import gzip
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike

from stream.crosscal.modifiers import Family
from stream.errors import ConfigError
from stream.transport.fitsfile import new_file
from stream.transport.ogip import read_arf


def modify_arf(source: Path | str, out: Path | str, family: Family, theta: ArrayLike) -> None:
    """Write a source ARF with SPECRESP times the factor of theta (p,) at the middle of each bin.

    Keywords, other columns and other extensions are those of the source; either may be gzipped (.gz). HISTORY names
    family, theta, source and its SHA-256. Raises ConfigError for a file that is no ARF and for a factor that is not
    above 0, LinkError when the disk refuses.
    """
    path, values = Path(source), np.asarray(theta, float)
    low, high, area = read_arf(path)
    factor = family.factor(values, 0.5 * (low + high))[0]
    if not np.all(np.isfinite(factor) & (factor > 0)):
        at = int(np.argmin(np.nan_to_num(factor, nan=-np.inf)))
        where = f"{factor[at]:.3g} at {0.5 * (low[at] + high[at]):.3g} keV"
        raise ConfigError(f"{path}: factor of family {family.name}: {where}: expected values above 0")
    with fits.open(path, memmap=False) as hdus:
        table = _area_of(hdus)
        table.data["SPECRESP"] = (area * factor).astype(table.data["SPECRESP"].dtype)
        for line in history(path, family, values):
            table.header.add_history(line)
        with new_file(Path(out)) as file:
            if Path(out).suffix == ".gz":
                with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as zipped:
                    hdus.writeto(zipped, checksum=True, output_verify="silentfix")
            else:
                hdus.writeto(file, checksum=True, output_verify="silentfix")


def history(source: Path, family: Family, theta: ArrayLike) -> list[str]:
    """Return what a modified ARF says of itself."""
    values = np.asarray(theta, float)
    told = [f"raysieve: SPECRESP times family {family.name}"]
    told += [f"  {p.name} = {v:.9g} {p.unit}".rstrip() for p, v in zip(family.parameters, values, strict=True)]
    return [*told, f"  of {source.name}", f"  SHA-256 {sha256(source.read_bytes()).hexdigest()}"]


def _area_of(hdus: Any) -> Any:
    """Return the extension that `read_arf` reads."""
    for hdu in hdus[1:]:
        if hdu.name == "SPECRESP" or str(hdu.header.get("HDUCLAS1", "")).upper() == "SPECRESP":
            return hdu
    raise ConfigError("no extension SPECRESP: expected an ARF")
