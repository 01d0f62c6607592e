import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.transport.gcn import FORM, check, notice_of, schema, utc, write_notices
from tests.stream.lat.test_flare import flaring
from tests.stream.stages.test_alert import stage, window

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def alerts():
    return list(stage().process(window(np.concatenate([flaring(), flaring(lon=90, ts=50)]))))[1]


def test_mission_times_are_utc_with_leap_seconds():
    assert utc(0.0) == "2001-01-01T00:00:00.000Z"
    assert utc(239557417.0) == "2008-08-04T15:43:36.000Z"  # begin of 4FGL; one leap second since


def test_a_flare_and_a_transient_have_the_form(alerts, tmp_path):
    paths = write_notices(alerts, tmp_path / "alerts", NOW)
    flare, new = (json.loads(path.read_text()) for path in paths)
    assert flare["event_name"] == "4FGL J1234.5+0000"
    assert (flare["reference_catalog"], flare["flux_ratio"]) == ("gll_psc_v27", pytest.approx(10))
    assert (flare["flux"], flare["flux_unit"], flare["alpha"], flare["TS"]) == (1e-8, "ph/cm2/s", 2.1, 100.0)
    assert (flare["alert_tense"], flare["alert_datetime"]) == ("test", "2026-01-02T03:04:05Z")
    assert flare["observation_start"].startswith("2023-03-08T20:26:35")
    assert flare["spectral_band"] == [1e6, 1e8]
    assert new["event_name"].startswith("RSV J")
    assert "flux_ratio" not in new
    check(flare)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"colour": "red"}, "colour: not in the form"),
        ({"alert_tense": "current"}, "only test"),
        ({"flux": "bright"}, "flux: 'bright', not float"),
        ({"flux": float("nan")}, "not a number that JSON has"),
        ({"flux_unit": "Crab"}, "not one of ph/cm2/s"),
        ({"observation_stop": "yesterday"}, "not UTC"),
    ],
)
def test_what_has_not_the_form_is_told_so(alerts, change, fault):
    notice = notice_of(alerts.tables["ALERTS"][0], alerts.header, NOW) | change
    with pytest.raises(ConfigError, match=fault):
        check(notice)


def test_without_the_times_of_the_window_there_is_no_notice(alerts):
    with pytest.raises(ConfigError, match="observation_start: missing; observation_stop: missing"):
        notice_of(alerts.tables["ALERTS"][0], {"REFCAT": "x"}, NOW)


@pytest.fixture
def valid():
    kind = pytest.importorskip("jsonschema", reason="no jsonschema (pip install -e '.[dev]')").Draft202012Validator
    kind.check_schema(schema())
    return kind(schema()).is_valid


def test_notices_are_valid_by_the_schema(alerts, valid, tmp_path):
    notices = [json.loads(path.read_text()) for path in write_notices(alerts, tmp_path, NOW)]
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "alert_day_700086400_0010.json", "alert_day_700086400_0090.json"
    ]  # fmt: skip
    assert len(notices) == 2
    assert all(map(valid, notices))
    assert set(schema()["properties"]) == set(FORM)


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"alert_tense": "current"},
        {"flux": "bright"},
        {"flux_unit": "Crab"},
        {"observation_stop": "yesterday"},
        {"spectral_band": [1.0]},
        {"ra_dec_error": None},
        {"$schema": "other"},
    ],
)
def test_schema_and_check_refuse_alike(alerts, valid, change):
    notice = notice_of(alerts.tables["ALERTS"][0], alerts.header, NOW)
    assert valid(notice)
    assert not valid(notice | change)
    with pytest.raises(ConfigError, match=re.escape(next(iter(change)))):
        check(notice | change)


def test_what_is_needed_is_missed_by_schema_and_check(alerts, valid):
    notice = notice_of(alerts.tables["ALERTS"][0], alerts.header, NOW)
    for key in schema()["required"]:
        short = {name: value for name, value in notice.items() if name != key}
        assert not valid(short)
        with pytest.raises(ConfigError, match="missing"):
            check(short)
