"""How fitted temperatures answer to a wrong area, beside the published library of xrmodifier (XCalForge).

    python -m bench.crosscal.response [--data FOLDER]

Its code: tbabs*apec, nH 0.1 (free), abundance 0.3 and redshift 0.05 held, norm 1, 50 ks, C-stat over all channels
(nothing is ignored), area times 1 + A exp(-((E - mu)/sigma)^2) with sigma 1 keV; the response of an ACIS-I observation
that is not published (that of cycle 0 stands for it). Its table: ../shared/research/peers_spectra.md section 6.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import figures
from sim.crosscal.grid import Inputs
from sim.crosscal.hot import cluster_table
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import family, middle_kev, modify
from stream.spectra.fit import fit_spectrum
from stream.spectra.grid import Floats
from stream.spectra.model import parse_model
from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum
from stream.spectra.table import KELVIN_PER_KEV, PlasmaTable
from stream.transport.pimms import read_plasma

COMMAND: Final = "python -m bench.crosscal.response"
DATA: Final = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
KT: Final = np.linspace(0.5, 15, 8)[[1, 2, 4, 5, 7]]  # keV, those of the published grid that its table shows
PUBLISHED: Final = {  # (mu keV, A): dT/T in % at KT
    (1.8, -0.08): (4.1, 9.1, 18.6, 29.4, 34.9),
    (1.8, 0.08): (-3.4, -7.1, -12.8, -14.9, -21.6),
    (4.35, -0.08): (-2.4, -4.3, -7.7, -9.0, -14.5),
    (4.35, 0.08): (2.4, 4.7, 8.3, 11.1, 14.7),
}
SIGMA: Final = 1.0
NATIVE: Final = 10 ** np.array([7.5, 7.7, 8.0, 8.1, 8.2]) / KELVIN_PER_KEV  # keV, near KT, that APEC's files have
ALL: Final = (0.05, 14.0)  # every channel
AS_PUBLISHED: Final = Setting(nh_free=True, nh_1e22=0.1, band_kev=ALL)
NONE: Final = np.empty(0)


def cases(folder: Path) -> Iterator[tuple[str, Inputs, Setting, str]]:
    """Yield name, files, setting and family of what is compared: the published choices, then one changed at a time."""
    files = {
        name: Inputs(str(folder / f"{stem}.arf.gz"), str(folder / f"{stem}.rmf.gz"))
        for name, stem in (
            ("ACIS-I cycle 0", "acisi_aimpt_cy0"),
            ("ACIS-I cycle 19", "acisi_aimpt_cy19"),
            ("EPIC-pn", "pn/pn"),
        )
    }
    code, first = "gaussian-code", files["ACIS-I cycle 0"]
    yield "as published, ACIS-I cycle 0", first, AS_PUBLISHED, code
    yield "nH fixed", first, replace(AS_PUBLISHED, nh_free=False), code
    yield "sigma of the text", first, AS_PUBLISHED, "gaussian"
    yield "band 0.5-7 keV", first, replace(AS_PUBLISHED, band_kev=(0.5, 7.0)), code
    yield "band 0.7-7 keV", first, replace(AS_PUBLISHED, band_kev=(0.7, 7.0)), code
    yield "abundance 1", first, replace(AS_PUBLISHED, abundance=1.0), code
    yield "ACIS-I cycle 19", files["ACIS-I cycle 19"], AS_PUBLISHED, code
    yield "EPIC-pn", files["EPIC-pn"], AS_PUBLISHED, code
    yield "EPIC-pn, 0.7-7 keV", files["EPIC-pn"], replace(AS_PUBLISHED, band_kev=(0.7, 7.0)), code
    yield "analytic telescope", Inputs(), AS_PUBLISHED, code


def shifts(templates: Templates, name: str) -> tuple[Floats, Floats]:
    """Return dT/T in % (4, 5) as PUBLISHED, and its statistical error at one 50 ks spectrum of norm 1."""
    kind, middle = family(name), middle_kev(templates.response)
    each = [templates.recover(kind.factor([mu, SIGMA, a], middle)[0], NONE) for mu, a in PUBLISHED]
    ratio = np.array([one.kt_kev[:, 0] for one in each]) / templates.kt_kev
    return 100 * (ratio - 1), 100 * ratio * np.array([one.sd[:, 0] for one in each])


def free_abundance(response: Response) -> Floats:
    """Return dT/T in % (4, 5) with the abundance free too, by the spectral engine itself: no templates."""
    model = parse_model("tbabs*apec", cluster_table()).set(
        **{"tbabs.nH": 0.1, "apec.Abundanc": {"value": 0.3, "frozen": False}, "apec.Redshift": 0.05}
    )
    out = np.empty((len(PUBLISHED), len(KT)))
    for i, (mu, a) in enumerate(PUBLISHED):
        true = modify(response, family("gaussian-code").factor([mu, SIGMA, a], middle_kev(response))[0])
        for j, kt in enumerate(KT):
            rate = true.fold(model.photons([0.1, kt, 0.3, 0.05, 1.0], true.energy_lo_kev, true.energy_hi_kev))
            start = {"tbabs.nH": 0.1, "apec.kT": float(kt), "apec.norm": 1.0}
            fit = fit_spectrum(model, Spectrum.of(rate * 5e4, 5e4), response, band_kev=ALL, start=start)
            out[i, j] = 100 * (fit.values[1] / kt - 1)
    return out


def apec_of(folder: Path) -> PlasmaTable:
    """Return APEC's spectra as PIMMS carries them, those of 0.1 dex: the ones between are straight lines in T."""
    held = read_plasma(folder)
    native = np.abs(10 * held.log_t - np.round(10 * held.log_t)) < 1e-6
    return PlasmaTable(held.log_t[native], held.edges_kev, held.photons[native])


