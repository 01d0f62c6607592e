"""`raysieve doctor`: what this machine has, what is missing for which work, and what to do about it."""

import json
import os
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import click
import numpy as np
from numpy.typing import NDArray

from config.errors import ConfigError, RaysieveError
from config.extra import installed_by
from config.load import load_any
from config.schema import Config
from stream.infer import STORE, available, card_of, content_of
from stream.messages import Frame, Maps, Message, Quadrant, Start
from stream.transport.inproc import chain
from stream.wiring import ASIDE, SKY, TABLE, TAP, build, rows_of, url_of

Mark = Literal["good", "note", "bad"]
LEAST_PYTHON: Final = (3, 11)
CORES: Final = 2  # with which 800 frames a second are kept up with (docs/performance.md)
MEMORY_GB: Final = 2.0  # the daemon takes 0.75 GB
DISK_GB: Final = 1.0
SPEED_S: Final = 1.0  # measured for so long
SPARE: Final = 1.3  # times the camera's rate: links, disk and the view want their part
OFFSET_ADU, NOISE_ADU, XRAY_EV = 500, 7, 1500.0
EXTRAS: Final = {  # extra: the package that shows it is there, what it is for
    "sim": ("geant4_pybind", "cosmic rays of your own"),
    "train": ("torch", "training and export of models"),
    "analyse": ("emcee", "posteriors"),
    "serve": ("fastapi", "the web service"),
    "view": ("bokeh", "the live view"),
    "cluster": ("distributed", "many recordings at once"),
    "openvino": ("openvino", "networks two to three times as fast on a CPU with bf16 units"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    mark: Mark = "good"
    do: str = ""  # what helps


@click.command()
@click.option("--config", "-c", "config_name", default="wfi", metavar="CONFIG", help="What is to run here (wfi).")
@click.option("--out", "-o", default="out", type=click.Path(path_type=Path), help="Where it is to write.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def doctor(config_name: str, out: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Look at this machine: Python, processor, packages, models, disk, addresses; say what to do.

    Leaves with exit code 1 if something is missing that the daemon needs.

    Example: raysieve doctor --config wfi
    """
    found = list(examine(config_name, out, overrides))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=1))
    else:
        wide = max(len(each.what) for each in found)
        for each in found:
            sign = {"good": "ok  ", "note": "note", "bad": "BAD "}[each.mark]
            click.echo(f"{sign} {each.what:{wide}}  {each.found}" + (f": {each.do}" if each.do else ""))
    if any(each.mark == "bad" for each in found):
        sys.exit(1)


def examine(config_name: str, out: Path, overrides: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Yield what is found, in the order in which it matters; nothing that is wrong stops it."""
    yield _python()
    yield from _machine()
    yield from _packages()
    yield from _guarded("HDF5 filter", _filters)
    yield from _guarded("kernels", _kernels)
    yield from _models()
    yield from _provider()
    yield _disk(out)
    yield from _addresses(config_name, overrides)
    yield from _guarded("speed", lambda: _speed(config_name, overrides))


def _guarded(what: str, look: Callable[[], Finding]) -> Iterator[Finding]:
    try:
        yield look()
    except Exception as fault:  # whatever a broken installation throws
        yield Finding(what, f"{type(fault).__name__}: {fault}", "bad", "make clean, then make run: installs anew")


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < LEAST_PYTHON:
        return Finding("Python", found, "bad", "needs 3.11 or newer: make PYTHON=python3.11")
    return Finding("Python", found)


def _machine() -> Iterator[Finding]:
    cores, about = len(os.sched_getaffinity(0)), Path("/proc/cpuinfo")
    flags = about.read_text().split() if about.is_file() else []
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if unit in flags]
    do = "" if cores >= CORES else f"800 frames/s want {CORES}; raysieve process works with one"
    yield Finding("cores", str(cores), "good" if not do else "note", do)
    slow = "" if "avx2" in units or not flags else "kernels and networks run, at a fraction of their speed"
    yield Finding("vector units", ", ".join(units) or "none known", "note" if slow else "good", slow)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        do = "" if memory >= MEMORY_GB else "the daemon takes 0.75 GB"
        yield Finding("memory", f"{memory:.1f} GB", "note" if do else "good", do)


def _packages() -> Iterator[Finding]:
    try:
        needed = [line for line in requires("raysieve") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        yield Finding("raysieve", "not installed", "bad", "make run, or pip install -e .")
        return
    names = [line.split(">=")[0].split("==")[0].split(";")[0].strip() for line in needed]
    missing = [name for name in names if _version(name) is None]
    shown = ("raysieve", "numpy", "numba", "onnxruntime", "pyzmq", "h5py", "astropy")
    versions = ", ".join(f"{name} {_version(name)}" for name in shown if _version(name))
    do = f"missing: {', '.join(missing)}; pip install -e ." if missing else ""
    yield Finding("packages", versions, "bad" if missing else "good", do)
    absent = {name: use for name, (module, use) in EXTRAS.items() if find_spec(module) is None}
    here = ", ".join(name for name in EXTRAS if name not in absent) or "none"
    yield Finding("extras", here)
    for name, use in absent.items():
        yield Finding(f"extra {name}", f"not here, for {use}", "note", installed_by(name))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _filters() -> Finding:
    import h5py
    import hdf5plugin

    with tempfile.TemporaryFile() as place, h5py.File(place, "w") as file:
        data = np.arange(4096, dtype=np.uint16).reshape(64, 64)
        file.create_dataset("a", data=data, **hdf5plugin.Bitshuffle(cname="lz4"))
        same = bool(np.array_equal(file["a"][()], data))
    fault = "" if same else "recordings cannot be trusted: pip install --force-reinstall hdf5plugin h5py"
    return Finding("HDF5 filter", "bitshuffle + LZ4", "good" if same else "bad", fault)


def _kernels() -> Finding:
    """Say where compiled kernels are kept: who can write there can run code as the user."""
    import numba

    import stream.kernels  # chooses the folder

    kept = Path(vars(numba.config)["CACHE_DIR"])
    if kept.stat().st_mode & stat.S_IWOTH:
        return Finding(
            "kernels", f"kept in {kept}", "bad", "others can write there and so run code as you: chmod -R o-w"
        )
    here = kept.is_relative_to(Path(stream.kernels.__file__).parent)
    return Finding("kernels", "kept beside their code" if here else f"kept in {kept}")


def _models() -> Iterator[Finding]:
    names, faults = sorted(path.stem for path in STORE.glob("*.onnx")), []
    for name in names:
        try:
            content_of(card_of(name))
        except RaysieveError as fault:
            faults.append(str(fault))
    yield Finding(
        "models", f"{len(names) - len(faults)} of {len(names)} as their cards say", "bad" if faults else "good"
    )
    for text in faults:
        yield Finding("model", text, "bad", "git checkout models/store, or export it anew")


def _provider() -> Iterator[Finding]:
    here = available()
    if {"cuda", "tensorrt"} & set(here) or not any(Path("/dev").glob("nvidia[0-9]*")):
        yield Finding("networks run on", ", ".join(here))
    else:
        do = "pip uninstall onnxruntime; pip install -e '.[gpu]'"
        yield Finding("networks run on", f"{', '.join(here)}; a GPU that onnxruntime does not use", "note", do)


def _disk(out: Path) -> Finding:
    place = next((p for p in (out.absolute(), *out.absolute().parents) if p.exists()), Path("/"))
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("disk", f"{place}: not writable", "bad", "another --out, or other rights")
    free = shutil.disk_usage(place).free / 1e9
    do = "" if free >= DISK_GB else f"event lists want some GB; {out} is on this disk"
    return Finding("disk", f"{free:.0f} GB free at {place}", "good" if not do else "bad", do)


def _addresses(config_name: str, overrides: tuple[str, ...]) -> Iterator[Finding]:
    try:
        config = load_any(config_name, overrides)
        rows = SKY[:1] if hasattr(config, "accumulate_sky") else (*TABLE, *ASIDE, TAP)
        urls = [url_of(row.link, config.links) for row in rows if row.link]
    except ConfigError as fault:
        yield Finding("configuration", str(fault), "bad", "raysieve explain CONFIG shows the whole")
        return
    yield Finding("configuration", config_name)
    taken = [url for url in urls if not _free(url)]
    if taken:
        do = "another daemon runs, or set links.first_port, links.directory"
        yield Finding("addresses", f"taken: {', '.join(taken)}", "note", do)
    else:
        yield Finding("addresses", f"free: {urls[0]} and {len(urls) - 1} more")


def _speed(config_name: str, overrides: tuple[str, ...]) -> Finding:
    """Return how many frames a second the slower of the processes "detect" and "screen" takes, without links."""
    try:
        config = load_any(config_name, overrides)
    except ConfigError:
        return Finding("speed", "not measured without a configuration", "note")
    if not isinstance(config, Config) or not config.detector.quadrants:
        return Finding("speed", "not measured: not a camera of raysieve's own frames")
    start, maps, frames = _read_outs(config)
    used = dict.fromkeys(("detect", "screen"), 0.0)
    chains = {name: [build(row.stage, config, maps) for row in rows_of(name)] for name in used}
    messages: list[Message] = [start]
    number, begun = 0, time.monotonic()
    while time.monotonic() - begun < SPEED_S or number < 2 * len(frames):
        for name, chained in chains.items():
            now = time.monotonic()
            messages = [one for message in messages for one in chain(chained, message)]
            used[name] += (time.monotonic() - now) * (number > len(frames))  # the first ones compile what is not kept
        messages = [_frame(start, number, frames[number % len(frames)])]
        number += 1
    rates = {name: (number - len(frames) - 1) / seconds for name, seconds in used.items()}
    wanted = len(start.quadrants) * 1e9 / start.frame_time_ns
    found = f"{rates['detect']:,.0f} frames/s in detect, {rates['screen']:,.0f} in screen; the camera has {wanted:,.0f}"
    slow = "" if min(rates.values()) > SPARE * wanted else "it may fall behind: other programs, or too slow a processor"
    return Finding("speed", found, "note" if slow else "good", slow)


def _read_outs(config: Config) -> tuple[Start, dict[int, Maps], list[NDArray[np.uint16]]]:
    """Return the start of a stream, its maps, and frames of ten read-outs: noise and two X-rays in each."""
    layout, rng = config.detector, np.random.default_rng(1)
    shape, frame_time_ns = (layout.rows, layout.columns), round(layout.frame_time_s * 1e9)
    places = [
        Quadrant(id=q.id, rows=shape[0], columns=shape[1], origin_x_px=q.origin_x_px, origin_y_px=q.origin_y_px)
        for q in layout.quadrants
    ]
    start = Start(
        stream="doctor", run_id="doctor", quadrants=tuple(places), frame_time_ns=frame_time_ns,
        live_time_ns=frame_time_ns, gain_ev=layout.gain_ev_per_adu, saturation=layout.adc_max_adu,
    )  # fmt: skip
    level, noise = np.full(shape, OFFSET_ADU, np.float32), np.full(shape, NOISE_ADU, np.float32)
    good = np.zeros(shape, np.uint8)
    maps = {q.id: Maps(quadrant=q.id, offset=level, noise=noise, bad=good, version="doctor") for q in places}
    frames = np.rint(rng.normal(OFFSET_ADU, NOISE_ADU, (10 * len(places), *shape))).astype(np.uint16)
    for frame in frames:
        frame[rng.integers(2, shape[0] - 2, 2), rng.integers(2, shape[1] - 2, 2)] += round(
            XRAY_EV / layout.gain_ev_per_adu
        )
    return start, maps, list(frames)


def _frame(start: Start, number: int, pixels: NDArray[np.uint16]) -> Frame:
    sequence, place = divmod(number, len(start.quadrants))
    of = start.quadrants[place].id
    return Frame(stream="doctor", sequence=sequence, time_ns=sequence * start.frame_time_ns, quadrant=of, pixels=pixels)


def _free(url: str) -> bool:
    """Return whether an address can be listened at; a socket file that nobody listens at is one that can."""
    parts = urlsplit(url)
    local = parts.scheme == "ipc"
    with socket.socket(socket.AF_UNIX if local else socket.AF_INET) as one:
        one.settimeout(0.2)
        try:
            one.connect(parts.path if local else (parts.hostname or "127.0.0.1", parts.port or 0))
        except OSError:
            return True
    return False
