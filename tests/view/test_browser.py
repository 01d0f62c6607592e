"""The page in a browser, beside a daemon that runs."""

import os
import signal
import time

import pytest

from stream.transport.products import write_calibration, write_coronae, write_sources
from tests.chain.daemon import Daemon, camera, start, wait_for
from tests.view.finds import calibration, coronae, gamma_ray_sky, sources
from tests.view.pages import NEEDS_A_BROWSER, View, picture, rises, told

HOSTILE = "<img src=x onerror=alert(1)>"
TOKEN = "t" * 40

pytestmark = NEEDS_A_BROWSER


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("view")
    camera(60, made)
    return made


@pytest.fixture(scope="module")
def running(folder):
    """A daemon that is fed, and its view."""
    out = folder / "out"
    settings = ["--set", "screen.model=islands", "--set", "record.interval_s=1"]
    daemon = Daemon(folder, out, *settings, once=False)
    feed = start("replay", folder / "sky.h5", "--to", daemon.url, "--loop", 100_000, "--rate", 0.25)
    view = View(out, "--set", f"links.directory={folder / 'links'}", *settings)
    yield view, daemon
    view.close()
    for process in (feed, daemon.process):
        process.terminate()
    feed.wait(60)
    daemon.end()


def test_the_page_loads_and_its_values_move(running, open_page):
    view, _ = running
    page = open_page(view.url)
    page.wait_for_selector("body[data-ready]")
    for where in ("#newest", "#counts", "#frame-told"):
        rises(page, where)
    told(page, "#state", "running")  # and not behind
    assert "X-rays" in page.inner_text("#frame-told")
    assert page.locator("#processes tbody tr").count() == 3
    assert page.locator(".card:visible").count() >= 8
    assert page.locator("#card-sky").is_hidden()
    figures = page.locator(".card:visible .figure")
    for k in range(figures.count()):  # each is drawn when it comes into the window
        figures.nth(k).scroll_into_view_if_needed()
        figures.nth(k).locator("canvas").first.wait_for(state="attached")
    page.evaluate("scrollTo(0, 0)")
    wait_for(lambda: not page.locator(".card.old").count())
    picture(page, "1280x720")


def test_everything_can_be_done_with_keys(running, open_page):
    view, _ = running
    page = open_page(view.url, scheme="dark")
    page.wait_for_selector("body[data-ready]")
    assert page.get_attribute("html", "data-theme") == "dark"
    rises(page, "#counts")
    for key, kind in (("r", "rejected"), ("t", "tracks"), ("x", "xrays")):
        page.keyboard.press(key)
        assert page.is_checked(f"input[value={kind}]")
    page.keyboard.press("l")
    assert not page.is_checked("#log")
    page.select_option("#low", label="6")
    page.select_option("#high", label="2")
    assert page.eval_on_selector("#low", "one => one.selectedOptions[0].text") == "1.5"
    page.keyboard.press("c")
    told(page, "#frame-told", "maps: frames")
    picture(page, "dark")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    page.keyboard.press("d")
    page.wait_for_selector("html[data-theme=light] body[data-ready]")


def test_it_fits_a_phone(running, open_page):
    view, _ = running
    page = open_page(view.url, 390, 844)
    page.wait_for_selector("body[data-ready]")
    rises(page, "#counts")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    picture(page, "390x844")


def test_names_are_shown_as_they_are(running, open_page):
    view, daemon = running
    write_coronae(coronae(1, HOSTILE), daemon.out)
    page = open_page(view.url)
    assert page.locator("#coronae td").first.inner_text() == HOSTILE
    assert page.locator("#coronae img").count() == 0
    (daemon.out / "coronae.fits").unlink()


def test_a_killed_process_turns_red_and_what_replaces_it_does_not(running, open_page):
    view, daemon = running
    page = open_page(view.url)
    page.wait_for_selector("body[data-ready]")
    rises(page, "#newest")
    killed = daemon.status()["detect"]["pid"]
    os.kill(killed, signal.SIGKILL)
    page.wait_for_selector("#processes tr.dead, #processes tr.bad")
    assert page.locator("#processes tr.dead, #processes tr.bad").first.inner_text().startswith("detect")
    assert "detect" in page.inner_text("#alarm")
    picture(page, "killed")
    told(page, "#diary", "killed by signal 9")
    wait_for(lambda: daemon.status()["detect"]["pid"] != killed, 120)
    rises(page, "#newest")


