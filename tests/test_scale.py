"""The scale of the training, kept with a run, and what test.py, translate.py and the Translator make of it."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import networks
import test as test_script
import train as train_script
import translate as translate_script
from data.loading.transforms import factor_of, parse_steps, transform
from evaluation.testing import refuse_ignored
from models.inference.translator import Translator
from options import UserError
from tests.conftest import small_argv, test_options
from tests.data.helpers import dataset
from util.scale import chosen_factor, resized, words_of


def photographs(root, sizes):
    """trainA, trainB, testA and testB of smooth colours."""
    random = np.random.default_rng(0)
    for folder in ("trainA", "trainB", "testA", "testB"):
        (root / folder).mkdir(parents=True)
        for i, size in enumerate(sizes[folder[-1]]):
            coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(root / folder / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that saw photographs of A at a quarter (36 of 144 pixels) and those of B at their own size."""
    folder = tmp_path_factory.mktemp("scale")
    photographs(folder / "data", {"A": [(144, 144), (144, 144), (100, 120)], "B": [(36, 36)]})
    words = small_argv(folder / "data", folder, "--max_steps", 1)
    assert train_script.main(words) == 0
    return folder


def made_by_test(run, out, *more):
    words = ["--name", "run", "--checkpoints_dir", run / "checkpoints", "--dataroot", run / "data", "--gpu_ids", -1]
    words += ["--num_threads", 0, "--results_dir", out, *more]
    assert test_script.main([str(w) for w in words]) == 0
    return out / "run/test_latest/images"


def translated(run, out, *more):
    words = ["--checkpoint", run / "checkpoints/run", "--input", run / "data/testA", "--output", out, "--gpu_ids", -1]
    assert translate_script.main([str(w) for w in (*words, *more)]) == 0
    return out


def pixels(path):
    return np.asarray(Image.open(path), int)


