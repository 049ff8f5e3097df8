"""Start visdom's server for this machine alone: python -m util.visdom_server

``python -m visdom.server`` listens on every interface without a login, and crashes where it cannot download
the scripts of its page. This one listens on 127.0.0.1, goes without the scripts, and says so; on a machine
elsewhere, reach it through ssh -L 8097:127.0.0.1:8097.
"""

import argparse
import contextlib
import io
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from options import UserError

SCRIPTS = (
    "jquery.min.js",
    "bootstrap.min.js",
    "react-react.min.js",
    "react-dom.min.js",
    "layout_bin_packer.js",
    "plotly-plotly.min.js",
)
SOURCE = "unpkg.com"  # where visdom.server.build gets most of them


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m util.visdom_server", description="visdom's server, on 127.0.0.1 only"
    )
    parser.add_argument("--port", type=int, default=8097, help="port to listen on (default: 8097)")
    parser.add_argument(
        "--env_path",
        type=Path,
        default=Path.home() / ".visdom",
        help="where environments are kept (default: ~/.visdom)",
    )
    parser.add_argument("--offline", action="store_true", help="do not try to download the scripts of its page")
    words = parser.parse_args()
    try:
        serve(words.port, words.env_path, words.offline)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    return 0


def serve(port: int, env_path: Path, offline: bool = False) -> None:
    """Serve until interrupted, then write every environment that was used.

    Raises:
        UserError: visdom is not installed, or the port or the folder cannot be used.
    """
    try:
        from tornado.ioloop import IOLoop
        from visdom.server import app as visdom_app
        from visdom.utils.server_utils import LazyEnvData, serialize_env
    except ImportError as error:
        raise UserError("visdom is not installed: uv pip install visdom (README.md names its pins)") from error
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
    missing = _scripts(offline)
    visdom_app.tornado_settings["autoreload"] = False  # visdom turns debug on, and that would restart it at every edit
    try:
        env_path.mkdir(parents=True, exist_ok=True)
        # the application lists the folder's environments, and appends to the path as text
        application: Any = visdom_app.Application(port=port, base_url="", env_path=f"{env_path}/")
        application.listen(port, max_buffer_size=1024**3, address="127.0.0.1")
    except OSError as error:
        raise UserError(f"cannot serve port {port} from {env_path}: {error.strerror or error}") from error
    print(f"visdom: http://127.0.0.1:{port} (reachable from this machine only); Ctrl-C stops it", flush=True)
    if missing:
        print(
            f"visdom: its page stays blank without {', '.join(missing)}, which {SOURCE} did not give; "
            "windows arrive and are saved all the same",
            file=sys.stderr,
            flush=True,
        )
    loop = IOLoop.current()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: loop.add_callback_from_signal(loop.stop))
    loop.start()
    # one that was never loaded would be overwritten with null
    used = [e for e, env in application.state.items() if not isinstance(env, LazyEnvData) or env._raw_dict is not None]
    serialize_env(application.state, used, env_path=str(env_path))


def _scripts(offline: bool) -> list[str]:
    """Have visdom download the scripts of its page if there is a network; returns those still missing."""
    from visdom.server.build import download_scripts
    from visdom.utils.shared_utils import get_visdom_path

    folder = Path(get_visdom_path("static")) / "js"
    lacking = [name for name in SCRIPTS if not (folder / name).is_file()]
    if not lacking or offline:
        return lacking
    before = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(10)  # its requests have none of their own
        socket.create_connection((SOURCE, 443), timeout=3).close()
        with contextlib.redirect_stdout(io.StringIO()):
            download_scripts()
    except Exception as error:  # offline, a proxy's page, a folder that is read-only
        logging.getLogger(__name__).debug("scripts: %s", error)
    finally:
        socket.setdefaulttimeout(before)
    return [name for name in SCRIPTS if not (folder / name).is_file()]


if __name__ == "__main__":
    sys.exit(main())
