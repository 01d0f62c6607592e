"""Our files in the hands of others: plain h5py, OGIP as XSPEC and sherpa ask for it, DS9's syntax by `regions`.

stingray: tests/real/test_fits_peers.py; GCN: tests/stream/transport/test_gcn.py; Prometheus: tests/stream/commands.
"""

import subprocess
import sys

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from stream.messages import Frame, Quadrant, Start
from stream.spectra.spectrum import Spectrum
from stream.transport.ogip import write_arf, write_rmf, write_spectrum
from stream.transport.recording import RecordingWriter
from stream.transport.regions import read_regions
from tests.stream.spectra.camera import camera

PLAIN = """
import sys, h5py, hdf5plugin
assert not [name for name in sys.modules if name.split(".")[0] in ("stream", "config")]
with h5py.File(sys.argv[1]) as file:
    index, frames = file["index"][:], file["frames/q0"]
    rows = index[index["quadrant"] == 0]
    print(file.attrs["format"].decode(), file.attrs["version"], frames.chunks, int(frames[rows["position"][1]].sum()))
"""
START = Start(stream="s", run_id="r", quadrants=(Quadrant(id=0, rows=16, columns=24),), frame_time_ns=5, live_time_ns=5)
# OGIP/92-007, 92-002 (CAL/GEN/92-002a): what XSPEC and sherpa look for
PHA = {"EXPOSURE", "BACKSCAL", "AREASCAL", "CORRSCAL", "BACKFILE", "CORRFILE", "RESPFILE", "ANCRFILE", "CHANTYPE"}
PHA |= {"POISSERR", "DETCHANS", "TELESCOP", "INSTRUME", "FILTER", "HDUVERS"}
RMF = {"ENERG_LO", "ENERG_HI", "N_GRP", "F_CHAN", "N_CHAN", "MATRIX"}


def test_a_recording_opens_with_plain_h5py(tmp_path):
    pixels = np.arange(384, dtype=np.uint16).reshape(16, 24)
    with RecordingWriter(tmp_path / "a.h5", START) as out:
        for number in range(3):
            out.write(Frame(stream="s", sequence=number, time_ns=5 * number, quadrant=0, pixels=pixels + number))
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, tmp_path / "a.h5"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split(" ", 3)[:3] == ["raysieve", "recording", "1"]
    assert done.stdout.endswith(f"(1, 16, 24) {pixels.sum() + 384}\n")


@pytest.fixture
def spectra(tmp_path):
    response = camera(first_channel=1)
    counts = np.random.default_rng(1).poisson(3.0, len(response.channel))
    write_rmf(tmp_path / "a.rmf", response)
    write_arf(tmp_path / "a.arf", response)
    write_spectrum(tmp_path / "b.pha", Spectrum.of(counts, 100.0, first_channel=1))
    files = {"BACKFILE": "b.pha", "RESPFILE": "a.rmf", "ANCRFILE": "a.arf"}
    write_spectrum(tmp_path / "a.pha", Spectrum.of(counts, 100.0, first_channel=1).grouped(5), files)
    return tmp_path


def test_spectra_have_what_ogip_asks_for(spectra):
    with fits.open(spectra / "a.pha") as hdus:
        header, data = hdus["SPECTRUM"].header, hdus["SPECTRUM"].data
    assert set(header) >= PHA
    assert (header["HDUCLASS"], header["HDUCLAS1"], header["HDUCLAS3"]) == ("OGIP", "SPECTRUM", "COUNT")
    assert (data["CHANNEL"][0], header["DETCHANS"], len(data)) == (1, len(data), len(data))
    assert data["COUNTS"].dtype.kind == "i"
    assert set(np.unique(data["GROUPING"])) <= {1, -1}


def test_responses_have_what_ogip_asks_for(spectra):
    with fits.open(spectra / "a.rmf") as hdus:
        (matrix,) = [hdu for hdu in hdus if hdu.name in ("MATRIX", "SPECRESP MATRIX")]
        bounds = hdus["EBOUNDS"]
        assert set(matrix.columns.names) >= RMF
        place = matrix.columns.names.index("F_CHAN") + 1
        assert matrix.header[f"TLMIN{place}"] == bounds.data["CHANNEL"][0]
        assert (matrix.header["HDUCLAS1"], matrix.header["HDUCLAS2"]) == ("RESPONSE", "RSP_MATRIX")
        assert (bounds.header["HDUCLAS2"], matrix.header["DETCHANS"]) == ("EBOUNDS", len(bounds.data))
        assert [matrix.columns[name].unit for name in ("ENERG_LO", "ENERG_HI")] == ["keV", "keV"]
        energies = matrix.data["ENERG_LO"].copy()
    with fits.open(spectra / "a.arf") as hdus:
        area = hdus["SPECRESP"]
        assert (area.header["HDUCLAS1"], area.header["HDUCLAS2"]) == ("RESPONSE", "SPECRESP")
        assert area.columns["SPECRESP"].unit == "cm**2"
        np.testing.assert_array_equal(area.data["ENERG_LO"], energies)


def test_regions_of_ds9_are_read_as_astropys_package_writes_them(tmp_path):
    regions = pytest.importorskip("regions")
    made = regions.Regions([
        regions.CirclePixelRegion(regions.PixCoord(19, 29), 5, meta={"text": "core"}),
        regions.EllipsePixelRegion(regions.PixCoord(49, 49), 8, 4),
    ])  # fmt: skip
    made.write(tmp_path / "a.reg", format="ds9")
    found = read_regions(tmp_path / "a.reg")
    assert len(found.sources) == 2
    assert found.sources[0].name == "core"


def test_the_sky_in_regions_of_ds9_is_read_by_astropys_package(tmp_path):
    regions = pytest.importorskip("regions")
    from stream.transport.lat_publish import Found, write_regions
    from tests.stream.lat.catalogues import detections

    rows = detections(np.array([10.0, 200.0]), np.array([-5.0, 40.0]), np.array([30.0, 100.0]))
    for frame in ("galactic", "fk5"):
        write_regions(tmp_path / "a.reg", Found(rows, None, None, None), frame)
        found = regions.Regions.read(tmp_path / "a.reg", format="ds9")
        places = SkyCoord([each.center.transform_to("galactic") for each in found])
        assert places.separation(SkyCoord([10, 200], [-5, 40], unit="deg", frame="galactic")).arcsec.max() < 1
        np.testing.assert_allclose([each.width.to_value("deg") / 2 for each in found], rows["r95_deg"], rtol=1e-3)
