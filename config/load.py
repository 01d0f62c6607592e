"""TOML -> `Config`, all faults reported at once, with a digest."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.errors import ConfigError
from config.faults import Place, faults_of
from config.lat import Lat
from config.schema import Config
from config.section import Section

AnyConfig = Config | Lat

SHIPPED = Path(__file__).parent


def find(name: str | Path) -> Path:
    """Return the path of a configuration: a file, or the name of a shipped one (`wfi`, `config/wfi.toml`).

    Raises ConfigError if there is neither.
    """
    path = Path(name)
    shipped = SHIPPED / (path.name if path.suffix == ".toml" else f"{path.name}.toml")
    plain = path.parent in (Path(), Path("config"))  # a mistyped path must not find something else
    for candidate in (path, shipped) if plain else (path,):
        if candidate.is_file():
            return candidate
    known = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.toml")))
    raise ConfigError(f"{path}: no such configuration (a file, or one of: {known})")


def load(name: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read the configuration of a camera; as `load_any`, and ConfigError for one that is for photons."""
    found = _load(name, tuple(overrides), Config)
    assert isinstance(found, Config)
    return found


def load_any(name: str | Path, overrides: Iterable[str] = ()) -> AnyConfig:
    """Read a configuration; `overrides` are `section.key=value` with TOML values (bare words are strings).

    One with a section accumulate_sky is for photons. Raises ConfigError with one line for each fault.
    """
    return _load(name, tuple(overrides), None)


def _load(name: str | Path, overrides: Sequence[str], wanted: type[AnyConfig] | None) -> AnyConfig:
    path = find(name)
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise ConfigError(f"{path}: {fault}") from None
    kind = _kind(tree)
    if wanted is Config and kind is not Config:
        raise ConfigError(f"{path}: is for photons (Fermi-LAT); expected the configuration of a camera")
    for override in overrides:
        _apply(tree, override)
    try:
        return (wanted or _kind(tree)).model_validate(tree)
    except ValidationError as error:
        faults = faults_of(error, wanted or _kind(tree))
        lines = [f"{_blamed(path, overrides, place)}: {said}" for place, said in faults]
        raise ConfigError("\n".join(lines)) from None


def _key(place: Place) -> str:
    return ".".join(map(str, place)) or "file"


def _blamed(path: Path, overrides: Sequence[str], place: Place) -> str:
    """Return who set what is at a place, and the place: the file, --set, or both where a rule joins several keys."""
    where, beside = _key(place), ""
    for override in reversed(overrides):  # the last one holds
        key = override.partition("=")[0].strip()
        if where == key:
            return f"--set {override}"
        if where.startswith(f"{key}."):
            return f"--set {override}: {where}"
        if not place or key.startswith(f"{where}."):
            beside = f" --set {override}{beside}"
    return f"{path}{' with' if beside else ''}{beside}: {where}"


def revive(text: str) -> AnyConfig:
    """Return the configuration that `model_dump_json` made this text of."""
    return _kind(json.loads(text)).model_validate_json(text)


def _kind(tree: dict[str, Any]) -> type[AnyConfig]:
    return Lat if "accumulate_sky" in tree else Config


def digest(config: Section) -> str:
    """Return the SHA-256 (hex) of the resolved configuration."""
    text = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    for name in sections:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override}: {name} is not a section")
    tree[last] = value
