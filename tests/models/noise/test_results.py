"""What a test of a model from noise leaves: files, numbers, a page; by a stand-in whose images are known."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation import samples as latent_scores
from evaluation.judges import load_label_judge
from evaluation.metrics.shared.distances import nearest_rows
from evaluation.samples import Verdict, nearest_pixels, pixels
from models.noise.results import Album, save_samples
from models.noise.sampler import slerp, truncate
from networks.glyph_judge import GlyphJudge
from options import UserError
from tests.browser import chromium
from tests.conftest import test_options
from util.images import to_bytes

CLASSES = ("ab", "c/d", "e")
ENGINE = SimpleNamespace(device=torch.device("cpu"))


class Data:
    """Grey squares, a level for each class, with a little noise."""

    classes, channels, present, opt = CLASSES, 1, True, SimpleNamespace(crop_size=32, phase="test")

    def levels(self, phase, limit, among):
        images, labels = self.arrays(phase)
        kept = torch.ones(len(labels), dtype=torch.bool) if among is None else torch.isin(labels, torch.tensor(among))
        return to_bytes(images)[kept][:limit], labels[kept][:limit], int(kept.sum())

    def arrays(self, phase):
        random = torch.Generator().manual_seed(len(phase))
        labels = torch.arange(60 if phase == "train" else 30) % 3
        images = (labels - 1)[:, None, None, None] * 0.8 + 0.1 * torch.randn(len(labels), 1, 32, 32, generator=random)
        return images.clamp(-1, 1), labels


class Model:
    """An image is the level of its class, or of a mixture, plus a stripe that its noise moves."""

    class_names, netG = CLASSES, SimpleNamespace(classes=3)

    def __init__(self, folder, *argv, conditional=True, model="biggan"):
        self.opt = test_options(
            *("--model", model, "--name", "run", "--checkpoints_dir", folder, "--num_samples", 10, *argv)
        )
        self.conditional = conditional
        fixed = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
        self.fixed_z = fixed.repeat(3 if conditional else 2, 1)

    def noise(self, count, generator):
        return torch.randn(count, 4, generator=generator)

    def draw(self, z, y):
        weights = torch.full((len(z), 3), 1 / 3) if y is None else y
        weights = torch.eye(3)[weights] if weights.dim() == 1 else weights
        images = (weights @ torch.tensor([-0.8, 0, 0.8]))[:, None, None, None].repeat(1, 1, 32, 32)
        images[..., :4] = torch.tanh(z)[:, None, None, :]
        return images


@pytest.fixture
def judge(tmp_path):
    """The folder of an untrained judge of the classes."""
    torch.manual_seed(0)
    (tmp_path / "judge").mkdir()
    torch.save(GlyphJudge("label", CLASSES, size=32, width=2).state_dict(), tmp_path / "judge/latest_net_C.pth")
    return tmp_path / "judge"


def results(model, folder, data=None):
    save_samples(model, data or Data(), ENGINE, folder)
    return json.loads((folder / "metrics.json").read_text()), (folder / "index.html").read_text()


def test_judging_needs_no_page_and_a_page_no_judge(tmp_path, judge):
    model = Model(tmp_path, "--num_samples", 40)
    album = Album(model, Data(), [0, 1, 2])
    album.draw_samples()
    verdict = album.judge(None, load_label_judge(judge, CLASSES))
    assert math.isfinite(verdict.tables["Scores"].values["FID-domain"]) and verdict.neighbours.copies == 0
    assert {path.name for path in tmp_path.iterdir()} == {"judge"}
    album.write_into(tmp_path / "page")
    album.keep()
    album.show(Verdict())
    page = (tmp_path / "page/index.html").read_text()
    assert "From class to class" in page and "FID" not in page and not (tmp_path / "page/metrics.json").exists()


def test_samples_go_through_no_link(tmp_path):
    outside, model = tmp_path / "outside", Model(tmp_path, "--num_samples", 6)
    outside.mkdir()
    for name in ("samples", "images", "."):
        folder = tmp_path / f"out{name}"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(outside) if name != "." else folder.symlink_to(outside)
        with pytest.raises(UserError, match="is a link, through which nothing is written; remove it"):
            save_samples(model, Data(), ENGINE, folder)
    (tmp_path / "out").mkdir()
    for name in ("samples.npz", "index.html", "metrics.json", "test_opt.yaml"):
        (tmp_path / "out" / name).symlink_to(outside / "new")
    save_samples(model, Data(), ENGINE, tmp_path / "out")
    assert not list(outside.iterdir()) and np.load(tmp_path / "out/samples.npz")["images"].shape[0] == 6


def test_samples_are_balanced_and_named_after_their_class(tmp_path):
    model = Model(tmp_path)
    results(model, tmp_path / "out")
    found = {p.name: sorted(f.name for f in p.iterdir()) for p in (tmp_path / "out/samples").iterdir()}
    four, three = [f"{i:04d}.png" for i in range(4)], [f"{i:04d}.png" for i in range(3)]
    assert found == {"ab": four, "c_d": three, "e": three}
    kept = np.load(tmp_path / "out/samples.npz")
    assert kept["images"].shape == (10, 32, 32, 1) and kept["images"].dtype == np.uint8
    assert kept["labels"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0] and kept["labels"].dtype == np.int64
    assert kept["classes"].tolist() == ["ab", "c/d", "e"]
    assert kept["z"].shape == (10, 4) and kept["z"].dtype == np.float32
    again = model.draw(torch.from_numpy(kept["z"]), torch.from_numpy(kept["labels"]))
    assert np.abs((again[:, 0] + 1).numpy() * 127.5 - kept["images"][..., 0]).max() <= 0.5 + 1e-4
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/samples/c_d/0001.png")), kept["images"][4, :, :, 0])


def test_classes_may_be_chosen_and_the_same_seed_gives_the_same_images(tmp_path):
    numbers, _ = results(Model(tmp_path, "--classes", "e,ab"), tmp_path / "one")
    assert numbers["classes"] == ["ab", "e"] and {p.name for p in (tmp_path / "one/samples").iterdir()} == {"ab", "e"}
    results(Model(tmp_path, "--classes", "e,ab"), tmp_path / "two")
    results(Model(tmp_path, "--classes", "e,ab", "--seed", 1), tmp_path / "three")
    one, two, three = (np.load(tmp_path / name / "samples.npz") for name in ("one", "two", "three"))
    assert np.array_equal(one["images"], two["images"]) and not np.array_equal(one["z"], three["z"])


def test_a_model_without_classes_has_a_plain_grid(tmp_path):
    numbers, page = results(Model(tmp_path, conditional=False), tmp_path / "out")
    assert len(list((tmp_path / "out/samples").glob("*.png"))) == 10 and numbers["classes"] == []
    kept = np.load(tmp_path / "out/samples.npz")
    assert kept["labels"].tolist() == [-1] * 10 and "classes" not in kept
    assert "From noise to noise" in page and "From class to class" not in page and "11 to 20" in page


def test_a_later_test_removes_what_an_earlier_one_wrote(tmp_path):
    results(Model(tmp_path, "--num_samples", 30), tmp_path / "out")
    (tmp_path / "out/samples/mine.txt").write_text("mine")
    results(Model(tmp_path, "--classes", "e"), tmp_path / "out")
    assert {p.name for p in (tmp_path / "out/samples").iterdir()} == {"e", "mine.txt"}
    assert len(list((tmp_path / "out/samples/e").iterdir())) == 10


def test_ways_begin_and_end_where_they_should(tmp_path):
    results(Model(tmp_path), tmp_path / "out")
    level = lambda path: np.asarray(Image.open(path))[0, 20]  # noqa: E731
    row = [int(level(tmp_path / f"out/images/class/000_{i:02d}.png")) for i in range(9)]
    assert row == pytest.approx([25.5 + 102 * i / 8 for i in range(9)], abs=0.6)  # from -0.8 (ab) to 0 (c/d)
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(3))
    way = slerp(a, b, torch.linspace(0, 1, 5))
    torch.testing.assert_close(way[[0, -1]], torch.stack([a, b]))
    u, v = a / a.norm(), b / b.norm()
    torch.testing.assert_close(slerp(u, v, torch.linspace(0, 1, 5)).norm(dim=1), torch.ones(5))
    torch.testing.assert_close(slerp(a, 2 * a, torch.tensor([0.5]))[0], 1.5 * a)


def test_neighbours_are_in_pixels_without_a_judge_and_find_a_copy(tmp_path):
    train, _ = Data().arrays("train")

    class Copies(Model):
        def draw(self, z, y):
            return train[: len(z)] if y is not None and y.dim() == 1 else super().draw(z, y)

    numbers, page = results(Copies(tmp_path), tmp_path / "out")
    assert numbers["neighbours"]["generated"] == {"median": 0, "nearest": 0, "images": 10}
    assert numbers["neighbours"]["held-out"]["median"] > 0.02 and "pixels" in numbers["neighbours"]["space"]
    assert "10 samples equal a training image" in page and "accuracy" not in numbers
    assert numbers["neighbours"]["copies"] == 10


def test_scores_are_those_of_the_judge_and_name_it(tmp_path, judge, capsys):
    numbers, page = results(Model(tmp_path, "--label_judge", judge, "--num_samples", 40), tmp_path / "out")
    digest, fid = numbers["judge"]["sha256"], numbers["FID-domain"]
    assert len(digest) == 64 and digest in page and "not comparable with published KID, KID-all, FID" in page
    assert numbers["judge"]["features"] == 16 and numbers["neighbours"]["space"] == "features of the judge judge"
    floor = fid["floors"]["real training images, as many as were generated"]
    assert (fid["images"], fid["reference"], floor["images"]) == (40, 30, 40)
    real = {label: floor["images"] for label, floor in numbers["accuracy"]["floors"].items()}
    assert real == {"real training images": 60, "held-out real images": 30}
    assert numbers["variety"]["floors"]["held-out real images"]["value"] == 1
    assert fid["value"] > 5 * abs(floor["value"]) and "least varied class" in " ".join(numbers["remarks"])
    assert f"accuracy: {numbers['accuracy']['value']:.4f}, 40 images against 30" in capsys.readouterr().out


def test_equal_to_a_judge_is_not_equal(tmp_path, judge):
    """One that sees the same in every image says distance 0; none of them is a copy."""
    weights = torch.load(judge / "latest_net_C.pth", weights_only=True)
    blind = {k: torch.zeros_like(v) if v.is_floating_point() else v for k, v in weights.items()}
    torch.save(blind, judge / "latest_net_C.pth")
    numbers, page = results(Model(tmp_path, "--label_judge", judge), tmp_path / "out")
    assert numbers["neighbours"]["generated"]["median"] == 0 and numbers["neighbours"]["copies"] == 0
    assert "a training image</p>" not in page


def test_no_more_real_images_are_read_than_fit(tmp_path, monkeypatch):
    numbers, page = results(Model(tmp_path, "--classes", "ab,e"), tmp_path / "all")
    assert numbers["real images"] == {"train": {"used": 40, "there": 40}, "test": {"used": 20, "there": 20}}
    monkeypatch.setattr(latent_scores, "READ", {"train": 25, "test": 10_000})
    monkeypatch.setattr(latent_scores, "MEMORY", 15 * 32 * 32)
    numbers, page = results(Model(tmp_path, "--classes", "ab,e"), tmp_path / "some")
    assert numbers["real images"] == {"train": {"used": 15, "there": 40}, "test": {"used": 15, "there": 20}}
    assert "read are 15 of 40 training images and 15 of 20 that were held out" in page


def test_neighbours_found_in_parts_are_those_of_the_whole(monkeypatch):
    x, reference = (torch.randint(256, (n, 1, 4, 4), dtype=torch.uint8) for n in (9, 40))
    expected = nearest_rows(pixels(x), pixels(reference), 3)
    monkeypatch.setattr(latent_scores, "COMPARED_AT_ONCE", 7 * 16)
    found = nearest_pixels(x, reference, 3)
    torch.testing.assert_close(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


@pytest.mark.slow
def test_the_grid_shows_some_of_many_classes(tmp_path):
    names = tuple(f"c{i:03d}" for i in range(96))
    data = SimpleNamespace(classes=names, channels=1, present=False)

    class Many(Model):
        class_names, netG = names, SimpleNamespace(classes=96)

        def draw(self, z, y):
            """Of the class alone: its number, or that of a mixture, is the level."""
            number = y if y.dim() == 1 else y @ torch.arange(96.0)
            return (number / 127.5 - 1)[:, None, None, None].expand(-1, 1, 32, 32)

    for words, expected in (((), range(0, 96, 5)), (("--classes", ",".join(names[50:90])), range(50, 70))):
        _, page = results(Many(tmp_path, *words), tmp_path / "out", data)
        paths = sorted((tmp_path / "out/images/grid").iterdir())
        shown = [int(np.asarray(Image.open(path))[0, 0]) for path in paths]
        assert shown == [number for number in expected for _ in range(10)]
        assert f"a row for each class (20 of {40 if words else 96})" in page


def test_truncation_reaches_the_grid(tmp_path):
    """The stripe that noise moves is that of the fixed noise, truncated."""
    model = Model(tmp_path, "--truncation", 0.3)
    whole = model.fixed_z.clone()
    _, page = results(model, tmp_path / "out")
    column = np.asarray(Image.open(tmp_path / "out/images/grid/001_02.png"))[0, :4]
    expected = to_bytes(torch.tanh(truncate(whole[2:3], 0.3))).numpy()[0]
    assert np.array_equal(column, expected) and np.abs(column / 127.5 - 1).max() <= math.tanh(0.3) + 1 / 255
    assert "truncated at 0.3" in page and torch.equal(model.fixed_z, whole)


def test_without_data_images_are_made_and_comparisons_left_out(tmp_path, judge, capsys):
    data = SimpleNamespace(classes=CLASSES, channels=1, present=False)
    numbers, page = results(Model(tmp_path, "--label_judge", judge), tmp_path / "out", data)
    assert "accuracy" not in numbers and "neighbours" not in numbers and "From class to class" in page
    assert capsys.readouterr().out.count("left out") == 1


def test_what_is_wrong_is_said_in_a_line(tmp_path):
    with pytest.raises(UserError, match=r"--classes c/f: no such class; did you mean c/d\?; there are ab, c/d, e"):
        results(Model(tmp_path, "--classes", "c/f"), tmp_path / "out")
    with pytest.raises(UserError, match="makes images without classes"):
        results(Model(tmp_path, "--classes", "e", conditional=False), tmp_path / "out")
    model = Model(tmp_path)
    model.draw = lambda z, y: torch.full((len(z), 1, 32, 32), math.nan)
    with pytest.raises(UserError, match="not finite") as error:
        results(model, tmp_path / "out")
    assert error.value.code == 3


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path, judge):
    """Every image arrives, curves are drawn, a click enlarges, a phone needs no sideways scrolling."""
    (tmp_path / "run").mkdir()
    lines = [{"step": s, "epoch": (s - 1) // 10 + 1, "time": 1.7e9 + s, "G": 1 / s, "D": None} for s in range(1, 31)]
    (tmp_path / "run/metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 31, "ep')
    results(Model(tmp_path, "--label_judge", judge, "--num_samples", 30), tmp_path / "out")
    path = Path(tmp_path / "out/index.html")
    with chromium() as page:
        for width in (1200, 375):
            page.size(width, 800, mobile=width < 600)
            page.open(path)
            assert page.errors == [] and page.broken_images() == [] and page.strangers(path.parent) == []
            assert page.run("document.documentElement.scrollWidth") <= width
            assert int(page.run("document.documentElement.dataset.curves")) == 2
        page.run("document.querySelectorAll('.grid figure a')[1].click()")
        page.wait_for("document.querySelector('dialog[open]') !== null")
        assert "noise 2" in page.run("document.querySelector('dialog p').textContent")
        page.press("ArrowDown")
        assert page.run("document.querySelector('dialog p').textContent").startswith("c/d")
