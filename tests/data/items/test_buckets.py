"""Shards in a bucket, by s3fs from a server of this machine that speaks as much of S3 as is asked for."""

import re

import pytest

from tests.data.items.shelf import Handler, shelf
from tests.data.items.test_remote import made, opened, pictures
from tests.data.test_image_folder import same

pytestmark = [pytest.mark.extra, pytest.mark.exhaustive]
LIST = """<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Name>data</Name><IsTruncated>false</IsTruncated><KeyCount>{count}</KeyCount>{keys}</ListBucketResult>"""
KEY = """<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"1"</ETag><Size>{}</Size>
</Contents>"""


class Bucket(Handler):
    def do_HEAD(self):
        data = self.server.files.get(self.path.partition("?")[0])
        self.send_response(404 if data is None else 200)
        self.send_header("Content-Length", str(len(data or b"")))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()

    def do_GET(self):
        if "list-type=2" not in self.path:
            return super().do_GET()
        prefix = re.search(r"prefix=([^&]*)", self.path)
        names = [name.removeprefix("/data/") for name in self.server.files]
        names = [name for name in names if name.startswith(prefix[1].replace("%2F", "/") if prefix else "")]
        keys = "".join(KEY.format(name, len(self.server.files[f"/data/{name}"])) for name in names)
        return self._answer(200, LIST.format(count=len(names), keys=keys).encode())


@pytest.mark.parametrize("every", [0, 10])
def test_shards_in_a_bucket_are_those_of_a_disk(tmp_path, monkeypatch, every):
    files = made(tmp_path, count=12)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with shelf(files, every) as server:
        server.RequestHandlerClass = Bucket
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        for root in ("s3://data/{000..011}.tar", "s3://data"):
            data = opened(root)
            assert same(pictures(data), pictures(opened(f"shards:{tmp_path}/s")))
            assert data[0]["A_paths"].startswith("s3://data/0")
