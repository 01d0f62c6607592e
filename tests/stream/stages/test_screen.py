from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.load import load
from stream.errors import ConfigError, ModelError
from stream.judges.windows import most_central
from stream.messages import EVENT, READOUT, WINDOW, End, EventList, Flag, Gap, Reason
from stream.stages.screen import Screen
from tests.screens import forest, maps_of, network, p_of, screening
from tests.stream.stages.streams import START, push

END = End(stream="test")
GAP = Gap(stream="test", first=1, last=1, quadrant=0, reason="lost")
THRESHOLD = 0.5  # of the card, for 5 % of the X-rays: 3 keV


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return screening(tmp_path_factory.mktemp("models"))


def configured(models, **changes):
    values = {**models, "screen.provider": "cpu", **{f"screen.{key}": value for key, value in changes.items()}}
    return load("quick", [f"{key}={str(value).lower() if value is True else value}" for key, value in values.items()])


def read_out(sequence, *energies, reason=0, windows=((0, 0, 0),), at=(30, 20), **columns):
    """Return a list with events of these energies in quadrant 0, and windows (quadrant, left, bottom) of noise."""
    events = np.zeros(len(energies), EVENT)
    events["energy_ev"], events["reason"], (events["x"], events["y"]) = energies, reason, at
    events["frame"], events["p_particle"], events["p_class"] = sequence, np.nan, np.nan
    for name, values in columns.items():
        events[name] = values
    cut = np.zeros(len(windows), WINDOW)
    for row, (quadrant, left, bottom) in zip(cut, windows, strict=True):
        row["quadrant"], row["left"], row["bottom"] = quadrant, left, bottom
    cut["energy_ev"] = np.random.default_rng(sequence).gamma(0.1, 1000, (len(windows), 64, 64))
    readouts = np.zeros(4, READOUT)
    readouts["quadrant"] = range(4)
    for table in (events, cut, readouts):
        table.flags.writeable = False  # as from a socket
    return EventList(
        stream="test", sequence=sequence, time_ns=sequence * 5_000_000, events=events, readouts=readouts, windows=cut
    )


def screened(config, *messages):
    """Return the lists that come out, and the stage."""
    stage = Screen(config)
    return [m for m in push(stage, START, *messages, END) if isinstance(m, EventList)], stage


def test_without_a_model_everything_passes_as_it_is():
    stage = Screen(load("quick"))
    sent = [START, read_out(0, 1000.0), GAP, END]
    assert all(a is b for a, b in zip(push(stage, *sent), sent, strict=True))
    assert stage.about == {}


def test_every_candidate_gets_its_scores(models):
    energies = [300.0, 1000.0, 2999.0, 3001.0, 9999.0]
    sent = read_out(0, *energies)
    (found,), stage = screened(configured(models), sent)
    np.testing.assert_allclose(found.events["p_particle"], p_of(energies), atol=1e-6)
    logits = maps_of(sent.windows["energy_ev"]).mean(axis=(2, 3))[0]
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(found.events["p_class"], np.tile(expected, (5, 1)), atol=1e-5)
    assert (found.events["reason"] == np.where(np.array(energies) > 3000, Reason.SCREEN, 0)).all()
    assert found.readouts["rejected"].tolist() == [2, 0, 0, 0]
    assert len(found.windows) == 0
    assert stage.counters == {"judged": 5}
    assert stage.about["network"].endswith("on cpu f32")
    assert stage.about["rejects"] == "p_particle > 0.5, at most 0.05 of the X-rays"
    assert np.isnan(sent.events["p_particle"]).all()  # what came is left alone


def test_a_provider_that_fails_is_told_and_every_candidate_judged(models):
    stage = Screen(configured(models))
    network = stage._judge._network

    def run(inputs):
        raise RuntimeError("device lost")

    network._run, network.spare = run, Screen(configured(models))._judge._network
    (found,) = [m for m in push(stage, START, read_out(0, 1000.0, 5000.0), END) if isinstance(m, EventList)]
    assert found.events["reason"].tolist() == [0, Reason.SCREEN]
    assert stage.counters == {"judged": 2, "provider failed": 1}
    assert stage.about["network"].endswith("on cpu f32, as cpu f32 failed: device lost")


@pytest.mark.parametrize("reason", [Reason.PATTERN, Reason.OUTER_RING, Reason.PATTERN | Reason.OUTER_RING])
def test_what_is_judged_is_rejected_by_the_model_alone(models, reason):
    (found,), _ = screened(configured(models), read_out(0, 1000.0, 5000.0, reason=reason))
    assert found.events["reason"].tolist() == [0, Reason.SCREEN]


