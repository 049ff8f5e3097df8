"""Whatever visdom's server does, training goes on; when it answers, the windows are right."""

import base64
import contextlib
import io
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from options import UserError
from util.training import visdom as visdom_sink
from util.training.visdom import SHELF, VisdomSink, _colour, _grid
from util.visdom_server import serve

ROOT = Path(__file__).parents[3]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*words):
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class Recorder(BaseHTTPRequestHandler):
    """The part of visdom's protocol that the sink uses; ``server.said`` is every (endpoint, message)."""

    def do_GET(self):
        self.reply("<html>")

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        endpoint = self.path.strip("/")
        self.server.said.append((endpoint, message))
        window = message.get("win", "")
        exists = any(e == "events" and m["win"] == window for e, m in self.server.said)
        self.reply({"win_exists": str(exists).lower(), "save": "[]"}.get(endpoint, window))

    def reply(self, text):
        self.server.before()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def http_server(handler=Recorder, status=200, before=lambda: None, port=0):
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.said, server.status, server.before, server.daemon_threads = [], status, before, True
    server.handle_error = lambda *_: None  # a client that hung up is no line of the program's
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def raw_server(answer):
    """Accepts; answers every connection with these bytes, or with silence if there are none."""
    listener, held = socket.create_server(("127.0.0.1", 0)), []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                if answer:
                    connection.sendall(answer)
                    connection.close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for s in (listener, *held):
            s.close()


@contextlib.contextmanager
def broken(kind):
    with contextlib.ExitStack() as stack:
        if kind == "absent":
            yield free_port()
        elif kind in ("hung", "garbage"):
            yield stack.enter_context(raw_server(b"" if kind == "hung" else b"SSH-2.0-OpenSSH_9.7\r\n"))
        elif kind == "slow":
            yield stack.enter_context(http_server(before=lambda: time.sleep(2))).server_port
        elif kind in ("endless", "dripping"):

            class Endless(Recorder):
                def do_POST(self):
                    self.send_response(200)
                    self.end_headers()
                    while True:  # until who asked hangs up
                        self.wfile.write(b"x" * (1 << 16 if kind == "endless" else 1))
                        time.sleep(0 if kind == "endless" else 0.02)

            yield stack.enter_context(http_server(Endless)).server_port
        elif kind == "other":  # some web server, which says 200 to everything

            class Other(Recorder):
                def do_POST(self):
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.reply("<p>hello</p>")

            yield stack.enter_context(http_server(Other)).server_port
        else:
            yield stack.enter_context(http_server(status=int(kind))).server_port


@pytest.mark.parametrize("kind", ["absent", "hung", "garbage", "slow", "other", "endless", "dripping", "403", "500"])
def test_broken_server_costs_one_warning(kind, monkeypatch, capsys):
    monkeypatch.setattr(visdom_sink, "TIMEOUT", (0.3, 0.3))
    with broken(kind) as port:
        sink = VisdomSink("http://127.0.0.1", port, "main", "run", retry=0.05)
        tries, connect = [], visdom_sink._connect
        monkeypatch.setattr(visdom_sink, "_connect", lambda *a: (tries.append(1), connect(*a)))
        for step in range(20):
            sink.losses(step, step / 10, {"G": 1.0})
        sink.images(20, {"real_A": np.zeros((8, 8, 3), np.uint8)})
        wait_for(lambda: len(tries) >= 3)
        sink.close()
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert said.err.startswith(f"warning: no visdom at http://127.0.0.1:{port} (")
    assert len(sink._points) <= SHELF


def test_hung_server_costs_the_training_thread_nothing():
    with raw_server(b"") as port:
        sink = VisdomSink("http://127.0.0.1", port, "main", "run")
        picture = np.zeros((64, 64, 3), np.uint8)
        for step in range(2 * SHELF):
            sink.losses(step, step / 10, {"G": 1.0, "D": 2.0})
            sink.images(step, {"real_A": picture})
        assert len(sink._points) <= SHELF and len(sink._images) <= 1
        sink.close(patience=0.1)
        assert sink._thread.is_alive()  # left behind, still waiting


@pytest.mark.slow
def test_hung_server_does_not_keep_the_process_alive():
    script = """if True:
        import sys
        from util.training.visdom import VisdomSink
        sink = VisdomSink("127.0.0.1", int(sys.argv[1]), "main", "run")
        for step in range(2000):
            sink.losses(step, step / 10, {"G": 1.0})
        sink.close()
        print("closed")
    """
    with raw_server(b"") as port:
        done = run("-c", script, str(port))
    assert done.returncode == 0 and done.stdout == "closed\n" and "Traceback" not in done.stderr


