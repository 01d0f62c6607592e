"""What the live view costs: start to a usable page, a killed process to red, and the CPU of the daemon.

A page asks ten times a second for numbers and image, twice for a frame. Chromium shows it where there is one; for the
cost a plain client asks in its place: what a browser draws is no matter of the daemon, and may be on another machine.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import figures
from bench.pages import show
from bench.realtime import prepare, raysieve
from bench.scaling import fill
from config.load import load
from stream.messages import EventList, Frame
from stream.stages.correct import Correct
from stream.stages.reconstruct import Reconstruct
from stream.stages.screen import Screen
from stream.transport.inproc import chain
from stream.transport.maps import read_maps
from stream.transport.pixels import PixelTap
from stream.transport.recording import Recording
from stream.transport.tap import ASK, ASK_PASSED, Onlooker, Tap
from stream.wiring import TABLE, url_of

NAMES = tuple(dict.fromkeys(row.process for row in TABLE))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
BEST = "start to usable page, best"
MEDIAN = "start to usable page, median"
ALONE = "start to usable page, without a daemon"
QUARTER = "start to usable page, at a quarter of the rate"
COST = "CPU of the daemon a frame, with a page, more than without"
SHARE = "taps over stages alone"
PAGE = figures.FOLDER.parent / "view.md"
SETTLE_S = 2.0
READOUTS_S = 200  # at full rate


class Running:
    """The daemon at full rate or a part of it, fed without end, from files of `bench.realtime`."""

    def __init__(self, out: Path, rate: float = 1.0) -> None:
        self.out = out
        self.settings = ["--set", f"correct.maps={out / 'maps.h5'}", "--set", f"links.directory={out / 'links'}"]
        self.settings += ["--set", "supervise.restarts=50", "--out", str(out)]
        self.feed: subprocess.Popen[bytes] | None = None
        shutil.rmtree(out / ".status", ignore_errors=True)
        self.daemon = subprocess.Popen(raysieve("run", "wfi", *self.settings, "--overwrite", "--quiet", "--once"))
        wait(lambda: len(self.status()) == len(NAMES), 300)
        url = url_of(TABLE[0].link, load("wfi", [f"links.directory={out / 'links'}"]).links)
        feed = raysieve("replay", str(out / "sky.h5"), "--to", url, "--loop", "1000000", "--rate", str(rate))
        self.feed = subprocess.Popen(feed, stdout=subprocess.DEVNULL)

    def status(self) -> dict[str, Any]:
        """Return the statuses that there are."""
        found = {}
        for name in NAMES:
            with suppress(OSError, ValueError):
                found[name] = json.loads((self.out / ".status" / f"{name}.json").read_text())
        return found

    def used(self) -> tuple[int, float]:
        """Return frames taken, and CPU seconds of all processes, at their last status."""
        status = self.status()
        return status["detect"]["counters"].get("in_Frame", 0), sum(one["cpu_s"] for one in status.values())

    def close(self) -> dict[str, Any]:
        """End the feed and then the daemon; return its last status."""
        if self.feed is not None:
            self.feed.kill()  # what it holds for a busy daemon is not waited for
            self.feed.wait()
        self.daemon.send_signal(signal.SIGINT)
        self.daemon.wait(120)
        return self.status()


class View:
    """`raysieve view` on a free port."""

    def __init__(self, settings: list[str]) -> None:
        command = raysieve("view", "wfi", *settings, "--port", "0")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http\S+/", self.process.stdout.readline())
        assert found is not None
        self.url = found[0]

    def cpu_s(self) -> float:
        """Return the CPU seconds that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)


