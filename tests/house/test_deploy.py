"""What deploy/ puts elsewhere is what pyproject.toml ships, and where it may be written."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTAINER = (ROOT / "deploy/Containerfile").read_text().splitlines()
SERVICE = (ROOT / "deploy/raysieve.service").read_text()


def test_the_container_has_every_package_that_is_shipped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    copied = [name for line in CONTAINER if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert not set(shipped) - set(copied)


def test_compiled_kernels_have_a_folder_in_the_container_and_in_the_service():
    install = next(line for line in CONTAINER if "useradd" in line)
    assert "-m 700 -o raysieve /var/cache/raysieve" in install
    assert any(line.startswith("ENV NUMBA_CACHE_DIR=/var/cache/raysieve") for line in CONTAINER)
    assert "CacheDirectory=raysieve\n" in SERVICE
    assert "Environment=NUMBA_CACHE_DIR=/var/cache/raysieve" in SERVICE
