import errno
import os
import shutil
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import ConfigError, LinkError
from stream.messages import Gap, Quality
from stream.stages.record import Record
from stream.transport.eventlist import EventListWriter, read_event_list
from stream.transport.fitsfile import places
from tests.event_lists import (
    END,
    FRAME_NS,
    LIVE_NS,
    START,
    column,
    config,
    event_list,
    products,
    with_a_wrong_byte,
    write,
)

TABLES = ["EVENTS", "GTI", "REJECTED", "TRACKS", "FRAMES", "GAPS", "BADPIX"]
READOUTS = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from([0, 3]), st.integers(0, 3)),
    min_size=1,
    max_size=25,
    unique_by=lambda readout: readout[:2],  # one that comes twice is recorded once
)


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


def lists_of(readouts):
    return [event_list(sequence, {quadrant: events}) for sequence, quadrant, events in readouts]


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def killed(*_):
    raise KilledError


def test_keywords_of_the_peers(tmp_path):
    (path,) = write(tmp_path, map(event_list, range(4)))
    expected = (
        "TELESCOP INSTRUME FILTER OBS_ID OBJECT DATAMODE DATE-OBS DATE-END MJDREFI MJDREFF TIMESYS TIMEREF TIMEUNIT "
        "TIMEZERO TSTART TSTOP TIMEDEL TIMEPIXR TELAPSE ONTIME LIVETIME EXPOSURE DEADC RADECSYS EQUINOX RA_PNT DEC_PNT "
        "PA_PNT HDUCLASS HDUCLAS1 CHECKSUM DATASUM"
    )
    for name in ("EVENTS", "REJECTED", "GTI"):
        header = fits.getheader(path, name)
        assert [key for key in expected.split() if key not in header] == []
        assert header["HDUCLAS1"] == ("GTI" if name == "GTI" else "EVENTS")
        assert (header["TIMESYS"], header["TIMEREF"], header["TIMEPIXR"]) == ("TT", "LOCAL", 0.5)
    header = fits.getheader(path, "EVENTS")
    assert {"ANCRFILE", "RESPFILE", "MAPV00", "MAPV03"} <= set(header)
    assert header["CONFSHA"] == START.config_digest
    assert header["DATE-OBS"].startswith("2000-01-01T00:01:04.184")


def test_columns_say_unit_range_and_meaning(tmp_path):
    (path,) = write(tmp_path, [event_list(1)])
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            assert all(hdu.header.get(f"TCOMM{k}") for k in range(1, hdu.header["TFIELDS"] + 1)), hdu.name
        header, columns = hdus["EVENTS"].header, hdus["EVENTS"].columns
    limits = {c.name: (header.get(f"TLMIN{k}"), header.get(f"TLMAX{k}")) for k, c in enumerate(columns, 1)}
    assert limits["RAWX"] == (0, 63)
    assert limits["RAWY"] == (0, 47)
    assert limits["DETX"] == (-0.5, 133.5)
    assert limits["PI"] == (0, 1499)
    assert (columns["ENERGY"].unit, columns["TIME"].unit, columns["PHA"].unit) == ("eV", "s", "adu")
    assert [header[f"FLAGBIT{k}"] for k in (0, 4)] == ["BORDER", "IN_TRACK"]
    assert fits.getheader(path, "REJECTED")["REASBIT2"] == "MIP"


def test_times_are_honest_about_what_was_not_read(tmp_path):
    lists = [
        event_list(0),
        event_list(1, {0: 1}, whole=Quality.MISSING_QUADRANT),
        event_list(4),
        event_list(5, quality={0: Quality.OVERFLOW, 3: Quality.OVERFLOW}),
        event_list(6, {3: 1}, {3: Quality.REPEATED_EXPOSURE}, time_ns=4 * FRAME_NS),
        event_list(1, {3: 1}, whole=Quality.LATE),
        event_list(9),
    ]
    (path,) = write(tmp_path, lists, interval_s=0.01)
    tables, header = read_event_list(path)
    assert tables["GTI"]["START"].tolist() == [0.0, 0.02, 0.045]
    assert tables["GTI"]["STOP"].tolist() == [0.01, 0.025, 0.05]
    live = LIVE_NS / 1e9
    assert (header["LIVTI00"], header["LIVTI03"]) == (4 * live, 4 * live)
    assert header["LIVETIME"] == header["EXPOSURE"] == 4 * live
    assert (header["ONTIME"], header["TELAPSE"], header["DEADC"]) == (0.02, 0.05, 0.8)
    assert (header["TSTART"], header["TSTOP"], header["TIMEDEL"]) == (0.0, 0.05, 0.005)


