"""Read the ASCII files of the CHIANTI atomic database (Dere et al. 1997, A&AS 125, 149; version 10: Del Zanna 2021)."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError

Floats = NDArray[np.float64]
CM_KEV: Final = 1.239841984e-7  # keV of 1 cm-1; this and what follows: CODATA 2018
ANGSTROM_KEV: Final = 12.39841984  # keV of a photon of 1 Angstrom
RYDBERG_KEV: Final = 0.013605693
K_KEV: Final = 8.617333e-8  # keV of 1 K


@dataclass(frozen=True, slots=True)
class Excitation:
    """Effective collision strength of one transition, scaled after Burgess & Tully 1992, A&A 254, 436."""

    lower: int
    upper: int
    energy_ryd: float
    kind: int
    constant: float
    x: Floats  # (n,) scaled temperature, 0 to 1
    y: Floats  # (n,) scaled collision strength


@dataclass(frozen=True, slots=True)
class Ion:
    """What the coronal solver needs of one ion. Levels by number; rates from ions one stage up may be empty."""

    name: str
    weight: dict[int, float]  # 2J + 1
    energy_kev: dict[int, float]  # above the ground level
    decays: list[tuple[int, int, float, float]]  # lower, upper, energy keV (0: two photons), rate s-1
    excitations: list[Excitation]
    autoionisation: list[tuple[int, int, float]]  # level of the next ion, upper, rate s-1
    recombination: list[tuple[int, Floats, Floats]]  # upper, temperatures K, coefficients cm3 s-1
    potential_kev: float


class Database:
    """The files of a CHIANTI tar: `ions` (names with collision data), `ion(name)`, `fractions`, `potential_kev`."""

    def __init__(self, path: Path | str) -> None:
        """Read all text at once. Raises ConfigError for what is not a CHIANTI tar."""
        try:
            with tarfile.open(path) as tar:
                self._text = {m.name: _text(tar, m) for m in tar if m.isfile()}
        except (OSError, tarfile.TarError) as error:
            raise ConfigError(f"{path}: expected a tar of CHIANTI's files ({error})") from None
        missing = {"ioneq/chianti.ioneq", "ip/chianti.ip", "continuum/gffgu.dat", "continuum/itoh.dat"} - set(
            self._text
        )
        if missing:
            raise ConfigError(f"{path}: expected {', '.join(sorted(missing))}")
        self.potential_kev = read_potentials(self._text["ip/chianti.ip"])
        self.log_t, self.fractions = read_fractions(self._text["ioneq/chianti.ioneq"])

    @property
    def ions(self) -> list[str]:
        """Names of the ions with levels, decays and collision strengths."""
        return sorted(Path(name).stem for name in self._text if name.endswith(".scups"))

    def text(self, name: str) -> str:
        """Return one file; empty where there is none."""
        return self._text.get(name, "")

    def ion(self, name: str, charge: int, stage: int) -> Ion:
        """Return the data of an ion."""
        folder = f"{name.partition('_')[0]}/{name}/{name}"
        weight, energy = read_levels(self.text(f"{folder}.elvlc"))
        return Ion(
            name,
            weight,
            energy,
            read_decays(self.text(f"{folder}.wgfa")),
            read_excitations(self.text(f"{folder}.scups")),
            read_autoionisation(self.text(f"{folder}.auto")),
            read_recombination(self.text(f"{folder}.rrlvl")),
            self.potential_kev[charge, stage],
        )


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = tar.extractfile(member)
    return file.read().decode("latin-1") if file else ""


def _rows(text: str) -> Iterator[str]:
    """Yield lines up to the -1 (or a comment) that ends the data."""
    for line in text.splitlines():
        if line.strip() == "-1" or line.startswith("%"):
            return
        if line.strip():
            yield line


def read_levels(text: str) -> tuple[dict[int, float], dict[int, float]]:
    """Return weight and energy (keV) of each level of a .elvlc file; observed energies where there are any."""
    weight, energy = {}, {}
    for line in _rows(text):
        level, observed, theory = int(line[:7]), float(line[57:72]), float(line[72:87])
        weight[level] = 2 * float(line[52:57]) + 1
        energy[level] = (observed if observed >= 0 else theory) * CM_KEV
    return weight, energy


def read_decays(text: str) -> list[tuple[int, int, float, float]]:
    """Return (lower, upper, energy keV, rate s-1) of a .wgfa file; energy 0 where the photon has no fixed energy."""
    decays = []
    for line in _rows(text):
        fields = line.split()
        wavelength = abs(float(fields[2]))
        decays.append(
            (int(fields[0]), int(fields[1]), ANGSTROM_KEV / wavelength if wavelength else 0.0, float(fields[4]))
        )
    return decays


def read_excitations(text: str) -> list[Excitation]:
    """Return the excitations of a .scups file that start from the ground level (all that counts at low density)."""
    rows = list(_rows(text))
    found = []
    for head, x, y in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        fields = head.split()
        if int(fields[0]) == 1:
            kind, constant, energy = int(fields[6]), float(fields[7]), float(fields[2])
            nodes = np.array(x.split(), float), np.array(y.split(), float)
            found.append(Excitation(1, int(fields[1]), energy, kind, constant, *nodes))
    return found


def read_autoionisation(text: str) -> list[tuple[int, int, float]]:
    """Return (level of the next ion, upper, rate s-1) of a .auto file."""
    fields = [line.split() for line in _rows(text)]
    return [(int(f[0]), int(f[1]), float(f[2])) for f in fields]


def read_recombination(text: str) -> list[tuple[int, Floats, Floats]]:
    """Return (upper, temperatures K, coefficients cm3 s-1) of a .rrlvl file: from the ground of the next ion."""
    rows = [line.split() for line in _rows(text)]
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [(int(t[3]), np.array(t[4:], float), np.array(a[4:], float)) for t, a in pairs if int(t[2]) == 1]


def read_potentials(text: str) -> dict[tuple[int, int], float]:
    """Return the ionisation potential (keV) by (nuclear charge, spectroscopic number)."""
    fields = [line.split() for line in _rows(text)]
    return {(int(f[0]), int(f[1])): float(f[2]) * CM_KEV for f in fields if len(f) >= 3}


def read_fractions(text: str) -> tuple[Floats, dict[tuple[int, int], Floats]]:
    """Return log10 T (m,) and the share of each ion (m,), by (charge, stage); the bare nucleus has stage charge + 1."""
    rows = list(_rows(text))
    size = int(rows[0].split()[0])
    log_t = np.array(" ".join(rows[1:]).split()[:size], float)
    shares = {}
    for line in rows[2:]:
        values = np.array([line[6 + 10 * k : 16 + 10 * k] for k in range(size)], float)  # columns may touch
        shares[int(line[:3]), int(line[3:6])] = values
    return log_t, shares
