import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stream.errors import WireError
from stream.messages import Frame
from stream.transport import hdf5, recording, recording_writer
from stream.transport.maps import build
from stream.transport.recording import Header, Recording, RecordingWriter
from tests.stream.transport.recordings import COLUMNS, ROWS, frame, mixed, read, record, same, start

SHAPE = (ROWS, COLUMNS)
FRAMES = st.builds(
    frame,
    st.integers(0, 2**62),
    quadrant=st.sampled_from([0, 2]),
    pixels=arrays(np.uint16, SHAPE),
    time_ns=st.integers(-(2**63), 2**63 - 1),
    source_frame=st.integers(-1, 2**62),
    quality=st.integers(0, 65535),
)


@settings(deadline=None, max_examples=30)
@given(st.lists(FRAMES, max_size=6))
def test_frames_come_back_in_stored_order(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    path = record(tmp_path_factory.mktemp("r") / "a.h5", frames, start(2))
    back = read(path)
    assert len(back) == len(frames)
    assert all(map(same, back, frames))


@settings(deadline=None, max_examples=20)
@given(arrays(np.float32, SHAPE))
def test_float_frames_keep_every_bit(tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("r") / "a.h5"
    record(path, [frame(0, pixels=pixels)], start(pixel_dtype="<f4"))
    (back,) = read(path)
    assert back.pixels.tobytes() == pixels.tobytes()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.dictionaries(st.integers(0, ROWS * COLUMNS - 1), st.integers(0, 65535), max_size=9), max_size=9))