def test_a_list_of_nothing_is_valid(tmp_path):
    (path,) = write(tmp_path, [])
    tables, header = read_event_list(path)
    assert [len(tables[name]) for name in TABLES] == [0] * 7
    assert (header["ONTIME"], header["EXPOSURE"], header["DEADC"]) == (0, 0, 0)


def test_frames_without_events_make_exposure(tmp_path):
    (path,) = write(tmp_path, [event_list(s, {0: 0, 3: 0}) for s in range(100)], interval_s=0.1)
    tables, header = read_event_list(path)
    assert len(tables["EVENTS"]) == 0
    assert (header["TSTOP"], header["ONTIME"], header["LIVETIME"]) == (0.5, 0.5, 0.4)


def test_the_same_stream_makes_the_same_bytes_whatever_the_interval(tmp_path):
    lists = [event_list(s) for s in range(20)] + [event_list(7, {3: 2}, whole=Quality.LATE), event_list(20)]
    files = [write(tmp_path / str(k), lists, interval_s=s)[0] for k, s in enumerate((0.005, 0.03, 10.0))]
    assert len({path.read_bytes() for path in files}) == 1


@pytest.mark.parametrize("late", [False, True])
def test_files_longer_than_a_chunk_are_joined_alike(tmp_path, monkeypatch, late):
    lists = [event_list(s, {0: 3, 3: 4}) for s in range(20)] + [event_list(3, {3: 2})] * late
    (expected,) = write(tmp_path / "long", lists, interval_s=0.03)
    monkeypatch.setattr("stream.transport.eventmerge.CHUNK_ROWS", 5)
    (path,) = write(tmp_path / "short", lists, interval_s=0.03)
    assert path.read_bytes() == expected.read_bytes()


@settings(deadline=None, max_examples=15)
@given(READOUTS, st.integers(1, 30), st.integers(1, 60))
def test_nothing_is_lost_or_doubled(readouts, interval, roll):
    lists = lists_of(readouts)
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), lists, interval_s=interval * FRAME_NS / 1e9, roll_s=roll * FRAME_NS / 1e9)
        pha = np.concatenate([column(files, name, "PHA") for name in ("EVENTS", "REJECTED")])
        frames = column(files, "FRAMES", "FRAME")
        headers = [read_event_list(path)[1] for path in files]
        for path in files:
            check_one(*read_event_list(path))
    assert sorted(pha) == sorted(value for message in lists for value in message.events["pha"])
    assert sorted(frames) == sorted(sequence for sequence, _, _ in readouts)
    assert sum(h["NREAD00"] + h["NREAD03"] for h in headers) == len(readouts)
    live = sum(header["LIVETIME"] for header in headers)
    assert live == pytest.approx(len(readouts) * LIVE_NS / 2e9, rel=1e-12)


