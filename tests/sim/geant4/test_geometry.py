import json
import math
import re

import pytest

from config.errors import ConfigError
from config.load import load
from sim.geant4.geometry import digest_of, load_geometry, parse_geometry

CLOSE = load_geometry("close")[1]
SHIELD = '[[box.shield]]\nmaterial = "Ta"\nthickness_um = {}\n'
FILTER = '[filter]\nsize_mm = [{0}, {0}]\ndistance_mm = {1}\nlayers = [{{ material = "Al", thickness_um = 1.0 }}]\n'


def changed(*pairs, text=CLOSE, more=""):
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text + more


def refused(text):
    with pytest.raises(ConfigError) as caught:
        parse_geometry(text, "my.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["close", "open", "graded"])
def test_the_shipped_ones_are_the_camera_of_the_wfi(name):
    geometry, _ = load_geometry(name)
    camera = load("wfi")
    assert geometry.name == name
    assert geometry.wafers.quadrants == camera.detector.quadrants
    assert (geometry.wafers.rows, geometry.wafers.columns) == (camera.detector.rows, camera.detector.columns)
    assert geometry.wafers.pixel_um == camera.detector.pixel_um
    assert geometry.wafers.thickness_um == camera.simulate.sensor.thickness_um
    assert geometry.area_cm2 == pytest.approx(4 * 6.656**2)


def test_the_quadrants_lie_around_the_axis_with_their_gaps():
    geometry, _ = load_geometry("close")
    corners = [geometry.corner_mm(q) for q in geometry.wafers.quadrants]
    side = 512 * 0.13
    assert sum(x + side / 2 for x, _ in corners) == pytest.approx(0)
    assert sum(y + side / 2 for _, y in corners) == pytest.approx(0)
    assert corners[0][0] - (corners[3][0] + side) == pytest.approx(61 * 0.13)
    assert corners[1][1] - (corners[0][1] + side) == pytest.approx(46 * 0.13)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (changed(("inner_mm = [200.0, 200.0, 100.0]", "inner_mm = [200.0, 200.0, 1.0]")), "wafers: inside the cavity"),
        (changed(("z_mm = -20.0", "z_mm = -49.9")), "wafers: inside the cavity"),
        (changed(("sphere_radius_mm = 700.0", "sphere_radius_mm = 180.0")), "sphere_radius_mm: above 184"),
        (changed(more=SHIELD.format(5e4)), "box.shield: thinner than half of box.inner_mm"),
        (changed(("wall_mm = 20.0", "wall_mm = 0.2")), "box.skins: depths that fall, all below 0.2 mm"),
        (changed(("[[box.skins]]\ndepth_um = 40.0", "[[box.skins]]\ndepth_um = 300.0")), "box.skins: depths that fall"),
        (changed(("thickness_mm = 2.0", "thickness_mm = 0.5")), "board.skins: depths that fall, all below 0.25 mm"),
        (changed(("gap_mm = 1.5 ", "gap_mm = 28.0 ")), "board: inside the cavity"),
        (changed(("size_mm = [160.0, 160.0]", "size_mm = [160.0, 201.0]")), "board: inside the cavity"),
        (changed(("origin_x_px = 59, origin_y_px = 52", "origin_x_px = 500, origin_y_px = 52")), "no overlap"),
        (changed(("id = 3", "id = 2")), "wafers.quadrants: different ids"),
        (changed(more=FILTER.format(190, 70.0)), "filter: inside the cavity"),
        (changed(more=FILTER.format(200, 10.0)), "filter: inside the cavity"),
        (changed(("wall_mm = 20.0", "wall_mm = 20.0\nopening_mm = 200.0")), "box.opening_mm: below 200"),
        (changed(("z_mm = -20.0", "z_mm = nan")), "wafers.z_mm: Input should be a finite number"),
        (changed(("wall_mm = 20.0", "wall_mm = -1.0")), "box.wall_mm: Input should be greater than 0"),
        (changed(('material = "Al"', 'material = "Unobtainium"')), "box.material: Input should be"),
        (changed(("wall_mm = 20.0", "walls_mm = 20.0")), "box.walls_mm: no such key; did you mean wall_mm?"),
        ("[box", "not TOML"),
        ("", "wafers: missing"),
    ],
)
def test_an_impossible_one_is_one_line(text, expected):
    said = refused(text)
    assert said.startswith("my.toml: ")
    assert expected in said


