"""Samples of clusters that two telescopes have seen: true temperatures, and what each of both gives with its error."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.table import Column, Table

from sim.check import require
from sim.crosscal.grid import Inputs, digest
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import family, middle_kev
from stream.spectra.grid import Floats
from stream.spectra.response import Response
from stream.transport.fitsfile import disk_faults
from stream.transport.ogip import read_arf

NONE: Final = np.empty(0)
MEDIAN_KEV: Final = 4.5  # of bright clusters (HIFLUGCS); half a unit of ln is their width
WIDTH: Final = 0.55


@dataclass(frozen=True, slots=True)
class Sample:
    """What is drawn. Telescope 0 is trusted: its temperatures are true but for their errors."""

    clusters: int = 50
    error: float = 0.03  # of ln kT, of each telescope
    kt_kev: tuple[float, float] = (1.0, 12.0)
    family: str = "gaussian"
    theta: tuple[float, ...] = ()  # of the true area of telescope 1 over its nominal one; none: right
    true_arf: str = ""  # or the true area as a file
    setting: Setting = field(default_factory=Setting)
    seed: int = 0

    def check(self) -> None:
        """Raise ConfigError for what cannot be."""
        require(
            "clusters",
            (1 <= self.clusters <= 100_000, "1 to 100,000 of them"),
            (0 < self.error < 1, "an error of 0 to 1"),
            (0 < self.kt_kev[0] < self.kt_kev[1], "0 < least < most kT"),
            (not (self.theta and self.true_arf), "theta or a true ARF, not both"),
        )

    def factor(self, response: Response) -> Floats:
        """Return the true area over the nominal one (n,)."""
        if self.true_arf:
            return area_ratio(response, self.true_arf)
        if not self.theta:
            return np.ones(len(response.area_cm2))
        return family(self.family).factor(self.theta, middle_kev(response))[0]


def area_ratio(response: Response, arf: Path | str) -> Floats:
    """Return the area of an ARF over that of a response, (n,) in the bins of the response.

    The ARF may have other bins: it is interpolated, its ends hold. Bins without nominal area give 1: no light there
    reaches either spectrum. A true area of 0 where there is a nominal one counts as a thousandth of it.
    """
    low, high, area = read_arf(arf)
    true = np.interp(middle_kev(response), 0.5 * (low + high), area)
    nominal = response.area_cm2
    return np.maximum(np.where(nominal > 0, true / np.where(nominal > 0, nominal, 1.0), 1.0), 1e-3)


def draw_temperatures(sample: Sample, rng: np.random.Generator) -> Floats:
    """Return true kT (n,) keV: log-normal as bright clusters are, within the range."""
    low, high = np.log(sample.kt_kev)
    out = np.empty(0)
    while out.size < sample.clusters:
        drawn = rng.normal(np.log(MEDIAN_KEV), WIDTH, 4 * sample.clusters)
        inside = drawn[(drawn > low) & (drawn < high)]
        out = np.append(out, inside if inside.size else rng.uniform(low, high, sample.clusters))
    return np.exp(out[: sample.clusters])


def simulate_clusters(sample: Sample, inputs: Inputs) -> Table:
    """Return columns NAME, KT_0, KT_0_ERR, KT_1, KT_1_ERR, KT_TRUE, KT_1_EXPECTED (keV), what was drawn in the meta.

    KT_1_EXPECTED is what telescope 1 finds without error, through its nominal area. Errors are log-normal, so that
    KT_x is the median; KT_x_ERR is the error times KT_x. Raises ConfigError for what cannot be, also a fit that leaves
    the plasma table.
    """
    sample.check()
    rng = np.random.default_rng(sample.seed)
    response, plasma = inputs.load()
    true = draw_temperatures(sample, rng)
    seen = Templates(sample.setting, response, plasma, true).recover(sample.factor(response), NONE)
    bad = np.flatnonzero(~seen.converged[:, 0])
    if bad.size:
        hottest = plasma.kt_kev[1]
        require(
            f"cluster of {true[bad[0]]:.3g} keV", (False, f"a fit within the plasma table, up to {hottest:.3g} keV")
        )
    found = seen.kt_kev[:, 0]
    kt_0, kt_1 = (kt * np.exp(sample.error * rng.standard_normal(len(kt))) for kt in (true, found))
    table = Table({"NAME": [f"C{i + 1:04d}" for i in range(sample.clusters)]})
    columns = {"KT_0": kt_0, "KT_0_ERR": sample.error * kt_0, "KT_1": kt_1, "KT_1_ERR": sample.error * kt_1}
    for name, values in (columns | {"KT_TRUE": true, "KT_1_EXPECTED": found}).items():
        table[name] = Column(values, unit="keV", format=".6g")
    table.meta.update(_told(sample, inputs.about(response, plasma)))
    return table


def _told(sample: Sample, about: dict[str, Any]) -> dict[str, Any]:
    told = asdict(sample) | {"kt_kev": list(sample.kt_kev), "theta": list(sample.theta)}
    told["setting"]["band_kev"] = list(sample.setting.band_kev)
    if sample.true_arf:
        about["files"]["true_arf"] = digest(Path(sample.true_arf))
        told["true_arf"] = Path(sample.true_arf).name
    names = list(family(sample.family).names) if sample.theta else []
    return {"about": "raysieve simulate crosscal-clusters", "theta_names": names, **told, **about}


def write_clusters(path: Path, table: Table) -> None:
    """Write it as ECSV. Raises LinkError when the disk refuses."""
    with disk_faults(path):
        table.write(path, format="ascii.ecsv", overwrite=True)