def check_one(tables, header):
    """Rows rise by TIME; the GTI hold each event, and exactly the frames that were read."""
    for name in ("EVENTS", "REJECTED", "TRACKS", "FRAMES", "BADPIX"):
        assert (np.diff(tables[name]["TIME"]) >= 0).all()
    gti = tables["GTI"]
    for time in tables["EVENTS"]["TIME"]:
        assert ((gti["START"] < time) & (time < gti["STOP"])).sum() == 1
    frames = {f for a, b in gti[["START_NS", "STOP_NS"]].tolist() for f in range(a // FRAME_NS, b // FRAME_NS)}
    assert frames == set(tables["FRAMES"]["FRAME"].tolist())
    assert header["ONTIME"] == len(frames) * FRAME_NS / 1e9


def test_files_are_named_in_order(tmp_path):
    files = write(tmp_path, map(event_list, range(9)), interval_s=0.005, roll_s=0.015)
    assert [path.name for path in files] == ["events.fits", "events_0002.fits", "events_0003.fits"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files)
    assert column(files, "FRAMES", "FRAME")[::2].tolist() == list(range(9))


def test_two_runs_make_two_files(tmp_path):
    writer = EventListWriter(tmp_path)
    for run in (products([event_list(0)]), products([event_list(5)])):
        for message in (START, *run, END):
            writer.send(message)
    writer.close()
    assert [column([path], "FRAMES", "FRAME")[0] for path in writer.written] == [0, 5]


def test_checksums_and_structure_stand_up_to_astropy(tmp_path):
    files = write(tmp_path, [event_list(s, {0: s}) for s in range(60)], interval_s=0.05, roll_s=0.1)
    for path in files:
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            assert [hdu.name for hdu in hdus] == ["PRIMARY", *TABLES]
            assert all(hdu.verify_checksum() == hdu.verify_datasum() == 1 for hdu in hdus)


def test_text_that_fits_cannot_hold(tmp_path):
    (product,) = products([event_list(0)])
    product.header["OBJECT"] = "Señor " + "x" * 100 + "\n"
    product.header["CONFSHA"] = "f" * 64
    writer = EventListWriter(tmp_path)
    writer.send(product)
    writer.close()
    header = read_event_list(writer.written[0])[1]
    assert header["OBJECT"] == "Se?or " + "x" * 100 + "?"
    assert header["CONFSHA"] == "f" * 64


def test_gaps_are_kept(tmp_path):
    (path,) = write(tmp_path, [event_list(0), Gap(stream="camera", first=1, last=3, quadrant=-1, reason="lost")])
    assert column([path], "GAPS", "REASON").tolist() in (["lost"], [b"lost"])
    assert column([path], "GAPS", "LAST").tolist() == [3]


def test_a_killed_process_loses_only_the_running_interval(tmp_path):
    given_ = products(map(event_list, range(10)), interval_s=0.01)
    writer = EventListWriter(tmp_path)
    for product in given_[:4]:
        writer.send(product)
    del writer
    second = EventListWriter(tmp_path)
    assert [path.name for path in second.recovered] == ["events_recovered.fits"]
    assert column(second.recovered, "FRAMES", "FRAME")[::2].tolist() == list(range(8))
    second.send(given_[4])
    second.close()
    assert column([tmp_path / "events.fits"], "FRAMES", "FRAME").tolist() == [8, 8, 9, 9]
    assert EventListWriter(tmp_path, overwrite=True).recovered == []


@pytest.mark.parametrize("step", ["os.replace", "shutil.rmtree", "os.fsync"])
def test_killed_while_joining_nothing_is_lost_or_doubled(tmp_path, monkeypatch, step):
    writer = EventListWriter(tmp_path)
    for product in products(map(event_list, range(10)), interval_s=0.01):
        writer.send(product)
    with monkeypatch.context() as patch:
        patch.setattr(step, killed)
        with pytest.raises(KilledError):
            writer.close()
    again = EventListWriter(tmp_path)
    assert again.written == []
    assert column(again.recovered, "FRAMES", "FRAME")[::2].tolist() == list(range(10))
    again.close()


def test_a_second_recovery_keeps_the_first(tmp_path):
    for run in range(3):
        writer = EventListWriter(tmp_path)
        writer.send(products([event_list(run)])[0])
        del writer
    found = [*sorted(tmp_path.glob("*.fits")), *EventListWriter(tmp_path).recovered]
    assert [path.name for path in found] == [f"events_recovered{tail}.fits" for tail in ("", "_2", "_3")]
    assert column(found, "FRAMES", "FRAME")[::2].tolist() == [0, 1, 2]


def test_a_damaged_part_does_not_take_the_others_with_it(tmp_path):
    writer = EventListWriter(tmp_path)
    for product in products(map(event_list, range(6)), interval_s=0.01):
        writer.send(product)
    del writer
    part = tmp_path / ".events.parts" / "0001" / "000001.fits"
    part.write_bytes(part.read_bytes()[:9000])
    again = EventListWriter(tmp_path)
    assert [path.name for path in again.damaged] == ["events_damaged.fits"]
    assert column(again.recovered, "FRAMES", "FRAME")[::2].tolist() == [0, 1, 4, 5]


def test_a_full_disk_is_a_link_error_and_the_message_may_come_again(tmp_path, monkeypatch):
    writer = EventListWriter(tmp_path)
    first, second = products(map(event_list, range(4)), interval_s=0.01)
    writer.send(first)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(LinkError, match=r"000001\.fits: cannot be written: No space left") as fault:
            writer.send(second)
    assert "\n" not in str(fault.value)
    writer.send(second)
    writer.close()
    assert column(writer.written, "FRAMES", "FRAME")[::2].tolist() == [0, 1, 2, 3]


def test_a_disk_that_is_full_at_the_end_keeps_the_parts(tmp_path, monkeypatch):
    writer = EventListWriter(tmp_path)
    for product in products(map(event_list, range(4)), interval_s=0.01):
        writer.send(product)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(LinkError, match="No space left"):
            writer.close()
    assert list(tmp_path.glob("*.fits")) == []
    again = EventListWriter(tmp_path)
    assert column(again.recovered, "FRAMES", "FRAME")[::2].tolist() == [0, 1, 2, 3]


def test_a_roll_that_fails_is_made_up_for(tmp_path, monkeypatch):
    writer = EventListWriter(tmp_path)
    given_ = products(map(event_list, range(6)), interval_s=0.01, roll_s=0.01)
    writer.send(given_[0])
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", full_disk)
        writer.send(given_[1])
        with pytest.raises(LinkError, match=r"events\.fits"):
            writer.send(given_[2])
    writer.send(given_[2])
    writer.close()
    assert [path.name for path in writer.written] == ["events.fits", "events_0002.fits", "events_0003.fits"]
    assert column(writer.written, "FRAMES", "FRAME")[::2].tolist() == list(range(6))


@pytest.mark.parametrize("sent", [1, 2])
def test_a_list_whose_parts_were_taken_away_is_not_finished_without_them(tmp_path, sent):
    writer = EventListWriter(tmp_path / "out")
    given_ = products(map(event_list, range(4)), interval_s=0.01)
    writer.send(given_[0])
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    with pytest.raises(LinkError, match="cannot be written: No such file"):
        writer.send(given_[1]) if sent == 2 else writer.close()
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match="file/out: cannot be written"):
        EventListWriter(tmp_path / "file" / "out")


def test_lists_of_an_earlier_run_are_not_overwritten_by_chance(tmp_path):
    write(tmp_path, map(event_list, range(4)), interval_s=0.005, roll_s=0.01)
    before = (tmp_path / "events.fits").read_bytes()
    with pytest.raises(ConfigError, match=r"events\.fits: is there already"):
        EventListWriter(tmp_path)
    assert (tmp_path / "events.fits").read_bytes() == before
    writer = EventListWriter(tmp_path, overwrite=True)
    writer.send(products([event_list(9)])[0])
    writer.close()
    assert [path.name for path in tmp_path.glob("*.fits")] == ["events.fits"]


def test_one_writer_at_a_time(tmp_path):
    writer = EventListWriter(tmp_path)
    with pytest.raises(ConfigError, match="another process is writing"):
        EventListWriter(tmp_path)
    writer.close()
    EventListWriter(tmp_path).close()


@pytest.mark.parametrize("content", [b"", b"no FITS at all", b"SIMPLE  =                    T" + b" " * 4000])
def test_what_is_no_fits_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "x.fits"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.fits: ") as fault:
        read_event_list(path)
    assert "\n" not in str(fault.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"x\.fits"):
        read_event_list(tmp_path / "x.fits")


def test_a_fits_file_without_events(tmp_path):
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "image.fits")
    with pytest.raises(ConfigError, match="expected an event list"):
        read_event_list(tmp_path / "image.fits")


