"""Files of a run that was killed, edited or never written are read as far as they can be."""

import json

import pytest

from util.files import continue_json_lines, json_or_empty, read_json_lines, read_text

DEEP = "[" * 100_000


def step_of(record):
    return int(record["step"])


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '"a"', DEEP, "\x00"])
def test_what_is_no_object_is_empty(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text)
    assert json_or_empty(path) == {} and not list(read_json_lines(path))


def test_what_is_not_there_or_a_folder_is_empty(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        assert (read_text(path), json_or_empty(path), list(read_json_lines(path))) == ("", {}, [])
    assert continue_json_lines(tmp_path / "none", 5, step_of) == []


def test_lines_that_are_no_objects_are_passed_over(tmp_path):
    path = tmp_path / "records"
    path.write_bytes(b'{"a": 1}\n\xff\xfe\n[2]\n\n{"a": "\xff"}\n{"a": 3}')
    assert list(read_json_lines(path)) == [{"a": 1}, {"a": "\ufffd"}, {"a": 3}]


def test_a_file_that_holds_nothing_else_is_not_written_again(tmp_path):
    path = tmp_path / "records"
    path.write_text('{"step":1}\n{"step": 2.0}\n')
    before = path.stat()
    assert continue_json_lines(path, 2, step_of) == [1, 2]
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize(
    "other", ["\n", '{"step": 4}\n', "no json\n", '{"step": "2"}\n', "{}\n", '{"step": 2', '{"step": 2}']
)
def test_lines_that_do_not_go_on_are_dropped_and_the_others_stay_as_they_are(tmp_path, other):
    path = tmp_path / "records"
    kept = '{"step":1, "value":0.10}\n{"step": 3}\n'
    path.write_text(kept + other)
    assert continue_json_lines(path, 3, step_of) == [1, 3]
    assert path.read_text() == kept and [p.name for p in tmp_path.iterdir()] == ["records"]


def test_what_the_caller_cannot_read_is_dropped(tmp_path):
    path = tmp_path / "records"
    path.write_text("".join(json.dumps({"step": n, "value": v}) + "\n" for n, v in enumerate([1.5, "x", None, 2.5])))
    assert continue_json_lines(path, 9, lambda record: float(record["value"])) == [1.5, 2.5]
    assert len(path.read_text().splitlines()) == 2
