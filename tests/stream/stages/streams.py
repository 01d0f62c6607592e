"""Small streams for the tests of the stages."""

from dataclasses import replace

import numpy as np

from config.load import load
from stream.messages import Frame, Maps, Quadrant, Start

CONFIG = load("quick")
ROWS, COLUMNS = CONFIG.detector.rows, CONFIG.detector.columns
START = Start(
    stream="test",
    run_id="run",
    quadrants=tuple(
        Quadrant(id=q.id, columns=COLUMNS, rows=ROWS, origin_x_px=q.origin_x_px, origin_y_px=q.origin_y_px)
        for q in CONFIG.detector.quadrants
    ),
    frame_time_ns=5_000_000,
    live_time_ns=5_000_000,
    gain_ev=CONFIG.detector.gain_ev_per_adu,
)
ONE = replace(START, quadrants=START.quadrants[:1])


def maps(offset=500.0, noise=7.0):
    shape = (ROWS, COLUMNS)
    return {
        q.id: Maps(
            quadrant=q.id,
            offset=np.full(shape, offset, np.float32),
            noise=np.full(shape, noise, np.float32),
            bad=np.zeros(shape, np.uint8),
            version="test",
        )
        for q in START.quadrants
    }


def frame(sequence, quadrant=0, pixels=None, **changes):
    if pixels is None:
        rng = np.random.default_rng([sequence, quadrant])
        pixels = np.rint(rng.normal(500, 7, (ROWS, COLUMNS))).astype(np.uint16)
    return Frame(
        stream="test", sequence=sequence, time_ns=sequence * 5_000_000, quadrant=quadrant, pixels=pixels, **changes
    )


def with_pixels(sequence, values, quadrant=0):
    """Return a noisy frame with `values` {(y, x): ADU} added."""
    made = frame(sequence, quadrant)
    for (y, x), value in values.items():
        made.pixels[y, x] = min(65535, int(made.pixels[y, x]) + value)
    return made


def push(stage, *messages):
    """Return all that a stage gives for these messages."""
    return [result for message in messages for result in stage.process(message)]
