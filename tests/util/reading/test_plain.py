"""Files are opened without waiting for anybody."""

import os

import pytest

from util.files import json_or_empty, read_text, sha256
from util.html import png_size
from util.reading.json_file import bytes_of
from util.reading.plain import open_to_read


@pytest.mark.timeout(10)
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_an_error(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for path in (pipe, link):
        with pytest.raises(OSError, match="no plain file"):
            open_to_read(path)
        with pytest.raises(ValueError, match="no plain file"):
            bytes_of(path, 9)
        with pytest.raises(OSError, match="no plain file"):
            sha256(path)
        assert (read_text(path), json_or_empty(path), png_size(path)) == ("", {}, None)


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"all of it")
    (tmp_path / "link").symlink_to("file")
    with open_to_read(tmp_path / "link") as file:
        assert file.read() == b"all of it"
    with pytest.raises(IsADirectoryError):
        open_to_read(tmp_path)