def lines_of(said, window="1"):
    return [(e, m) for e, m in said if e in ("events", "update") and m["win"] == window]


def test_only_new_points_are_sent():
    with http_server() as server:
        sink = VisdomSink("127.0.0.1", server.server_port, "env", "run")
        for step in range(40):
            sink.losses(step, 1 + step / 40, {"G": float(step), "D": float("nan") if step == 3 else 0.5})
            time.sleep(0.002)
        sink.close(patience=10)
    sent = lines_of(server.said)
    assert sent[0][0] == "events" and all(e == "update" and m["append"] for e, m in sent[1:])
    assert [v for _, m in sent for v in m["data"][0]["y"]] == [float(s) for s in range(40)]
    assert [v for _, m in sent for v in m["data"][1]["y"]].count(None) == 1
    assert sent[0][1]["opts"]["legend"] == ["G", "D"] and sent[0][1]["eid"] == "env"
    assert server.said[-1][0] == "save"


def test_windows_as_published():
    with http_server() as server:
        sink = VisdomSink("127.0.0.1", server.server_port, "main", "run", display_id=5, columns=2)
        sink.losses(1, 1.1, {"G": 1.0})
        sink.losses(1, 1.1, {"D": 1.0})
        sink.images(
            1,
            {
                "<b>": np.zeros((8, 6, 3), np.uint8),
                "fake_B": np.full((8, 6), 9, np.uint8),
                "c": np.zeros((4, 4), np.uint8),
            },
        )
        sink.close(patience=10)
    windows = {m["win"]: m for e, m in server.said if e == "events"}
    assert set(windows) == {"5", "4", "6", "7"}
    grid = Image.open(io.BytesIO(base64.b64decode(windows["6"]["data"][0]["content"]["src"].split(",")[1])))
    assert grid.size == (2 * 8 + 2, 2 * 10 + 2)  # two columns of 6 and two rows of 8 pixels, gaps of 2
    assert "&lt;b&gt;" in windows["7"]["data"][0]["content"] and "<b>" not in windows["7"]["data"][0]["content"]


def test_no_columns_give_each_image_its_window():
    with http_server() as server:
        sink = VisdomSink("127.0.0.1", server.server_port, "main", "run", display_id=1, columns=0)
        sink.images(1, {"a": np.zeros((8, 8, 3), np.uint8), "b": np.zeros((8, 8), np.uint8)})
        sink.close(patience=10)
    assert [m["win"] for e, m in server.said if e == "events"] == ["2", "3"]


def test_text_is_escaped():
    with http_server() as server:
        sink = VisdomSink("127.0.0.1", server.server_port, "main", "<img onerror=x>")
        sink.losses(1, 1.0, {"<img onerror=y>": 1.0})
        sink.images(1, {"<img onerror=z>": np.zeros((4, 4), np.uint8)})
        sink.close(patience=10)
    assert server.said and "<img" not in json.dumps(server.said)


def test_history_is_drawn_first():
    with http_server() as server:
        history = [(1.0, {"G": 3.0}), (1.5, {"G": None})]
        sink = VisdomSink("127.0.0.1", server.server_port, "main", "run", history=history)
        wait_for(lambda: lines_of(server.said))
        sink.losses(9, 2.0, {"G": 1.0})
        sink.close(patience=10)
    sent = lines_of(server.said)
    assert [v for _, m in sent for v in m["data"][0]["y"]] == [3.0, None, 1.0]


def test_back_when_it_is_back(capsys):
    port = free_port()
    sink = VisdomSink("127.0.0.1", port, "main", "run", retry=0.05)
    sink.losses(1, 1.0, {"G": 1.0})
    wait_for(lambda: sink._warned)
    with http_server(port=port) as server:
        wait_for(lambda: lines_of(server.said))
        wait_for(lambda: not sink._points)
    sink.losses(2, 2.0, {"G": 2.0})
    time.sleep(0.2)
    with http_server(port=port) as server:
        wait_for(lambda: lines_of(server.said))
        sink.close(patience=10)
        assert [v for _, m in lines_of(server.said) for v in m["data"][0]["y"]] == [2.0]
    assert len(capsys.readouterr().err.splitlines()) == 1


def words_of_server(port, folder):
    return "-m", "util.visdom_server", "--port", str(port), "--env_path", str(folder), "--offline"


