"""Small files as the missions write them, their frames known."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.messages import Frame, Gap
from stream.transport.recording import Recording

FRAME_S, LIVE_S = 3.2, 3.0
FIRST, LAST = 10, 19  # EXPNO
T0 = 1000.0  # middle of exposure 0, s
ACIS_KEYS = {
    "TELESCOP": "CHANDRA",
    "INSTRUME": "ACIS",
    "OBJECT": "Kes 75",
    "OBS_ID": "6686",
    "MJDREF": 50814.0,
    "TIMEDEL": FRAME_S,
    "EXPTIME": LIVE_S,
    "TIMEPIXR": 0.5,
}
SUZAKU_KEYS = {
    "TELESCOP": "SUZAKU",
    "INSTRUME": "XIS0",
    "OBJECT": "CRAB",
    "MJDREFI": 51544,
    "MJDREFF": 0.00074287037037037,
    "TIMEDEL": 0.1,
    "SNAPTI1": 0.1,
    "DELAY1": 7.9,
}


def cut(image: NDArray[Any], x: NDArray[np.int64], y: NDArray[np.int64], half: int) -> NDArray[np.int16]:
    """Return the islands of an image around columns x, rows y; (n, side, side), 0 outside."""
    around = np.pad(image, half)
    side = 2 * half + 1
    return np.array([around[v : v + side, u : u + side] for u, v in zip(x, y, strict=True)], np.int16)


def events(half: int = 1, ccds: tuple[int, ...] = (7,), each: int = 40) -> dict[str, NDArray[Any]]:
    """Return columns of an event list; overlapping islands agree, for each exposure has one image of each CCD."""
    rng = np.random.default_rng(half)
    parts: list[dict[str, Any]] = []
    for exposure in (FIRST, FIRST + 1, FIRST + 4, LAST):
        for ccd in ccds:
            image = rng.integers(-20, 900, (60, 1024))  # CHIPY 401..460
            x, y = rng.integers(1, 1023, each), rng.integers(1, 59, each)
            x[:4], y[:4] = (10, 11, 12, 13), (30, 30, 31, 29)  # these overlap
            n = np.ones(each, int)
            time = T0 + exposure * FRAME_S + 0.04 * (ccd != ccds[0])
            part = {"TIME": n * time, "EXPNO": n * exposure, "CCD_ID": n * ccd, "CHIPX": x + 1, "CHIPY": y + 401}
            pha = n * 100 * (1 + (ccd != ccds[0]))
            parts.append(part | {"PHAS": cut(image, x, y, half), "PHA": pha, "ENERGY": n * 450.0})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def table(columns: dict[str, NDArray[Any]], name: str = "EVENTS", **keys: Any) -> fits.BinTableHDU:
    """Return a table; whole numbers as J, others as D, logical as X."""
    made = []
    for column, values in columns.items():
        kind = {"i": "J", "u": "J", "f": "D", "b": "X", "U": "16A"}[values.dtype.kind]
        size = int(np.prod(values.shape[1:])) if values.ndim > 1 else 1
        shape = str(values.shape[:0:-1]).replace(" ", "") if values.ndim > 2 else None
        made.append(fits.Column(column, kind if kind == "16A" else f"{size}{kind}", array=values, dim=shape))
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    hdu.header.update(keys)
    return hdu


def write(path: Path, *tables: Any) -> Path:
    """Write a FITS file."""
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path, overwrite=True)
    return path


def acis_list(path: Path, columns: dict[str, NDArray[Any]], *more: Any, **keys: Any) -> Path:
    """Write an ACIS event list."""
    return write(path, table(columns, **(ACIS_KEYS | keys)), *more)


def gti(start: float, stop: float, **keys: Any) -> fits.BinTableHDU:
    """Return good times from the middle of one exposure to that of another (numbers)."""
    columns = {"START": np.array([T0 + start * FRAME_S]), "STOP": np.array([T0 + stop * FRAME_S])}
    return table(columns, "GTI", **keys)


def bias_frame(path: Path, ccd: int, rows: tuple[int, int] = (399, 470)) -> NDArray[np.int64]:
    """Write a flight bias frame that was read in rows CHIPY first .. last; return it, 4096 elsewhere."""
    rng = np.random.default_rng(ccd)
    image = np.full((1024, 1024), 4096, np.int16)
    first, last = rows
    image[first - 1 : last] = rng.integers(300, 800, (last - first + 1, 1024))
    image[first - 1 : last, 700] = 4095  # CHIPX 701, marked bad on board
    fits.PrimaryHDU(image, fits.Header({"CCD_ID": ccd})).writeto(path)
    return image.astype(np.int64)


def bad_list(path: Path, ccd: int, entries: list[tuple[tuple[int, int], tuple[int, int], list[int]]]) -> Path:
    """Write a bad-pixel file: (CHIPX range, CHIPY range, bits) of each entry."""
    status = np.zeros((len(entries), 32), bool)
    for row, (_, _, bits) in enumerate(entries):
        status[row, [31 - bit for bit in bits]] = True
    columns = {
        "SHAPE": np.array(["rectangle"] * len(entries)),
        "CHIPX": np.array([x for x, _, _ in entries]),
        "CHIPY": np.array([y for _, y, _ in entries]),
        "STATUS": status,
    }
    return write(path, table(columns, "BADPIX", CCD_ID=ccd))


def suzaku_events(count: int = 12) -> dict[str, NDArray[Any]]:
    """Return columns of a Suzaku list: three exposures, 8 s and 24 s apart."""
    rng = np.random.default_rng(1)
    number = np.sort(rng.integers(0, 3, count))
    number[:3] = 0, 1, 2
    return {
        "TIME": T0 + np.array([0.0, 8.0, 32.0])[np.sort(number)],
        "EXPOSURE_SEQ_NO": np.sort(number) + 5,
        "ACTX": rng.permutation(1000)[:count] + 10,
        "ACTY": rng.permutation(1000)[:count] + 10,
        "PHAS": rng.integers(-20, 3000, (count, 9)),
    }


def read(path: Path) -> tuple[Recording, list[Frame | Gap]]:
    """Return a recording (closed) and its frames."""
    with Recording(path) as recording:
        _, *frames, _ = recording.messages()
    return recording, frames  # type: ignore[return-value]
