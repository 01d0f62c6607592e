import numpy as np
import pytest

from analyse.lat.inputs import aimed, find_around, open_sky, parts_of_search
from stream.errors import ConfigError
from stream.lat.bands import DETECTION
from stream.lat.exposure import survey
from stream.lat.patch import LAT, SIDE_DEG
from stream.lat.psf import profiles_of
from stream.lat.sky import expect
from stream.lat.sky import stand_in as diffuse
from stream.lat.sphere import separation
from stream.lat.whole import Survey
from stream.transport.photons import write_photons
from stream.transport.sky_files import write_sky, write_window
from tests.analyse.lat.conftest import NEIGHBOUR, PLACE
from tests.stream.lat.skies import stream


def test_all_that_the_stream_leaves_is_read(sky, tools, tmp_path):
    instrument, exposure = tools[0], survey(tools[0], 2)
    write_sky(tmp_path / "counted.h5", sky)
    write_window(tmp_path / "mission.fits", sky.windows()["mission"], exposure, {})
    whole = open_sky([tmp_path], "mission", "survey", instrument)
    maps = open_sky([tmp_path / "mission.fits"], "mission", "pointing", instrument)
    assert set(whole.years) == {0, 1}
    assert not maps.years
    for one, other in zip(whole.maps, maps.maps, strict=True):
        assert np.array_equal(one, other)
    at = [s.exposure.at(*PLACE) for s in (whole, maps)]
    np.testing.assert_allclose(at[0], at[1], rtol=0.02)


def test_photons_are_counted_by_the_stage_of_the_stream(tools, tmp_path):
    rows, photons = stream(3000)
    write_photons(tmp_path / "photons.h5", photons, {})
    seen = open_sky([tmp_path / "photons.h5"], "mission", "pointing", tools[0])
    assert 0 < sum(int(m.sum()) for m in seen.maps) <= len(rows)
    assert seen.exposure.at(*PLACE).max() > 0
    write_photons(tmp_path / "blind.h5", stream(3000, pointed=False)[1], {})
    with pytest.raises(ConfigError, match="no exposure: nobody knows"):
        open_sky([tmp_path / "blind.h5"], "mission", "pointing", tools[0])


def test_sources_are_found_where_there_is_no_catalogue(sky, tools):
    exposure = survey(tools[0], 2)
    given = Survey(expect(diffuse(), exposure), exposure, profiles_of(tools[0], LAT.blur_deg))
    found = find_around(given, sky.maps, PLACE)
    for place in (PLACE, NEIGHBOUR):
        assert separation(found["glon_deg"], found["glat_deg"], *place).min() < 0.1


def test_the_source_that_is_meant_is_the_nearest_or_a_new_one(tools):
    found = np.zeros(2, DETECTION)
    found["glon_deg"], found["glat_deg"] = [70.05, 71.0], [45.05, 45.0]
    found["flux"], found["index"], found["ts"] = [2e-9, 1e-9], [2.4, 2.0], [90.0, 60.0]
    parts = parts_of_search(found, tools[1], PLACE)
    own, others = aimed(parts, tools[1], PLACE)
    assert own.name == "l 70.05 b +45.05"
    assert [p.name for p in others] == ["l 71.00 b +45.00"]
    assert own.theta[2:4] == pytest.approx([np.log(20), 2.4], abs=0.05)
    far = (73.0, 45.0)
    new, everyone = aimed(parts_of_search(found, tools[1], far), tools[1], far)
    assert new.name.startswith("l 73.00")
    assert new.theta[:2].tolist() == [SIDE_DEG / 2] * 2
    assert len(everyone) == 2
    assert aimed([], tools[1], PLACE)[1] == []
    named, _ = aimed(parts, tools[1], PLACE, "l 71.00 b +45.00")
    assert named.name == "l 71.00 b +45.00"
