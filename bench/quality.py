"""Found, false, energy error, hot pixels, steps and tracks against truth; aare on the same frames where installed."""

import argparse

import numpy as np
from numpy.typing import NDArray

from bench import figures, scenes
from config.schema import Config
from sim.charge_loss import match
from sim.detector import Imperfections
from sim.photons import PHOTON
from stream.messages import Flag, Frame

COMMAND = "python -m bench.quality"
Figures = dict[str, tuple[object, ...]]


def run_ours(settings: Config, frames: list[Frame]) -> NDArray[np.void]:
    """Return all events of these frames."""
    chain = scenes.chain(settings)
    return np.concatenate([e.events for f in frames for e in chain(f)])


def as_events(found: list[NDArray[np.void]]) -> NDArray[np.void]:
    """Return aare's clusters with the columns that `match` needs."""
    dtype = [("frame", "i8"), ("quadrant", "u1"), ("x", "i2"), ("y", "i2"), ("sum", "f4")]
    table = np.zeros(sum(map(len, found)), dtype)
    table["frame"] = np.repeat(np.arange(len(found)), [len(c) for c in found])
    for name in ("x", "y"):
        table[name] = np.concatenate([c[name] for c in found])
    table["sum"] = np.concatenate([c["data"].sum((1, 2)) for c in found])
    return table


def false_share(events: NDArray[np.void], photons: NDArray[np.void]) -> int:
    """Return how many events have no photon within 3 pixels in both axes."""
    false = 0
    for frame in np.unique(events["frame"]):
        e, p = events[events["frame"] == frame], photons[photons["frame"] == frame]
        dx = abs(e["x"][:, None] - p["x"]) < 3
        dy = abs(e["y"][:, None] - p["y"]) < 3
        false += int((~(dx & dy).any(1)).sum())
    return false


def energies(photons_per_frame: int, readouts: int) -> Figures:
    """Return found and energy error at the thresholds of wfi.toml (260 eV, 80 eV)."""
    camera = scenes.camera(photons_per_frame, seed=photons_per_frame)
    frames = [m for m in camera.messages(readouts) if isinstance(m, Frame)]
    truth = camera.truth(readouts)["photons"]
    _, isolated = match(truth_as_events(truth), truth)
    deep = run_ours(scenes.five_sigma(), frames)
    at_five_sigma = len(match(deep, truth)[0])
    events = run_ours(scenes.config(), frames)
    event, photon = match(events, truth)
    valid = (events["reason"][event] == 0) & (events["flag"][event] & Flag.BORDER == 0)
    error = (events["energy_ev"][event] / 3.65 - truth["electrons"][photon])[valid]
    kinds = events["pattern"][event][valid]
    name = f"{photons_per_frame} events"
    half = error.std() / np.sqrt(len(error))
    result: Figures = {
        f"{name}: isolated photons found, 5 sigma": (at_five_sigma, f"of {len(isolated)}"),
        f"{name}: isolated photons found, 260 eV": (len(event), f"of {len(isolated)}"),
        f"{name}: of them valid and off the border": (int(valid.sum()), f"of {len(event)}"),
        f"{name}: mean energy error": (float(error.mean()), "e-", (error.mean() - half, error.mean() + half)),
        f"{name}: std of energy error": (float(error.std()), "e-"),
    }
    for label, low, high in (("singles", 0, 0), ("doubles", 1, 4), ("triples", 5, 8), ("quads", 9, 12)):
        own = error[(kinds >= low) & (kinds <= high)]
        half = own.std() / np.sqrt(len(own))
        result[f"{name}: mean error, {label}"] = (float(own.mean()), "e-", (own.mean() - half, own.mean() + half))
    dx = events["x"][event] + events["sub_x"][event] - truth["x"][photon]
    result[f"{name}: position error, rms"] = (float(dx[valid].std()), "px")
    if (finder := rival()) is not None:
        theirs = as_events(list(scenes.clusters(finder, (f.pixels for f in frames))))
        event, photon = match(theirs, truth)
        error = theirs["sum"][event] - truth["electrons"][photon]
        result |= {
            f"{name}: aare found": (len(event), f"of {len(isolated)}"),
            f"{name}: aare mean energy error": (float(error.mean()), "e-"),
            f"{name}: aare std of energy error": (float(error.std()), "e-"),
        }
    return result


def truth_as_events(truth: NDArray[np.void]) -> NDArray[np.void]:
    """Return photons at their pixels, to count which of them are isolated."""
    table = np.zeros(len(truth), [("frame", "i8"), ("quadrant", "u1"), ("x", "i2"), ("y", "i2")])
    table["frame"], table["quadrant"] = truth["frame"], truth["quadrant"]
    table["x"], table["y"] = np.rint(truth["x"]), np.rint(truth["y"])
    return table


