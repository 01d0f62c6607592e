import numpy as np
import pytest

from stream.judges.lat import FEATURES, LIKELIHOOD, TEMPORAL, classes_of, features_of, of_catalogue, of_detections
from stream.judges.sources import Judge
from stream.lat.bands import EDGES_MEV
from stream.lat.catalogue import Catalogue
from tests.stream.lat.catalogues import detections, entries

DR2_MEV = np.array([[50, 100], [100, 300], [300, 1e3], [1e3, 3e3], [3e3, 1e4], [1e4, 3e4], [3e4, 3e5]])


def flux(low, high, index):
    """Photons of E^-index above 1 GeV are 1e-9."""
    g = 1 - index
    return 1e-9 * (high**g - low**g) / (1e5**g - 1e3**g)


def both(index=2.1):
    """The same source as a catalogue and as a search have it."""
    row = entries([10.0], [0.0])
    row["significance"], row["flux1000"] = 20, flux(1e3, 1e5, index)
    row["flux_band"] = flux(*DR2_MEV.T, index)
    row["flux_band_error"] = 0.1 * row["flux_band"][..., None]
    row["flux_history"], row["flux_history_error"] = 1e-8, 1e-9
    row["index"], row["index_error"], row["curvature"], row["curvature_error"] = index, 0.05, 0.02, 0.04
    found = detections([10.0], [0.0], [400.0])
    edges = np.array(EDGES_MEV)
    found["flux"] = row["flux1000"]
    found["flux_band"] = flux(edges[:-1], edges[1:], index)
    found["flux_band_error"] = 0.1 * found["flux_band"]
    return Catalogue(row, DR2_MEV, "gll_psc_v27"), found


def test_a_source_has_the_same_features_whoever_saw_it():
    catalogue, found = both()
    ours, theirs = features_of(of_detections(found)), features_of(of_catalogue(catalogue))
    assert list(ours) == list(theirs) == list(FEATURES)
    same = [
        name for name in FEATURES if name not in TEMPORAL | LIKELIHOOD and not name.startswith(("signal", "log_band"))
    ]
    for name in same:
        assert ours[name][0] == pytest.approx(theirs[name][0], abs=0.15), name
    assert theirs["band_index"][0] == pytest.approx(2.1, abs=0.05)
    for name in (*TEMPORAL, *LIKELIHOOD):
        assert np.isnan(ours[name][0])
        assert np.isfinite(theirs[name][0])


def test_a_light_curve_tells_who_varies():
    _, found = both()
    two = np.concatenate([found, found])
    quiet, wild = np.full(10, 1.0), np.array([1, 1, 5, 1, 1, 9, 1, 1, 1, 1.0])
    told = features_of(of_detections(two, np.stack([quiet, wild]), np.full((2, 10), 0.1)))
    assert told["log_variability"][1] > told["log_variability"][0] + 2
    assert told["log_peak"].tolist() == pytest.approx([0, np.log(9 / 2.2)])


def test_nothing_known_is_nan_and_nobody_is_empty():
    _, found = both()
    for name in found.dtype.names:
        if found[name].dtype.kind == "f":
            found[name] = np.nan
    told = features_of(of_detections(found))
    assert all(np.isnan(column).all() for column in told.values())
    assert all(column.shape == (0,) for column in features_of(of_detections(found[:0])).values())


@pytest.mark.parametrize("name", ["lat_classes", "lat_agn_psr"])
def test_the_shipped_models_judge_detections(name):
    _, found = both(1.8)
    told = classes_of(Judge(name), of_detections(found))
    assert sum(told.values())[0] == pytest.approx(1, abs=1e-5)
    assert max(told, key=lambda kind: told[kind][0]) == ("BLL" if name == "lat_classes" else "AGN")
