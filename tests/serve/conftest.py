import time

import numpy as np
import pytest

from sim.sources.camera import Camera, built_in
from sim.sources.field import Setup, make_field
from sim.sources.files import write_event_list
from stream.spectra.model import parse_model
from stream.spectra.spectrum import Spectrum
from stream.transport.ogip import write_arf, write_rmf, write_spectrum

TRUTH = (0.3, 1.8, 2e-4)  # nH, photon index, norm


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Bytes of a spectrum of known truth with background, its RMF and ARF, and of an event list."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(1)
    camera = built_in()
    response = camera.response
    rate = response.fold(parse_model("tbabs*powerlaw").photons(TRUTH, response.energy_lo_kev, response.energy_hi_kev))
    off = Spectrum.of(rng.poisson(np.full(len(rate), 2.0)), 5000.0, first_channel=int(response.channel[0]), backscal=4)
    on = rng.poisson(5000.0 * rate + 0.5)
    spectrum = Spectrum.of(on, 5000.0, first_channel=int(response.channel[0]))
    named = {"BACKFILE": "/etc/hostname", "RESPFILE": "../../../etc/hostname", "ANCRFILE": "/etc/hostname"}
    write_spectrum(folder / "spectrum", spectrum, named)
    write_spectrum(folder / "background", off)
    write_rmf(folder / "rmf", response)
    write_arf(folder / "arf", response)
    small = Camera(response=response, columns=96, rows=96)
    write_event_list(
        make_field(small, Setup(density=0.3, numbers={"LMXB": 3}, wanted_counts=120), 3), folder / "events"
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def upload(files):
    """Return a function: the parts of a multipart request; changes: bytes, or None to leave one out."""

    def parts(*names, **changes):
        given = {name: files[name] for name in names} | changes
        return {name: (f"../../{name}", data) for name, data in given.items() if data is not None}

    return parts


@pytest.fixture
def until():
    """Return a function: wait until something holds."""

    def wait(holds, seconds=30):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.02)

    return wait