def false_events(readouts: int) -> Figures:
    """Return false events per frame at 5 sigma (split 3 sigma), 2 events per frame."""
    camera = scenes.camera(2, seed=5)
    truth = camera.truth(readouts)["photons"]
    chain, finder = scenes.chain(scenes.five_sigma()), rival()
    ours = theirs = 0
    for readout in range(readouts):
        (frame,) = camera.frames(readout)
        photons = truth[truth["frame"] == readout]
        (found,) = chain(frame)
        ours += false_share(found.events, photons)
        if finder is not None:
            (clusters,) = scenes.clusters(finder, iter([frame.pixels]))
            table = as_events([clusters])
            table["frame"] = readout
            theirs += false_share(table, photons)
    result: Figures = {
        "false events at 5 sigma, threshold rounded up to whole ADU": (
            ours / readouts,
            "per frame",
            figures.poisson_interval(ours, readouts),
        )
    }
    if finder is not None:
        interval = figures.poisson_interval(theirs, readouts)
        result["false events at 5 sigma, aare"] = (theirs / readouts, "per frame", interval)
    return result


def hot_pixel() -> Figures:
    """Return how many frames pass until a newly hot pixel (5000 ADU) is masked, and its events after that."""
    camera = scenes.camera(2, seed=7)
    chain, finder = scenes.chain(scenes.config()), rival()
    masked, after, clusters = -1, 0, 0
    for frame in camera.messages(200):
        if not isinstance(frame, Frame):
            continue
        frame.pixels[100, 200] = 5000
        (found,) = chain(frame)
        own = (abs(found.events["x"] - 200) <= 1) & (abs(found.events["y"] - 100) <= 1)
        after += int(own.sum()) if masked >= 0 else 0
        if len(found.bad_pixels):
            masked = frame.sequence + 1
        if finder is not None:
            (c,) = scenes.clusters(finder, iter([frame.pixels]))
            clusters += int(((abs(c["x"].astype(int) - 200) <= 1) & (abs(c["y"].astype(int) - 100) <= 1)).any())
    result: Figures = {
        "hot pixel: masked after": (masked, "frames"),
        "hot pixel: events after that": (after, "of 200 frames"),
    }
    if finder is not None:
        result["hot pixel: aare's frames with its cluster"] = (clusters, "of 200 frames")
    return result


def row_step() -> Figures:
    """Return extra events per frame with and without +20 ADU on ten rows, after 10 frames."""
    camera = scenes.camera(2, seed=8)
    frames = [m for m in camera.messages(200) if isinstance(m, Frame)]
    plain = run_ours(scenes.config(), frames)
    stepped = [f.pixels.copy() for f in frames]
    for pixels in stepped:
        pixels[200:210] += 20
    moved = [Frame(**{**fields(f), "pixels": p}) for f, p in zip(frames, stepped, strict=True)]
    events = run_ours(scenes.config(), moved)
    extra = int((events["frame"] >= 10).sum() - (plain["frame"] >= 10).sum())
    result: Figures = {"row step +20 ADU: extra events after 10 frames": (extra, "in 190 frames")}
    if (finder := rival()) is not None:
        counts = [len(c) for c in scenes.clusters(finder, iter(stepped))]
        result["row step +20 ADU: aare's clusters per frame"] = (float(np.mean(counts[10:])), "per frame")
    return result


def fields(frame: Frame) -> dict[str, object]:
    """Return the fields of a frame."""
    return {name: getattr(frame, name) for name in Frame.__dataclass_fields__}


def track() -> Figures:
    """Return tracks and valid events of 30-pixel straight tracks in every direction."""
    camera = scenes.camera(0, model=Imperfections())
    chain, finder = scenes.chain(scenes.config()), rival()
    tracks = valid = clusters = 0
    angles = np.linspace(0, np.pi, 60)
    for n, (frame, angle) in enumerate(zip(camera.messages(60), [0.0, *angles], strict=False)):
        if not isinstance(frame, Frame):
            continue
        t = np.linspace(-15, 15, 400)
        middle = 60 + 6 * n  # a new place each time: pixels hit in every frame would be taken for hot
        places = {(round(middle + a * np.sin(angle)), round(256 + a * np.cos(angle))) for a in t}
        for y, x in places:
            frame.pixels[y, x] += 2000 + 37 * ((y * 31 + x * 17 + n) % 40)
        (found,) = chain(frame)
        tracks += len(found.tracks)
        valid += int((found.events["reason"] == 0).sum())
        if finder is not None:
            clusters += len(next(iter(scenes.clusters(finder, iter([frame.pixels])))))
    result: Figures = {
        "30-pixel track: tracks": (tracks, "of 60"),
        "30-pixel track: valid events": (valid, "of 60 tracks"),
    }
    if finder is not None:
        result["30-pixel track: aare's clusters per track"] = (clusters / 60, "per track")
    return result


def rival() -> object | None:
    """Return aare with its pedestal, or None where it is not installed."""
    try:
        return scenes.rival()
    except ImportError:
        return None


def main() -> None:
    """Measure all and write docs/figures/quality.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--readouts", type=int, default=4000, help="frames for the false-event rate")
    readouts = arguments.parse_args().readouts
    assert PHOTON.names is not None
    found = energies(2, max(200, readouts // 2)) | energies(50, 200) | false_events(readouts)
    figures.write("quality", COMMAND, found | hot_pixel() | row_step() | track())


if __name__ == "__main__":
    main()
