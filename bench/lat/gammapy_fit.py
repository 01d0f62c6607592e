"""One source on one patch by gammapy's likelihood, on counts that both sides are given: what `analyse lat` is held to.

Run with gammapy 2.1, which is no dependency: `python bench/lat/gammapy_fit.py ALLSKY_DATA OUT.json`; the file it writes
is tests/real/lat_gammapy_fit.json, with the counts that were drawn (front, 8 degrees in pixels of 0.1). PSF, exposure
and the flat background are those that the numbers name; flux and index are free, place and background are not.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from gammapy.datasets import MapDataset
from gammapy.irf import PSFMap
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap
from gammapy.modeling import Fit
from gammapy.modeling.models import PointSpatialModel, PowerLawSpectralModel, SkyModel

sys.path.insert(0, str(Path(__file__).parent))
from gammapy_patch import EDGES_MEV, EXPOSURE_CM2_S, PLACE, profile

SIDE_DEG, PIXEL_DEG = 8.0, 0.1
NORM, INDEX, PIVOT_GEV = 1.0e-12, 2.3, 2.0  # cm-2 s-1 MeV-1 at the pivot
BACKGROUND = (1e-1, 8e-2, 4e-2, 2e-2, 3e-3, 1e-3)  # counts per pixel of 0.1 degrees, by band
SEED = 11


def main() -> None:
    """Draw counts, fit them, write what came out."""
    path, out = Path(sys.argv[1]) / "irfs" / "psf_P8R3_SOURCE_V3_FB.fits", Path(sys.argv[2])
    assert fits.getheader(path, "RPSF_FRONT")
    axis = MapAxis.from_energy_edges(np.array(EDGES_MEV) * u.MeV)
    edges = np.concatenate([np.geomspace(a, b, 9)[:-1] for a, b in pairwise(EDGES_MEV)])
    true = MapAxis.from_energy_edges(np.append(edges, EDGES_MEV[-1]) * u.MeV, name="energy_true")
    centre = SkyCoord(*PLACE, unit="deg", frame="galactic")
    geom = WcsGeom.create(skydir=centre, width=SIDE_DEG, binsz=PIXEL_DEG, proj="TAN", frame="galactic", axes=[axis])
    rad = MapAxis.from_edges(np.concatenate([[0], np.geomspace(2e-3, 25, 400)]), unit="deg", name="rad")
    psf_map = WcsNDMap.create(
        skydir=centre, width=1, binsz=1, proj="TAN", frame="galactic", axes=[rad, true], unit="sr-1"
    )
    psf_map.data[:] = profile(path, true.center.to_value("MeV"), np.radians(rad.center.to_value("deg")))[
        ..., None, None
    ]
    exposure = WcsNDMap(geom.to_image().to_cube([true]), unit="cm2 s")
    exposure.data[:] = EXPOSURE_CM2_S
    background = WcsNDMap(geom)
    background.data[:] = np.array(BACKGROUND)[:, None, None]
    spectral = PowerLawSpectralModel(
        amplitude=NORM * u.Unit("cm-2 s-1 MeV-1"), index=INDEX, reference=PIVOT_GEV * u.GeV
    )
    spatial = PointSpatialModel(lon_0=PLACE[0] * u.deg, lat_0=PLACE[1] * u.deg, frame="galactic")
    spatial.parameters.freeze_all()
    dataset = MapDataset(counts=WcsNDMap(geom), exposure=exposure, psf=PSFMap(psf_map), background=background)
    dataset.models = [SkyModel(spatial_model=spatial, spectral_model=spectral, name="one")]
    counts = np.random.default_rng(SEED).poisson(dataset.npred().data)
    dataset.counts.data[:] = counts
    done = Fit().run([dataset])
    amplitude, index = spectral.amplitude, spectral.index
    with_it = dataset.stat_sum()
    flux = spectral.integral(1 * u.GeV, 100 * u.GeV).to_value("cm-2 s-1")
    dataset.models = []
    told = {"success": bool(done.success), "flux": float(flux), "index": float(index.value)}
    told |= {"flux_error": float(flux * amplitude.error / amplitude.value), "index_error": float(index.error)}
    told |= {"amplitude": float(amplitude.value), "ts": float(dataset.stat_sum() - with_it)}
    told["counts"] = [[int(k), int(v)] for k, v in zip(*_sparse(counts), strict=True)]
    out.write_text(json.dumps(told) + "\n")


def _sparse(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where counts are, flat (bands, rows, columns), and how many."""
    flat = counts.ravel()
    return np.flatnonzero(flat), flat[flat > 0]


if __name__ == "__main__":
    main()