class Asking:
    """Asks as a page does, in threads, until it is left. counts: answers by path."""

    PATHS = (("v1/now", 0.1), ("v1/image?kind=xrays&low=0&high=14", 0.1), ("v1/frame", 0.5))

    def __init__(self, url: str) -> None:
        self._url, self._over, self.counts = url, threading.Event(), Counter[str]()
        self._threads = [threading.Thread(target=self._ask, args=path) for path in self.PATHS]

    def _ask(self, path: str, every_s: float) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            with suppress(OSError), urllib.request.urlopen(self._url + path, timeout=10) as answer:
                answer.read()
                self.counts[path.partition("?")[0]] += 1
            self._over.wait(max(0.0, every_s - (time.monotonic() - began)))

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def wait(holds: Any, patience_s: float) -> None:
    """Wait until something holds."""
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            raise SystemExit("waited in vain")
        time.sleep(0.02)


def measure_cost(running: Running, pairs: int, seconds: float) -> dict[str, tuple[Any, ...]]:
    """Return the cost of the view: CPU of the daemon a frame with it over that without, in turns of one run."""
    ratios, own, asked, frames = [], [], [], 0

    def per_frame() -> float:
        time.sleep(SETTLE_S)
        first = running.used()
        time.sleep(seconds)
        last = running.used()
        return (last[1] - first[1]) / max(1, last[0] - first[0])

    for number in range(pairs):
        found = {}
        for watched in (number % 2 == 0, number % 2 == 1):  # neither is always the first
            if not watched:
                found[watched] = per_frame()
                continue
            view = View(running.settings)
            wait(
                lambda view=view: json.load(urllib.request.urlopen(view.url + "v1/now"))["seen"].get("lists", 0) > 200,
                60,
            )
            with Asking(view.url) as asking:
                began, cpu = time.monotonic(), view.cpu_s()
                found[watched] = per_frame()
                passed = time.monotonic() - began
                own.append((view.cpu_s() - cpu) / passed)
                asked.append(asking.counts["v1/now"] / passed)
                frames += asking.counts["v1/frame"]
            view.close()
        ratios.append(found[True] / found[False])
        print(f"pair {number}: {100 * (ratios[-1] - 1):+.2f} %, {1e6 * found[False]:.0f} us CPU a frame", flush=True)
    change = 100 * (np.array(ratios) - 1)
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(change, (10_000, len(change))), axis=1)
    interval = tuple(np.percentile(medians, [16, 84]).tolist())
    return {
        COST: (float(np.median(change)), "%", interval),
        "pairs of turns": (pairs, f"of {seconds:g} s"),
        "answers to the page": (float(np.mean(asked)), "1/s"),
        "frames shown to it": (frames, "frames"),
        "CPU of the view": (float(np.mean(own)), "CPU-s/s"),
    }


