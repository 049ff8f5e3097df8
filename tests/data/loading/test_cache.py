"""With the cache and without it items are the same bits; its memory is bounded, and workers share it."""

import multiprocessing
import pickle

import numpy as np
import pytest
import torch

from data import Loader
from data.loading import cache
from data.loading.cache import PixelCache
from tests.data.helpers import dataset, images

SMALL = ("--load_size", 20, "--crop_size", 16, "--n_epochs", 2, "--batch_size", 2)


@pytest.fixture
def root(tmp_path):
    images(tmp_path / "trainA", *(f"{i}.png" for i in range(5)))
    images(tmp_path / "trainB", *(f"{i}.jpg" for i in range(3)), size=(25, 50), seed=1)
    return tmp_path


def picture(fill, size=10, kind=np.uint8):
    return np.full((size, size, 3), fill, kind)


def forbidden():
    raise AssertionError("it is kept already")


def stream(workers, *argv):
    data = dataset(*argv)
    object.__setattr__(data.opt, "num_threads", workers)
    loader = Loader(data, data.opt)
    found = [batch for number in (1, 2, 3, 4) for batch in loader.epoch(number)]  # from 3 on, at the crop's size
    loader.close()
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(
    "argv",
    (
        ("unaligned",),
        ("unaligned", "--preprocess", "scale_shortside_and_crop", "--input_nc", 1),
        ("unaligned", "--preprocess", "scale_width_and_zoom_and_trim", "--batch_size", 1),
        ("unaligned", "--preprocess", "crop"),
        ("template", "--preprocess", "scale_longside_and_crop"),
    ),
    ids=lambda argv: " ".join(map(str, argv)),
)
def test_items_with_and_without_a_cache_are_the_same_bits(root, argv):
    argv = (argv[0], "--dataroot", root, *SMALL, *argv[1:])
    plain = stream(0, *argv, "--cache_mb", 0)
    assert len(plain) >= 8
    for workers in (0, 1, 3):
        kept = stream(workers, *argv)
        for one, two in zip(plain, kept, strict=True):
            assert one.keys() == two.keys()
            assert all(torch.equal(one[k], two[k]) if torch.is_tensor(one[k]) else one[k] == two[k] for k in one)


@pytest.mark.parametrize("folder", ("side by side", "two folders"))
def test_pairs_with_and_without_a_cache_are_the_same_bits(tmp_path, folder):
    for name in ("train",) if folder == "side by side" else ("trainA", "trainB"):
        images(tmp_path / name, *(f"{i}.png" for i in range(4)))
    argv = ("aligned", "--dataroot", tmp_path, *SMALL)
    for one, two in zip(stream(0, *argv, "--cache_mb", 0), stream(2, *argv), strict=True):
        assert torch.equal(one["A"], two["A"]) and torch.equal(one["B"], two["B"])


def test_a_file_is_decoded_once(root, monkeypatch):
    from data import image_folder

    decoded, decode = [], image_folder.read_pixels
    monkeypatch.setattr(image_folder, "read_pixels", lambda path, *_: decoded.append(path) or decode(path, 3))
    stream(0, "unaligned", "--dataroot", root, *SMALL, "--preprocess", "crop")
    assert len(decoded) == len(set(decoded)) <= 8
    decoded.clear()
    stream(0, "unaligned", "--dataroot", root, *SMALL)
    assert len(decoded) <= 16 and max(map(decoded.count, decoded)) == 2  # once for each size
    images(root / "testA", "x.png")
    data = dataset("unaligned", "--dataroot", root, train=False)
    decoded.clear()
    assert [data[0]["A"].shape for _ in range(2)] and len(decoded) == 2  # a test keeps nothing


def test_a_picture_comes_back_and_is_nobody_elses():
    kept = PixelCache(1)
    for kind, fill in ((np.uint8, 7), (np.float32, -0.5)):
        made = picture(fill, kind=kind)[:, ::-1]
        assert kept.get("a", 3, int(fill > 0), lambda made=made: made) is made
        found = kept.get("a", 3, int(fill > 0), forbidden)
        assert np.array_equal(found, made) and found.dtype == kind
        found[:] = 0
        assert np.array_equal(kept.get("a", 3, int(fill > 0), forbidden), made)
    assert np.array_equal(kept.get("a", 1, 0, lambda: picture(9)), picture(9))  # other channels, another entry


