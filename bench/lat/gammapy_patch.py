"""One patch of the sky by gammapy's forward folding, as counts: what our own photons are held against.

Run with gammapy 2.1, which is no dependency: `python bench/lat/gammapy_patch.py ALLSKY_DATA OUT.json`; the file it
writes is tests/real/lat_gammapy.json. Its responses, exposure, sources and background are those that the numbers below
name, given to both sides.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from gammapy.datasets import MapDataset
from gammapy.irf import PSFMap
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap
from gammapy.modeling.models import LogParabolaSpectralModel, PointSpatialModel, SkyModel

PLACE = (120.0, 40.0)  # galactic, degrees
WIDTH_DEG, PIXEL_DEG = 10.0, 0.05
EXPOSURE_CM2_S = 2.4e11  # front, ten years, everywhere and at all energies
EDGES_MEV = (300.0, 500.0, 1000.0, 2000.0, 7000.0, 20_000.0, 1_000_000.0)
SOURCES = (  # offset in longitude / cos(b) and latitude, degrees; K at 2 GeV, cm-2 s-1 MeV-1; index; beta
    (0.0, 0.0, 3e-12, 2.1, 0.05),
    (1.5, -2.0, 1e-12, 2.4, 0.1),
    (-3.0, 3.5, 6e-12, 1.9, 0.0),
    (4.6, 1.0, 2e-12, 2.6, 0.2),
)
NEAR_DEG = (0.3, 1.0, 3.0)  # circles around the first source
Numbers = Any


def king(x: Numbers, s: Numbers, g: Numbers) -> Numbers:
    """Return the King function of the LAT (Ackermann et al. 2013)."""
    return (1 - 1 / g) * (1 + x**2 / (2 * g * s**2)) ** -g / (2 * np.pi * s**2)


def profile(path: Path, energy_mev: Numbers, rad: Numbers) -> Numbers:
    """Return the PSF of front at cosine 0.8, sr-1: (energies, rad); straight from the file."""
    with fits.open(path) as file:
        row, scaling = file["RPSF_FRONT"].data[0], file["PSF_SCALING_PARAMS_FRONT"].data["PSFSCALE"][0]
        log = (np.log(row["ENERG_LO"]) + np.log(row["ENERG_HI"])) / 2
        cosine = (row["CTHETA_LO"] + row["CTHETA_HI"]) / 2
        shape = len(cosine), len(log)
        k = int(np.searchsorted(cosine, 0.8)) - 1
        w = (0.8 - cosine[k]) / (cosine[k + 1] - cosine[k])

        def at(name: str) -> Numbers:
            table = np.reshape(row[name], shape)
            return np.interp(np.log(energy_mev), log, table[k] * (1 - w) + table[k + 1] * w)[:, None]

        scale = np.sqrt((scaling[0] * (energy_mev / 100) ** scaling[2]) ** 2 + scaling[1] ** 2)[:, None]
        x, core = rad / scale, 1 / (1 + at("NTAIL") * at("STAIL") ** 2 / at("SCORE") ** 2)
        two = king(x, at("SCORE"), at("GCORE")), king(x, at("STAIL"), at("GTAIL"))
        return (core * two[0] + (1 - core) * two[1]) / scale**2


def main() -> None:
    """Write counts expected by band: of all in the patch, and in circles around the first source."""
    path, out = Path(sys.argv[1]) / "irfs" / "psf_P8R3_SOURCE_V3_FB.fits", Path(sys.argv[2])
    axis = MapAxis.from_energy_edges(np.array(EDGES_MEV) * u.MeV)
    true_edges = np.concatenate([np.geomspace(a, b, 9)[:-1] for a, b in pairwise(EDGES_MEV)])
    true = MapAxis.from_energy_edges(np.append(true_edges, EDGES_MEV[-1]) * u.MeV, name="energy_true")
    centre = SkyCoord(*PLACE, unit="deg", frame="galactic")
    # wide enough that nothing is lost at its edge
    geom = WcsGeom.create(skydir=centre, width=WIDTH_DEG, binsz=PIXEL_DEG, proj="TAN", frame="galactic", axes=[axis])
    rad = MapAxis.from_edges(np.concatenate([[0], np.geomspace(2e-3, 25, 400)]), unit="deg", name="rad")
    nodes = true.center.to_value("MeV")
    psf_map = WcsNDMap.create(
        skydir=centre, width=1, binsz=1, proj="TAN", frame="galactic", axes=[rad, true], unit="sr-1"
    )
    values = profile(path, nodes, np.radians(rad.center.to_value("deg")))
    psf_map.data[:] = values[:, :, None, None]
    psf = PSFMap(psf_map)
    exposure = WcsNDMap(geom.to_image().to_cube([true]), unit="cm2 s")
    exposure.data[:] = EXPOSURE_CM2_S
    dataset = MapDataset(counts=WcsNDMap(geom), exposure=exposure, psf=psf, edisp=None)
    models = []
    for number, (x, y, norm, alpha, beta) in enumerate(SOURCES):
        lat = PLACE[1] + y
        spatial = PointSpatialModel(
            lon_0=(PLACE[0] + x / np.cos(np.radians(lat))) * u.deg, lat_0=lat * u.deg, frame="galactic"
        )
        spectral = LogParabolaSpectralModel(
            amplitude=norm * u.Unit("cm-2 s-1 MeV-1"), reference=2 * u.GeV, alpha=alpha, beta=beta
        )
        models.append(SkyModel(spatial_model=spatial, spectral_model=spectral, name=str(number)))
    dataset.models = models
    npred = dataset.npred()
    away = geom.to_image().separation(centre).to_value("deg")
    found = {"patch": npred.data.sum(axis=(1, 2)).tolist()}
    for radius in NEAR_DEG:
        found[f"{radius}"] = npred.data[:, away < radius].sum(axis=1).tolist()
    out.write_text(json.dumps(found, indent=1) + "\n")
    print(found)


if __name__ == "__main__":
    main()
