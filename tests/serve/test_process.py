"""A real service on a free port of this machine."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import httpx
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli

ROOT = Path(__file__).parents[2]


def test_a_service_starts_answers_and_stops(tmp_path, upload):
    command = [sys.executable, "-m", "raysieve", "serve", "--port", "0", "--folder", str(tmp_path / "s")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as service:
        try:
            line = service.stdout.readline()
            url = re.fullmatch(r"ready: (http://127\.0\.0\.1:\d+)/v1, description at /openapi\.json\n", line)[1]
            with urllib.request.urlopen(f"{url}/v1/health") as answer:
                assert json.load(answer)["status"] == "ok"
            fitted = httpx.post(f"{url}/v1/fits", files=upload("spectrum", "rmf", "arf"), timeout=60)
            assert fitted.status_code in (200, 202), fitted.text
            assert "server" not in fitted.headers
            two = CliRunner().invoke(cli, ["serve", "--port", "0", "--folder", str(tmp_path / "s")])
            assert "another service" in str(two.exception)
        finally:
            service.send_signal(signal.SIGTERM)
            service.wait(20)


def test_beyond_this_machine_it_does_not_start_without_a_token(tmp_path):
    done = CliRunner().invoke(cli, ["serve", "--host", "0.0.0.0", "--folder", str(tmp_path / "s")])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == "--host 0.0.0.0 is open to other machines: needs --token FILE"
    assert not (tmp_path / "s").exists()
