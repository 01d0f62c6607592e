import pytest

from config.errors import ConfigError
from config.load import load, load_any

WITHOUT_ROWS = """[detector]
telescope = "A"
instrument = "B"
columns = 64
gain_ev_per_aduu = 3.65
"""


def said(name, *overrides, how=load_any):
    with pytest.raises(ConfigError) as fault:
        how(name, overrides)
    return str(fault.value).splitlines()


def test_a_mistyped_key_comes_with_the_one_that_was_meant(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(WITHOUT_ROWS)
    lines = said(path)
    assert f"{path}: detector.gain_ev_per_aduu: no such key; did you mean gain_ev_per_adu?" in lines
    assert f"{path}: detector.rows: missing" in lines


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("screen.modl=x", "--set screen.modl=x: no such key; did you mean model?"),
        ("simulate.sensor.phano=1", "--set simulate.sensor.phano=1: no such key; did you mean fano?"),
        (
            "supervise.zzz=1",
            "--set supervise.zzz=1: no such key; expected one of restarts, restart_window_s, stuck_s, standby",
        ),
        ("detector.rows=many", "--set detector.rows=many: Input should be a valid integer, got 'many'"),
        ("supervise={zzz=1}", "--set supervise={zzz=1}: supervise.zzz: no such key; expected one of"),
    ],
)
def test_what_set_has_set_is_not_blamed_on_the_file(override, line):
    [told] = said("wfi", override)
    assert told.startswith(line)


def test_a_rule_of_several_keys_names_the_file_and_set():
    [line] = said("wfi", "links.transport=tcp", "links.host=0.0.0.0")
    assert "wfi.toml with --set links.transport=tcp --set links.host=0.0.0.0: links: " in line


def test_the_telescope_of_photons_is_no_camera_whatever_a_command_sets():
    [line] = said("lat", "accumulate.every_s=1e12", how=load)
    assert line.endswith("lat.toml: is for photons (Fermi-LAT); expected the configuration of a camera")
