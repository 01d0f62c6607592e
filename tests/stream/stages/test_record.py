import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.load import load
from stream.errors import ModelError
from stream.ledger import Ledger, Past
from stream.messages import End, Frame, Gap, Product, Quality
from stream.stages.record import Record
from tests.event_lists import END, FRAME_NS, QUADRANTS, START, config, event_list, products
from tests.screens import ROC, network, screening
from tests.stream.stages.streams import push


def gti_frames(product):
    gti = product.tables["GTI"]
    return [(int(a) // FRAME_NS, int(b) // FRAME_NS) for a, b in zip(gti["START_NS"], gti["STOP_NS"], strict=True)]


def gap(first, last, quadrant=-1, reason="lost"):
    return Gap(stream="camera", first=first, last=last, quadrant=quadrant, reason=reason)


def test_every_event_keeps_its_values():
    lists = [event_list(sequence) for sequence in range(7)]
    (product,) = products(lists)
    quadrants = {q.id: q for q in QUADRANTS}
    got = {int(row["PHA"]): row for name in ("EVENTS", "REJECTED") for row in product.tables[name]}
    for event in np.concatenate([message.events for message in lists]):
        row, quadrant = got.pop(int(event["pha"])), quadrants[int(event["quadrant"])]
        assert row["TIME"] == pytest.approx((event["time_ns"] + FRAME_NS / 2) / 1e9, rel=1e-15)
        assert [row[name] for name in ("FRAME", "QUADRANT", "RAWX", "RAWY", "PI", "ENERGY")] == [
            event[name] for name in ("frame", "quadrant", "x", "y", "pi", "energy_ev")
        ]
        chip = quadrant.source_chip + (event["x"] // 16 if quadrant.id == 3 else 0)
        assert (row["SRC_CHIP"], row["SRC_X"]) == (chip, event["x"] + quadrant.source_x)
        assert row["SRC_Y"] == event["y"] + quadrant.source_y
        assert ("REASON" in row.dtype.names) == bool(event["reason"])
    assert not got


def test_rejected_events_say_why():
    (product,) = products([event_list(3)])
    assert product.tables["REJECTED"]["PHA"].tolist() == [300, 330]
    assert product.tables["REJECTED"]["REASON"].tolist() == [4, 4]
    assert product.tables["EVENTS"]["PHA"].tolist() == [301]


@pytest.mark.parametrize(("island", "pixels"), [(3, [6, 7, 8, 11, 12, 13, 16, 17, 18]), (5, list(range(25)))])
def test_island_is_cut_around_the_centre(island, pixels):
    (product,) = products([event_list(1)], island=island)
    assert product.tables["EVENTS"]["PHAS"][0].tolist() == pixels


def test_lost_frames_are_not_in_the_gti():
    (product,) = products([event_list(s) for s in (0, 1, 2, 5, 6, 9)])
    assert gti_frames(product) == [(0, 3), (5, 7), (9, 10)]
    assert (product.header["TSTARTNS"], product.header["TSTOPNS"]) == (0, 10 * FRAME_NS)


def test_a_missing_quadrant_shortens_its_own_livetime_only():
    lists = [event_list(0), event_list(1, {3: 1}, whole=Quality.MISSING_QUADRANT), event_list(2)]
    (product,) = products(lists)
    assert (product.header["NREAD00"], product.header["NREAD03"]) == (2, 3)
    assert gti_frames(product) == [(0, 3)]
    assert product.tables["FRAMES"]["QUALITY"].tolist() == [0, 0, Quality.MISSING_QUADRANT, 0, 0]


def test_events_of_an_overflowed_quadrant_are_left_out():
    lists = [event_list(0, {0: 4, 3: 4}, {0: Quality.OVERFLOW}), event_list(1, quality={0: 16, 3: 16}), event_list(2)]
    (product,) = products(lists)
    used = [(int(r["FRAME"]), int(r["QUADRANT"])) for n in ("EVENTS", "REJECTED") for r in product.tables[n]]
    assert set(used) == {(0, 3), (2, 0), (2, 3)}
    assert gti_frames(product) == [(0, 1), (2, 3)]
    assert (product.header["NREAD00"], product.header["NREAD03"]) == (1, 2)
    assert (product.header["NDISCARD"], product.header["NOVERFLW"]) == (7, 3)


def test_a_repeated_exposure_adds_events_but_no_livetime():
    repeated = event_list(1, {0: 5}, {0: Quality.REPEATED_EXPOSURE}, time_ns=0)
    (product,) = products([event_list(0), repeated])
    assert (product.header["NREAD00"], product.header["NREPEAT"]) == (1, 1)
    assert gti_frames(product) == [(0, 1)]
    assert len(product.tables["EVENTS"]) + len(product.tables["REJECTED"]) == 8


def test_a_late_list_goes_into_the_open_interval_and_counts():
    late = event_list(1, {3: 2}, whole=Quality.LATE)
    lists = [event_list(0), event_list(1, {0: 1}), event_list(4), late, event_list(5)]
    first, second = products(lists, interval_s=0.02)
    assert first.tables["FRAMES"]["FRAME"].tolist() == [0, 0, 1]
    assert second.tables["FRAMES"]["FRAME"].tolist() == [1, 4, 4, 5, 5]
    assert (second.header["NLATE"], second.header["NREAD03"]) == (1, 3)
    assert gti_frames(second) == [(1, 2), (4, 6)]


def test_jitter_of_the_clock_does_not_tear_the_gti():
    times = [0, FRAME_NS + 40_000, 2 * FRAME_NS - 30_000, 3 * FRAME_NS]
    (product,) = products([event_list(s, time_ns=t) for s, t in enumerate(times)])
    assert gti_frames(product) == [(0, 4)]


def test_rows_rise_by_frame_then_quadrant():
    lists = [event_list(s, {3: 2, 0: 2}) for s in (2, 0, 1)]
    (product,) = products(lists)
    for name in ("EVENTS", "TRACKS", "FRAMES", "BADPIX"):
        table = product.tables[name]
        key = table["FRAME"] * 256 + table["QUADRANT"]
        assert len(key)
        assert (np.diff(key) >= 0).all(), name


def test_intervals_follow_detector_time():
    given_ = products([event_list(s) for s in (10, 11, 13, 14, 30)], interval_s=0.02)
    assert [p.time_ns // FRAME_NS for p in given_] == [10, 14, 30]
    assert [sorted(set(p.tables["FRAMES"]["FRAME"].tolist())) for p in given_] == [[10, 11, 13], [14], [30]]
    assert [p.sequence for p in given_] == [0, 1, 2]


def test_files_roll_by_time():
    rolls = [p.header["ROLL"] for p in products(map(event_list, range(12)), interval_s=0.01, roll_s=0.025)]
    assert rolls == [1, 1, 1, 2, 2, 2]


def test_files_roll_by_size():
    lists = [event_list(s, {0: 2500}) for s in range(8)]
    given_ = products(lists, interval_s=0.005, roll_bytes=1_000_000)
    sizes = {}
    for product in given_:
        roll = product.header["ROLL"]
        sizes[roll] = sizes.get(roll, 0) + sum(table.nbytes for table in product.tables.values())
    assert list(sizes) == [1, 2, 3]
    assert max(sizes.values()) <= 1_000_000


def test_a_gap_gets_its_time_from_the_nearest_readout():
    lists = [gap(0, 1), event_list(2), gap(3, 4, 3), event_list(5, time_ns=5 * FRAME_NS), gap(6, 6, 0, "overflow")]
    (product,) = products(lists)
    gaps = product.tables["GAPS"]
    assert gaps[["FIRST", "LAST", "QUADRANT", "REASON"]].tolist() == [
        (0, 1, -1, b"lost"),
        (3, 4, 0, b"in_flight"),  # nobody said why
        (3, 4, 3, b"lost"),
        (6, 6, 0, b"overflow"),
        (6, 6, 3, b"in_flight"),
    ]
    np.testing.assert_allclose(gaps["TSTART"], [0, 0.015, 0.015, 0.03, 0.03], atol=1e-12)
    np.testing.assert_allclose(gaps["TSTOP"], [0.01, 0.025, 0.025, 0.035, 0.035], atol=1e-12)
    assert product.header["NGAPREAD"] == 7 * 2 - 4


def test_a_gap_without_any_readout_has_no_time():
    (product,) = products([gap(0, 9)])
    assert np.isnan(product.tables["GAPS"]["TSTART"]).all()
    assert product.header["NREADOUT"] == 0


def test_start_and_end_pass_and_frame_a_run():
    stage = Record(config())
    assert list(stage.process(START)) == [START]
    stage.process(event_list(0))
    product, start = stage.process(START)
    assert isinstance(product, Product)
    assert start is START
    empty, end = stage.process(END)
    assert (product.header["ROLL"], empty.header["ROLL"]) == (1, 2)
    assert isinstance(end, End)
    assert list(stage.flush()) == []


def test_an_empty_stream_still_gives_a_product():
    (product,) = products([])
    assert all(len(table) == 0 for table in product.tables.values())
    assert list(product.tables) == ["EVENTS", "GTI", "REJECTED", "TRACKS", "FRAMES", "GAPS", "BADPIX"]


def test_a_list_before_the_start_leaves_as_a_gap():
    stage = Record(config())
    (message,) = stage.process(event_list(4))
    assert (message.first, message.last, message.reason) == (4, 4, "start")
    assert list(stage.process(gap(1, 2))) == [gap(1, 2)]
    assert stage.counters["before start"] == 2


def test_what_it_has_no_use_for_passes():
    frame = Frame(stream="camera", sequence=0, time_ns=0, quadrant=0, pixels=np.zeros((2, 2), np.uint16))
    assert list(Record(config()).process(frame)) == [frame]


def test_memory_is_bounded_when_the_clock_stands_still(monkeypatch):
    monkeypatch.setattr("stream.stages.record.MAX_HELD_BYTES", 20_000)
    given_ = products([event_list(s, time_ns=0) for s in range(100)])
    assert len(given_) > 5
    assert sum(len(p.tables["FRAMES"]) for p in given_) == 200


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 5), st.integers(0, 5)), max_size=30, unique_by=lambda r: r[0]
    ),
    st.integers(1, 40),
)
def test_nothing_is_lost_or_doubled(readouts, frames):
    lists = [event_list(s, {0: a, 3: b}) for s, a, b in readouts]
    given_ = products(lists, interval_s=frames * FRAME_NS / 1e9)
    gaps = np.concatenate(
        [np.empty(0, np.int64), *(p.tables["GAPS"]["LAST"] - p.tables["GAPS"]["FIRST"] + 1 for p in given_)]
    )
    of = np.concatenate([np.empty(0, np.int64), *(p.tables["GAPS"]["QUADRANT"] for p in given_)])
    due = 2 * (max(s for s, _, _ in readouts) - min(s for s, _, _ in readouts) + 1) if readouts else 0
    assert 2 * len(lists) + int(gaps[of >= 0].sum() + 2 * gaps[of < 0].sum()) == due
    for name, source in (("TRACKS", "tracks"), ("FRAMES", "readouts"), ("BADPIX", "bad_pixels")):
        expected = sorted(f for m in lists for f in getattr(m, source)["frame"].tolist())
        assert sorted(f for p in given_ for f in p.tables[name]["FRAME"].tolist()) == expected
    pha = [v for p in given_ for name in ("EVENTS", "REJECTED") for v in p.tables[name]["PHA"].tolist()]
    assert sorted(pha) == sorted(v for m in lists for v in m.events["pha"].tolist())


