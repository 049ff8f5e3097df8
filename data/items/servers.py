"""Parts of files on a server: of the web by requests, of S3 and Google Cloud Storage by fsspec.

Every call ends: with what was asked for, or with one line of what is wrong, after as many attempts as may help.
"""

import os
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

from data.items.roots import ShardNames, base_of, expanded
from options import Exit, UserError
from util import distributed
from util.extras import package

TRIES = 6
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds before the second attempt, twice as many before each further one
TIMEOUT = (10.0, 30.0)  # seconds to connect, and between two pieces of an answer
SLOWEST = 20_000  # bytes per second of a whole answer
PIECE = 1 << 20  # bytes that are handed on at once
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers that another attempt may mend
AT_ONCE = 16  # questions
SAYING = threading.Lock()  # several threads ask, and one says what is wrong
T = TypeVar("T")


class Failed(Exception):
    """A call that did not work.

    Attributes:
        again: whether another attempt may.
    """

    def __init__(self, why: str, again: bool = False):
        super().__init__(why)
        self.again = again


class WithoutParts(Exception):
    """The server gives files as a whole."""


class Server(ABC):
    """Whoever gets one from another process makes connections of its own."""

    def __init__(self, root: str, flag: str):
        self.root, self.flag = root, flag
        self._process, self._client = 0, None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_client": None, "_process": 0}

    @property
    def client(self) -> Any:
        if self._process != os.getpid():
            self._process, self._client = os.getpid(), self.make_client()
        return self._client

    @abstractmethod
    def make_client(self) -> Any: ...

    @abstractmethod
    def names(self) -> ShardNames:
        """The shards that the root stands for."""

    @abstractmethod
    def ask_state(self, url: str) -> list[Any]:
        """[size in bytes, what is another one once the file is]; may raise Failed."""

    @abstractmethod
    def ask(self, url: str, start: int, size: int, state: list[Any]) -> bytes:
        """So many bytes from a place on, neither more nor fewer; may raise Failed and WithoutParts."""

    def state(self, url: str) -> list[Any]:
        return self._tried(url, lambda: self.ask_state(url))

    def read(self, url: str, start: int, size: int, state: list[Any]) -> bytes:
        """Raises:
        WithoutParts: the whole file must be asked for.
        UserError: the bytes cannot be had.
        """
        return self._tried(url, lambda: self.ask(url, start, size, state))

    def read_whole(self, url: str, state: list[Any], take: Callable[[int, bytes], None]) -> None:
        """Hand on a whole file, a piece after another, with their places; again from the first one after a failure.

        Raises:
            UserError: it cannot be had.
        """
        self._tried(url, lambda: self.ask_whole(url, state, take))

    def ask_whole(self, url: str, state: list[Any], take: Callable[[int, bytes], None]) -> None:
        raise Failed("cannot be asked for as a whole")

    def _tried(self, url: str, call: Callable[[], T]) -> T:
        why = ""
        for attempt in range(TRIES):
            if attempt:
                wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
                time.sleep(wait * random.uniform(0.5, 1))  # of many processes not all at once; no data depend on it
            try:
                return call()
            except Failed as error:
                why = str(error)
                if not error.again:
                    raise UserError(f"{shorn(url)}: {why}; see --{self.flag}") from None
                with SAYING:
                    line = f"{shorn(self.root)}: {_of_host(why)}; each part is asked for up to {TRIES} times"
                    distributed.say_once(line)
        raise UserError(f"{shorn(url)}: {why}, {TRIES} times; --{self.flag} can be tried again", code=Exit.DATA)


def _of_host(why: str) -> str:
    """Of many reasons one line each: without numbers that are other ones each time."""
    return why.partition(" (")[0]


def shorn(url: str) -> str:
    """An address without what may be a key to it."""
    return url.partition("?")[0]


class Web(Server):
    """https:// and http://."""

    def make_client(self) -> Any:
        import requests

        session = requests.Session()
        for scheme in ("https://", "http://"):
            session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=2 * AT_ONCE))
        session.headers["Accept-Encoding"] = "identity"
        return session

    def names(self) -> ShardNames:
        address, mark, query = self.root.partition("?")
        parts = urlsplit(address)
        if parts.username or parts.password:
            raise UserError(f"--{self.flag} {parts.scheme}://...@{parts.hostname}: leave user and password out of it")
        if not address.lower().endswith(".tar"):
            raise UserError(
                f"--{self.flag} {shorn(self.root)}: a folder on a web server cannot be listed; name its shards, as by "
                f"{address.rstrip('/')}/{{000..999}}.tar"
            )
        base = base_of(address)
        names = [name.removeprefix(f"{base}/") for name in expanded(address, shorn(self.root), self.flag)]
        return ShardNames(shorn(self.root), base, tuple(sorted(set(names))), mark + query)

    def _get(self, url: str, start: int, size: int) -> Any:
        import requests

        part = {"Range": f"bytes={start}-{start + size - 1}"} if size else {}
        try:
            return self.client.get(url, headers=part, stream=True, timeout=TIMEOUT)
        except requests.exceptions.SSLError:
            raise Failed("its certificate is not valid") from None
        except requests.exceptions.Timeout:
            raise Failed("the server does not answer", again=True) from None
        except requests.exceptions.ConnectionError as error:
            raise Failed(f"no connection ({_reason(error)})", again=True) from None
        except (requests.exceptions.RequestException, ValueError) as error:
            raise Failed(f"cannot be asked for ({type(error).__name__})") from None

    def ask_state(self, url: str) -> list[Any]:
        with self._get(url, 0, 1) as answer:
            if answer.status_code == 416:  # nothing has no first byte
                return [0, ""]
            _check_status(answer)
            size = _total(answer) if answer.status_code == 206 else _number(answer.headers.get("Content-Length"))
            if size is None:
                raise Failed("the server does not say how large it is")
            return [size, answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""]

    def ask(self, url: str, start: int, size: int, state: list[Any]) -> bytes:
        with self._get(url, start, size) as answer:
            _check_status(answer)
            if answer.status_code != 206:
                raise WithoutParts
            _check_state(answer, state, _total(answer))
            given = answer.headers.get("Content-Range", "")
            if not given.startswith(f"bytes {start}-{start + size - 1}/"):
                raise Failed(f"the server gives other parts than it is asked for ({given[:60]})", again=True)
            return b"".join(_pieces(answer, size))

    def ask_whole(self, url: str, state: list[Any], take: Callable[[int, bytes], None]) -> None:
        with self._get(url, 0, 0) as answer:
            _check_status(answer)
            _check_state(answer, state, _number(answer.headers.get("Content-Length")))
            place = 0
            for piece in _pieces(answer, state[0]):
                take(place, piece)
                place += len(piece)


