import multiprocessing
import os
import sqlite3

import pytest
import torch

from models.captions.cache import TextCache
from options import UserError


def vectors(*captions):
    return {c: torch.randn(2 + i, 3, generator=torch.Generator().manual_seed(i)) for i, c in enumerate(captions)}


def test_what_was_kept_comes_back_rounded_to_half_precision(tmp_path):
    words = vectors("a red cube", "a", "Grün 字")
    TextCache(tmp_path / "new", "d", 3).put(words)
    cache = TextCache(tmp_path / "new", "d", 3)
    found = cache.get([*words, "a", "another"])
    assert list(found) != [] and found.keys() == words.keys()
    assert all(torch.equal(found[c], words[c].half().float()) for c in words)
    assert cache.missing(["another", "a", "another", "b"]) == ["another", "b"]


def test_an_empty_cache_writes_nothing(tmp_path):
    cache = TextCache(tmp_path / "new", "d", 3)
    assert cache.get(["a"]) == {} and cache.missing(["a", "a"]) == ["a"]
    assert not (tmp_path / "new").exists()


def test_more_captions_than_a_query_takes(tmp_path):
    cache, captions = TextCache(tmp_path, "d", 3), [f"caption {i}" for i in range(1234)]
    cache.put({c: torch.full((1, 3), float(i)) for i, c in enumerate(captions)})
    found = cache.get(captions)
    assert all(found[c][0, 0] == i for i, c in enumerate(captions)) and cache.missing(captions) == []


def test_numbers_too_large_for_half_precision_are_kept_in_full(tmp_path):
    cache, words = TextCache(tmp_path, "d", 3), torch.tensor([[1e5, 0.1, -7e4]])
    cache.put({"a": words})
    assert torch.equal(cache.get(["a"])["a"], words)


def test_each_encoder_has_a_file_of_its_own(tmp_path):
    TextCache(tmp_path, "d" * 64, 3).put(vectors("a"))
    assert TextCache(tmp_path, "e" * 64, 3).get(["a"]) == {}
    assert len(list(tmp_path.iterdir())) == 1


def test_words_of_another_width_are_refused(tmp_path):
    for wrong in (torch.zeros(2, 4), torch.zeros(0, 3), torch.zeros(3)):
        with pytest.raises(ValueError, match=r"\(T, 3\)"):
            TextCache(tmp_path, "d", 3).put({"a": wrong})


def test_what_is_kept_twice_stays_what_it_was(tmp_path):
    cache = TextCache(tmp_path, "d", 3)
    cache.put({"a": torch.ones(1, 3)})
    cache.put({"a": torch.zeros(1, 3), "b": torch.zeros(1, 3)})
    assert cache.get(["a"])["a"].tolist() == [[1, 1, 1]] and cache.missing(["b"]) == []


@pytest.mark.parametrize("harm", ["text", "words", "cut"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path, harm):
    cache = TextCache(tmp_path, "d", 3)
    cache.put(vectors(*map(str, range(200))))
    if harm == "text":
        cache.path.write_text("no database " * 100)
    elif harm == "cut":
        cache.path.write_bytes(cache.path.read_bytes()[:9000])
    else:
        with sqlite3.connect(cache.path) as file:
            file.execute("UPDATE captions SET words = x'0011'")
    with pytest.raises(UserError, match=r"d\.sqlite.*damaged.*delete it"):
        cache.get(map(str, range(200)))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--text_cache"):
        TextCache(tmp_path / "file", "d", 3).put(vectors("a"))


@pytest.mark.timeout(20)
def test_a_link_is_read_and_not_written_through_and_a_pipe_is_neither(tmp_path):
    words, outside = vectors("a"), tmp_path / "outside"
    TextCache(outside, "d", 3).put(words)
    (tmp_path / "cache").mkdir()
    cache, before = TextCache(tmp_path / "cache", "d", 3), TextCache(outside, "d", 3).path.read_bytes()
    cache.path.symlink_to(TextCache(outside, "d", 3).path)
    assert cache.get(["a"]).keys() == words.keys()
    with pytest.raises(UserError, match=r"d\.sqlite is a link, through which nothing is written") as error:
        cache.put(vectors("b"))
    assert error.value.code == 5 and TextCache(outside, "d", 3).path.read_bytes() == before
    cache.path.unlink()
    os.mkfifo(cache.path)
    with pytest.raises(UserError, match="damaged"):
        cache.get(["a"])
    with pytest.raises(UserError, match="no plain file"):
        cache.put(words)


def keep(folder, start):
    cache = TextCache(folder, "d", 3)
    for i in range(start, start + 30):
        cache.put({f"{i}": torch.full((1, 3), float(i))})


def test_several_processes_write_one_file(tmp_path):
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=keep, args=(tmp_path, start)) for start in (0, 15)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [p.exitcode for p in others] == [0, 0]
    found = TextCache(tmp_path, "d", 3).get(map(str, range(45)))
    assert [found[str(i)][0, 0].item() for i in range(45)] == list(range(45))
