"""`analyse lat` against truth: sources put into simulated skies, and what the likelihood and its posterior say of them.

    python -m bench.lat.analyse [SOURCES] [POSTERIORS]    # 2.5 and 40 s of CPU each

Skies as those of bench.lat.search: ten years, front and back, the interstellar light of another norm, spectrum and fine
structure than the model. A source is put where no brighter one is within a degree, above 20 degrees of latitude. Its
neighbours are those that the stream's search finds on the patch, which is also what its flux is held against.
"""

import sys
import time
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from analyse.lat.fit import CURVE, FLUX, SLOPE
from analyse.lat.inputs import aimed, parts_of_search
from analyse.lat.posterior import sample
from analyse.lat.region import Optics, region_of
from analyse.lat.source import Analysis, analyse_source, ellipse_of
from bench import figures
from bench.lat.search import FILES, YEARS
from sim.lat.catalogue import SOURCE
from sim.lat.patches import Truth, draw_patch
from sim.lat.photons import Scatter
from stream.lat.associate import wilson
from stream.lat.bands import DETECTION
from stream.lat.exposure import power_law, survey
from stream.lat.patch import LAT, SIDE_DEG, to_patch
from stream.lat.psf import profiles_of
from stream.lat.scene import UNIT, WINGS_DEG, scene_of
from stream.lat.search import search
from stream.lat.sky import expect
from stream.lat.smear import smearing
from stream.lat.sphere import separation
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import read_instrument

COMMAND: Final = "python -m bench.lat.analyse"
FLUXES: Final = (1.5e-10, 5e-9)  # photons cm-2 s-1, 1 to 100 GeV; log-even
INDICES: Final = (1.7, 2.7)
ALONE_DEG: Final = 1.0
BRIGHTER: Final = 0.3  # of its flux, from which another one counts as near
SKIES: Final = 4
FALSE: Final = 4.0  # TS_curv
BRIGHT: Final = 3e-9  # beyond the patch: TS 400 and more

Row = dict[str, float]


class Setting:
    """What all sources share."""

    def __init__(self) -> None:
        instrument = read_instrument(FILES / "irfs")
        self.model = read_diffuse(FILES / "diffuse" / "gll_iem_v07_lowres_fixedwcs.fits.gz", FILES / "diffuse")
        self.exposure = survey(instrument, YEARS)
        self.profiles = profiles_of(instrument, LAT.blur_deg)
        self.smear = smearing(self.model, self.profiles)
        self.expected = expect(self.model, self.exposure, self.smear)
        self.optics, self.scatter = Optics.of(instrument), Scatter(instrument)
        self.skies = [
            Truth.drawn(self.model, self.exposure, np.random.default_rng((3000, k)), smear=self.smear)
            for k in range(SKIES)
        ]

    def place(self, sky: Truth, flux: float, rng: np.random.Generator) -> tuple[float, float]:
        """Return where nothing as bright is near."""
        while True:
            lon = rng.uniform(0, 360)
            lat = float(np.degrees(np.arcsin(rng.uniform(np.sin(np.radians(20)), 1)))) * rng.choice((-1, 1))
            bright = sky.sources[sky.sources["flux"] > BRIGHTER * flux]
            if separation(bright["glon_deg"], bright["glat_deg"], lon, lat).min() > ALONE_DEG:
                return lon, lat

    def one(self, number: int, seed: int) -> tuple[Row, Analysis]:
        """Put a source in, analyse it; return truth and results."""
        rng = np.random.default_rng((seed, number))
        sky = self.skies[number % SKIES]
        flux = float(np.exp(rng.uniform(*np.log(FLUXES))))
        index, (lon, lat) = rng.uniform(*INDICES), self.place(sky, flux, rng)
        own = np.zeros(1, SOURCE)
        own["glon_deg"], own["glat_deg"], own["flux"], own["yearly"] = lon, lat, flux, 1.0
        own["spectrum"] = power_law(flux, index)
        truth = replace(sky, sources=np.concatenate([sky.sources, own]))
        away = 0.05 * rng.standard_normal(2)  # nobody knows the place before
        aim = lon + away[0] / np.cos(np.radians(lat)), lat + away[1]
        patch, _ = draw_patch(truth, self.scatter, *aim, rng)
        diffuse = self.expected.on(patch)
        found = search(scene_of(patch, diffuse, self.exposure, self.profiles), known=_beyond(sky, aim))
        around, began = np.concatenate([found, _beyond(sky, aim)]), time.process_time()
        region = region_of(scene_of(patch, diffuse, self.exposure, self.profiles), self.optics, self.exposure)
        part, others = aimed(parts_of_search(around, self.exposure, aim), self.exposure, aim)
        analysis = analyse_source(region, part, others)
        seconds = time.process_time() - began
        x, y = (float(v) for v in to_patch(*aim, np.array(lon), np.array(lat)))
        row = {"flux": flux / UNIT, "index": index, "x": x, "y": y, "cpu": seconds}
        return row | _results(analysis) | _searched(found, (lon, lat)), analysis


