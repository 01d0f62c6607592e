from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.messages import Frame, Quadrant, Quality, Start
from stream.transport.foreign import islands
from stream.transport.foreign.islands import Exposures, Pixels, place, write
from stream.transport.recording import RecordingWriter
from tests.stream.transport.foreign.lists import read

SHAPE = (6, 8)
CENTRES = st.tuples(st.integers(0, 1), st.integers(0, SHAPE[1] - 1), st.integers(0, SHAPE[0] - 1))


def grid(pixels: Pixels) -> dict[tuple[int, int], dict[tuple[int, int], int]]:
    """Return value by place, by read-out and layer; no place twice."""
    images: dict[tuple[int, int], dict[tuple[int, int], int]] = {}
    for readout, layer, x, y, value in zip(*(column.tolist() for column in pixels), strict=True):
        image = images.setdefault((readout, layer), {})
        assert (x, y) not in image
        image[x, y] = value
    return images


def cells(x: int, y: int, values: np.ndarray) -> dict[tuple[int, int], int]:
    """Return the pixels of a 3x3 island that are in the frame."""
    found = {}
    for k, value in enumerate(values.tolist()):
        u, v = x + k % 3 - 1, y + k // 3 - 1
        if 0 <= u < SHAPE[1] and 0 <= v < SHAPE[0]:
            found[u, v] = value
    return found


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(CENTRES, st.lists(st.integers(0, 1), min_size=9, max_size=9)), max_size=9))
def test_every_island_lies_whole_in_one_layer(found: list[tuple[tuple[int, int, int], list[int]]]) -> None:
    readout, x, y = np.array([c for c, _ in found], int).reshape(-1, 3).T
    values = np.array([v for _, v in found], int).reshape(-1, 9)
    images = grid(place(readout, x, y, values, SHAPE))
    covered: dict[tuple[int, int], set[tuple[int, int]]] = {key: set() for key in images}
    for r, u, v, island in zip(readout.tolist(), x.tolist(), y.tolist(), values, strict=True):
        wanted = cells(u, v, island)
        homes = [key for key, image in images.items() if key[0] == r and wanted.items() <= image.items()]
        assert homes
        for key in homes:
            covered[key] |= wanted.keys()
    assert all(images[key].keys() == covered[key] for key in images)  # nothing else is there
    for r in {key[0] for key in images}:
        layers = sorted(key[1] for key in images if key[0] == r)
        assert layers == list(range(len(layers)))


@settings(deadline=None, max_examples=50)
@given(st.lists(CENTRES, max_size=12), st.integers(0, 9))
def test_islands_of_one_image_make_that_image(centres: list[tuple[int, int, int]], seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 900, (2, *SHAPE))
    around = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    readout, x, y = np.array(centres, int).reshape(-1, 3).T
    values = np.array([around[r, v : v + 3, u : u + 3].ravel() for r, u, v in centres], int).reshape(-1, 9)
    for (r, layer), pixels in grid(place(readout, x, y, values, SHAPE)).items():
        assert layer == 0
        assert all(image[r, v, u] == value for (u, v), value in pixels.items())


def test_pixels_are_in_order_and_of_5x5_islands() -> None:
    centre = np.array([3])
    pixels = place(centre, centre, centre, np.arange(25)[None], (8, 8))
    assert pixels.value.tolist() == list(range(25))
    assert (pixels.x.min(), pixels.x.max(), pixels.y.min(), pixels.y.max()) == (1, 5, 1, 5)
    assert pixels.x[:5].tolist() == [1, 2, 3, 4, 5]


def convert(path: Path, exposed: list[bool]) -> list[Frame]:
    """Write three read-outs of quadrants 4 and 7: two islands of the second one in quadrant 7 contradict each other."""
    start = Start(
        stream="s",
        run_id="r",
        quadrants=tuple(Quadrant(id=n, rows=SHAPE[0], columns=SHAPE[1]) for n in (4, 7)),
        frame_time_ns=10,
        live_time_ns=10,
    )
    two, none = np.array([1, 1]), np.zeros(0, int)
    values = np.stack([np.full(9, 50), np.full(9, 60)]).astype(np.uint16)
    pixels = {
        4: place(none, none, none, values[:0], SHAPE),
        7: place(two, np.array([3, 4]), np.array([3, 3]), values, SHAPE),
    }
    times = {4: np.array([0, 10, 20]), 7: np.array([1, 11, 21])}
    exposures = Exposures(np.array([100, 101, 102]), times, {4: np.array(exposed), 7: np.array(exposed)})
    base = {n: np.full(SHAPE, 7, np.uint16) for n in (4, 7)}
    with RecordingWriter(path, start, base=base) as writer:
        assert write(writer, exposures, pixels) == (4, 1)
    return read(path)[1]


def test_an_island_that_contradicts_becomes_a_repeated_read_out(tmp_path: Path) -> None:
    frames = convert(tmp_path / "a.h5", [True, True, True])
    assert [(f.sequence, f.quadrant, f.time_ns) for f in frames] == [
        (0, 4, 0), (0, 7, 1), (1, 4, 10), (1, 7, 11), (2, 4, 10), (2, 7, 11), (3, 4, 20), (3, 7, 21)
    ]  # fmt: skip
    assert [f.source_frame for f in frames] == [100, 100, 101, 101, 101, 101, 102, 102]
    assert [f.quality for f in frames] == [0, 0, 0, 0, *[Quality.REPEATED_EXPOSURE] * 2, 0, 0]
    first, second = frames[3].pixels, frames[5].pixels
    assert (first[2:5, 2:5] == 50).all()
    assert (second[2:5, 3:6] == 60).all()
    assert (first == 7).sum() == (second == 7).sum() == first.size - 9


def test_what_was_not_exposed_has_no_frame_unless_it_has_events(tmp_path: Path) -> None:
    frames = convert(tmp_path / "a.h5", [True, False, False])
    assert [(f.sequence, f.quadrant) for f in frames] == [(0, 4), (0, 7), (1, 7), (2, 7)]


def test_the_summary_names_what_it_counts() -> None:
    assert islands.Converted(4, 2, 1)._asdict() == {"readouts": 4, "rows": 2, "repeated": 1}