def test_all_faults_are_told_at_once():
    said = refused(changed(("z_mm = -20.0", "z_mm = -49.9"), ("id = 3", "id = 2")))
    assert "wafers: inside" in said
    assert "wafers.quadrants: different ids" in said


def test_a_file_that_is_none_is_one_line(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_geometry(str(tmp_path / "binary.toml"))
    for name in ("nope", str(tmp_path / "nope.toml"), str(tmp_path)):
        with pytest.raises(ConfigError, match="expected a TOML file or one of close, graded, open"):
            load_geometry(name)


def test_the_digest_is_of_the_content():
    one = digest_of(parse_geometry(CLOSE, ""))
    assert one == digest_of(parse_geometry("# another comment\n" + CLOSE.replace("20.0,", "20.00,"), ""))
    assert one != digest_of(parse_geometry(changed(("gap_mm = 1.5 ", "gap_mm = 1.6 ")), ""))
    assert len({digest_of(load_geometry(name)[0]) for name in ("close", "open", "graded")}) == 3


@pytest.mark.parametrize("name", ["close", "graded"])
def test_geant4_builds_it_without_overlaps(name, in_engine):
    geometry, text = load_geometry(name)
    arrays, said = in_engine("built", text)
    volumes = json.loads(str(arrays["volumes"]))
    assert [v["name"] for v in volumes if v["overlaps"]] == []
    assert "WARNING" not in said
    names = [v["name"] for v in volumes]
    assert names.count("wafer") == 4
    assert names.count("opening") == (5 if name == "graded" else 0)  # through the wall and four layers
    cuts = set(re.findall(r"Material : (\S+)\n Range cuts +: +gamma +\S+ um +e- +(\S+) um", said))
    assert ("G4_Si", f"{geometry.wafers.cut_um:g}") in cuts
    assert ("G4_Al", "100") in cuts
    if name == "close":
        assert {cut for material, cut in cuts if material == "G4_Al"} == {"100", "20", "1"}


def test_shield_and_filter_are_in_their_order_and_of_their_thickness(in_engine):
    geometry, text = load_geometry("graded")
    arrays, _ = in_engine("built", text)
    volumes = {v["name"]: v for v in json.loads(str(arrays["volumes"]))}
    made = [volumes[f"shield{i}"]["material"] for i in range(4)]
    assert made == ["G4_Ta", "G4_Cu", "G4_Al", "G4_KAPTON"]
    assert [volumes[f"filter{i}"]["material"] for i in range(2)] == ["G4_KAPTON", "G4_Al"]
    front = geometry.wafers.z_mm + 0.225
    assert volumes["filter0"]["z_mm"] - front == pytest.approx(60 + 0.075e-3, abs=1e-9)
    assert volumes["filter1"]["z_mm"] - front == pytest.approx(60 + 0.165e-3, abs=1e-9)
    assert volumes["board0"]["z_mm"] == pytest.approx(geometry.wafers.z_mm - 0.225 - 1.5 - 1.0)


def test_every_material_can_be_built(in_engine):
    arrays, _ = in_engine("built", CLOSE)
    densities = json.loads(str(arrays["densities"]))
    assert all(0.5 < density < 20 for density in densities.values())
    assert math.isclose(densities["Al"], 2.699, rel_tol=1e-3)
    assert math.isclose(densities["board"], 1.85, rel_tol=1e-6)