def _beyond(sky: Truth, aim: tuple[float, float]) -> NDArray[Any]:
    """Return bright sources beyond the patch as DETECTION rows: the first pass of a whole sky has them."""
    x, y = to_patch(*aim, sky.sources["glon_deg"], sky.sources["glat_deg"])
    with np.errstate(invalid="ignore"):
        off = np.maximum(np.abs(x - SIDE_DEG / 2), np.abs(y - SIDE_DEG / 2)) - SIDE_DEG / 2
        bright = sky.sources[(off > 0) & (off < WINGS_DEG) & (sky.sources["flux"] > BRIGHT)]
    rows = np.zeros(len(bright), DETECTION)
    for name in ("glon_deg", "glat_deg", "flux"):
        rows[name] = bright[name]
    rows["index"] = np.clip(np.log(bright["spectrum"][:, 1, 0] / bright["spectrum"][:, 3, 0]) / np.log(4.0), 1.0, 4.0)
    return rows


def _results(analysis: Analysis) -> Row:
    straight = analysis.models["powerlaw"]
    own = straight.parts[0]
    row = {"ts": analysis.ts, "ln_flux": float(own.theta[FLUX]), "ln_flux_error": straight.error(0, FLUX)}
    row |= {"fit_index": float(own.theta[SLOPE]), "fit_index_error": straight.error(0, SLOPE)}
    row |= {"limit": np.nan if analysis.limit is None else float(np.exp(analysis.limit))}
    for kind in ("logparabola", "plec"):
        told = analysis.curved(kind)
        row[kind] = np.nan if told is None else told
        if told is not None:
            bent = analysis.models[kind]
            row[f"{kind}_pull"] = float(bent.parts[0].theta[CURVE]) / bent.error(0, CURVE)
    ellipse = ellipse_of(straight)
    if ellipse is not None:
        at = straight.place(0, 0) or 0
        block = straight.covariance[at : at + 2, at : at + 2]
        row |= {"fit_x": float(own.theta[0]), "fit_y": float(own.theta[1]), "r68": ellipse.r68_deg}
        row |= {"xx": block[0, 0], "yy": block[1, 1], "xy": block[0, 1]}
    return row


def _searched(found: NDArray[Any], place: tuple[float, float]) -> Row:
    away = separation(found["glon_deg"], found["glat_deg"], *place)
    if not len(away) or away.min() > 0.3:
        return {}
    one = found[away.argmin()]
    return {"search_flux": float(one["flux"]) / UNIT, "search_error": float(one["flux_error"]) / UNIT}


def judge(rows: list[Row]) -> dict[str, tuple[Any, ...]]:
    """Return the figures of the likelihood."""
    table = {key: np.array([row.get(key, np.nan) for row in rows]) for key in {k for row in rows for k in row}}
    seen = np.isnan(table["limit"])
    out: dict[str, tuple[Any, ...]] = {"sources": (len(rows), ""), "of them seen, TS >= 9": (int(seen.sum()), "")}
    flux_pull = (table["ln_flux"] - np.log(table["flux"])) / table["ln_flux_error"]
    index_pull = (table["fit_index"] - table["index"]) / table["fit_index_error"]
    for name, pull in (("flux", flux_pull[seen]), ("index", index_pull[seen])):
        out |= _pulls(f"{name}, likelihood", pull)
    off = np.stack([table["fit_x"] - table["x"], table["fit_y"] - table["y"]])[:, seen]
    block = np.array([[table["xx"], table["xy"]], [table["xy"], table["yy"]]])[..., seen]
    square = np.einsum("in,ijn,jn->n", off, np.moveaxis(np.linalg.inv(np.moveaxis(block, -1, 0)), 0, -1), off)
    for share in (0.68, 0.90, 0.95):
        _share(out, f"place, likelihood: within {share:.0%}", square <= chi2.ppf(share, 2))
    out["place: median distance over r68"] = (float(np.median(np.hypot(*off) / table["r68"][seen])), "")
    for kind in ("logparabola", "plec"):
        _share(out, f"false curvature, {kind}: TS_curv > {FALSE:g} on power laws", table[kind][seen] > FALSE)
        out |= _pulls(f"curvature, {kind}", table[f"{kind}_pull"][seen])
    if (~seen).any():
        _share(out, "limits above the true flux", (table["limit"] > table["flux"])[~seen])
    both = seen & np.isfinite(table["search_flux"])
    ratio = np.exp(table["ln_flux"][both]) / table["search_flux"][both]
    error = table["search_error"][both] / table["search_flux"][both]
    out["flux over that of the search, median"] = (float(np.median(ratio)), "")
    _share(out, "flux within 1 sigma of that of the search", np.abs(np.log(ratio)) < error)
    out["analysis of a source: CPU, median"] = (float(np.median(table["cpu"])), "s")
    return out