def recorded(*settings):
    stage = Record(load("wfi", settings))
    lists = [event_list(n) for n in range(2)]
    for one in lists:
        one.events["p_particle"], one.events["p_class"] = 0.25, (0.1, 0.2, 0.3, 0.4)
    (product,) = [m for m in push(stage, START, *lists, END) if isinstance(m, Product)]
    return product


def test_without_screening_there_is_nothing_of_it():
    product = recorded('screen.model=""')
    for name in ("EVENTS", "REJECTED"):
        assert not {"P_PARTICLE", "P_CLASS"} & set(product.tables[name].dtype.names)
    assert not [card for card in product.header if card.startswith("SCR")]


def test_screening_adds_its_columns_and_says_what_screened(tmp_path):
    models = screening(tmp_path)
    product = recorded(*(f"{key}={value}" for key, value in models.items()))
    for name in ("EVENTS", "REJECTED"):
        table = product.tables[name]
        assert (table["P_PARTICLE"] == np.float32(0.25)).all()
        assert table["P_CLASS"].shape == (len(table), 4)
        assert (table["P_CLASS"] == np.array([0.1, 0.2, 0.3, 0.4], np.float32)).all()
    digests = [hashlib.sha256(models[f"screen.{name}"].read_bytes()).hexdigest()[:12] for name in ("model", "forest")]
    cards = {key: value for key, value in product.header.items() if key.startswith("SCR")}
    assert cards == {
        "SCREEN": "net",
        "SCR_SHA": digests[0],
        "SCRTREES": "wood",
        "SCRT_SHA": digests[1],
        "SCR_THR": 0.5,
        "SCR_LOST": 0.05,
        "SCR_PROV": "auto",
    }