def test_a_view_that_is_away_is_said_and_comes_back(running, open_page):
    _, daemon = running
    open_page.expected = "net::ERR_"
    other = View(daemon.out, "--set", f"links.directory={daemon.out.parent / 'links'}")
    page = open_page(other.url)
    page.wait_for_selector("body[data-ready]")
    other.close()
    page.wait_for_selector("body.lost")
    assert "no answer" in page.inner_text("#state")
    assert page.locator(".card.old").count() > 0
    picture(page, "lost")
    again = View(daemon.out, "--set", f"links.directory={daemon.out.parent / 'links'}", port=other.port)
    page.wait_for_selector("body:not(.lost)")
    rises(page, "#newest")
    again.close()


def test_without_a_daemon_and_without_a_token(open_page, tmp_path):
    open_page.expected = "401|ERR_CONNECTION"
    tokens = tmp_path / "tokens"
    tokens.write_text(f"ada {TOKEN}\n")
    tokens.chmod(0o600)
    view = View(tmp_path / "out", "--token", str(tokens))
    page = open_page(view.url)
    page.wait_for_selector("#locked[open]")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready]")
    assert "no daemon yet" in page.inner_text("#state")
    assert TOKEN not in page.url
    other = open_page(f"{view.url}#{TOKEN}")
    other.wait_for_selector("body[data-ready]")
    assert TOKEN not in other.url
    time.sleep(0.5)
    view.close()


def test_products_are_shown_beside_the_stream(open_page, tmp_path):
    write_sources(sources(3), tmp_path)
    write_coronae(coronae(5), tmp_path)
    write_calibration(calibration(), tmp_path)
    view = View(tmp_path)
    page = open_page(view.url)
    page.wait_for_selector("body[data-ready]")
    told(page, "#sources-told", "3 sources")
    assert page.locator("#source option").all_inner_texts() == ["2", "1"]
    assert "chosen" in page.locator("#sources tbody tr").nth(1).get_attribute("class")
    page.select_option("#source", "1")
    assert "chosen" in page.locator("#sources tbody tr").nth(2).get_attribute("class")
    assert page.locator("#coronae tbody tr").count() == 5
    told(page, "#drifted", "drifted")
    assert page.locator("#calibration tbody tr").count() == 3
    for name in ("fit", "coronae", "areas", "drift"):
        page.locator(f"#figure-{name}").scroll_into_view_if_needed()
        page.locator(f"#figure-{name} canvas").first.wait_for(state="attached")
    picture(page, "products")
    page.locator("#card-fit").scroll_into_view_if_needed()
    picture(page, "fit")
    (tmp_path / "calibration.fits").unlink()
    page.locator("#card-calibration").wait_for(state="hidden")
    page.close()
    view.close()


def test_the_gamma_ray_sky_has_a_page(open_page, tmp_path):
    counted, _ = gamma_ray_sky(tmp_path)
    view = View(tmp_path, config="lat")
    page = open_page(view.url)
    page.wait_for_selector("body[data-ready]")
    told(page, "#sky-told", f"{counted:,} photons, 12 detections")
    assert page.locator("#detections tbody tr").count() == 12
    assert page.locator("#alerts tbody tr").count() == 2
    assert page.locator("#card-image").is_hidden()
    page.locator("#figure-sky canvas").first.wait_for(state="attached")
    wait_for(lambda: page.eval_on_selector("#card-sky .age", "one => /^[0-9.]+ s$/.test(one.textContent)"))
    picture(page, "sky")
    (tmp_path / "sky" / "mission" / "catalogue.fits").write_bytes(b"SIMPLE")
    told(page, "#sky-told", "cannot be read")
    page.close()
    view.close()
