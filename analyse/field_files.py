"""The posterior of a field on disk: posterior.nc (groups of InferenceData), field.fits (tables, the diffuse light)."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits

from analyse.diagnostics import UnconvergedError
from analyse.field import FieldPosterior, source_table, tile_table
from analyse.field_model import BANDS_KEV
from analyse.groups import write_groups
from analyse.posterior import FAILED, GOOD
from config.extra import extra
from stream.transport.fitsfile import disk_faults
from stream.transport.products import image_hdu, save, table_hdu

TABLES: Final = "field.fits"
PRIORS: Final = {
    "rate": "log-flat in the total from 1 count on, Dirichlet 1 / bands in the bands",
    "normalisation": "Gamma, shape 1, mean 1: one count of the diffuse map",
}


def publish_field(folder: Path, done: FieldPosterior, cards: dict[str, Any]) -> list[Path]:
    """Write posterior.nc and field.fits and return their paths; what stood there of an earlier run goes.

    cards: of the image that the field is. A posterior that fails its gates is written as posterior_failed.nc alone:
    raises UnconvergedError then. Raises LinkError when the disk refuses.
    """
    fault = done.sampled.fault()
    for name in (GOOD, FAILED, TABLES):
        with disk_faults(folder / name):
            (folder / name).unlink(missing_ok=True)
    path = folder / (FAILED if fault else GOOD)
    write_netcdf(path, done, f"failed: {fault}" if fault else "passed")
    if fault:
        raise UnconvergedError(f"{path}: the posterior fails its gates: {fault}")
    write_tables(folder / TABLES, done, cards)
    return [path, folder / TABLES]


def write_netcdf(path: Path, done: FieldPosterior, gates: str) -> None:
    """Write groups posterior, sample_stats, observed_data. Raises LinkError."""
    with extra("analyse"):
        import xarray as xr
    draws, dims = done.sampled.draws, ("chain", "draw")
    step = done.sampled.rates.shape[1] // max(done.rates.shape[1], 1)
    coords: dict[str, Any] = {"chain": np.arange(done.rates.shape[0]), "draw": np.arange(done.rates.shape[1])}
    bands = {"e_min": ("band", np.array(BANDS_KEV[:-1]), {"units": "keV"})}
    bands |= {"e_max": ("band", np.array(BANDS_KEV[1:]), {"units": "keV"})}
    sources: dict[str, Any] = {"source": done.found.detections.sources["id"], "axis": ["x", "y"], **bands}
    tiles = {"tile": np.arange(len(done.model.expected)), **bands}
    shapes = {"rate": done.rates.shape[2:], "normalisation": done.normalisations.shape[2:]}
    told, first = {}, 0
    for name, shape in shapes.items():  # the variables of `draws` are flat, in this order
        places = slice(first, first := first + int(np.prod(shape)))
        own = "source" if name == "rate" else "tile"
        told[f"{name}_ess"] = ((own, "band"), draws.ess[places].reshape(shape))
        told[f"{name}_r_hat"] = ((own, "band"), draws.rhat[places].reshape(shape))
    of_source, of_tile = (*dims, "source", "band"), (*dims, "tile", "band")
    variables: dict[str, Any] = {
        "rate": (of_source, done.rates, {"units": "count s-1", "prior": PRIORS["rate"]}),
        "normalisation": (of_tile, done.normalisations, {"units": "1", "prior": PRIORS["normalisation"]}),
        "place": (
            (*dims, "source", "axis"),
            done.places,
            {"units": "pixel", "prior": "flat within a sigma of the PSF"},
        ),
        "diffuse_counts": (of_tile, done.diffuse_counts(), {"units": "count"}),
    }
    if done.labels is not None:
        meanings = {"flag_meanings": " ".join((*done.labels.classes, "none"))}
        variables["class"] = ((*dims, "source"), done.labels.label, meanings)
        told["p_class"] = (("source", "class_name"), done.labels.after)
        told["p_class_before"] = (("source", "class_name"), done.labels.before)
        sources["class_name"] = [*done.labels.classes, "none"]
    about = {"gates": gates, "sampler": "gibbs", "seed": done.seed, "sampling_seconds": draws.seconds, **draws.about}
    observed = {"counts": (("tile", "band"), done.model.photons, {"units": "count"})}
    groups = {
        "posterior": xr.Dataset(variables, coords | sources | tiles, about),
        "sample_stats": xr.Dataset({"lp": (dims, draws.stats["lp"][:, ::step])} | told, coords | sources | tiles),
        "observed_data": xr.Dataset(observed, tiles),
    }
    write_groups(path, groups)


def write_tables(path: Path, done: FieldPosterior, cards: dict[str, Any]) -> None:
    """Write SOURCES, TILES, and images DIFFUSE and DIFFUSE_ERROR, counts s-1 px-1. Raises LinkError."""
    size = int(cards.get("BIN_PX", 1))
    header = {"BIN_PX": size, "SEED": done.seed, **{k: v for k, v in cards.items() if isinstance(v, str | int | float)}}
    header |= {f"BAND{k + 1}": f"{BANDS_KEV[k]:g}-{BANDS_KEV[k + 1]:g} keV" for k in range(len(BANDS_KEV) - 1)}
    if done.labels is not None:
        header |= {f"CLASS{k}": name for k, name in enumerate((*done.labels.classes, "none"))}
    primary = fits.PrimaryHDU()
    primary.header.update({"ORIGIN": "raysieve", "CREATOR": "raysieve"})
    tables = {"SOURCES": source_table(done, size), "TILES": tile_table(done, size)}
    images = dict(zip(("DIFFUSE", "DIFFUSE_ERROR"), done.diffuse_image(), strict=True))
    hdus = [primary, *(table_hdu(rows, name, header) for name, rows in tables.items())]
    hdus += [image_hdu(pixels.astype(np.float32), name, "count / s", header) for name, pixels in images.items()]
    save(path, hdus)