def test_a_model_that_judges_by_islands_has_no_classes(tmp_path):
    net = network(tmp_path / "net.onnx", roc=ROC)
    product = recorded(f"screen.model={net}")
    assert "P_PARTICLE" in product.tables["EVENTS"].dtype.names
    assert "P_CLASS" not in product.tables["EVENTS"].dtype.names
    assert "SCRTREES" not in product.header


def test_a_model_without_a_card_is_refused():
    with pytest.raises(ModelError, match="no such model"):
        Record(load("wfi", ["screen.model=/nowhere/net.onnx"]))


def test_a_read_out_that_comes_twice_is_recorded_once():
    stage = Record(config())
    lists = [event_list(1), event_list(2, {0: 4}), event_list(1), event_list(2), event_list(4)]
    (product,) = [m for m in push(stage, START, *lists, END) if isinstance(m, Product)]
    frames = product.tables["FRAMES"]
    assert list(zip(frames["FRAME"].tolist(), frames["QUADRANT"].tolist(), strict=True)) == [
        (1, 0), (1, 3), (2, 0), (2, 3), (4, 0), (4, 3),
    ]  # fmt: skip
    assert len(product.tables["EVENTS"]) + len(product.tables["REJECTED"]) == 3 + 4 + 1 + 3
    assert stage.counters["recorded before"] == 3
    assert stage.balance == {"due": 8, "recorded": 6, "lost": 2}


