"""Tables of Hugging Face's datasets are the pictures that they hold; nothing is fetched that nobody asked for."""

import os
import sys

import pytest

from data import Loader
from data.items import table as module
from options import UserError
from tests.data.helpers import dataset
from tests.data.items.tars import picture, shard
from tests.data.test_image_folder import same

SMALL = ("--load_size", 20, "--crop_size", 16)


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets

    datasets.disable_progress_bars()
    return datasets


def test_without_the_package_and_without_the_data(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"hf:x/y: needs datasets, of the extra hf: uv pip install datasets"):
        dataset("labeled", "--dataroot", "hf:x/y")
    old = type("old", (), {"__version__": "3.6.0"})
    monkeypatch.setattr(module, "package", lambda *_: old)
    with pytest.raises(UserError, match=r"datasets 3\.6\.0 may run code of others; install 4 on"):
        dataset("labeled", "--dataroot", "hf:x/y")


def pictures(data, epoch=1):
    return [
        {key: batch[key] for key in ("A", "B", "image", "label") if key in batch}
        for batch in Loader(data, data.opt).epoch(epoch)
    ]


@pytest.mark.extra
@pytest.mark.exhaustive
class TestTables:
    def labeled(self, datasets, root, count=12):
        features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog/wolf"])})
        rows = {
            "img": [{"bytes": picture(i), "path": None} for i in range(count)],
            "label": [i % 2 for i in range(count)],
        }
        parts = {name: datasets.Dataset.from_dict(rows, features=features) for name in ("train", "test")}
        datasets.DatasetDict(parts).save_to_disk(root)
        return rows

    def test_classes_are_those_of_the_same_pictures_in_shards(self, datasets, tmp_path):
        self.labeled(datasets, tmp_path / "t")
        files = {f"train/{('cat', 'dog-wolf')[i % 2]}/{i:02}.png": i for i in range(12)}
        shard(tmp_path / "s/0.tar", files | {name.replace("train", "test", 1): n for name, n in files.items()})
        words = ("--crop_size", 16, "--batch_size", 4)
        for train in (True, False):
            one, other = (
                dataset("labeled", "--dataroot", root, *words, train=train)
                for root in (f"hf:{tmp_path}/t", f"shards:{tmp_path}/s")
            )
            assert one.classes == other.classes == ("cat", "dog-wolf") and len(one) == 12
            assert same(pictures(one, 2), pictures(other, 2))
        assert one[3]["image_paths"] == f"hf:{tmp_path}/t/test/00000003"

    @pytest.mark.filterwarnings("ignore:This DataLoader will create")
    def test_sides_of_two_columns_with_workers(self, datasets, tmp_path):
        features = datasets.Features({"imageA": datasets.Image(), "imageB": datasets.Image()})
        rows = {
            f"image{side}": [{"bytes": picture(10 * i + (side == "B")), "path": None} for i in range(6)]
            for side in "AB"
        }
        for name in ("train", "test"):
            datasets.Dataset.from_dict(rows, features=features).to_parquet(
                tmp_path / f"p/{name}-00000-of-00001.parquet"
            )
        shard(tmp_path / "s/0.tar", {f"train{s}/{i:08}.png": 10 * i + (s == "B") for s in "AB" for i in range(6)})
        data, other = (
            dataset("unaligned", "--dataroot", root, *SMALL) for root in (f"hf:{tmp_path}/p", f"shards:{tmp_path}/s")
        )
        assert same(pictures(data), pictures(other))
        threads = dataset("unaligned", "--dataroot", f"hf:{tmp_path}/p", *SMALL, "--num_threads", 1)
        loader = Loader(threads, threads.opt)
        assert same(list(loader.epoch(1)), list(Loader(data, data.opt).epoch(1)))
        loader.close()
        assert len(dataset("unaligned", "--dataroot", f"hf:{tmp_path}/p", *SMALL, train=False)) == 6

    def test_captions(self, datasets, tmp_path):
        rows = {"image": [picture(i) for i in range(4)], "text": ["A  red box", None, " ", "A dog"]}
        (tmp_path / "p").mkdir()
        datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "p/x.parquet")
        data = dataset("caption", "--dataroot", f"hf:{tmp_path}/p", "--crop_size", 8, "--phase", "all")
        assert data.captions == ("A red box", "A dog") and len(data.levels("all").captions) == 2

    def test_what_is_no_table_of_pictures_is_a_line(self, datasets, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        (tmp_path / "e").mkdir()
        (tmp_path / "d").mkdir()
        (tmp_path / "d/x.parquet").write_bytes(b"PAR1 nothing PAR1")
        (tmp_path / "n").mkdir()
        datasets.Dataset.from_dict({"x": [1]}).to_parquet(tmp_path / "n/x.parquet")
        away = {"image": [{"bytes": None, "path": "/etc/hostname"}] * 2}
        table = datasets.Dataset.from_dict(away, features=datasets.Features({"image": datasets.Image()}))
        for name, line in (
            ("e", "cannot be read as a table"),
            ("d", "cannot be read as a table"),
            ("n", r"no column of pictures, such as image, in pictures; it has x"),
            ("../x/..", "no such folder or file, and no name of the hub"),
            (
                "some-one/no-such-data",
                "no such folder, and no data of that name on this machine; give a local folder or --allow_download",
            ),
        ):
            root = f"hf:{tmp_path}/{name}" if len(name) == 1 else f"hf:{name}"
            with pytest.raises(UserError, match=rf"^--dataroot {root}: {line}"):
                dataset("labeled", "--dataroot", root, "--crop_size", 8)
        with pytest.raises(UserError, match=r"hf:x/train/00000001: lies in a file elsewhere"):  # saving takes it in
            module.Table("hf:x", "dataroot", {"train": table}).read(1)