@pytest.fixture(scope="module")
def good_file(tmp_path_factory):
    (path,) = write(tmp_path_factory.mktemp("good"), map(event_list, range(3)))
    return path


@settings(deadline=None, max_examples=40)
@given(share=st.floats(0, 0.9999))
def test_a_cut_file_is_noticed(good_file, share):
    content = good_file.read_bytes()
    cut = good_file.with_name("cut.fits")
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ConfigError, match=r"cut\.fits: "):
        read_event_list(cut)
    with pytest.raises(ConfigError, match=r"cut\.fits: "), warnings.catch_warnings(action="ignore"):
        places(cut)


@settings(deadline=None, max_examples=100)
@given(share=st.floats(0, 0.9999), bits=st.integers(1, 255))
def test_a_wrong_byte_is_noticed_or_does_no_harm(good_file, share, bits):
    found = all_that_is_read(with_a_wrong_byte(good_file, share, bits))
    assert found == all_that_is_read(good_file) or (isinstance(found, str) and "\n" not in found)


def all_that_is_read(path):
    """Return header and bytes of all tables, or the message of the ConfigError."""
    try:
        tables, header = read_event_list(path)
    except ConfigError as fault:
        return str(fault)
    return header, {name: table.tobytes() for name, table in tables.items()}


def go_on(folder, lists, run_id=START.run_id):
    """Record more of a run as another process would; return the writer and what the stage said."""
    writer = EventListWriter(folder, go_on=True)
    stage = Record(config(interval_s=0.01, roll_s=0.03))
    stage.go_on(writer.past)
    for message in (replace(START, run_id=run_id), *lists, END):
        for result in stage.process(message):
            writer.send(result)
    writer.close()
    return writer, stage


