"""`raysieve serve`: the web service."""

import tempfile
from pathlib import Path

import click

from config.errors import ConfigError
from config.extra import extra
from serve.listen import listening
from serve.settings import Limits, Settings, is_local, read_tokens

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--folder", default="out/serve", type=FILE, help="Where jobs and uploads are kept.")
@click.option("--host", default="127.0.0.1", help="Address to listen on; others than this machine's need --token.")
@click.option("--port", default=8642, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--token", type=FILE, metavar="FILE", help="Lines NAME TOKEN: who may use it (mode 600).")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A further host name that requests may be for.")
@click.option("--certificate", type=FILE, metavar="FILE", help="TLS: certificate chain (PEM), with --key.")
@click.option("--key", type=FILE, metavar="FILE", help="TLS: its private key (PEM).")
@click.option("--model", default="sources", help="Of source classes: a shipped name, an ONNX file, or empty for none.")
@click.option("--workers", default=1, type=click.IntRange(1, 64), help="Jobs at a time; one more does fits only.")
@click.option("--upload-mb", default=256.0, type=click.FloatRange(0.01), help="Of one request.")
@click.option("--unpacked-mb", default=1024.0, type=click.FloatRange(0.01), help="Of its files after gunzip.")
@click.option("--disk-mb", default=10_240.0, type=click.FloatRange(1), help="Of all uploads and results.")
@click.option("--waiting", default=32, type=click.IntRange(1), help="Jobs that may wait.")
@click.option("--per-minute", default=120, type=click.IntRange(1), help="Requests of one client.")
@click.option("--job-seconds", default=1800.0, type=click.FloatRange(1), help="For one job.")
@click.option("--memory-mb", default=8192.0, type=click.FloatRange(1024), help="Address space of one worker.")
@click.option("--keep-hours", default=24.0, type=click.FloatRange(0.001), help="For results.")
def serve(**told: object) -> None:
    """Serve fits of spectra and catalogues of event lists over HTTP; needs the serve extra (pip install -e '.[serve]').

    Example: raysieve serve --port 8642
    """
    with extra("serve"):
        import uvicorn

        from serve.app import make_app
    settings, port = _settings(told), int(str(told["port"]))
    if bool(told["certificate"]) != bool(told["key"]):
        raise ConfigError("--certificate and --key: expected both or none")
    if told["model"]:
        from stream.judges.sources import Judge

        Judge(settings.model)  # refuses now, not in the first job
    app = make_app(settings)
    spool = settings.folder / "spool"
    spool.mkdir(exist_ok=True, mode=0o700)
    tempfile.tempdir = str(spool.resolve())  # bodies that come in, without names
    if not is_local(settings.host) and not told["certificate"]:
        click.echo(
            "tokens travel unencrypted: --certificate and --key, or a proxy with TLS, keep them secret", err=True
        )
    tls = {name: str(told[key]) for name, key in (("ssl_certfile", "certificate"), ("ssl_keyfile", "key")) if told[key]}
    server = uvicorn.Server(
        uvicorn.Config(
            app, settings.host, port, access_log=False, server_header=False, proxy_headers=False, limit_concurrency=64,
            log_level="warning", lifespan="on", timeout_graceful_shutdown=5, **tls,
        )
    )  # fmt: skip
    socket = listening(server, settings.host, port)
    place = socket.getsockname()
    click.echo(f"ready: http{'s' if tls else ''}://{place[0]}:{place[1]}/v1, description at /openapi.json")
    server.run([socket])


def _settings(told: dict[str, object]) -> Settings:
    """Return the settings of the options. Raises ConfigError."""
    token = told["token"]
    limits = {"upload_mb", "unpacked_mb", "disk_mb", "waiting", "per_minute", "memory_mb"}
    given = {name: told[name] for name in limits} | {"job_s": told["job_seconds"], "keep_h": told["keep_hours"]}
    return Settings(
        folder=Path(str(told["folder"])),
        host=str(told["host"]),
        workers=int(str(told["workers"])),
        model=str(told["model"]),
        tokens=read_tokens(Path(str(token))) if token else {},
        names=tuple(told["names"]),  # type: ignore[arg-type]
        limits=Limits(**given),  # type: ignore[arg-type]
    )
