"""What the process "sources" costs: 100 sources found, fitted and classified anew in one interval."""

import tempfile
import time
from pathlib import Path

import numpy as np

from bench import figures
from config.load import load
from sim.sources.camera import built_in
from sim.sources.field import Setup, make_field
from sim.sources.files import product_of
from stream.imaging.detect import detect
from stream.judges.catalogue import BAND_KEV, make_catalogue
from stream.stages.accumulate import Accumulate
from stream.stages.classify import Classify, seen_in
from stream.transport.products import Products

COMMAND = "python -m bench.sources.live"
EVERY_S = 60.0  # from one product to the next, as docs/sources.md advises
TIMES = 7


def main() -> None:
    """Write docs/figures/sources_live.json."""
    camera = built_in()
    settings = ["accumulate.every_s=60", "classify.rmf=built-in", f"classify.psf_fwhm_px={camera.sigma_px * 2.3548}"]
    config = load("wfi", settings)
    field = make_field(camera, Setup(exposure_s=6000.0, density=0.2), seed=3)
    accumulate, classify = Accumulate(config), Classify(config, camera.response)
    (images,) = [*accumulate.process(product_of(field)), *accumulate.flush()]
    list(classify.process(images))  # compiled
    spent, parts, found = [], [], None
    with tempfile.TemporaryDirectory() as folder:
        sink = Products(Path(folder))
        for _ in range(TIMES):
            began = time.process_time()
            found = list(classify.process(images))[1]
            spent.append(time.process_time() - began)
            began = time.process_time()
            sink.send(found)
            parts.append(time.process_time() - began)
        seen = seen_in(images, camera.response, config.classify.psf_fwhm_px)
        finding, first = [], []
        for _ in range(TIMES):
            began = time.process_time()
            detect(seen.image(*BAND_KEV), seen.exposure_s, seen.psf_sigma_px, config.classify.threshold_sigma)
            finding.append(time.process_time() - began)
            began = time.process_time()
            catalogue = make_catalogue(seen, config.classify.threshold_sigma)
            first.append(time.process_time() - began)
    assert found is not None
    number = len(catalogue)
    cpu, written, found_s = (float(np.median(times)) for times in (spent, parts, finding))
    daemon = figures.read("realtime")
    used = sum(daemon[f"live, ipc: CPU of {name}"]["value"] for name in ("detect", "screen", "record"))
    rows: dict[str, tuple[object, ...]] = {
        "sources": (number, ""),
        "events": (len(field.events), ""),
        "found, fitted and classified: CPU": (cpu, "s"),
        "of it, found": (found_s, "s"),
        "of it, measured, fitted and classified anew": (cpu - found_s, "s"),
        "all of it the first time": (float(np.median(first)), "s"),
        "written, with their spectra: CPU": (written, "s"),
        f"added to the daemon, a product every {EVERY_S:g} s": (100 * (cpu + written) / EVERY_S / used, "%"),
    }
    figures.write("sources_live", COMMAND, rows)


if __name__ == "__main__":
    main()
