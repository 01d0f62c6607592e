from dataclasses import replace

import numpy as np
import pytest

from config.lat import AccumulateSky as Section
from stream.lat.builtin import stand_in
from stream.lat.cube import WINDOWS
from stream.lat.photons import BLOCK_S
from stream.messages import End, Start
from stream.stages.accumulate_sky import AccumulateSky, SkyProduct
from stream.transport.wire import encode
from tests.stream.lat.skies import BEGIN_S, stream

INSTRUMENT = stand_in()


def run(messages, stage=None, **settings):
    stage = stage or AccumulateSky(Section(**settings), INSTRUMENT)
    return [result for message in messages for result in stage.process(message)], stage


def products(results):
    return [result for result in results if isinstance(result, SkyProduct)]


def test_a_product_every_six_hours_and_nothing_held_back():
    _, source = stream()
    results, stage = run(source.messages())
    assert isinstance(results[0], Start)
    assert isinstance(results[-1], End)
    assert [p.header["TSTOP"] for p in products(results)] == [BEGIN_S + k * BLOCK_S for k in range(1, 11)]
    assert [p.sequence for p in products(results)] == list(range(1, 11))
    assert stage.counters["batches"] == 10
    last = products(results)[-1]
    rows = last.tables["WINDOWS"]
    assert [name.decode() for name in rows["NAME"]] == [*WINDOWS, "mission"]
    assert rows["PHOTONS"].sum(axis=1)[-1] == stage.counters["photons"] == last.header["NPHOTONS"]
    assert rows["ONTIME"][-1] == pytest.approx(10 * BLOCK_S - 100)
    assert rows["LIVETIME"][-1] == pytest.approx(0.9 * (10 * BLOCK_S - 100), rel=1e-6)
    assert last.header["EXPOSURE"] == "by pointing"
    assert last.exposure().cm2_s.mean() > last.exposure("six_hours").cm2_s.mean() > 0


@pytest.mark.parametrize(("every_s", "given"), [(86_400.0, 3), (1e9, 1)])
def test_a_longer_time_between_products(every_s, given):
    assert len(products(run(stream()[1].messages(), every_s=every_s)[0])) == given


def test_the_maps_do_not_travel():
    product = products(run(stream()[1].messages())[0])[-1]
    with pytest.raises(TypeError, match="does not travel"):
        encode(product)


def test_batches_that_are_missing_are_counted_and_have_no_exposure():
    start, *batches, end = stream()[1].messages()
    results, stage = run([start, *batches[:3], *batches[5:], end])
    last = products(results)[-1]
    assert last.header["MISSING"] == 2
    assert last.tables["WINDOWS"]["LIVETIME"][-1] == pytest.approx(0.9 * (8 * BLOCK_S - 100), rel=1e-6)
    again, _ = run([start, *batches, end], stage)  # sent once more: only what was missing is new
    last = products(again)[-1]
    assert last.header["MISSING"] == 0
    assert last.tables["WINDOWS"]["LIVETIME"][-1] == pytest.approx(0.9 * (10 * BLOCK_S - 100), rel=1e-6)
    assert stage.counters["twice"] == sum(len(b.tables["PHOTONS"]) for b in (*batches[:3], *batches[5:]))


def test_without_pointing_it_is_said_and_a_survey_is_only_what_was_asked_for():
    last = products(run(stream(pointed=False)[1].messages())[0])[-1]
    assert last.header["EXPOSURE"].startswith("none: ")
    assert last.exposure() is None
    assert np.isnan(last.tables["WINDOWS"]["LIVETIME"]).all()
    results, stage = run(stream(pointed=False)[1].messages(), exposure="survey")
    last = products(results)[-1]
    assert last.header["EXPOSURE"] == "of an even survey"
    assert "even survey" in last.exposure("day").about
    assert stage.counters["without_pointing"] == 0


def test_products_that_hold_no_photons_are_counted():
    batch = list(stream()[1].messages())[1]
    bad = [
        replace(batch, tables={"GTI": batch.tables["GTI"]}),
        replace(batch, tables=batch.tables | {"PHOTONS": np.zeros(3, [("GLON", "<f8")])}),
        replace(batch, header={"TSTART": 5.0}),
        replace(batch, header={"TSTART": 5.0, "TSTOP": 4.0}),
    ]
    results, stage = run(bad)
    assert results == []
    assert stage.counters["no_photons_in_it"] == 4
    wrong = replace(batch, tables=batch.tables | {"POINTING": np.zeros(3, [("START", "<f8")])})
    run([wrong], stage)
    assert stage.counters["no_pointing_in_it"] == 1
    other = replace(batch, kind="other")
    assert list(stage.process(other)) == [other]
