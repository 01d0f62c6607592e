"""`raysieve view`: a daemon in the browser.

The page is plain HTML and two scripts of our own, without a build step; BokehJS, out of the package `bokeh`, draws. Of
its parts only the drawing is used: with the Bokeh server, or Panel on it, each page would be a document that Python
holds and sends patches for; they would queue for a slow browser, and a page whose server was started anew would have
to be loaded anew. Here the page asks again and again, ten times a second, and forgets.
"""

from pathlib import Path
from typing import Any

import click

from config.errors import ConfigError
from config.extra import extra
from config.load import load_any
from serve.listen import listening
from serve.settings import Limits, Settings, is_local, read_tokens

FILE = click.Path(path_type=Path)
PER_MINUTE = 6000  # requests of one client: ten pages of ten in a second each
ABOUT = "tokens travel unencrypted: --certificate and --key, or a proxy with TLS, keep them secret"


@click.command()
@click.argument("config_name", metavar="CONFIG")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, as for `run`.")
@click.option("--out", "-o", default="out", type=FILE, help="Folder that the daemon writes to.")
@click.option("--host", default="127.0.0.1", help="Address to listen on; others than this machine's need --token.")
@click.option("--port", default=8643, type=click.IntRange(0, 65535), help="0: a free one.")
@click.option("--token", type=FILE, metavar="FILE", help="Lines NAME TOKEN: who may see it (mode 600).")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A further host name that requests may be for.")
@click.option("--certificate", type=FILE, metavar="FILE", help="TLS: certificate chain (PEM), with --key.")
@click.option("--key", type=FILE, metavar="FILE", help="TLS: its private key (PEM).")
def view(config_name: str, overrides: tuple[str, ...], out: Path, **given: Any) -> None:
    """Show a daemon in the browser, live, whether it runs already or not; needs the view extra.

    With --token the page is at /#TOKEN. It never slows the stream. Ctrl-C ends it.

    Example: raysieve view wfi --out out
    """
    host, port, token, certificate, key = (given[name] for name in ("host", "port", "token", "certificate", "key"))
    if bool(certificate) != bool(key):
        raise ConfigError("--certificate and --key: expected both or none")
    tokens = read_tokens(token) if token else {}
    settings = Settings(
        folder=out, host=host, tokens=tokens, names=given["names"], limits=Limits(per_minute=PER_MINUTE)
    )
    config = load_any(config_name, overrides)
    with extra("view"):
        import uvicorn

        from view.app import make_app, view_of
    app = make_app(view_of(config, out), settings)
    if not is_local(host) and not certificate:
        click.echo(ABOUT, err=True)
    tls = {name: str(path) for name, path in (("ssl_certfile", certificate), ("ssl_keyfile", key)) if path}
    server = uvicorn.Server(
        uvicorn.Config(
            app, host, port, access_log=False, server_header=False, proxy_headers=False, limit_concurrency=64,
            log_level="warning", lifespan="on", timeout_graceful_shutdown=2, **tls,
        )
    )  # fmt: skip
    socket = listening(server, host, port)
    place = socket.getsockname()
    shown = f"[{place[0]}]" if ":" in place[0] else place[0]
    click.echo(f"the daemon in the browser: http{'s' if tls else ''}://{shown}:{place[1]}/{'#TOKEN' if tokens else ''}")
    server.run([socket])