def test_what_does_not_fit_is_made_anew():
    kept = PixelCache(1)
    large = picture(1, 500)  # 750 kB
    kept.get("a", 3, 0, lambda: large)
    for _ in range(2):
        assert kept.get("b", 3, 0, lambda: picture(2, 500))[0, 0, 0] == 2
    kept.get("c", 3, 0, lambda: picture(3))
    assert kept.get("a", 3, 0, forbidden)[0, 0, 0] == 1 and kept.get("c", 3, 0, forbidden)[0, 0, 0] == 3
    for n in range(2 * len(kept._table)):  # more than the table has room for
        kept.get(f"{n}", 3, 0, lambda: picture(0, 1))
    assert kept._header[cache.ENTRIES] == len(kept._table)
    assert kept.get("never", 3, 0, lambda: picture(5, 1))[0, 0, 0] == 5


def test_another_size_takes_the_place_of_the_first():
    kept = PixelCache(1)
    kept.get("a", 3, 286, lambda: picture(1, 500))
    kept.get("a", 3, 256, lambda: picture(2, 500))
    assert kept.get("a", 3, 256, forbidden)[0, 0, 0] == 2
    assert kept.get("a", 3, 286, lambda: picture(3, 500))[0, 0, 0] == 3
    kept.get("b", 3, 0, lambda: picture(4))  # of the file's own size: nothing is replaced
    kept.get("a", 3, 286, forbidden), kept.get("b", 3, 0, forbidden)


def test_an_error_is_not_kept():
    kept = PixelCache(1)
    with pytest.raises(AssertionError):
        kept.get("a", 3, 0, forbidden)
    assert kept.get("a", 3, 0, lambda: picture(1))[0, 0, 0] == 1


def test_pictures_that_were_replaced_while_they_were_copied_are_made_anew(monkeypatch):
    kept = PixelCache(1)
    kept.get("a", 3, 286, lambda: picture(1))
    empty = np.empty

    def slow(*args):
        kept._header[cache.RESETS] += 1  # as another process would
        return empty(*args)

    monkeypatch.setattr(cache.np, "empty", slow)
    assert kept.get("a", 3, 286, lambda: picture(2))[0, 0, 0] == 2


def add(kept, number, done):
    for n in range(number * 50, number * 50 + 50):
        kept.get(f"{n}", 3, 0, lambda n=n: picture(n % 251))
    done.put([int(kept.get(f"{n}", 3, 0, lambda n=n: picture(n % 251))[0, 0, 0]) for n in range(200)])


@pytest.fixture
def forking():
    """Workers are forked, which is no platform's own way from Python 3.14 on; only such workers share a cache."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("fork", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def test_forked_workers_share_what_they_keep(forking):
    context = multiprocessing.get_context("fork")
    kept, done = PixelCache(4), context.Queue()
    workers = [context.Process(target=add, args=(kept, number, done)) for number in range(4)]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert done.get(timeout=60) == [n % 251 for n in range(200)]
    for worker in workers:
        worker.join()
    assert kept._header[cache.ENTRIES] == 200  # each once, whoever was first
    assert [kept.get(f"{n}", 3, 0, forbidden)[0, 0, 0] for n in range(200)] == [n % 251 for n in range(200)]


def test_a_spawned_worker_has_its_part_of_the_budget(monkeypatch):
    class Worker:
        num_workers = 4

    kept = pickle.loads(pickle.dumps(PixelCache(4)))
    monkeypatch.setattr(cache, "get_worker_info", Worker)
    kept.get("a", 3, 0, lambda: picture(1))
    assert kept.budget == 2**20 and kept.get("a", 3, 0, forbidden)[0, 0, 0] == 1


def test_a_program_may_still_choose_how_workers_start():
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(None, force=True)
    try:
        PixelCache(1).get("a", 3, 0, lambda: picture(1))
        assert multiprocessing.get_start_method(allow_none=True) is None
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_without_memory_there_is_no_cache(forking, monkeypatch, capsys):
    def refuse(*_):
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(cache.mmap, "mmap", refuse)
    kept = PixelCache(4)
    assert "--cache_mb: no memory for a cache of 4 MiB (Cannot allocate memory)" in capsys.readouterr().err
    assert kept.get("a", 3, 0, lambda: picture(1))[0, 0, 0] == 1


def test_a_budget_of_nothing_takes_no_memory():
    kept = PixelCache(0)
    assert kept._map is None and kept.get("a", 3, 0, lambda: picture(1))[0, 0, 0] == 1 and kept._map is None