def test_sparse_frames_are_their_base_with_pixels_set(
    tmp_path_factory: pytest.TempPathFactory, changes: list[dict[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("r") / "a.h5"
    base = np.arange(ROWS * COLUMNS, dtype=np.uint16).reshape(SHAPE)
    wanted = []
    with RecordingWriter(path, start(), base={0: base}) as writer:
        for number, change in enumerate(changes):
            place, values = np.array(list(change), int), np.array(list(change.values()), np.uint16)
            writer.write_sparse(Header(number, 0, 0), place % COLUMNS, place // COLUMNS, values)
            pixels = base.copy()
            for at, value in change.items():
                pixels[at // COLUMNS, at % COLUMNS] = value
            wanted.append(frame(number, pixels=pixels, time_ns=0))
    assert all(map(same, read(path), wanted))


@pytest.mark.parametrize(("pixel_rows", "table_rows"), [(1, 1), (3, 2), (7, 3)])
def test_lists_longer_than_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixel_rows: int, table_rows: int
) -> None:
    monkeypatch.setattr(recording, "PIXEL_ROWS", pixel_rows)
    monkeypatch.setattr(recording_writer, "PIXEL_ROWS", pixel_rows)
    monkeypatch.setattr(recording_writer, "GROW_FRAMES", table_rows)
    monkeypatch.setattr(hdf5, "TABLE_ROWS", table_rows)
    frames = mixed(tmp_path / "a.h5")
    assert all(map(same, read(tmp_path / "a.h5"), frames))


def test_start_maps_and_truth_come_back(tmp_path: Path) -> None:
    maps = build(2, np.full(SHAPE, 100.5), np.full(SHAPE, 2.0), np.zeros(SHAPE))
    table = np.array([(1, 2.5), (3, 4.5)], [("number", "<i4"), ("energy", "<f4")])
    with RecordingWriter(tmp_path / "a.h5", start(2, map_versions={0: "old"}), maps=[maps]) as writer:
        writer.write_truth("photons", table)
        writer.write_truth("photons", table[:1])
        writer.write_truth("tracks", table[:0])
    with Recording(tmp_path / "a.h5") as back:
        assert back.start == start(2, map_versions={0: "old", 2: maps.version})
        assert np.array_equal(back.maps()[2].offset, maps.offset)
        assert back.tables == ("photons", "tracks")
        assert np.array_equal(back.truth("photons"), table[[0, 1, 0]])
        assert back.truth("tracks").dtype == table.dtype


def test_a_recording_without_frames(tmp_path: Path) -> None:
    record(tmp_path / "a.h5", [])
    assert read(tmp_path / "a.h5") == []
    with Recording(tmp_path / "a.h5") as back:
        assert (len(back), len(back.frames), back.maps(), back.tables) == (0, 0, {}, ())


def test_the_index_says_what_is_there(tmp_path: Path) -> None:
    frames = mixed(tmp_path / "a.h5")
    with Recording(tmp_path / "a.h5") as back:
        assert len(back) == len(frames)
        assert back.frames["sequence"].tolist() == [f.sequence for f in frames]
        assert back.frames["quadrant"].tolist() == [f.quadrant for f in frames]


def test_frames_share_no_memory(tmp_path: Path) -> None:
    mixed(tmp_path / "a.h5")
    frames = read(tmp_path / "a.h5")
    wanted = [f.pixels.copy() for f in frames]
    for one in frames[:4]:
        one.pixels[:] = 0
    assert all(np.array_equal(f.pixels, w) for f, w in zip(frames[4:], wanted[4:], strict=True))


def test_messages_can_be_read_again(tmp_path: Path) -> None:
    frames = mixed(tmp_path / "a.h5")
    with Recording(tmp_path / "a.h5") as back:
        half = back.messages()
        for _ in range(4):
            next(half)
        assert len(list(back.messages())) == len(frames) + 2


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    pixels = np.zeros((ROWS, COLUMNS), np.uint16)
    record(tmp_path / "a.h5", (frame(n, pixels=pixels) for n in range(20_000)))
    with Recording(tmp_path / "a.h5") as back:
        tracemalloc.start()
        count = sum(1 for _ in back.messages())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert count == 20_002
    assert peak < 20_000 * 35 + 20_000 * pixels.nbytes / 4  # far less than all frames, less than blocks of the index


def test_any_reader_of_hdf5_sees_the_frames(tmp_path: Path) -> None:
    record(tmp_path / "a.h5", [frame(0), frame(1)])
    with h5py.File(tmp_path / "a.h5") as file:
        frames = file["frames/q0"]
        assert frames.chunks == (1, ROWS, COLUMNS)
        assert [f[0, 0] for f in frames] == [0, 10]
        assert "32008" in frames._filters  # bitshuffle, as registered with the HDF Group


@pytest.mark.parametrize(
    "bad",
    [
        frame(1, quadrant=7),
        frame(1, quadrant=2),
        frame(1, pixels=np.zeros((ROWS, COLUMNS + 1), np.uint16)),
        frame(1, pixels=np.zeros((ROWS, COLUMNS), np.float32)),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_and_writing_goes_on(tmp_path: Path, bad: Frame) -> None:
    with RecordingWriter(tmp_path / "a.h5", start(2), base={2: np.zeros(SHAPE, np.uint16)}) as writer:
        with pytest.raises(WireError, match="frame 1"):
            writer.write(bad)
        writer.write(frame(2))
    assert [f.sequence for f in read(tmp_path / "a.h5")] == [2]


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (0, -1), (COLUMNS, 0), (0, ROWS)])
def test_pixels_outside_the_quadrant_are_refused(tmp_path: Path, x: int, y: int) -> None:
    with RecordingWriter(tmp_path / "a.h5", start(), base={0: np.zeros(SHAPE, np.uint16)}) as writer:
        with pytest.raises(WireError, match="outside"):
            writer.write_sparse(Header(0, 0, 0), np.array([x]), np.array([y]), np.array([1]))
        with pytest.raises(WireError, match="no base"):
            writer.write_sparse(Header(0, 0, 5), np.array([0]), np.array([0]), np.array([1]))
    assert read(tmp_path / "a.h5") == []


@pytest.mark.parametrize("base", [{1: np.zeros(SHAPE, np.uint16)}, {0: np.zeros(SHAPE)}, {0: np.zeros((1, 1), "<u2")}])
def test_a_base_that_does_not_fit_is_refused(tmp_path: Path, base: dict[int, np.ndarray]) -> None:
    with pytest.raises(WireError, match="base of quadrant"):
        RecordingWriter(tmp_path / "a.h5", start(), base=base)
    assert list(tmp_path.iterdir()) == []