@pytest.mark.parametrize("how", ["hangs", "500", "other"])
def test_server_that_breaks_later_costs_one_warning(how, monkeypatch, capsys):
    monkeypatch.setattr(visdom_sink, "TIMEOUT", (0.3, 0.3))
    bad = threading.Event()

    class Later(Recorder):
        def reply(self, text):
            broken = bad.is_set() and self.command == "POST" and self.path.strip("/") in ("events", "update")
            if broken and how == "hangs":
                time.sleep(2)
            self.server.status = 500 if broken and how == "500" else 200
            super().reply("<p>hello</p>" if broken and how == "other" else text)

    with http_server(Later) as server:
        sink = VisdomSink("127.0.0.1", server.server_port, "main", "run", retry=0.05)
        sink.losses(1, 1.0, {"G": 1.0})
        wait_for(lambda: lines_of(server.said) and not sink._points)
        bad.set()
        sink.losses(2, 2.0, {"G": 2.0})
        wait_for(lambda: sink._warned and len(lines_of(server.said)) > 3)
        bad.clear()
        wait_for(lambda: sink._client is not None and not sink._points)
        sink.close(patience=10)
    assert lines_of(server.said)[-1][1]["data"][0]["y"] == [2.0]
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.fixture(scope="module")
def real_server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("visdom"), free_port()
    (folder / "old.json").write_text('{"jsons": {"kept": {}}, "reload": {}}')  # of an earlier session
    process = subprocess.Popen(
        [sys.executable, *words_of_server(port, folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    assert f"127.0.0.1:{port}" in line, process.stderr.read()
    yield port, folder, process
    if process.poll() is None:
        process.kill()
    process.communicate()


def window(port, number, env="main"):
    message = json.dumps({"win": number, "eid": env})
    return requests.post(f"http://127.0.0.1:{port}/win_data", data=message, timeout=10).json()


@pytest.mark.slow
def test_real_server_takes_losses_and_images(real_server, capsys):
    port, folder, _ = real_server
    sink = VisdomSink("http://localhost", port, "zebras", "run")
    for step in range(1, 6):
        sink.losses(step, step / 5, {"G": float(step), "D": 0.5})
        time.sleep(0.05)  # so that some of it is appended
    sink.images(5, {"real_A": np.zeros((16, 16, 3), np.uint8), "fake_B": np.zeros((16, 16, 3), np.uint8)})
    wait_for(lambda: not sink._points and not sink._images)
    sink.close(patience=10)
    lines = window(port, "1", "zebras")["content"]["data"]
    assert [t["name"] for t in lines] == ["G", "D"] and lines[0]["y"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert lines[1]["x"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert window(port, "2", "zebras")["type"] == "image" and "fake_B" in window(port, "3", "zebras")["content"]
    assert json.loads((folder / "zebras.json").read_text())["jsons"].keys() >= {"1", "2", "3"}
    said = capsys.readouterr()
    assert said.out == said.err == ""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").is_file(), reason="looks at Linux's list of sockets")
def test_real_server_listens_on_loopback_only(real_server):
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        if Path("/proc/net", name).is_file()
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    port = f":{real_server[0]:04X}"
    assert [local for _, local, _, state, *_ in rows if state == "0A" and local.endswith(port)] == ["0100007F" + port]


@pytest.mark.slow
def test_second_server_on_a_port_says_so(real_server):
    with pytest.raises(UserError, match=f"cannot serve port {real_server[0]}"):
        serve(real_server[0], real_server[1], offline=True)


@pytest.mark.slow
def test_interrupted_server_keeps_its_windows(real_server):
    port, folder, process = real_server
    message = {"data": [{"content": "hello", "type": "text"}], "win": "9", "eid": "later", "opts": {}}
    assert requests.post(f"http://127.0.0.1:{port}/events", data=json.dumps(message), timeout=10).text == "9"
    process.send_signal(2)
    assert process.wait(20) == 0
    assert "9" in json.loads((folder / "later.json").read_text())["jsons"]
    assert "kept" in json.loads((folder / "old.json").read_text())["jsons"]


def test_transparency_lies_on_white():
    grey, clear = np.full((1, 1), 7, np.uint8), np.array([[[10, 20, 30, 0]]], np.uint8)
    half = np.array([[[0, 100, 255, 51]]], np.uint8)  # a fifth
    assert [_colour(i)[0, 0].tolist() for i in (grey, clear, half)] == [[7] * 3, [255] * 3, [204, 224, 255]]
    assert _grid([grey, half], 2, gap=0).tolist() == [[[7] * 3, [204, 224, 255]]]
