import numpy as np
import pytest

import stream.transport.photons
from stream.errors import ConfigError
from stream.lat.photons import BLOCK_S, GTI, PHOTON, POINTING, good_times
from stream.messages import End, Start
from stream.transport.photons import PhotonStream, open_photons, write_photons
from stream.transport.wire import decode, encode
from tests.stream.transport.lat_files import columns, write_ft1, write_ft2

SPANS = [(5000.0, 9000.0), (20_000.0, 23_000.0), (200_000.0, 201_000.0)]  # the second lies in two blocks


def stream_of(n=3000, seed=0, pointing=None, pieces=4):
    rng = np.random.default_rng(seed)
    photons = np.zeros(n, PHOTON)
    span = np.array(SPANS)[rng.integers(0, 3, n)]
    photons["TIME"] = np.sort(rng.uniform(span[:, 0], span[:, 1]))
    photons["GLON"], photons["GLAT"] = rng.uniform(0, 360, n), rng.uniform(-90, 90, n)
    photons["ENERGY"], photons["ZENITH"] = 300 * rng.random(n) ** -0.7, 50
    gti = good_times(*np.array(SPANS).T)
    rows = np.empty(0, POINTING) if pointing is None else pointing
    return photons, PhotonStream("made", gti, rows, lambda: iter(np.array_split(photons, pieces)))


@pytest.mark.parametrize("most", [100_000, 10])
def test_messages_hold_every_photon_and_every_second_once(monkeypatch, most):
    monkeypatch.setattr(stream.transport.photons, "MOST", most)
    photons, source = stream_of()
    start, *batches, end = source.messages()
    assert isinstance(start, Start)
    assert isinstance(end, End)
    np.testing.assert_array_equal(np.concatenate([b.tables["PHOTONS"] for b in batches]), photons)
    assert [b.sequence for b in batches] == list(range(len(batches)))
    spans = np.array([(b.header["TSTART"], b.header["TSTOP"]) for b in batches])
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    assert (np.floor(spans[:, 0] / BLOCK_S) == np.ceil(spans[:, 1] / BLOCK_S) - 1).all()
    every = np.concatenate([b.tables["GTI"] for b in batches])
    assert (every["STOP"] - every["START"]).sum() == pytest.approx(8000)
    for b in batches:
        time = b.tables["PHOTONS"]["TIME"]
        assert ((time >= b.header["TSTART"]) & (time <= b.header["TSTOP"])).all()
        assert len(time) <= most
        assert "POINTING" not in b.tables
        assert decode(encode(b)).header == b.header


def test_good_time_without_photons_travels_too():
    _, source = stream_of(0)
    assert len(list(source.messages())) == 2 + 3


def test_a_recording_gives_what_was_recorded(tmp_path):
    pointing = np.zeros(3, POINTING)
    pointing["START"], pointing["STOP"] = [5000, 6000, 20_000], [6000, 9000, 23_000]
    _, source = stream_of(pointing=pointing)
    assert write_photons(tmp_path / "p.h5", source, {"made": "of nothing"}) == 3000
    again = open_photons([tmp_path / "p.h5"])
    for ours, theirs in zip(again.messages(), source.messages(), strict=True):
        if isinstance(ours, Start | End):
            continue
        assert ours.tables.keys() == theirs.tables.keys()
        for name in ours.tables:
            np.testing.assert_array_equal(ours.tables[name], theirs.tables[name])


def test_disorder_is_not_recorded(tmp_path):
    photons, _ = stream_of()
    source = PhotonStream("made", np.empty(0, GTI), np.empty(0, POINTING), lambda: iter([photons[::-1]]))
    with pytest.raises(ValueError, match="must rise"):
        write_photons(tmp_path / "p.h5", source, {})
    assert not list(tmp_path.iterdir())


def test_time_that_is_not_live_is_no_good_time(tmp_path):
    quality = np.ones(40)
    quality[10:20] = 0  # 300 s to 600 s
    ft1 = write_ft1(tmp_path / "a.fits", columns(1000))
    ft2 = write_ft2(tmp_path / "b.fits", DATA_QUAL=("B", None, quality))
    source = open_photons([ft2, ft1])
    rows = np.concatenate(list(source.pieces()))
    assert source.gti.tolist() == [(0.0, 300.0), (600.0, 1000.0)]
    assert not ((rows["TIME"] > 300) & (rows["TIME"] < 600)).any()
    assert source.counters["not_live"] == 1000 - len(rows) > 200


def test_what_cannot_be_opened_is_said_in_one_line(tmp_path):
    _, source = stream_of()
    write_photons(tmp_path / "p.h5", source, {})
    with pytest.raises(ConfigError, match="a recording goes alone"):
        open_photons([tmp_path / "p.h5"] * 2)
    with pytest.raises(ConfigError, match=r"none.fits: no such file"):
        open_photons([tmp_path / "none.fits"])
    whole = (tmp_path / "p.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"cut.h5: "):
        list(open_photons([tmp_path / "cut.h5"]).messages())