def apec_itself(response: Response, apec: PlasmaTable) -> tuple[Floats, Floats]:
    """Return dT/T in % (4, 5) at NATIVE for solar abundance by our plasma and by APEC's."""
    setting = replace(AS_PUBLISHED, abundance=1.0, redshift=0.0)
    found = [
        shifts(Templates(setting, response, table, NATIVE), "gaussian-code")[0] for table in (cluster_table(), apec)
    ]
    return found[0], found[1]


def plasma_shift(response: Response, apec: PlasmaTable) -> Floats:
    """Return by how much, %, our plasma's temperature differs when fitted to APEC's spectra of NATIVE (5,); 0.5-8 keV.

    Column density, abundance and norm are free.
    """
    theirs = parse_model("tbabs*apec", apec)
    ours = parse_model("tbabs*apec", cluster_table()).set(
        **{"tbabs.nH": 0.1, "apec.Abundanc": {"value": 1.0, "frozen": False}}
    )
    out = []
    for kt in NATIVE:
        photons = theirs.photons([0.1, kt, 1.0, 0.0, 1.0], response.energy_lo_kev, response.energy_hi_kev)
        spectrum = Spectrum.of(response.fold(photons) * 5e4, 5e4)
        start = {"tbabs.nH": 0.1, "apec.kT": float(kt), "apec.norm": 1.0}
        out.append(100 * (fit_spectrum(ours, spectrum, response, start=start).values[1] / kt - 1))
    return np.array(out)


def rows_of(name: str, found: Floats, error: Floats | None) -> dict[str, tuple[Any, ...]]:
    """Return the figures of one case: how far it is from the published table, and whether signs and asymmetry hold."""
    published = np.array(list(PUBLISHED.values()))
    off = 100 * np.abs(found / published - 1)
    asymmetric = np.abs(found[[0, 3]]) > np.abs(found[[1, 2]])  # hotter by more than colder, at the same |A|
    low, high = np.percentile(off, [16, 84])
    rows: dict[str, tuple[Any, ...]] = {
        f"{name}: median distance": (float(np.median(off)), "%", (float(low), float(high))),
        f"{name}: largest distance": (float(off.max()), "%"),
        f"{name}: within 30 %": (int((off <= 30).sum()), f"of {off.size}"),
        f"{name}: same sign": (int((np.sign(found) == np.sign(published)).sum()), f"of {off.size}"),
        f"{name}: same asymmetry": (int(asymmetric.sum()), f"of {asymmetric.size}"),
    }
    for i, (mu, a) in enumerate(PUBLISHED):
        for j, kt in enumerate(KT):
            key = f"{name}: dT/T, mu {mu:g} keV, A {100 * a:+.0f} %, kT {kt:.1f} keV"
            value, sd = float(found[i, j]), 0.0 if error is None else float(error[i, j])
            rows[key] = (value, "%", (value - sd, value + sd)) if error is not None else (value, "%")
    return rows


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with responses/ and coronal/apec_pimms/")
    folder = parser.parse_args().data
    rows: dict[str, tuple[Any, ...]] = {}
    for name, files, setting, kind in cases(folder / "responses"):
        response, table = files.load()
        found, error = shifts(Templates(setting, response, table, KT), kind)
        rows |= rows_of(name, found, error)
        if name.startswith("as published"):
            first = response
    rows |= rows_of("abundance free", free_abundance(first), None)
    table = apec_of(folder / "coronal" / "apec_pimms")
    ours, apec = apec_itself(first, table)
    off = 100 * np.abs(ours / apec - 1)
    low, high = (float(v) for v in np.percentile(off, [16, 84]))
    rows["our plasma beside APEC itself, solar: dT/T differs, median"] = (float(np.median(off)), "%", (low, high))
    rows["our plasma beside APEC itself, solar: dT/T differs, largest"] = (float(off.max()), "%")
    for kt, shift in zip(NATIVE, plasma_shift(first, table), strict=True):
        rows[f"our plasma fitted to APEC's spectrum: kT off at {kt:.1f} keV"] = (float(shift), "%")
    figures.write("crosscal_response", COMMAND, rows)


if __name__ == "__main__":
    main()
