import pytest
from fastapi.testclient import TestClient

from config.errors import ConfigError
from serve.app import make_app
from serve.guard import Rates, host_of
from serve.settings import Limits, Settings, is_local, read_tokens

TOKENS = {"a" * 40: "ada", "b" * 40: "bob"}


@pytest.fixture
def client(tmp_path):
    def make(**more):
        return TestClient(make_app(Settings(tmp_path / "s", **more)), base_url="http://127.0.0.1:8642")

    return make


def test_other_hosts_and_other_sites_are_refused(client):
    with client(names=("camera.example",)) as service:
        for host, status in (
            ("127.0.0.1:8642", 200), ("localhost", 200), ("[::1]:8642", 200), ("Camera.Example:80", 200),
            ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421), ("localhost@evil.example", 421),
        ):  # fmt: skip
            assert service.get("/v1/health", headers={"Host": host}).status_code == status, host
        own, other = ({"Origin": origin} for origin in ("http://127.0.0.1:8642", "http://evil.example"))
        assert service.get("/v1/health", headers=own).status_code == 200
        refused = service.post("/v1/fits", headers=other)
        assert refused.status_code == 403
        assert service.post("/v1/fits", headers={"Origin": "null"}).status_code == 403
        assert not [name for name in refused.headers if name.startswith("access-control")]


def test_who_has_no_token_sees_nothing_and_jobs_belong_to_their_owner(client):
    with client(tokens=TOKENS) as service:
        store = service.app._store
        store.add(store.new_place(), "ada", "catalogue", {}, 9)
        url = f"/v1/jobs/{store.of('ada')[0].id}"
        for given in (None, "Bearer", "Bearer " + "c" * 40, "Basic " + "a" * 40, "Bearer " + "a" * 39, "Bearer é"):
            answer = service.get("/v1/jobs", headers={"Authorization": given.encode()} if given else {})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "a" * 39 not in answer.text
        ada, bob = ({"Authorization": f"Bearer {token}"} for token in TOKENS)
        assert len(service.get("/v1/jobs", headers=ada).json()) == 1
        assert service.get("/v1/jobs", headers=bob).json() == []
        assert service.delete(url, headers=bob).status_code == 404
        assert service.get(url, headers=ada).status_code == 200
        assert service.get("/v1/health").status_code == 200
        assert service.get("/openapi.json").status_code == 401


def test_too_many_requests_are_told_when_to_come_again(client):
    with client(limits=Limits(per_minute=3)) as service:
        answers = [service.get("/v1/health") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 21


def test_a_bucket_fills_again():
    now = 0.0
    rates = Rates(60, lambda: now)
    assert [rates.wait_s("a") for _ in range(61)] == [0] * 60 + [2]
    assert rates.wait_s("b") == 0
    now = 1.5
    assert [rates.wait_s("a") > 0 for _ in range(2)] == [False, True]


def test_a_full_disk_is_said(client):
    with client(limits=Limits(disk_mb=1)) as service:
        assert service.post("/v1/fits").status_code == 507


def test_beyond_this_machine_a_token_is_needed(tmp_path):
    for host in ("0.0.0.0", "192.0.2.7", "::", "camera.example"):
        assert not is_local(host)
        with pytest.raises(ConfigError, match="needs --token"):
            Settings(tmp_path, host)
        Settings(tmp_path, host, tokens=TOKENS)
    assert is_local("127.0.0.2")
    assert "a" * 40 not in repr(Settings(tmp_path, tokens=TOKENS))


@pytest.mark.parametrize(
    ("text", "mode", "word"),
    [
        ("ada " + "a" * 40, 0o644, "mode 600"),
        ("ada short", 0o600, "line 1: expected NAME TOKEN"),
        ("", 0o600, "a line NAME TOKEN"),
    ],
)
def test_a_file_of_tokens_that_cannot_be_used_is_one_line(tmp_path, text, mode, word):
    path = tmp_path / "tokens"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=word):
        read_tokens(path)


def test_tokens_are_read(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("".join(f"{name} {token}\n" for token, name in TOKENS.items()))
    path.chmod(0o600)
    assert read_tokens(path) == TOKENS
    with pytest.raises(ConfigError, match="no such file"):
        read_tokens(tmp_path / "none")


def test_hosts_are_read_as_browsers_write_them():
    assert [host_of(text) for text in ("A.b:1", "[::1]:8", "x:y", "a/b", "a@b")] == ["a.b", "::1", "", "", ""]
