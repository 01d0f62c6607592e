"""Groups of a posterior (InferenceData's names) as a netCDF file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.extra import extra
from stream.transport.fitsfile import disk_faults


def write_groups(path: Path, groups: Mapping[str, Any]) -> None:
    """Write xarray Datasets by the name of their group; the file has its name only when it is whole.

    Raises LinkError if the disk refuses, ConfigError without the analyse extra.
    """
    with extra("analyse"):
        import h5netcdf  # noqa: F401 - xarray finds it by name
        import xarray as xr
    temporary = path.with_name(f".{path.name}.tmp")
    with disk_faults(path):
        xr.DataTree.from_dict(dict(groups)).to_netcdf(temporary, engine="h5netcdf")
        os.replace(temporary, path)