def _check_status(answer: Any) -> None:
    status = answer.status_code
    if status in (401, 403):
        raise Failed(f"the server refuses it ({status})")
    if status in (404, 410):
        raise Failed(f"no such file on the server ({status})")
    if status not in (200, 206):
        raise Failed(f"the server fails ({status})", again=status in AGAIN)


def _check_state(answer: Any, state: list[Any], total: int | None) -> None:
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    if (version and state[1] and version != state[1]) or total not in (None, state[0]):
        raise Failed("changed after its index was read; start again, which makes it anew")


def _pieces(answer: Any, size: int) -> Iterator[bytes]:
    """The bytes of an answer, PIECE of them at once; so many, or Failed."""
    import requests
    import urllib3

    until, left, piece = time.monotonic() + TIMEOUT[1] + size / SLOWEST, size, bytearray()
    try:
        while left:
            data = answer.raw.read(min(PIECE - len(piece), left))
            if not data:
                raise Failed(f"the answer is of another length ({size - left} bytes of {size})", again=True)
            if time.monotonic() > until:
                raise Failed("the server is too slow", again=True)
            piece += data
            left -= len(data)
            if len(piece) == PIECE or not left:
                yield bytes(piece)
                piece.clear()
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise Failed(f"the answer breaks off ({type(error).__name__})", again=True) from None


def _total(answer: Any) -> int | None:
    """Of ``bytes 0-0/1234`` the last number."""
    return _number(answer.headers.get("Content-Range", "").rpartition("/")[2])


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else None


def _reason(error: Exception) -> str:
    """The innermost cause, in a word."""
    cause: BaseException = error
    while inner := (cause.__cause__ or cause.__context__):
        cause = inner
    return getattr(cause, "strerror", None) or type(cause).__name__


class Cloud(Server):
    """s3:// and gs://, with the credentials that their packages find."""

    PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}

    def make_client(self) -> Any:
        scheme = self.root.partition("://")[0]
        package(self.PACKAGES[scheme], "cloud", self.root)
        fsspec = package("fsspec", "cloud", self.root)
        known = {"s3": {"config_kwargs": {"connect_timeout": TIMEOUT[0], "read_timeout": TIMEOUT[1]}}}
        return fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False, **known.get(scheme, {}))

    def names(self) -> ShardNames:
        root = self.root.rstrip("/")
        if set(root) & set("*?["):
            base = base_of(root)
            names = [name for part in expanded(root, root, self.flag) for name in self._found(part, "glob")]
        elif root.lower().endswith(".tar"):
            base = base_of(root)
            names = list(expanded(root, root, self.flag))
        else:
            base, names = root, [name for name in self._found(root, "find") if name.lower().endswith(".tar")]
        names = [name.removeprefix(f"{base}/") for name in names]
        if not names:
            raise UserError(f"--{self.flag} {root}: no .tar there")
        return ShardNames(root, base, tuple(sorted(set(names))))

    def _found(self, pattern: str, how: str) -> list[str]:
        scheme = self.root.partition("://")[0]
        found = self._tried(pattern, lambda: self._told(lambda: getattr(self.client, how)(pattern)))
        return [name if "://" in name else f"{scheme}://{name}" for name in found]

    def ask_state(self, url: str) -> list[Any]:
        told = self._told(lambda: self.client.info(url))
        version = next((str(told[key]) for key in ("ETag", "etag", "generation", "LastModified") if told.get(key)), "")
        if not isinstance(told.get("size"), int):
            raise Failed("the server does not say how large it is")
        return [told["size"], version]

    def ask(self, url: str, start: int, size: int, state: list[Any]) -> bytes:
        data = self._told(lambda: self.client.cat_file(url, start=start, end=start + size)) if size else b""
        if len(data) != size:
            raise Failed(f"the answer is of another length ({len(data)} bytes of {size})", again=True)
        return data

    def _told(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except FileNotFoundError:
            raise Failed("no such file on the server") from None
        except PermissionError:
            raise Failed("the server refuses it") from None
        except UserError:
            raise
        except Exception as error:  # of a dozen packages, each with errors of its own
            known = type(error).__name__
            if known in ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"):
                raise Failed("there are no credentials for it on this machine") from None
            raise Failed(f"the server fails ({known})", again=True) from None


def server_of(root: str, flag: str) -> Server:
    return (Web if root.startswith(("https://", "http://")) else Cloud)(root, flag)