@pytest.mark.parametrize("reason", [Reason.MIP, Reason.IN_TRACK, Reason.BAD_PIXEL, Reason.BAD_PIXEL | Reason.PATTERN])
def test_what_is_rejected_anyway_is_not_judged(models, reason):
    (found,), stage = screened(configured(models), read_out(0, 1000.0, 5000.0, reason=reason))
    assert found.events["reason"].tolist() == [reason, reason]
    assert np.isnan(found.events["p_particle"]).all()
    assert not found.events["flag"].any()
    assert found.readouts["rejected"][0] == 2
    assert not stage.counters


def test_what_is_out_of_the_band_is_not_judged(models):
    energies = [299.0, 300.0, 9999.0, 10_000.0, np.nan]
    (found,), _ = screened(configured(models), read_out(0, *energies, reason=Reason.PATTERN))
    assert np.isnan(found.events["p_particle"]).tolist() == [True, False, False, True, True]
    assert np.isnan(found.events["p_class"]).all(axis=1).tolist() == [True, False, False, True, True]
    assert found.events["reason"].tolist() == [Reason.PATTERN, 0, Reason.SCREEN, Reason.PATTERN, Reason.PATTERN]


def test_empty_read_outs_pass(models):
    found, stage = screened(configured(models), read_out(0, windows=()), read_out(1), read_out(2, 1000.0))
    assert [len(one.events) for one in found] == [0, 0, 1]
    assert found[0].events.dtype == EVENT
    assert stage.counters == {"judged": 1}


@pytest.mark.parametrize("at", [(0, 0), (0, 511), (511, 0), (511, 511), (511, 250)])
def test_an_event_at_the_edge_of_the_frame_is_judged(models, at):
    corner = [min(max(a - 32, 0), 448) for a in at]  # a window ends where the frame ends
    sent = read_out(0, 5000.0, windows=((0, *corner),), at=at)
    (found,), _ = screened(configured(models), sent)
    assert found.events["reason"].tolist() == [Reason.SCREEN]


def test_more_candidates_than_allowed_are_kept_and_marked(models):
    config = configured(models, max_candidates=3, batch_readouts=2)
    sent = [read_out(0, 5000.0, 5000.0, reason=Reason.PATTERN), read_out(1, *[5000.0] * 4, reason=Reason.PATTERN)]
    found, stage = screened(config, *sent)
    assert found[0].events["reason"].tolist() == [Reason.SCREEN] * 2
    assert found[1].events["reason"].tolist() == [Reason.SCREEN] + [Reason.PATTERN] * 3
    assert (found[1].events["flag"] & Flag.UNSCREENED).astype(bool).tolist() == [False, True, True, True]
    assert np.isnan(found[1].events["p_particle"]).tolist() == [False, True, True, True]
    assert stage.counters == {"judged": 3, "unscreened": 3}


def test_a_score_that_is_no_number_leaves_the_event_as_it_was(models, tmp_path):
    wood = forest(tmp_path / "wood.onnx", models["screen.model"], fails_above_ev=6000.0)
    config = configured({**models, "screen.forest": wood})
    (found,), stage = screened(config, read_out(0, 5000.0, 7000.0, reason=Reason.PATTERN))
    assert found.events["reason"].tolist() == [Reason.SCREEN, Reason.PATTERN]
    assert found.events["flag"].tolist() == [0, Flag.UNSCREENED]
    assert np.isnan(found.events["p_class"][1]).all()
    assert stage.counters == {"judged": 1, "not a number": 1}


def test_maps_that_are_no_numbers_give_no_score(models, tmp_path):
    net = network(tmp_path / "net.onnx", weights=(np.nan,) * 4)
    wood = forest(tmp_path / "wood.onnx", net)
    (found,), stage = screened(configured({**models, "screen.model": net, "screen.forest": wood}), read_out(0, 5000.0))
    assert found.events["flag"].tolist() == [Flag.UNSCREENED]
    assert stage.counters == {"not a number": 1}


def test_a_candidate_without_a_window_is_unscreened(models):
    (found,), stage = screened(configured(models), read_out(0, 5000.0, windows=((1, 0, 0), (0, 100, 0))))
    assert found.events["flag"].tolist() == [Flag.UNSCREENED]
    assert stage.counters == {"not a number": 1}


def test_order_is_kept_and_a_gap_keeps_its_place(models):
    stage = Screen(configured(models, batch_readouts=3))
    lists = [read_out(n, 1000.0) for n in range(6)]
    given = push(stage, START, *lists[:2])
    assert given == [START]  # two wait for the third
    given += push(stage, GAP, *lists[2:5], lists[5], START, END)
    assert [getattr(m, "sequence", type(m).__name__) for m in given] == [
        "Start", 0, 1, "Gap", 2, 3, 4, 5, "Start", "End"
    ]  # fmt: skip


def test_the_end_of_a_process_gives_what_is_held(models):
    stage = Screen(configured(models, batch_readouts=2))
    push(stage, START, read_out(0, 5000.0))
    (found,) = stage.flush()
    assert found.events["reason"].tolist() == [Reason.SCREEN]
    assert list(stage.flush()) == []


