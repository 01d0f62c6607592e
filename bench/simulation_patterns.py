"""Singles, doubles, triples and quads against energy: simulated WFI photons beside the real ones of XMM MOS."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.stats import beta

from bench import scenes
from sim.charge_loss import reconstructed
from sim.detector import Imperfections
from sim.photons import XRays
from sim.seeds import Seeds
from sim.spectra import Spectrum
from sim.telemetry import Telemetry
from stream.messages import Flag

DATA = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[2] / "shared" / "data"))
MOS = DATA / "xmm_mos" / "0201901401_mos1_clean_evts.fits.gz"
EDGES_EV = np.array([300.0, 600, 1000, 1500, 1800, 2500, 3500, 4500, 6000, 8000, 10_000])
KINDS = ("singles", "doubles", "triples", "quads")
FIRST_PATTERN = np.array([0, 1, 5, 9, 13])  # of each kind, and the first that is none (XMM-Newton Users' Handbook)
PER_FRAME = 20  # sparse enough that few photons touch


class Fractions(NamedTuple):
    """Shares of the four kinds among the valid events in bins of measured energy."""

    edges_ev: NDArray[np.float64]  # (bins + 1,)
    events: NDArray[np.int64]  # (bins,)
    share: NDArray[np.float64]  # (bins, 4); NaN in an empty bin
    low: NDArray[np.float64]  # (bins, 4): 68 % interval (Clopper and Pearson 1934, Biometrika 26, 404)
    high: NDArray[np.float64]


def fractions(photons: int = 200_000, seed: int = 0, edges_ev: NDArray[np.float64] = EDGES_EV) -> Fractions:
    """Return the shares of log-uniform photons of 0.2-10 keV after correct and reconstruct with wfi.toml."""
    config = scenes.config()
    spectrum = Spectrum(energy_min_ev=200.0, energy_max_ev=12_000.0)  # beyond the last bin: its edge has both sides
    source = XRays(per_frame=PER_FRAME, fixed=True, spectrum=spectrum, sensor=config.simulate.sensor)
    camera = Telemetry(config, [source], Imperfections(noise_e=config.simulate.read_out.noise_e), Seeds(seed))
    maps = {q.id: camera.detector.true_maps(q.id) for q in config.detector.quadrants}
    lists = reconstructed(config, camera.messages(-(-photons // PER_FRAME)), maps)
    events = np.concatenate([e.events for e in lists])
    valid = (events["reason"] == 0) & (events["flag"] & np.uint16(Flag.BORDER) == 0)
    return count(events["energy_ev"][valid], events["pattern"][valid], edges_ev)


def mos(path: Path = MOS, edges_ev: NDArray[np.float64] = EDGES_EV) -> Fractions:
    """Return the shares of a real MOS list (FLAG 0). Raises FileNotFoundError where it is not."""
    events = fits.getdata(path, "EVENTS")
    events = events[events["FLAG"] == 0]
    return count(events["PI"].astype(float), events["PATTERN"].astype(int), edges_ev)


def count(energy_ev: NDArray[np.floating], pattern: NDArray[np.integer], edges_ev: NDArray[np.float64]) -> Fractions:
    """Return the shares of events of these energies and EPIC patterns; other patterns do not count."""
    known = pattern < FIRST_PATTERN[-1]
    table = np.histogram2d(energy_ev[known], pattern[known], bins=(edges_ev, FIRST_PATTERN - 0.5))[0].astype(np.int64)
    events = table.sum(axis=1)
    total = events[:, None]
    with np.errstate(invalid="ignore"):
        share = table / np.where(total > 0, total, np.nan)
    low = np.where(table > 0, beta.ppf(0.1587, table, total - table + 1), 0.0)
    high = np.where(table < total, beta.ppf(0.8413, table + 1, np.maximum(total - table, 1e-9)), 1.0)
    return Fractions(edges_ev, events, share, low, high)


def main() -> None:
    """Print both, in percent."""
    ours = fractions()
    theirs = mos() if MOS.is_file() else None
    print(f"{'keV':>10}  " + "".join(f"{'WFI ' + k:>14}" for k in KINDS) + "".join(f"{'MOS ' + k:>14}" for k in KINDS))
    for k, (low, high) in enumerate(zip(ours.edges_ev, ours.edges_ev[1:], strict=False)):
        values = [*ours.share[k], *(theirs.share[k] if theirs else [])]
        print(f"{low / 1000:4.1f}-{high / 1000:4.1f}   " + "".join(f"{100 * v:14.2f}" for v in values))


if __name__ == "__main__":
    main()