@pytest.mark.parametrize("preprocess", ["auto", "resize", "scale_width", "scale_shortside_and_crop", "crop", "none"])
@pytest.mark.parametrize("size", [(600, 400), (90, 200), (300, 300)], ids=str)
def test_the_factor_is_what_preparing_does_to_lengths(preprocess, size):
    """Against a picture whose brightness grows by a known step per pixel, both ways, measured after preparing."""
    width, height = size
    steps = parse_steps(preprocess)
    slopes = []
    for ramp in (
        np.linspace(-1, 1, width)[None].repeat(height, 0),
        np.linspace(-1, 1, height)[:, None].repeat(width, 1),
    ):
        made = transform(ramp[..., None].astype(np.float32), steps, 286, 256)[..., 0]
        middle = made[made.shape[0] // 4 : -(made.shape[0] // 4), made.shape[1] // 4 : -(made.shape[1] // 4)]
        before = np.abs(np.diff(ramp, axis=0)).max() + np.abs(np.diff(ramp, axis=1)).max()
        after = np.abs(np.diff(middle, axis=0)).mean() + np.abs(np.diff(middle, axis=1)).mean()
        slopes.append(before / after)
    assert factor_of(height, width, steps, 286, 256) == pytest.approx(np.sqrt(slopes[0] * slopes[1]), rel=0.02)


def test_a_rule_for_all():
    assert [chosen_factor("auto", t) for t in (None, 0.66, 0.67, 1.0, 1.5, 1.51)] == [1, 0.66, 1, 1, 1, 1.51]
    assert chosen_factor("train", 0.9) == 0.9 and chosen_factor("native", 0.1) == 1 and chosen_factor("0.5", 3) == 0.5
    with pytest.raises(UserError, match=r"--scale train: .* give a factor"):
        chosen_factor("train", None)
    for wrong in ("half", "0", "-1", "nan", "inf"):
        with pytest.raises(UserError, match=f"--scale {wrong}: choose auto, native, train, or a factor"):
            chosen_factor(wrong, 1.0)
    assert "0.25 of their size and brought back" in words_of("auto", 0.25, 0.25)


@pytest.mark.slow
def test_a_run_keeps_the_median_of_each_side(run):
    assert json.loads((run / "checkpoints/run/scale.json").read_text()) == pytest.approx({"A": 0.25, "B": 1.0})


@pytest.mark.slow
def test_scripts_agree_and_bring_results_back(run, tmp_path, capsys):
    by_test = made_by_test(run, tmp_path / "a")
    assert "--scale auto: pictures are translated at 0.25 of their size and brought back" in capsys.readouterr().out
    by_translate = translated(run, tmp_path / "b")
    assert "--scale auto: pictures are translated at 0.25 of their size" in capsys.readouterr().out
    native = made_by_test(run, tmp_path / "c", "--scale", "native")
    assert "their own size; trained at 0.25" in capsys.readouterr().out
    translator = Translator.from_checkpoint(run / "checkpoints/run", device="cpu")
    bare = Translator.from_checkpoint(run / "checkpoints/run", device="cpu", scale="native")
    for name in ("0.png", "2.png"):
        source = run / "data/testA" / name
        made, picture = pixels(by_test / "fake_B" / name), Image.open(source)
        assert made.shape == pixels(source).shape and (pixels(by_test / "real_A" / name) == pixels(source)).all()
        assert np.abs(made - pixels(by_translate / name)).max() <= 1
        assert np.abs(made - np.asarray(translator(picture), int)).max() <= 1
        width, height = picture.size
        image = torch.from_numpy(pixels(source)).permute(2, 0, 1)[None] / 127.5 - 1
        small = bare(resized(image, (round(height / 4), round(width / 4))))
        expected = ((resized(small, (height, width))[0] + 1) * 127.5).permute(1, 2, 0).numpy()
        assert np.abs(made - expected).max() <= 1
        assert np.abs(made - pixels(native / "fake_B" / name)).max() > 4
    tiles = Translator.from_checkpoint(run / "checkpoints/run", device="cpu", tile=24, overlap=8)
    assert np.asarray(tiles(Image.open(run / "data/testA/0.png"))).shape == (144, 144, 3)


@pytest.mark.slow
def test_results_may_stay_at_the_scale(run, tmp_path):
    kept = ("--scale", "0.5", "--keep_scale")
    assert Image.open(made_by_test(run, tmp_path / "a", *kept) / "fake_B/2.png").size == (50, 60)
    assert Image.open(translated(run, tmp_path / "b", *kept) / "2.png").size == (50, 60)
    translator = Translator.from_checkpoint(run / "checkpoints/run", scale="0.5", keep_scale=True, device="cpu")
    assert translator(torch.zeros(2, 3, 40, 20)).shape == (2, 3, 20, 10)


@pytest.mark.slow
def test_what_is_measured_and_what_is_prepared_is_native_unless_scale_is_typed(run, tmp_path):
    native = made_by_test(run, tmp_path / "a", "--scale", "native") / "fake_B/0.png"
    measured = made_by_test(run, tmp_path / "b", "--metrics", "self_similarity") / "fake_B/0.png"
    assert measured.read_bytes() == native.read_bytes()
    typed = made_by_test(run, tmp_path / "c", "--metrics", "self_similarity", "--scale", "auto") / "fake_B/0.png"
    assert (
        typed.read_bytes() == (made_by_test(run, tmp_path / "d") / "fake_B/0.png").read_bytes() != native.read_bytes()
    )
    (run / "checkpoints/published").mkdir()
    weights = (run / "checkpoints/run/latest_net_G.pth").read_bytes()
    (run / "checkpoints/published/latest_net_G.pth").write_bytes(weights)
    published = Translator.from_checkpoint(run / "checkpoints/published", device="cpu")
    assert published.factor == 1 and "not known" in published.scaling


@pytest.mark.slow
def test_a_scale_is_typed_in_a_file_as_on_the_command_line(run, tmp_path, capsys):
    (tmp_path / "test.yaml").write_text("scale: train\n")
    made_by_test(run, tmp_path, "--config", tmp_path / "test.yaml", "--metrics", "self_similarity")
    assert "--scale train: pictures are translated at 0.25 of their size" in capsys.readouterr().out
    made_by_test(run, tmp_path, "--load_size", 50)
    assert "--scale" not in capsys.readouterr().out  # --preprocess says at what size


@pytest.mark.slow
def test_each_side_that_is_translated_has_its_scale(run, tmp_path, capsys):
    words = small_argv(run / "data", tmp_path, "--max_steps", 1, "--model", "dcl")
    assert train_script.main(words) == 0
    for more, said in (
        ((), "at 0.25 of their size and brought back to their own size; trained at 0.25; those of B at their own size"),
        (("--direction", "BtoA"), "at their own size; trained at 1; those of A at 0.25 of theirs"),
    ):
        capsys.readouterr()
        made_by_test(run, tmp_path, "--checkpoints_dir", tmp_path / "checkpoints", *more)
        assert said in capsys.readouterr().out
    made_by_test(run, tmp_path)
    assert "those of" not in capsys.readouterr().out  # CUT translates one side


@pytest.mark.slow
def test_scales_that_mean_nothing_are_refused(run, tmp_path):
    (tmp_path / "pairs").mkdir()
    for side in "AB":
        shutil.copytree(run / "data/testA", tmp_path / f"pairs/test{side}")
    words = ("--dataset_mode", "aligned", "--dataroot", tmp_path / "pairs", "--scale", 0.5, "--metrics", "l1")
    with pytest.raises(UserError, match="--metrics: 72 x 72 pixels beside 144 x 144; leave --keep_scale out"):
        made_by_test(run, tmp_path, *words, "--keep_scale")
    made_by_test(run, tmp_path, *words)


@pytest.mark.parametrize("flag", [("--scale", "0.5"), ("--keep_scale",)], ids=lambda flag: flag[0])
def test_what_translates_no_pictures_has_no_scale(flag):
    opt = test_options("--model", "sngan", "--dataset_mode", "labeled", "--dataroot", "digits", *flag)
    with pytest.raises(UserError, match=f"{flag[0]} .*: nothing is translated; leave it out"):
        refuse_ignored(opt, ["scale", "keep_scale"], "nothing is translated")


@pytest.mark.slow
def test_sizes_given_by_hand_do_what_they_do_upstream(run, tmp_path):
    for more, size in (
        (("--load_size", 64, "--crop_size", 64), (64, 64)),
        (("--load_size", 48), (48, 48)),
        (("--load_size", 72, "--preprocess", "scale_width"), (72, 86)),
    ):
        images = made_by_test(run, tmp_path / str(size[0]), *more)
        assert {Image.open(images / kind / "2.png").size for kind in ("real_A", "fake_B")} == {size}
    expected = Image.open(run / "data/testA/2.png").resize((64, 64), Image.Resampling.BICUBIC)
    assert (pixels(tmp_path / "64/run/test_latest/images/real_A/2.png") == np.asarray(expected, int)).all()


def test_wrong_scales_are_said_in_a_line(tmp_path):
    torch.save(networks.define("G", "resnet_4blocks", input_nc=3, output_nc=3, ngf=4).state_dict(), tmp_path / "g.pth")
    for scale, message in (("big", "--scale big: choose auto"), ("train", "--scale train: what is loaded")):
        with pytest.raises(UserError, match=message):
            Translator.from_checkpoint(tmp_path / "g.pth", device="cpu", scale=scale)


def test_pages_have_a_scale_too(tmp_path):
    """What Pillow cannot open by its path, such as a page or a slice, is decoded for its size."""
    pages = [Image.new("L", (60, 60), level) for level in (0, 90, 200)]
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        pages[0].save(tmp_path / f"train{side}/stack.tif", save_all=True, append_images=pages[1:])
    data = dataset("unaligned", "--dataroot", tmp_path, "--load_size", 30, "--crop_size", 24)
    assert list(data.factors(data.sides["A"])) == pytest.approx([0.5] * 3)