def test_a_list_before_any_start_passes(models):
    stage = Screen(configured(models))
    sent = read_out(0, 5000.0)
    assert push(stage, sent) == [sent]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=9), batch=st.integers(1, 5))
def test_how_many_are_judged_together_changes_no_decision(models, counts, batch):
    rng = np.random.default_rng(counts)
    sent = [
        read_out(k, *rng.uniform(100, 11_000, n), windows=((0, 0, 0), (0, 20, 0)), x=rng.integers(0, 64, n))
        for k, n in enumerate(counts)
    ]
    one_by_one, _ = screened(configured(models, batch_readouts=1), *sent)
    together, _ = screened(configured(models, batch_readouts=batch), *sent)
    assert [one.sequence for one in together] == list(range(len(counts)))
    for a, b in zip(one_by_one, together, strict=True):
        assert a.events["reason"].tolist() == b.events["reason"].tolist()
        for name in ("p_particle", "p_class"):
            np.testing.assert_allclose(a.events[name], b.events[name], rtol=1e-5)


def test_tiling_runs_every_window_and_decides_alike(models):
    tiles = tuple((q, left, bottom) for q in range(2) for left in (0, 64) for bottom in (0, 64))
    sent = read_out(0, 1000.0, 5000.0, windows=tiles, x=[10, 100])
    (plain,), _ = screened(configured(models), sent)
    (tiled,), _ = screened(configured(models, tiling=True), sent)
    assert plain.events.tobytes() == tiled.events.tobytes()
    (empty,), _ = screened(configured(models, tiling=True), read_out(0, windows=tiles))
    assert len(empty.events) == 0


def test_an_event_is_judged_by_the_window_that_has_it_in_the_middle():
    windows = np.zeros(5, WINDOW)
    windows["quadrant"] = [0, 0, 0, 1, 0]
    windows["left"], windows["bottom"] = [0, 20, 40, 0, 20], [0, 0, 0, 0, 200]
    events = np.zeros(6, EVENT)
    events["quadrant"] = [0, 0, 0, 1, 2, 0]
    events["x"], events["y"] = [10, 50, 80, 50, 10, 64], [32, 32, 32, 32, 10, 90]
    assert most_central(events, windows).tolist() == [0, 1, 2, 3, -1, -1]
    assert most_central(events, windows[:0]).tolist() == [-1] * 6


@pytest.mark.parametrize(
    ("key", "other", "said"),
    [
        ("screen.model", "screen.forest", r"wood\.toml: input\.energy_ev\.shape: missing"),
        ("screen.forest", "screen.model", r"net\.toml: input\.features\.names: missing"),
    ],
)
def test_a_model_in_the_place_of_another_is_refused(models, key, other, said):
    with pytest.raises(ModelError, match=said):
        Screen(configured({**models, key: models[other]}))


def test_a_forest_of_another_network_is_refused(models, tmp_path):
    other = network(tmp_path / "net.onnx", weights=(1, 2, 3, 4))
    with pytest.raises(ModelError, match=r"wood\.toml: frames_sha256: expected [0-9a-f]{64}, found"):
        Screen(configured({**models, "screen.model": other}))


def test_classes_in_another_order_are_refused(models, tmp_path):
    net = network(tmp_path / "net.onnx")
    card = net.with_suffix(".toml")
    card.write_text(card.read_text().replace('"xray"', '"particle"', 1))
    with pytest.raises(ModelError, match=r"net\.toml: output\.\w+\.classes: expected \['empty', 'xray', "):
        Screen(configured({**models, "screen.model": net}))


def test_a_table_that_ends_too_early_is_refused(models, tmp_path):
    roc = {"threshold": [0.0, 0.5], "lost_xrays": [1.0, 0.2]}
    wood = forest(tmp_path / "wood.onnx", models["screen.model"], roc=roc)
    with pytest.raises(ModelError, match=r"wood\.toml: roc\.lost_xrays: ends at 0\.2; expected 0\.05 or less"):
        Screen(configured({**models, "screen.forest": wood}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forest": ""}, "forest belongs to look"),
        ({"look": "islands"}, "forest belongs to look"),
        ({"look": "islands", "forest": "", "tiling": True}, "tiling belongs to look"),
        ({"energy_min_ev": 20_000.0}, "energy_min_ev must be below"),
        ({"provider": "abacus"}, "screen.provider=abacus: Input should be 'auto', 'cpu'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(models, change, said):
    with pytest.raises(ConfigError, match=said):
        configured(models, **change)


def test_late_lists_are_screened_as_well(models):
    late = replace(read_out(0, 5000.0), quality=2, readouts=np.zeros(1, READOUT))
    (found,), _ = screened(configured(models), late)
    assert found.quality == 2
    assert found.readouts["rejected"].tolist() == [1]
