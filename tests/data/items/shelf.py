"""A web server of this machine that gives parts of files, and fails as it is told."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Shelf(ThreadingHTTPServer):
    """
    Attributes:
        files: path -> bytes.
        every: which request fails, each so many; 0 is none.
        how: in what way; see :class:`Handler`.
        asked: (path, range) of every request.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, files: dict[str, bytes], every: int = 0, how: str = "503"):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.every, self.how = files, every, how
        self.asked: list[tuple[str, str]] = []
        self.tags: dict[str, str] = {}
        self.counting = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shelf

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        shelf, path, part = self.server, self.path, self.headers.get("Range", "")
        with shelf.counting:
            shelf.asked.append((path, part))
            fails = bool(shelf.every) and len(shelf.asked) % shelf.every == 0
        how = shelf.how if fails else "parts" if shelf.every else shelf.how
        data = shelf.files.get(path.partition("?")[0])
        if data is None:
            self._answer(404, b"")
        elif how.isdecimal():
            self._answer(int(how), b"no")
        elif how == "hang":
            threading.Event().wait(3)
        elif how == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        elif how == "whole" or not part:
            self._answer(200, data, path=path)
        elif how.startswith("to:") and not path.startswith("/there"):
            self._answer(302, b"", Location=f"{how[3:]}/there{path}")
        else:
            self._part(how, data, part)

    def _part(self, how: str, data: bytes, part: str) -> None:
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", part).groups())
        if first >= len(data):
            return self._answer(416, b"")
        piece, total = data[first : last + 1], len(data)
        end = first + len(piece) - 1
        if how == "short":
            self._answer(
                206,
                piece[: len(piece) // 2],
                len(piece),
                self.path,
                **{"Content-Range": f"bytes {first}-{end}/{total}"},
            )
            self.close_connection = True
            return None
        if how == "other" and total > 1 and last:
            first, end = first + 1, end + 1
        if how == "larger" and last:
            total += 1
        return self._answer(206, piece, path=self.path, **{"Content-Range": f"bytes {first}-{end}/{total}"})

    def _answer(self, status: int, data: bytes, length: int = -1, path: str = "", **headers: str) -> None:
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Length", str(len(data) if length < 0 else length))
            if path:
                self.send_header("ETag", self.server.tags.get(path, f'"{len(self.server.files.get(path, b""))}"'))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)


@contextlib.contextmanager
def shelf(files: dict[str, bytes], every: int = 0, how: str = "parts") -> Iterator[Shelf]:
    server = Shelf(files, every, how)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
