"""Products beside the event list on disk: images as FITS images, light curves and sources as FITS tables."""

import io
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from stream.errors import LinkError
from stream.messages import Message, Product
from stream.spectra.spectrum import Spectrum
from stream.transport.fitsfile import disk_faults, new_file
from stream.transport.ogip_writer import write_spectra

Cards = Mapping[str, Any]

COMMENTS = {
    "TELESCOP": "mission", "INSTRUME": "instrument", "OBS_ID": "run", "OBJECT": "target",
    "MJDREFI": "[d] MJD of time 0, whole days", "MJDREFF": "[d] MJD of time 0, rest",
    "STREAM": "source of the frames", "CONFSHA": "configuration", "NINTERV": "intervals of the event list in this",
    "MISSING": "intervals that never came: no exposure", "OLDEST": "first of the intervals",
    "NEWEST": "last of the intervals", "TSTART": "[s] begin", "TSTOP": "[s] end", "ONTIME": "[s] sum of the GTI",
    "EXPOSURE": "[s] livetime, mean of the quadrants", "BIN_PX": "pixels of the camera along a pixel of the image",
    "NSOURCES": "sources found", "THRESH": "[sigma] of detection", "MODEL": "model of the classes",
    "RESPFILE": "redistribution", "ANCRFILE": "effective area", "CHANNEL1": "first channel of the spectra",
    "VIGNET": "exposure times vignetting", "PICHANS": "channels of PI", "PI_EV": "[eV] width of a channel",
    "FAMILY": "of the correction of the area", "WINDOW_S": "[s] of the newest fits", "ALARM_P": "of a look, by chance",
}  # fmt: skip
UNITS = {
    "RA": "deg",
    "DEC": "deg",
    "TIME": "s",
    "COUNTS": "count",
    "EXPOSURE": "s",
    "START": "s",
    "STOP": "s",
    "KT": "keV",
    "BAND_LO": "eV",
    "BAND_HI": "eV",
    "E_LO": "keV",
    "E_HI": "keV",
    "BACKGROUND": "count",
    "MODEL": "count",
}


class Products:
    """Writes products of the process "sources" into the folder of their event list, each in the place of the last.

    "images": images.fits, lightcurve.fits; "sources": sources.fits, spectra/source_N.pha, and diffuse.fits if it was
    asked for; "coronae": coronae.fits; "calibration": calibration.fits. A disk that refuses costs the product, counted
    as `not_written`: the next one holds all of it again, and `refused` says why. Other messages are not for it.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self.counters: Counter[str] = Counter()
        self.refused = ""

    def send(self, message: Message) -> None:
        """Write a product."""
        if not isinstance(message, Product) or message.kind not in WRITERS:
            return
        folder = self._out / str(message.header.get("FOLDER", "."))
        if not folder.resolve().is_relative_to(self._out.resolve()):  # a product comes over a socket
            self.counters["not_written"] += 1
            self.refused = f"{folder}: is not below {self._out}"
            return
        try:
            with disk_faults(folder):
                folder.mkdir(parents=True, exist_ok=True)
            WRITERS[message.kind](message, folder)
        except LinkError as fault:
            self.counters["not_written"] += 1
            self.refused = str(fault)

    def close(self) -> None:
        """Nothing is held back."""


def write_images(product: Product, folder: Path) -> None:
    """Write images.fits (an image for each band, the exposure) and lightcurve.fits. Raises LinkError."""
    images, exposure = product.tables["IMAGES"], product.tables["EXPOSURE"]["EXPOSURE"][0]
    hdus = [_primary(product)]
    for row in images:
        name = f"COUNTS_{row['BAND_LO']:.0f}_{row['BAND_HI']:.0f}"
        hdus.append(image_hdu(row["COUNTS"], name, "count", product.header))
        hdus[-1].header["BAND_LO"] = (float(row["BAND_LO"]), "[eV] from")
        hdus[-1].header["BAND_HI"] = (float(row["BAND_HI"]), "[eV] up to, without")
    hdus.append(image_hdu(exposure, "EXPOSURE", "s", product.header))
    save(folder / "images.fits", hdus)
    rate = table_hdu(
        product.tables["LIGHTCURVE"], "RATE", product.header | {"HDUCLASS": "OGIP", "HDUCLAS1": "LIGHTCURVE"}
    )
    for number, row in enumerate(images):
        rate.header[f"BAND{number}"] = (f"{row['BAND_LO']:g}-{row['BAND_HI']:g}", "[eV] of that element of COUNTS")
    save(folder / "lightcurve.fits", [_primary(product), rate, table_hdu(product.tables["GTI"], "GTI", product.header)])


def write_sources(product: Product, folder: Path) -> None:
    """Write sources.fits (SOURCES, FITTED, LIGHTCURVES, REGIONS), spectra with their backgrounds, and diffuse.fits.

    Raises LinkError. Spectra of sources that are no more found are removed.
    """
    hdus = [_primary(product)]
    tables = product.tables | {"SOURCES": _with_sky(product.tables["SOURCES"], product.header)}
    hdus += [table_hdu(tables[name], name, product.header) for name in SOURCE_TABLES if name in tables]
    save(folder / "sources.fits", hdus)
    if "DIFFUSE" in product.tables:
        row = product.tables["DIFFUSE"][0]
        maps = [image_hdu(row[name], name, unit, product.header) for name, unit in DIFFUSE.items()]
        save(folder / "diffuse.fits", [_primary(product), *maps])
    spectra = folder / "spectra"
    with disk_faults(spectra):
        spectra.mkdir(exist_ok=True)
        old = {path.name for end in ("source", "region") for path in spectra.glob(f"{end}_*.pha")}
    files = {key: _from(spectra, str(product.header.get(key, "none"))) for key in ("RESPFILE", "ANCRFILE")}
    new: dict[str, tuple[Spectrum, Mapping[str, str]]] = {}
    named = [(f"source_{row['ID']:04d}", row) for row in product.tables.get("SPECTRA", ())]
    named += [(f"region_{row['NAME']}", row) for row in product.tables.get("REGIONS", ())]
    for stem, row in named:
        if not row["EXPOSURE"] > 0:
            continue  # a region without an exposed pixel: its row in REGIONS says so
        name, background, has = f"{stem}.pha", f"{stem}_bkg.pha", row["BACK_EXPOSURE"] > 0
        if has:
            new[background] = _spectrum(row, "BACK_", product), {}
        new[name] = _spectrum(row, "", product), {**files, **({"BACKFILE": background} if has else {})}
    write_spectra(spectra, new)
    with disk_faults(spectra):
        for name in old - new.keys():
            (spectra / name).unlink()


def _with_sky(sources: NDArray[Any], header: Cards) -> NDArray[Any]:
    """Return SOURCES with RA and DEC, where the sky of the camera's pixels is known (cards CTYPE1S ...)."""
    if "CTYPE1S" not in header:
        return sources
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.crval, wcs.wcs.cdelt = (
        [header[f"{key}{axis}S"] for axis in (1, 2)] for key in ("CTYPE", "CRPIX", "CRVAL", "CDELT")
    )
    table = np.empty(len(sources), [*sources.dtype.descr, ("RA", "<f8"), ("DEC", "<f8")])
    for name in sources.dtype.names or ():
        table[name] = sources[name]
    # CRPIX of these cards is counted as X and Y are, and not from 1: origin 1 takes the one from the other
    table["RA"], table["DEC"] = wcs.all_pix2world(sources["X"], sources["Y"], 1)
    return table