@pytest.mark.parametrize("number", [0, 1, 4, 5, 6, 7])
def test_another_process_goes_on_with_the_same_run(tmp_path, number):
    lists = [event_list(n) for n in range(12)]
    given_ = products(lists, interval_s=0.01, roll_s=0.03)
    writer = EventListWriter(tmp_path)
    for product in given_[:number]:
        writer.send(product)
    if writer._joining is not None:  # a killed process has no thread that goes on
        writer._joining.exception()
    del writer
    again, stage = go_on(tmp_path, lists)
    assert again.recovered == []
    found = column(sorted(tmp_path.glob("*.fits")), "FRAMES", "FRAME")
    assert sorted(found.tolist()) == sorted([*range(12), *range(12)])
    assert stage.counters["recorded before"] == 2 * len(
        {f for p in given_[:number] for f in p.tables["FRAMES"]["FRAME"]}
    )
    assert [stage.balance[name] for name in ("due", "recorded", "lost")] == [24, 24, 0]
    assert stage.balance["before"] == stage.counters["recorded before"]


def test_what_was_lost_between_two_processes_is_a_gap(tmp_path):
    writer = EventListWriter(tmp_path)
    gap = Gap(stream="camera", first=2, last=3, quadrant=0, reason="lost")
    for product in products([event_list(0), event_list(1), gap, event_list(4)], interval_s=0.01)[:1]:
        writer.send(product)
    del writer
    go_on(tmp_path, [event_list(6)])
    path = tmp_path / "events.fits"
    assert column([path], "FRAMES", "FRAME").tolist() == [0, 0, 1, 1, 6, 6]
    assert column([path], "GAPS", "FIRST").tolist() == [2, 2, 4]
    assert column([path], "GAPS", "LAST").tolist() == [3, 5, 5]
    assert column([path], "GAPS", "QUADRANT").tolist() == [0, 3, 0]
    assert column([path], "GAPS", "REASON").tolist() == ["lost", "in_flight", "in_flight"]


def test_a_run_of_another_name_does_not_go_on(tmp_path):
    writer = EventListWriter(tmp_path)
    writer.send(products([event_list(0)])[0])
    del writer
    again, _ = go_on(tmp_path, [event_list(0)], run_id="run 2")
    assert [path.name for path in again.written] == ["events.fits", "events_0002.fits"]
    assert [fits.getval(path, "OBS_ID") for path in again.written] == ["run 1", "run 2"]


def test_an_unfinished_run_that_nobody_goes_on_with_is_finished(tmp_path):
    writer = EventListWriter(tmp_path)
    writer.send(products([event_list(0)])[0])
    del writer
    again = EventListWriter(tmp_path, go_on=True)
    assert list(again.past) == [START.run_id]
    assert again.past[START.run_id].known.tolist() == [[0, 0]]
    assert len(again.past[START.run_id].bad_pixels) == 2
    again.close()
    assert column([tmp_path / "events.fits"], "FRAMES", "FRAME").tolist() == [0, 0]


def test_what_ends_before_its_first_event_leaves_nothing_and_later_its_parts(tmp_path):
    (tmp_path / "events.fits").write_text("a night of work")
    with pytest.raises(ConfigError):
        EventListWriter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["events.fits"]
    EventListWriter(tmp_path / "out").leave()
    assert list((tmp_path / "out").iterdir()) == []
    writer = EventListWriter(tmp_path / "out")
    writer.send(next(iter(products(map(event_list, range(1)), interval_s=0.01))))
    writer.leave()
    assert [path.name for path in EventListWriter(tmp_path / "out").recovered] == ["events_recovered.fits"]
