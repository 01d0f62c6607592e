import numpy as np
import pytest
from astropy.io import fits

from stream.lat.sphere import names
from stream.transport.lat_catalogue import read_catalogue

pytestmark = pytest.mark.real


def test_dr2_is_read_whole_and_its_fluxes_are_its_spectra(dr2):
    catalogue, theirs = read_catalogue(dr2), fits.getdata(dr2, 1)
    rows = catalogue.rows
    assert (len(catalogue), catalogue.title) == (5788, "gll_psc_v27")
    assert catalogue.counters == {"no place or no spectrum": 0, "no position error": 76, "no significance": 1}
    groups = dict(zip(*(a.tolist() for a in np.unique(rows["group"], return_counts=True)), strict=True))
    assert groups == {"BCU": 1384, "BLL": 1308, "FSRQ": 744, "PSR": 271, "PWN": 157, "none": 1667, "other": 257}
    weak = rows["significance"] < 10
    assert (weak.sum(), rows["associated"][weak].sum(), rows["identified"].sum()) == (3442, 2068, 366)
    low, middle, high = np.quantile(rows["flux1000"] / theirs["Flux1000"], [0.01, 0.5, 0.99])
    assert 0.998 < low < middle < high < 1.0005
    ours = names("4FGL", theirs["RAJ2000"], theirs["DEJ2000"])
    assert np.mean([a == b[:17] for a, b in zip(ours, rows["name"], strict=True)]) > 0.995


def test_3fhl_is_read_in_mev(data):
    path = data / "lat" / "catalogs" / "gll_psch_v13.fit.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    catalogue, theirs = read_catalogue(path), fits.getdata(path, 1)
    assert len(catalogue) == 1556
    assert catalogue.band_mev[0].tolist() == [10_000, 20_000]
    above = catalogue.rows["spectrum"][:, 4:]  # 7 GeV to 1 TeV, in 18 nodes
    assert np.all(above >= 0)
    ratio = catalogue.rows["pivot_mev"] / (1000 * theirs["Pivot_Energy"])
    np.testing.assert_allclose(ratio, 1)