def measure_taps(out: Path) -> dict[str, tuple[Any, ...]]:
    """Return the CPU of the questions of one page alone, in this process, over that of the stages of the daemon."""
    config = load("wfi")
    stages = [Correct(config, read_maps(out / "maps.h5")), Reconstruct(config), Screen(config)]
    with Recording(out / "sky.h5") as source:
        messages, start = [message for message in source.messages() if isinstance(message, Frame)], source.start
    list(chain(stages, start))
    least = []
    for first in range(0, len(messages) - 40, 40):  # ten read-outs at a time: somewhere nothing else was running
        began = time.process_time()
        lists = [one for message in messages[first : first + 40] for one in chain(stages, message)]
        least.append(time.process_time() - began)
    at_full_rate = min(least) * READOUTS_S / 10
    lists = [one for message in messages[:200] for one in chain(stages, message) if isinstance(one, EventList)]
    corrected = [one for message in messages[200:220] for one in stages[0].process(message)]

    def offered(tap: Any, what: list[Any], rounds: int, ask: bytes, every: int, asks: bool) -> float:
        """Return CPU seconds for offering all of it so many times; every: so many after which it is asked."""
        tap.offer(start)
        with Onlooker(tap.url, queue=4, ask=ask) as onlooker:
            used, n = 0.0, 0
            for _ in range(rounds):
                for one in what:
                    if asks and n % every == 0:
                        while onlooker.receive(0) is not None:
                            pass
                        onlooker._asked_at = float("-inf")
                        onlooker.receive(0)
                        tap._heard = float("-inf")
                        wait(lambda: tap._socket.poll(0) or tap._asked, 10)
                    began = time.process_time()
                    tap.offer(one)
                    used += time.process_time() - began
                    n += 1
        return used

    rows: dict[str, tuple[Any, ...]] = {}
    shapes = {"lists": (Tap, lists, 20, ASK_PASSED, READOUTS_S // 10, READOUTS_S)}
    for name, (kind, what, rounds, ask, every, hz) in shapes.items():
        numbers = len(what) * rounds
        with kind(f"ipc://{out}/bench_{name}.sock", queue=4) as tap:
            quiet = min(offered(tap, what, rounds, ask, every, False) for _ in range(3))
            busy = min(offered(tap, what, rounds, ask, every, True) for _ in range(3))
        rows[f"tap of {name}, nobody asks"] = (quiet / numbers * hz * 1e3, "ms CPU/s")
        rows[f"tap of {name}, asked 10 times a second, more"] = ((busy - quiet) / numbers * hz * 1e3, "ms CPU/s")
    with PixelTap(f"ipc://{out}/bench_pixels.sock", queue=2) as tap:
        answers = 20
        frames = [replace(one, frame=replace(one.frame, sequence=n // 4)) for n, one in enumerate(corrected)]
        quiet = min(offered(tap, frames, answers, ASK, 10**9, False) for _ in range(3))
        told = tap.counters["told"]
        busy = min(offered(tap, frames, answers, ASK, len(frames), True) for _ in range(3))
        count = (tap.counters["told"] - told) / 3
    rows["tap of pixels, nobody asks"] = (quiet / (len(frames) * answers) * 4 * READOUTS_S * 1e3, "ms CPU/s")
    rows["tap of pixels, an answer a second"] = ((busy - quiet) / max(count, 1) * 1e3, "ms CPU/s")
    taps = sum(float(row[0]) for row in rows.values())
    rows["stages alone, at full rate"] = (at_full_rate * 1e3, "ms CPU/s")
    rows[SHARE] = (0.1 * taps / at_full_rate, "%")
    return rows


def measure_page(running: Running, times: int) -> dict[str, tuple[Any, ...]]:
    """Return seconds from the start of the view to a page with moving numbers and figures, in a browser that runs."""
    if CHROMIUM is None:
        print("no Chromium: no figures of the page")
        return {}
    from playwright.sync_api import sync_playwright

    usable, red, cpu = [], [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        browser.new_page(viewport={"width": 1280, "height": 720}).close()
        for number in range(times):
            began = time.monotonic()
            view = View(running.settings)
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(view.url)
            page.wait_for_selector("body[data-ready]", timeout=120_000)
            wait(lambda page=page: page.inner_text("#counts"), 60)
            usable.append(time.monotonic() - began)
            cpu.append(view.cpu_s())
            print(f"page {number}: {usable[-1]:.2f} s, {cpu[-1]:.2f} CPU-s, load {os.getloadavg()[0]:.1f}", flush=True)
            if number < 3:
                pid = running.status()["detect"]["pid"]
                began = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                page.wait_for_selector("#processes tr.dead, #processes tr.bad", timeout=60_000)
                red.append(time.monotonic() - began)
                wait(lambda pid=pid: running.status()["detect"]["pid"] != pid, 300)
            page.close()
            view.close()
        browser.close()
    return {
        BEST: (min(usable), "s"),
        MEDIAN: (float(np.median(usable)), "s", (min(usable), max(usable))),
        "CPU of the view until then": (min(cpu), "CPU-s"),
        "killed to red, longest of 3": (max(red), "s"),
        "load of the machine": (os.getloadavg()[0], "processes"),
    }


def measure_alone(out: Path, times: int) -> dict[str, tuple[Any, ...]]:
    """Return seconds from the start of a view that waits for a daemon to its page, with nothing beside it."""
    if CHROMIUM is None:
        return {}
    from playwright.sync_api import sync_playwright

    usable = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        browser.new_page(viewport={"width": 1280, "height": 720}).close()
        for _ in range(times):
            began = time.monotonic()
            view = View(["--out", str(out / "none")])
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(view.url)
            page.wait_for_selector("body[data-ready]", timeout=120_000)
            usable.append(time.monotonic() - began)
            page.close()
            view.close()
        browser.close()
    return {ALONE: (float(np.median(usable)), "s", (min(usable), max(usable)))}


def table() -> str:
    """Return what was measured beside what was to be reached."""
    rows = figures.read("view")
    taps = ["tap of lists, nobody asks", "tap of lists, asked 10 times a second, more", "tap of pixels, nobody asks"]
    taps.append("tap of pixels, an answer a second")
    shown = [
        ("start of `raysieve view` to a usable page, best", [BEST], "<= 3 s"),
        ("the same, median (and range)", [MEDIAN], "<= 3 s"),
        ("the same without a daemon beside it", [ALONE], "<= 3 s"),
        ("the same beside a daemon at a quarter of its rate", [QUARTER], "<= 3 s"),
        ("the CPU of the view in that time", ["CPU of the view until then"], ""),
        ("a killed process is red after, longest of three", ["killed to red, longest of 3"], "<= 2 s"),
        ("the taps alone, each not asked; asked by one view (both ends of the link)", taps, ""),
        ("all of that, of the CPU of `correct`, `reconstruct`, `screen` without links and disk", [SHARE], "< 2 %"),
        ("CPU of the daemon a frame, with a page, more than without, in turns of a run", [COST], "< 2 %"),
        ("frames lost, of those taken, meanwhile", ["frames lost meanwhile", "frames taken meanwhile"], "0"),
        ("answers to the page", ["answers to the page"], "10 /s"),
        ("CPU of the view", ["CPU of the view"], ""),
        ("processes that wanted to run meanwhile, on two cores", ["load of the machine"], ""),
    ]
    lines = ["| | measured | to reach |", "|---|---|---|"]
    for what, keys, wanted in shown:
        cells = "; ".join(show(rows[key]) for key in keys if key in rows)
        lines.append(f"| {what} | {cells} | {wanted} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and write docs/figures/view.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tables", action="store_true", help="only fill in figures that are there")
    arguments.add_argument("--alone", action="store_true", help="only the start without a daemon, beside what is there")
    arguments.add_argument("--pairs", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--pages", type=int, default=5)
    arguments.add_argument("--out", type=Path, default=Path("out/realtime"))
    given = arguments.parse_args()
    if given.tables:
        PAGE.write_text(fill(PAGE.read_text(), "view", table()))
        return
    out = given.out.absolute()
    if given.alone:
        figures.write(
            "view", "python -m bench.view --alone", measure_alone(out, given.pages), keep=figures.read("view")
        )
        return
    prepare(given.out, photons=2)
    found = measure_alone(out, given.pages) | measure_taps(out)
    running = Running(out)
    try:
        found |= measure_cost(running, given.pairs, given.seconds)
        detect = running.status()["detect"]  # before the end, which cuts a read-out
        lost = detect["stages"].get("receive", {}).get("lost", 0)
        lost += sum(n for name, n in detect["counters"].items() if name.startswith("gap_"))
        found["frames lost meanwhile"] = (int(lost), "frames")
        found["frames taken meanwhile"] = (int(detect["counters"]["in_Frame"]), "frames")
        running.close()
        running = Running(out)
        found |= measure_page(running, given.pages)
        running.close()
        running = Running(out, rate=0.25)
        found[QUARTER] = measure_page(running, given.pages).get(MEDIAN, (float("nan"), "s"))
    finally:
        running.close()
    figures.write("view", f"python -m bench.view --pairs {given.pairs} --seconds {given.seconds:g}", found)


if __name__ == "__main__":
    main()
