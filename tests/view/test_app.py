"""The routes of the view: who is let in, what is answered."""

import numpy as np
import pytest
from starlette.testclient import TestClient

from config.errors import ConfigError
from config.load import load_any
from serve.settings import Limits, Settings
from stream.errors import ModelError
from tests.stream.stages.streams import START
from tests.view.readouts import CUT, KEPT, SCREENED, passed, read_out
from view.app import OPEN, make_app, view_of
from view.sight import EDGES_KEV

TOKEN = "a" * 40


@pytest.fixture
def client(out):
    """Return a function: a client of a view, not started, that has seen one read-out."""

    def make(config="quick", **more):
        view = view_of(load_any(config, [f"links.directory={out}"]), out)
        view.sight.open(START)
        view.sight.add(passed(read_out(1, [(0, 3, 5, 0.4, 0, KEPT), (1, 2, 2, 1, 0, SCREENED), (2, 1, 1, 1, 13, CUT)])))
        view.health.look()
        settings = Settings(folder=out, **{"limits": Limits(per_minute=1000), **more})
        made = TestClient(make_app(view, settings), base_url="http://127.0.0.1:8643")
        made.view = view
        return made

    return make


def test_the_page_loads_nothing_from_elsewhere(client):
    service = client()
    page = service.get("/")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert (page.headers["x-content-type-options"], page.headers["cache-control"]) == ("nosniff", "no-store")
    for path in OPEN:
        answer = service.get(path)
        assert answer.status_code in (200, 204), path
        assert "content-security-policy" in answer.headers
    assert "max-age" in service.get("/bokeh.min.js").headers["cache-control"]


def test_scripts_set_text_as_text(client):
    service = client()
    for path in ("/view.js", "/draw.js", "/products.js", "/text.js"):
        script = service.get(path).text
        assert not [
            word for word in ("innerHTML", "outerHTML", "insertAdjacent", "eval(", "document.write") if word in script
        ]


def test_numbers_of_all_parts_are_in_one_answer(client):
    told = client().get("/v1/now").json()
    assert (told["kind"], told["seen"]["run"], told["seen"]["newest"]) == ("camera", START.run_id, 1)
    assert set(told["daemon"]["processes"]) == {"detect", "screen", "record"}
    assert told["daemon"]["processes"]["detect"]["drops"][0][:2] == ["lost", 1]
    assert told["edges_kev"][-1] is None
    assert told["products"] == {}


def test_images_by_kind_and_band(client):
    service = client()
    answer = service.get("/v1/image?kind=rejected&low=0&high=14")
    counts = np.frombuffer(answer.content, "<u4").reshape(*map(int, answer.headers["x-shape"].split(",")))
    assert counts.sum() == 2
    assert np.frombuffer(service.get("/v1/image").content, "<u4").sum() == 1
    assert len(EDGES_KEV) == 15
    for wrong in ("kind=all", "low=3&high=3", "low=-1&high=3", "high=15", "low=x"):
        answer = service.get(f"/v1/image?{wrong}")
        assert (answer.status_code, list(answer.json())) == (422, ["error"]), wrong


def test_what_is_not_there_is_said(client):
    service = client()
    assert service.get("/v1/frame").status_code == 204
    assert service.get("/v1/products/sources").status_code == 404
    assert service.get("/v1/products/..%2f..%2fetc%2fpasswd").status_code == 404
    assert service.get("/v1/figures?theme=pink").status_code == 422
    assert service.get("/nothing").status_code == 404
    assert service.post("/v1/now").status_code == 405


def test_figures_come_in_two_themes(client):
    service = client()
    light, dark = (service.get(f"/v1/figures?theme={theme}").json() for theme in ("light", "dark"))
    assert set(light) == set(dark) == {
        "image", "frame", "rates", "fraction", "spectrum", "patterns", "common_mode", "hits", "sky",
            "fit", "coronae", "areas", "drift",
    }  # fmt: skip
    assert light["image"]["target_id"] == "figure-image"


def test_other_hosts_and_other_sites_are_refused(client):
    service = client()
    for host, status in (("127.0.0.1:8643", 200), ("localhost", 200), ("evil.example", 421), ("", 421)):
        assert service.get("/v1/now", headers={"Host": host}).status_code == status, host
    refused = service.get("/v1/now", headers={"Origin": "http://evil.example"})
    assert refused.status_code == 403
    assert not [name for name in service.get("/v1/now").headers if name.startswith("access-control")]


def test_without_its_token_only_the_empty_page_is_given(client):
    service = client(tokens={TOKEN: "ada"})
    for path in ("/v1/now", "/v1/image", "/v1/frame", "/v1/figures", "/v1/products/sources"):
        assert service.get(path).status_code == 401, path
        assert service.get(path, headers={"Authorization": "Bearer " + "b" * 40}).status_code == 401
    assert service.get("/").status_code == 200
    assert service.get("/v1/now", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_other_machines_need_a_token(tmp_path):
    with pytest.raises(ConfigError, match="needs --token"):
        Settings(folder=tmp_path, host="0.0.0.0")


def test_a_network_that_cannot_be_used_is_said(client, monkeypatch):
    service = client()

    def refuse(_):
        raise ModelError("frames.toml: damaged")

    monkeypatch.setattr("view.cams.Cams.__init__", lambda _, config: refuse(config))
    from stream.transport.pixels import pixels_of

    found = {q.id: np.zeros((q.rows, q.columns), np.int16) for q in START.quadrants}
    monkeypatch.setattr(service.view.looker, "pixels", lambda: (pixels_of(START, 1, 0, found), 0.5))
    assert service.get("/v1/frame").json()["events"]["kind"] == ["kept", "screened", "cut"]
    assert service.get("/v1/frame?after=1").status_code == 204
    answer = service.get("/v1/frame?cams=1")
    assert (answer.status_code, answer.json()) == (501, {"error": "frames.toml: damaged"})


def test_a_view_of_photons_has_no_camera(client):
    told = client("lat").get("/v1/now").json()
    assert told["kind"] == "sky"


def test_it_looks_while_it_is_served(client):
    with client() as service:
        assert service.get("/v1/health").json()["status"] == "ok"
