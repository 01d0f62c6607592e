"""What becomes of recordings that cannot be written, or are not what they say."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  registers the filter
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import ConfigError, LinkError
from stream.messages import End, Gap
from stream.transport.maps import read_maps, write_maps
from stream.transport.recording import Recording, RecordingWriter
from stream.transport.wire import encode
from tests.stream.transport.recordings import COLUMNS, ROWS, frame, mixed, read, record, same, start


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes: a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def one_line(fault: pytest.ExceptionInfo[BaseException], path: Path) -> str:
    text = str(fault.value)
    assert "\n" not in text
    assert text.startswith(str(path))
    return text


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Any], Path]:
    path = tmp_path_factory.mktemp("whole") / "a.h5"
    frames = mixed(path)
    return path.read_bytes(), frames, path.with_name("b.h5")


@pytest.mark.parametrize("size", [100, 3000, 60_000])
def test_a_full_disk_is_a_link_error_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 65535, (ROWS, COLUMNS)).astype(np.uint16) for _ in range(3000)]
    with limited(size), pytest.raises(LinkError, match="cannot be written: File too large") as fault:
        record(tmp_path / "a.h5", (frame(n, pixels=pixels) for n, pixels in enumerate(noise)))
    one_line(fault, tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_after_a_full_disk_every_call_says_so(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "a.h5", start())
    with limited(100), pytest.raises(LinkError, match="File too large"):
        writer.close()
    calls = (lambda: writer.write(frame(0)), lambda: writer.write_truth("photons", np.arange(3)), writer.close)
    for call in calls:
        with pytest.raises(LinkError, match="File too large"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_link_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "a.h5", Path("/proc/a.h5")):
        with pytest.raises(LinkError, match="cannot be written: No such file or directory") as fault:
            RecordingWriter(path, start())
        one_line(fault, path)
        with pytest.raises(LinkError):
            write_maps(path, [], "run")


def test_an_exception_leaves_the_earlier_recording(tmp_path: Path) -> None:
    path = record(tmp_path / "a.h5", [frame(0)])

    def broken() -> Iterator[Any]:
        yield frame(1)
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        record(path, broken())
    assert [f.sequence for f in read(path)] == [0]
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_appears_when_all_is_written(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "a.h5", start()) as writer:
        writer.write(frame(0))
        assert not (tmp_path / "a.h5").exists()
    assert (tmp_path / "a.h5").exists()


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_truncated_recording_is_refused(whole: tuple[bytes, list[Any], Path], data: st.DataObject) -> None:
    content, _, path = whole
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ConfigError) as fault:
        Recording(path)
    one_line(fault, path)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damage_never_gives_a_wrong_frame(whole: tuple[bytes, list[Any], Path], data: st.DataObject) -> None:
    content, frames, path = whole
    damage = data.draw(st.binary(min_size=1, max_size=40))
    place = data.draw(st.integers(0, len(content) - len(damage)))
    path.write_bytes(content[:place] + damage + content[place + len(damage) :])
    try:
        back = read(path)
    except ConfigError:
        return
    assert len(back) == len(frames)
    for got, want in zip(back, frames, strict=True):
        gap = Gap(stream="camera", first=want.sequence, last=want.sequence, quadrant=want.quadrant, reason="damaged")
        assert got == gap if isinstance(got, Gap) else same(got, want)


def test_a_damaged_frame_is_a_gap_and_reading_goes_on(tmp_path: Path) -> None:
    path = record(tmp_path / "a.h5", [frame(n) for n in range(5)])
    with h5py.File(path) as file:
        chunk = file["frames/q0"].id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    path.write_bytes(content)
    back = read(path)
    assert back[2] == Gap(stream="camera", first=2, last=2, quadrant=0, reason="damaged")
    assert all(same(back[n], frame(n)) for n in (0, 1, 3, 4))


def changed(path: Path, table: str, row: int, **values: int) -> None:
    with h5py.File(path, "r+") as file:
        rows = file[table][()]
        for name, value in values.items():
            rows[name][row] = value
        file[table][:] = rows


@pytest.mark.parametrize("position", [-1, 5, 2**62])
@pytest.mark.parametrize("row", [0, 3])  # of the dense and the sparse quadrant
def test_an_index_row_that_points_outside_is_a_gap(tmp_path: Path, position: int, row: int) -> None:
    frames = mixed(tmp_path / "a.h5")
    changed(tmp_path / "a.h5", "index", row, position=position)
    back = read(tmp_path / "a.h5")
    assert [n for n, f in enumerate(back) if isinstance(f, Gap)] == [row]
    assert back[row].first == frames[row].sequence
    assert all(same(f, frames[n]) for n, f in enumerate(back) if n != row)


@pytest.mark.parametrize("values", [{"quadrant": 1}, {"sequence": -1}, {"source_frame": -2}])
def test_an_index_row_of_nothing_is_refused(tmp_path: Path, values: dict[str, int]) -> None:
    mixed(tmp_path / "a.h5")
    changed(tmp_path / "a.h5", "index", 4, **values)
    with pytest.raises(ConfigError, match="index: no such frame") as fault:
        Recording(tmp_path / "a.h5")
    one_line(fault, tmp_path / "a.h5")


@pytest.mark.parametrize("values", [{"x": COLUMNS}, {"y": ROWS}, {"x": 65535}])
def test_a_sparse_pixel_outside_is_a_gap(tmp_path: Path, values: dict[str, int]) -> None:
    mixed(tmp_path / "a.h5")
    changed(tmp_path / "a.h5", "sparse/q2/pixels", 0, **values)  # the only pixel of read-out 1
    gaps = [f for f in read(tmp_path / "a.h5") if isinstance(f, Gap)]
    assert [(g.first, g.quadrant) for g in gaps] == [(1, 2)]


@pytest.mark.parametrize("end", [-5, 100, 2**62])
def test_lists_of_impossible_length_are_gaps(tmp_path: Path, end: int) -> None:
    frames = mixed(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["sparse/q2/ends"][2] = end
    back = read(tmp_path / "a.h5")
    gaps = {(f.first, f.quadrant) for f in back if isinstance(f, Gap)}
    assert gaps == {(2, 2), (3, 2)}
    assert all(same(f, want) for f, want in zip(back, frames, strict=True) if not isinstance(f, Gap))


def _start(value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__("start", value)


def _replace(name: str, data: Any, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, data=data, **options)

    return change


HOSTILE = {
    "no Start": (lambda file: file.attrs.__delitem__("start"), "attribute start"),
    "Start as text": (_start("camera"), "attribute start"),
    "garbage as Start": (_start(np.void(b"\xc1\xff\x00")), "MessagePack"),
    "another message as Start": (_start(np.void(bytes(encode(End(stream="camera"))[0]))), "got End"),
    "half a Start": (_start(np.void(bytes(encode(start())[0])[:-5])), "MessagePack"),
    "no format": (lambda file: file.attrs.__delitem__("format"), "attribute format"),
    "another format": (lambda file: file.attrs.__setitem__("format", "raysieve maps"), "attribute format"),
    "a later version": (lambda file: file.attrs.__setitem__("version", 2), "attribute version: expected 1, got 2"),
    "no index": (lambda file: file.__delitem__("index"), "/index: expected a dataset"),
    "an index of numbers": (_replace("index", np.arange(5)), "/index: expected a table of sequence"),
    "an index of groups": (lambda file: file.move("frames", "index2"), "quadrant 0: expected frames/q0"),
    "frames of another dtype": (
        _replace("frames/q0", np.zeros((3, ROWS, COLUMNS), "<i4")),
        "frames/q0: expected uint16",
    ),
    "frames of another shape": (
        _replace("frames/q0", np.zeros((3, COLUMNS, ROWS), "<u2")),
        "expected uint16 n x 6 x 9",
    ),
    "frames in one piece": (_replace("frames/q0", np.zeros((3, ROWS, COLUMNS), "<u2")), "one frame in a chunk"),
    "frames that were never written": (
        _replace("frames/q0", None, shape=(10**9, ROWS, COLUMNS), dtype="<u2", chunks=(1, ROWS, COLUMNS)),
        "frames/q0: parts are missing",
    ),
    "an endless index": (lambda file: file["index"].resize(10**12, axis=0), "/index: parts are missing"),
    "no base": (lambda file: file["sparse/q2"].__delitem__("base"), "base: expected a dataset"),
    "another base": (_replace("sparse/q2/base", np.zeros((2, 2), "<u2")), "base: expected uint16 6 x 9, got"),
    "no pixels": (_replace("sparse/q2/pixels", np.zeros(4, "<u2")), "pixels: expected a table of x, y, value"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_recording_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    change, said = HOSTILE[name]
    mixed(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file)
    with pytest.raises(ConfigError) as fault:
        Recording(tmp_path / "a.h5")
    assert said in one_line(fault, tmp_path / "a.h5")


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("SIMPLE  = T\n" * 500)
    for path, said in (
        (tmp_path / "text", "signature not found"),
        (tmp_path / "none", "No such file"),
        (tmp_path, "dir"),
    ):
        for reader in (Recording, read_maps):
            with pytest.raises(ConfigError, match=said) as fault:
                reader(path)
            one_line(fault, path)


def test_a_missing_or_damaged_table_is_refused(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "a.h5", start()) as writer:
        writer.write_truth("photons", np.arange(9))
    with Recording(tmp_path / "a.h5") as back, pytest.raises(ConfigError, match=r"no such table .there are: photons"):
        back.truth("tracks")
