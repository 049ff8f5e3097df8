"""Live windows in visdom, without ever waiting for its server.

The training thread only puts records on a shelf; a daemon thread takes them to the server when it answers.
A server that is absent, slow, hung or broken costs one warning, and is tried again about every minute.
"""

import contextlib
import html
import importlib.util
import itertools
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlparse

import numpy as np

from util.cli import reason, warn
from util.training.sinks import missing

TIMEOUT = (2.0, 5.0)  # seconds to connect, and between two pieces of an answer
LONGEST = 1 << 20  # bytes of an answer; visdom's are the name of a window
SHELF = 2048  # records of losses that wait; the oldest fall off
Record = tuple[float, Mapping[str, float | None]]


class VisdomSink:
    """The published windows: losses in ``display_id`` (a second set of names in ``display_id - 1``, ...), a grid of
    images in ``display_id + 1`` and its labels in ``display_id + 2``; with ``columns`` 0 a window for every image.

    Args:
        server: e.g. "http://localhost".
        columns: images per row of the grid.
        history: records of the run so far, so that the curves of a continued run are whole.
        retry: seconds between two attempts to reach a server that failed.
    """

    label = "visdom"

    def __init__(
        self,
        server: str,
        port: int,
        env: str,
        name: str,
        display_id: int = 1,
        columns: int = 4,
        history: Iterable[Record] = (),
        retry: float = 60.0,
    ):
        if importlib.util.find_spec("visdom") is None:
            raise missing("--use_visdom", "visdom")
        self.address = f"{server if '://' in server else 'http://' + server}:{port}"
        self._server, self._port, self._env, self._name = server, port, env, name
        self._display_id, self._columns, self._retry = display_id, columns, retry
        self._points: deque[Record] = deque(history, maxlen=SHELF)
        self._images: dict[str, np.ndarray] = {}  # only the newest are worth showing
        self._wake = threading.Condition()
        self._closing = False
        self._sets: list[tuple[str, ...]] = []  # sets of loss names that have a window
        self._client: Any = None
        self._warned = False
        self._thread = threading.Thread(target=self._run, name="visdom", daemon=True)
        self._thread.start()

    def losses(self, step: int, position: float, losses: Mapping[str, float]) -> None:
        with self._wake:
            self._points.append((position, dict(losses)))
            self._wake.notify()

    def rates(self, step: int, position: float, rates: Mapping[str, float]) -> None:
        self.losses(step, position, rates)  # names of their own have a window of their own

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Not shown: the run's own page has curves of evaluations."""

    def preview(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Not shown: the run's own page has the film strip."""

    def images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        with self._wake:
            self._images = dict(images)
            self._wake.notify()

    def close(self, patience: float = 2.0) -> None:
        """Give the server ``patience`` seconds to take the rest, then leave it."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(patience)

    def _run(self) -> None:
        retry_at = 0.0
        while True:
            with self._wake:
                while not self._closing:
                    wait = retry_at - time.monotonic()
                    if wait <= 0 and (self._points or self._images):
                        break
                    self._wake.wait(wait if wait > 0 else None)
                if self._closing and (retry_at > time.monotonic() or not (self._points or self._images)):
                    break
                points, images = list(self._points), self._images
                self._points.clear()
                self._images = {}
            try:
                if self._client is None:
                    self._client = _connect(self._server, self._port, self._env)
                while points:
                    points = points[self._send_losses(points) :]
                if images:
                    self._send_images(images)
            except Exception as error:
                self._client, retry_at = None, time.monotonic() + self._retry
                with self._wake:  # unsent points go back in front of those that came meanwhile
                    room = SHELF - len(self._points)
                    self._points.extendleft(reversed(points[-room:] if room else []))
                    self._images = self._images or images
                if not self._warned:
                    self._warned = True
                    warn(f"no visdom at {self.address} ({_words(error)}); training goes on, trying again now and then")
        if self._client is not None and self._sets:
            with contextlib.suppress(Exception):
                self._client.save([self._env])  # the server keeps windows in memory until told to write them

    def _send_losses(self, points: list[Record]) -> int:
        """Send the leading points that belong to one window as one request; returns how many.

        Names that have no window with all of them get a new one; in that of more names, those that pause leave a gap.
        """
        first = points[0][1]
        fitting = [i for i, names in enumerate(self._sets) if first.keys() <= set(names)]
        new = not fitting
        index = len(self._sets) if new else max(fitting, key=lambda i: len(self._sets[i]))
        names = tuple(first) if new else self._sets[index]
        run = list(itertools.takewhile(lambda p: p[1] and p[1].keys() <= set(names), points))
        if not run:
            return 1
        values = np.array([[_number(p[1].get(name)) for name in names] for p in run])
        positions = np.repeat(np.array([[p[0]] for p in run]), len(names), axis=1)
        what = "learning rate" if all(name == "lr" or name.startswith("lr_") for name in names) else "loss"
        options = {
            "title": f"{html.escape(self._name)} {what} over time",
            "legend": [html.escape(n) for n in names],
            "xlabel": "epoch",
            "ylabel": what,
        }
        window = str(self._display_id - index)
        self._client.confirmed(
            self._client.line(X=positions, Y=values, win=window, opts=options, update=None if new else "append"), window
        )
        if new:
            self._sets.append(names)
        return len(run)

    def _send_images(self, images: Mapping[str, np.ndarray]) -> None:
        title, client = html.escape(self._name), self._client
        if self._columns == 0:
            for number, (name, image) in enumerate(images.items(), 1):
                window = str(self._display_id + number)
                options = {"title": f"{title} {html.escape(name)}"}
                client.confirmed(client.image(_colour(image).transpose(2, 0, 1), win=window, opts=options), window)
            return
        columns = min(self._columns, len(images))
        grid, window = _grid(list(images.values()), columns), str(self._display_id + 1)
        client.confirmed(client.image(grid.transpose(2, 0, 1), win=window, opts={"title": f"{title} images"}), window)
        names = [f"<td>{html.escape(name)}</td>" for name in images]
        rows = "".join(f"<tr>{''.join(names[i : i + columns])}</tr>" for i in range(0, len(names), columns))
        window = str(self._display_id + 2)
        table = f"<table border=1>{rows}</table>"
        client.confirmed(client.text(table, win=window, opts={"title": f"{title} labels"}), window)


def _connect(server: str, port: int, env: str) -> Any:
    """A client of a server that has just answered. Raises whatever kept it from answering."""
    address = urlparse(server if "://" in server else f"http://{server}")
    host = address.hostname or "localhost"
    socket.create_connection((host, port), timeout=TIMEOUT[0]).close()
    import requests
    import visdom

    base: Any = visdom.Visdom

    class Client(base):
        """visdom's client with timeouts, with errors for answers that are not visdom's, and without its prints."""

        def _handle_post(self, url: str, data: Any = None) -> str:
            return _text(self.session.post(url, data=data or {}, timeout=TIMEOUT, stream=True))

        def win_exists(self, win: str, env: str | None = None) -> bool:
            answer = self._win_exists_wrap(win, env)
            if answer not in ("true", "false"):
                raise ConnectionError("what answers there is not visdom")
            return answer == "true"

        def confirmed(self, answer: Any, window: str) -> None:
            if answer != window:
                raise ConnectionError("what answers there is not visdom")

    session = requests.Session()
    session.trust_env = host not in ("localhost", "127.0.0.1", "::1")  # a proxy cannot reach this machine's own ports
    client = Client(server, port=port, env=env, send=False, use_incoming_socket=False, raise_exceptions=True)
    client.send, client._session = True, session  # built without a request, which would have had no timeout
    with session.get(f"{client.server}:{port}/", timeout=TIMEOUT, stream=True) as page:
        page.raise_for_status()  # its page has megabytes, which nobody needs
    client.win_exists("")
    return client


def _text(answer: Any) -> str:
    """A short answer of a server: one that goes on and on, or comes a byte at a time, is none."""
    with answer:
        answer.raise_for_status()
        end, data = time.monotonic() + TIMEOUT[1], bytearray()
        for piece in answer.iter_content(1):  # a larger piece would be waited for however slowly it comes
            data += piece
            if len(data) > LONGEST or time.monotonic() > end:
                raise ConnectionError("what answers there is not visdom: its answer does not end")
        return data.decode("utf-8", "replace")


def _words(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:  # visdom wraps what requests wraps
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return f"it answers {status}"
        if isinstance(cause, TimeoutError) or "timed out" in str(cause):
            return "it does not answer"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there"
        cause = cause.__cause__ or cause.__context__
    return reason(error)


def _number(value: float | None) -> float:
    return math.nan if value is None or not math.isfinite(value) else float(value)


def _colour(image: np.ndarray) -> np.ndarray:
    """Bytes (H, W, 3); transparency is laid on white."""
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[2] == 3:
        return image
    alpha = image[:, :, 3:] / 255
    return (image[:, :, :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)


def _grid(images: list[np.ndarray], columns: int, gap: int = 2) -> np.ndarray:
    """Images of any sizes as one (H, W, 3), white between them."""
    height = max(i.shape[0] for i in images) + gap
    width = max(i.shape[1] for i in images) + gap
    grid = np.full((height * -(-len(images) // columns) + gap, width * columns + gap, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = height * (number // columns) + gap, width * (number % columns) + gap
        grid[top : top + image.shape[0], left : left + image.shape[1]] = _colour(image)
    return grid