def _from(folder: Path, name: str) -> str:
    """Return a file's name as seen from a folder: that of the spectrum, where readers look for it."""
    return name if name == "none" else os.path.relpath(Path(name).absolute(), folder.absolute())


def _spectrum(row: Any, prefix: str, product: Product) -> Spectrum:
    first = int(product.header.get("CHANNEL1", 0))
    about = {key: product.header[key] for key in ("TELESCOP", "INSTRUME", "OBJECT") if key in product.header}
    return Spectrum.of(
        row[f"{prefix}COUNTS"],
        float(row[f"{prefix}EXPOSURE"]),
        first_channel=first,
        backscal=float(row[f"{prefix}BACKSCAL"]),
        about=about,
    )


SOURCE_TABLES = ("SOURCES", "FITTED", "LIGHTCURVES", "REGIONS", "REGION_CURVES")


def write_coronae(product: Product, folder: Path) -> None:
    """Write coronae.fits: CORONAE, a row for each spectrum, and LINES, the lines of its column P. Raises LinkError."""
    tables = [table_hdu(product.tables[name], name, product.header) for name in ("CORONAE", "LINES")]
    save(folder / "coronae.fits", [_primary(product), *tables])


def write_calibration(product: Product, folder: Path) -> None:
    """Write calibration.fits: CALIBRATION, DRIFT by look, PARAMETERS of theta. Raises LinkError."""
    tables = [table_hdu(product.tables[name], name, product.header) for name in ("CALIBRATION", "DRIFT", "PARAMETERS")]
    save(folder / "calibration.fits", [_primary(product), *tables])


DIFFUSE = {"RATE": "count / s", "ERROR": "count / s"}  # of a pixel of the image
WRITERS = {
    "images": write_images, "sources": write_sources, "coronae": write_coronae, "calibration": write_calibration
}  # fmt: skip


def table_hdu(rows: NDArray[Any], name: str, header: Cards) -> Any:
    """Return a table with the units of its columns, as far as they are known, and its cards."""
    hdu = fits.BinTableHDU(rows, name=name)
    for column in hdu.columns:
        column.unit = UNITS.get(column.name)
    _put(hdu.header, header)
    return hdu


def save(path: Path, hdus: list[Any]) -> None:
    """Write a FITS file whole or not at all, with checksums. Raises LinkError, naming the path."""
    content = io.BytesIO()
    fits.HDUList(hdus).writeto(content, checksum=True)
    with new_file(path) as file:
        file.write(content.getbuffer())


def _primary(product: Product) -> Any:
    hdu = fits.PrimaryHDU()
    _put(hdu.header, {"ORIGIN": "raysieve", "CREATOR": "raysieve", **product.header})
    return hdu


def image_hdu(pixels: NDArray[Any], name: str, unit: str, header: Cards) -> Any:
    """Return an image whose coordinates are DETX and DETY of the event list."""
    hdu = fits.ImageHDU(np.ascontiguousarray(pixels), name=name)
    hdu.header["BUNIT"] = unit
    size = float(header.get("BIN_PX", 1))
    for axis, column in ((1, "DETX"), (2, "DETY")):
        hdu.header[f"CTYPE{axis}"], hdu.header[f"CUNIT{axis}"] = column, "pixel"
        hdu.header[f"CRPIX{axis}"], hdu.header[f"CRVAL{axis}"] = 1.0, (size - 1) / 2
        hdu.header[f"CDELT{axis}"] = size
    _put(hdu.header, header)
    return hdu


def _put(header: Any, cards: Cards) -> None:
    for key, value in cards.items():
        long = isinstance(value, str) and len(value) > 40  # no room for a comment
        header[key] = value if long else (value, COMMENTS.get(key, ""))