def _pulls(name: str, pull: NDArray[np.float64]) -> dict[str, tuple[Any, ...]]:
    pull = pull[np.isfinite(pull)]
    out: dict[str, tuple[Any, ...]] = {}
    half = 1 / np.sqrt(len(pull))
    mean, sd = float(pull.mean()), float(pull.std(ddof=1))
    out[f"{name}: pull, mean"] = (mean, "sigma", (mean - sd * half, mean + sd * half))
    out[f"{name}: pull, sd"] = (sd, "sigma", (sd * (1 - half / np.sqrt(2)), sd * (1 + half / np.sqrt(2))))
    _share(out, f"{name}: within 68 %", np.abs(pull) < 0.9945)
    _share(out, f"{name}: within 90 %", np.abs(pull) < 1.6449)
    return out


def _share(out: dict[str, tuple[Any, ...]], name: str, hits: NDArray[Any]) -> None:
    out[name] = (float(np.mean(hits)), f"of {len(hits)}", wilson(int(np.sum(hits)), len(hits)))


def posteriors(done: list[tuple[Row, Analysis]]) -> dict[str, tuple[Any, ...]]:
    """Return the figures of posteriors by emcee: gates, coverage, and widths beside those of the likelihood."""
    passed, inside, widths, seconds = [], [], [], []
    for number, (row, analysis) in enumerate(done):
        began = time.process_time()
        found = analysis.models["powerlaw"]
        density, draws = sample(found, number)
        seconds.append(time.process_time() - began)
        passed.append(draws.fault(density.prior.names) is None)
        values = draws.variables.reshape(-1, draws.variables.shape[-1])[:, :4]
        truth = np.array([row["x"], row["y"], row["flux"], row["index"]])
        rank = [float(np.mean(values[:, k] < truth[k])) for k in (2, 3)]
        spread = values[:, :2] - values[:, :2].mean(axis=0)
        inverse = np.linalg.inv(np.cov(spread.T))
        far = np.einsum("ni,ij,nj->n", spread, inverse, spread)
        off = truth[:2] - values[:, :2].mean(axis=0)
        rank.append(float(np.mean(far < off @ inverse @ off)))
        inside.append([abs(rank[0] - 0.5) * 2, abs(rank[1] - 0.5) * 2, rank[2]])
        sd = found.error(0, FLUX) * float(np.exp(found.parts[0].theta[FLUX])), found.error(0, SLOPE)
        widths.append(values[:, 2:].std(axis=0) / np.array(sd))
        print(f"posterior {number}: {seconds[-1]:.0f} s, {'passed' if passed[-1] else 'failed'}", flush=True)
    out: dict[str, tuple[Any, ...]] = {}
    _share(out, "posteriors that pass their gates", np.array(passed))
    for k, name in enumerate(("flux", "index", "place")):
        for share in (0.68, 0.90):
            _share(out, f"{name}, emcee: within {share:.0%}", np.array(inside)[:, k] < share)
    for k, name in enumerate(("flux", "index")):
        out[f"{name}: width by emcee over that of the likelihood, median"] = (
            float(np.median(np.array(widths)[:, k])),
            "",
        )
    out["posterior: CPU, median"] = (float(np.median(seconds)), "s")
    return out


def main() -> None:
    number, sampled = (int(v) for v in (*sys.argv[1:], 60, 3)[:2])
    setting, done = Setting(), []
    for k in range(number):
        done.append(setting.one(k, 77))
        if k % 5 == 4:
            print(f"{k + 1} sources", flush=True)
            figures.write("lat_analyse", f"{COMMAND} {k + 1} 0", judge([row for row, _ in done]))
    rows = judge([row for row, _ in done])
    seen = [one for one in done if one[1].limit is None][:sampled]
    rows |= posteriors(seen) if seen else {}
    figures.write("lat_analyse", f"{COMMAND} {number} {sampled}", rows)


if __name__ == "__main__":
    main()
