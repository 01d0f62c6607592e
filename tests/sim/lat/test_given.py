import gzip

import numpy as np
import pytest

from config.errors import ConfigError
from sim.lat.catalogue import CLASSES
from sim.lat.given import read_xml
from stream.lat.exposure import ENERGY_MEV

PLACE = """<spatialModel type="SkyDirFunction"><parameter name="RA" scale="1.0" value="83.6331"/>
<parameter name="DEC" scale="1.0" value="22.0145"/></spatialModel>"""
PARABOLA = f"""<source name="a" type="PointSource"><spectrum type="LogParabola">
<parameter name="norm" scale="1e-12" value="2"/><parameter name="alpha" scale="-1.0" value="-2.1"/>
<parameter name="beta" scale="-1.0" value="-0.1"/><parameter name="Eb" scale="1.0" value="2000"/></spectrum>
{PLACE}</source>"""
CUT_OFF = f"""<source name="b" type="PointSource"><spectrum type="PLSuperExpCutoff2">
<parameter name="Prefactor" scale="1e-11" value="1"/><parameter name="Index1" scale="1.0" value="-1.2"/>
<parameter name="Scale" scale="1.0" value="1500"/><parameter name="Expfactor" scale="1.0" value="0.01"/>
<parameter name="Index2" scale="1" value="0.66"/></spectrum>{PLACE}</source>"""
DIFFUSE = '<source name="iso" type="DiffuseSource"><spectrum type="FileFunction"/></source>'


def library(path, *sources):
    text = f"<?xml version='1.0' ?><source_library title='x'>{''.join(sources)}</source_library>"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["mock.xml", "mock.xml.gz"])
def test_sources_are_as_the_library_says(tmp_path, name):
    table = read_xml(library(tmp_path / name, PARABOLA, DIFFUSE, CUT_OFF))
    assert [CLASSES[k] for k in table["class"]] == ["BLL", "PSR"]
    x = ENERGY_MEV / 2000
    np.testing.assert_allclose(table["spectrum"][0], 2e-12 * x ** -(2.1 + 0.1 * np.log(x)))
    cut = 1e-11 * (ENERGY_MEV / 1500) ** -1.2 * np.exp(-0.01 * ENERGY_MEV**0.66)
    np.testing.assert_allclose(table["spectrum"][1], cut)
    np.testing.assert_allclose(table["glon_deg"], 184.5574, atol=1e-3)  # the Crab
    np.testing.assert_allclose(table["glat_deg"], -5.7843, atol=1e-3)
    e = np.geomspace(1000, 100_000, 4001)
    exact = np.trapezoid(2e-12 * (e / 2000) ** -(2.1 + 0.1 * np.log(e / 2000)), e)
    assert table["flux"][0] == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ([DIFFUSE], "found none"),
        ([PARABOLA.replace('name="Eb"', 'name="E"')], "source a"),
        ([PARABOLA.replace("LogParabola", "BrokenPowerLaw")], "BrokenPowerLaw is not known"),
    ],
)
def test_others_are_refused_in_one_line(tmp_path, sources, said):
    with pytest.raises(ConfigError, match=said) as caught:
        read_xml(library(tmp_path / "m.xml", *sources))
    assert "\n" not in str(caught.value)


def test_what_is_no_library_is_refused(tmp_path):
    (tmp_path / "m.xml").write_text("SIMPLE  =")
    with pytest.raises(ConfigError, match="not a source library"):
        read_xml(tmp_path / "m.xml")
