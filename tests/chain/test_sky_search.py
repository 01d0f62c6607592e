"""The daemon of photons with its search: a source that flares is found, published and told, also after a kill."""

import json
import os
import signal

import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from stream.lat.cube import YEAR_S
from stream.lat.photons import BLOCK_S
from stream.messages import End, Start
from stream.transport.gcn import check, utc
from stream.transport.link import Push
from stream.transport.photons import open_photons
from tests.chain.daemon import Daemon, raysieve, wait_for
from tests.stream.transport.test_lat_catalogue import written

NAME, PLACE = "4FGL J0000.3-7355", SkyCoord(307.7, -42.7, unit="deg", frame="galactic")  # the first of `written`
FLUX = 3e-6  # photons cm-2 s-1, 1 to 100 GeV: some 80 of them in six hours
BEGIN_S = 20_000 * BLOCK_S
PATIENCE_S = 1200  # of a machine that does much else; the search of six hours takes minutes of CPU at most


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Return a folder with 12 hours of photons (FT1) of diffuse light and one source, and a catalogue that knows it."""
    folder = tmp_path_factory.mktemp("search")
    library = (
        "<source_library><source name='a' type='PointSource'><spectrum type='PowerLaw'>"
        "<parameter name='Prefactor' scale='1e-9' value='{0}'/><parameter name='Index' scale='1' value='-2.2'/>"
        "<parameter name='Scale' scale='1' value='1000'/></spectrum><spatialModel type='SkyDirFunction'>"
        "<parameter name='RA' scale='1' value='{1}'/><parameter name='DEC' scale='1' value='{2}'/></spatialModel>"
        "</source></source_library>"
    )
    here = PLACE.icrs
    (folder / "one.xml").write_text(library.format(FLUX * 1.2 / 1000 / 1e-9, here.ra.deg, here.dec.deg))
    span = ("--years", repr(2 * BLOCK_S / YEAR_S), "--start", BEGIN_S, "--seed", 4)
    done = raysieve("simulate", "lat", folder / "sky.fits", "--mock", folder / "one.xml", *span)
    assert done.returncode == 0, done.stderr
    written(folder / "gll_psc_test.fit")
    return folder


class SearchDaemon(Daemon):
    def __init__(self, folder, out, sky):
        settings = {
            "accumulate_sky.exposure": "survey",  # it has no FT2
            "localise.windows": '["six_hours"]',
            "catalogue": sky / "gll_psc_test.fit",
        }
        words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        super().__init__(folder, out, "--only", "sky", *words, once=False, config="lat")
        self.url = f"ipc://{folder}/links/photons.sock"
        assert self.process.poll() is None, self.end()

    @property
    def pid(self):
        return self.status()["sky"]["pid"]

    def taken(self):
        """Return how many batches were searched, alerts and all."""
        stages = self.status()["sky"]["stages"]
        return stages.get("alert", {}).get("windows", 0)


def alerts(folder):
    return [json.loads(path.read_text()) for path in sorted((folder / "alerts").glob("*.json"))]


def assert_told(folder, number):
    """Everything that the window of a block should have given is there, and names the source."""
    stop = BEGIN_S + (number + 1) * BLOCK_S
    told = alerts(folder)
    (flare,) = [one for one in told if one["event_name"] == NAME and one["observation_stop"] == utc(stop)]
    check(flare)
    assert flare["alert_tense"] == "test"
    assert flare["reference_catalog"] == "gll_psc_test"
    assert flare["flux"] == pytest.approx(FLUX, rel=0.5)
    assert SkyCoord(flare["ra"], flare["dec"], unit="deg").separation(PLACE).deg < 0.3
    found = folder / "six_hours"
    tables = [Table.read(found / "catalogue.fits", hdu=1), Table.read(found / "catalogue.vot")]
    for table in tables:
        first = table[0]  # the most significant
        assert str(first["ASSOC1"]).strip() == NAME
        assert first["Signif_Avg"] > 10
    regions = (found / "sources.reg").read_text().splitlines()
    assert len([line for line in regions if line.startswith("ellipse")]) == len(tables[0])
    assert f"{{{tables[0]['Source_Name'][0]}}}" in regions[3]
    assert "color=red" not in regions[3]  # associated


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_S)
def test_a_flare_is_found_published_and_told_and_after_a_kill_it_goes_on(sky, tmp_path, request):
    daemon, folder = SearchDaemon(tmp_path, tmp_path / "out", sky), tmp_path / "out" / "sky"
    request.addfinalizer(daemon.process.kill)
    start, *batches, end = open_photons([sky / "sky.fits"]).messages()
    assert (type(start), type(end), len(batches)) == (Start, End, 2)
    with Push(daemon.url, queue=16, bind=False) as push:
        for message in (start, batches[0]):
            assert push.send(message, timeout_s=60)
        wait_for(lambda: alerts(folder) and daemon.taken() == 1, PATIENCE_S)
        assert_told(folder, 0)
        killed = daemon.pid
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: daemon.pid != killed, PATIENCE_S)
        for message in (batches[1], end):
            assert push.send(message, timeout_s=PATIENCE_S)
        wait_for(lambda: daemon.taken() == 1, PATIENCE_S)
    daemon.process.send_signal(signal.SIGINT)
    code, said = daemon.end(PATIENCE_S)
    assert code == 0, said
    for number in (0, 1):
        assert [one for one in alerts(folder) if one["observation_stop"] == utc(BEGIN_S + (number + 1) * BLOCK_S)]
    assert_told(folder, 1)