def test_what_is_missing_is_declared_when_nothing_can_hold_it_back_any_more():
    lists = [event_list(n) for n in (0, 1, *range(4, 2500))]
    first, *_, last = products(lists, interval_s=11)
    assert first.tables["GAPS"][["FIRST", "LAST", "QUADRANT", "REASON"]].tolist() == [(2, 3, -1, b"in_flight")]
    assert not len(last.tables["GAPS"])


@pytest.mark.parametrize("lost", [0, 1500])  # between what the dead one has left and what the new one begins with
def test_what_comes_from_a_dead_sender_beside_its_successor_is_not_declared_lost(lost):
    old = list(range(600))  # 400 lists wait on each side of a link, and more
    new = iter(range(600 + lost, 2000 + lost))
    mixed = [n for left in old for n in (left, next(new), next(new))] + list(new)  # a link gives of both in turn
    given = products([event_list(n) for n in [*mixed, *range(2000 + lost, 4400 + lost)]], interval_s=0.2)
    recorded = {frame for product in given for frame in product.tables["FRAMES"]["FRAME"].tolist()}
    assert recorded == {*old, *range(600 + lost, 4400 + lost)}
    gaps = [gap for product in given for gap in product.tables["GAPS"][["FIRST", "LAST"]].tolist()]
    assert gaps == ([(600, 599 + lost)] if lost else [])


def test_a_run_that_another_process_has_begun_goes_on():
    ledger = Ledger([0, 3])
    ledger.record(np.array([0, 3, 0, 3]), np.array([0, 0, 1, 1]))
    bad = event_list(1).bad_pixels
    past = Past(ledger=ledger, roll=2, given=5, bad_pixels=bad, known=np.array([[1, FRAME_NS]]))
    stage = Record(config())
    stage.go_on({START.run_id: past})
    (product,) = [m for m in push(stage, START, event_list(1), event_list(3), END) if isinstance(m, Product)]
    assert (product.header["ROLL"], product.header["INTERVAL"]) == (2, 5)
    assert product.tables["FRAMES"]["FRAME"].tolist() == [3, 3]
    assert product.tables["GAPS"][["FIRST", "LAST", "REASON"]].tolist() == [(2, 2, b"in_flight")]
    assert product.tables["GAPS"]["TSTART"].tolist() == [0.01]
    (again,) = [m for m in push(stage, START, END) if isinstance(m, Product)]
    assert again.header["ROLL"] == 3  # another run of the same name


def test_one_that_takes_over_and_finds_nothing_recorded_knows_where_the_stream_began():
    first = Record(config())
    push(first, START, event_list(3))
    assert first.place == {"first": 3}
    second = Record(config())
    assert second.place == {}
    second.place = first.place  # no stream is open: nothing to know
    push(second, START)
    second.place = first.place
    (product,) = [one for one in push(second, event_list(6), END) if isinstance(one, Product)]
    assert [(int(g["FIRST"]), int(g["LAST"])) for g in product.tables["GAPS"]] == [(3, 5)]
    assert second.balance["due"] == second.balance["recorded"] + second.balance["lost"] == 8
