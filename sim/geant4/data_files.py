"""The data files that Geant4 11.4 reads, written by us: nothing has to be downloaded.

EmStandard and FTFP_BERT insist on files for bremsstrahlung, photoelectric effect, Rayleigh scattering, neutrons and
photonuclear reactions. They are written from closed formulae and from xraylib's tables; the rest of the physics
(ionisation, multiple scattering, Compton scattering, pair production, cascades) is code and needs no data.
What is missing by it: fluorescence lines, radioactive decay, gamma lines of nuclei, neutrons below 20 MeV in detail.
"""

import os
import shutil
import tempfile
from pathlib import Path

from config.errors import ConfigError
from sim.check import require
from sim.geant4 import electron_data, nuclear_data, photon_data

VERSION = "geant4-11.4-3"  # of what is written here; changes with every change of content
FOLDERS = {  # variable that Geant4 reads: folder below ours
    "G4NEUTRONHPDATA": "G4NDL",
    "G4LEDATA": "G4EMLOW",
    "G4LEVELGAMMADATA": "PhotonEvaporation",
    "G4RADIOACTIVEDATA": "RadioactiveDecay",
    "G4PARTICLEXSDATA": "G4PARTICLEXS",
    "G4PIIDATA": "G4PII",
    "G4REALSURFACEDATA": "RealSurface",
    "G4SAIDXSDATA": "G4SAIDDATA",
    "G4ABLADATA": "G4ABLA",
    "G4INCLDATA": "G4INCL",
    "G4ENSDFSTATEDATA": "G4ENSDFSTATE",
    "G4CHANNELINGDATA": "G4CHANNELING",
}
ELEMENTS = (1, 6, 7, 8, 13, 14, 22, 29, 42, 50, 73, 74, 79)  # of all materials of geometry.Material, and of vacuum


def default_folder() -> Path:
    """Return where the files are kept: RAYSIEVE_CACHE, or the user's cache folder."""
    cache = os.environ.get("RAYSIEVE_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "raysieve" / VERSION


def variables(folder: Path) -> dict[str, str]:
    """Return the environment that Geant4 needs before it is imported."""
    found = {name: str(folder / below) for name, below in FOLDERS.items()}
    # The wheel looks no further where this one is set; without it, in CI, it would tidy a folder of its own.
    return found | {"GEANT4_DATA_DIR": str(folder)}


def provide(folder: Path) -> Path:
    """Return `folder` with all files in it (3 MB); written in one go if they are not there yet.

    Raises ConfigError where it cannot be written, for files of another version, or without the `sim` extra.
    """
    if (folder / "complete").is_file():
        known = (folder / "complete").read_text(errors="replace")[:40]
        require(f"Geant4 data folder {folder}", (known == VERSION, f"files of {VERSION}, these are of {known!r}"))
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix="writing-"))
    except OSError as error:
        raise ConfigError(
            f"Geant4 data folder {folder}: expected a folder that can be written ({error.strerror}); "
            "set RAYSIEVE_CACHE or --data"
        ) from None
    try:
        _write(fresh)
        _put(fresh, folder)
    except OSError as error:
        raise ConfigError(f"Geant4 data folder {folder}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _write(folder: Path) -> None:
    for below in FOLDERS.values():
        (folder / below).mkdir()
    (folder / "G4ENSDFSTATE" / "ENSDFSTATE.dat").write_text("")  # no excited states
    electron_data.write(folder / "G4EMLOW" / "brem_SB", ELEMENTS)
    photon_data.write(folder / "G4EMLOW" / "epics2017", ELEMENTS)
    nuclear_data.write(folder / "G4PARTICLEXS")
    (folder / "complete").write_text(VERSION)


def _put(fresh: Path, folder: Path) -> None:
    """Move into place; another process may have been faster."""
    try:
        fresh.rename(folder)
    except OSError:
        if not (folder / "complete").is_file():
            raise
