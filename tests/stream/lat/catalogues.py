"""Detections and catalogues made up for tests."""

import numpy as np

from stream.lat.bands import DETECTION
from stream.lat.catalogue import entry_dtype


def even(number, rng):
    """Return longitudes and latitudes, even on the sphere."""
    return rng.uniform(0, 360, number), np.degrees(np.arcsin(rng.uniform(-1, 1, number)))


def entries(lon, lat, conf=0.05):
    rows = np.zeros(len(lon), entry_dtype(7, 10))
    rows["glon_deg"], rows["glat_deg"], rows["conf_95_major_deg"] = lon, lat, conf
    rows["name"] = [f"S{k}" for k in range(len(lon))]
    return rows


def detections(lon, lat, ts, r95=0.05):
    rows = np.zeros(len(lon), DETECTION)
    rows["glon_deg"], rows["glat_deg"], rows["ts"], rows["r95_deg"] = lon, lat, ts, r95
    rows["r68_deg"] = rows["r95_deg"] / 1.624
    rows["id"] = np.arange(1, len(lon) + 1)
    return rows
