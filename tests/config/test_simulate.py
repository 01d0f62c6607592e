"""The simulated camera of a configuration."""

import pytest

from config.errors import ConfigError
from config.load import digest, load


def test_the_wfi_camera_has_its_published_numbers():
    simulated = load("wfi").simulate
    assert (simulated.sensor.thickness_um, simulated.sensor.temperature_k) == (450, 213)
    assert (simulated.read_out.noise_e, simulated.read_out.clip_ev) == (7, 22_000)
    assert load("quick").simulate == simulated


def test_a_configuration_without_the_section_still_loads():
    assert load("acis").simulate.read_out.clip_ev is None


def test_beginning_of_life_is_one_override():
    young = load("wfi", ["simulate.read_out.noise_e=3"])
    assert young.simulate.read_out.noise_e == 3
    assert digest(young) != digest(load("wfi"))


@pytest.mark.parametrize("bad", ["sensor.bias_v=0", "sensor.fano=2", "read_out.cti=0.5", "read_out.hot=3"])
def test_an_impossible_camera_is_refused(bad):
    with pytest.raises(ConfigError, match=bad.split("=")[0]):
        load("wfi", [f"simulate.{bad}"])
