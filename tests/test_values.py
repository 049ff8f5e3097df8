"""Data whose values have units, through train.py, test.py, translate.py and the Translator, and out in their units."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import evaluate
import test as test_script
import train as train_script
import translate as translate_script
from options import UserError
from tests.conftest import small_argv
from translate import Translator
from util.config import read_config

GREY = ("--input_nc", 1, "--output_nc", 1, "--max_steps", 1, "--no_html")


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="minisblack")
    else:
        Image.fromarray(values).save(path)


def data(root, kind, suffix, A, B, size=32):
    """Smooth ramps from end to end of each range, in three pictures of a side; one of them with a hot pixel."""
    for phase, count in (("train", 3), ("test", 2)):
        for side, (low, high) in (("A", A), ("B", B)):
            for i in range(count):
                ramp = np.linspace(low, high, size * size).reshape(size, size)
                write(root / f"{phase}{side}" / f"p{i}{suffix}", np.roll(ramp, i * 5, 1).astype(kind))
    return root


def train(root, folder, *more):
    assert train_script.main(small_argv(root, folder, "--overwrite", *GREY, *more)) == 0
    return read_config(folder / "checkpoints/run/train_opt.yaml")


def run_test(root, folder, *more):
    words = ["--dataroot", root, "--name", "run", "--checkpoints_dir", folder / "checkpoints", "--num_threads", 0]
    words += ["--results_dir", folder / "results", "--gpu_ids", -1, *more]
    assert test_script.main([str(word) for word in words]) == 0
    return folder / "results/run/test_latest"


def run_translate(folder, source, output, *more):
    words = ["--checkpoint", folder / "checkpoints/run", "--input", source, "--output", output, "--gpu_ids", -1, *more]
    return translate_script.main([str(word) for word in words])


@pytest.mark.slow
def test_twelve_bits_in_sixteen(tmp_path, capsys):
    root = data(tmp_path / "data", np.uint16, ".png", (0, 1162), (100, 4000))
    assert train(root, tmp_path)["value_range"] is None
    told = capsys.readouterr().err
    assert "warning: pictures of A use 1.8 % of what their type holds: their values go from 0 to 1162" in told
    assert "pictures of B use 5.9 %" in told

    kept = train(root, tmp_path, "--value_range", "auto")
    told = capsys.readouterr().err
    assert "warning" not in told and "--value_range auto: A 1 to 1160 (0.1 and 99.9 percentile of 3 train" in told
    assert kept["value_range"][0] == 1 and kept["value_type"] == "integer"
    low, high = kept["value_range"][2:]
    assert 100 < low < 110 and 3990 < high < 4000

    made = run_test(root, tmp_path)
    results = {name: np.array(Image.open(made / f"values/fake_B/{name}.png")) for name in ("p0", "p1")}
    for name, values in results.items():
        shown = np.array(Image.open(made / f"images/fake_B/{name}.png"))
        assert values.dtype == np.uint16 and low <= values.min() and values.max() <= high and values.std() > 0
        assert shown.dtype == np.uint8 and np.abs((values - low) / (high - low) * 255 - shown).max() < 0.6
    source = np.array(Image.open(made / "images/real_A/p0.png"))
    assert source.min() == 0 and source.max() == 255  # windowed

    assert run_translate(tmp_path, root / "testA", tmp_path / "out") == 0
    translator = Translator.from_checkpoint(tmp_path / "checkpoints/run", device="cpu")
    for name, values in results.items():
        assert np.abs(np.array(Image.open(tmp_path / f"out/{name}.png")).astype(int) - values).max() <= 1
        picture = Image.open(root / f"testA/{name}.png")
        again = translator(picture)
        assert again.mode == "I;16" and np.abs(np.array(again).astype(int) - values).max() <= 1
        array = translator(np.array(picture))
        assert array.dtype == np.uint16 and (array == np.array(again)).all()
        floats = translator(np.array(picture).astype(np.float32))
        assert floats.dtype == np.float32 and np.abs(floats - array).max() <= 1
        assert translator(np.array(picture).astype(np.uint8)).dtype == np.uint16  # a byte cannot hold 4000
        assert translator(torch.zeros(1, 32, 32)).abs().max() <= 1

    more = small_argv(root, tmp_path, *GREY, "--continue_train", "--max_steps", 2, "--value_range", "auto")
    (root / "trainA" / "p9.png").write_bytes((root / "testB/p0.png").read_bytes())  # would move the percentiles
    assert train_script.main(more) == 0
    assert read_config(tmp_path / "checkpoints/run/train_opt.yaml")["value_range"] == kept["value_range"]


@pytest.mark.slow
def test_signed_values_and_fractions(tmp_path, capsys):
    root = data(tmp_path / "data", np.int16, ".tif", (-1000, 3000), (-1000, 3000))
    kept = train(root, tmp_path, "--value_range", "-1024,3071")["value_range"]
    assert kept == [-1024, 3071]
    made = run_test(root, tmp_path)
    values = tifffile.imread(made / "values/fake_B/p0.tif")
    assert values.dtype == np.int16 and values.shape == (32, 32) and values.min() < 1000
    assert run_translate(tmp_path, root / "testA", tmp_path / "out/") == 0
    assert np.abs(tifffile.imread(tmp_path / "out/p0.tif").astype(int) - values).max() <= 1
    for words in (("--format", "png"), ()):
        target = tmp_path / ("more/" if words else "one.png")
        with pytest.raises(UserError, match="--format png: holds whole numbers from 0 to 65535"):
            run_translate(tmp_path, root / "testA" if words else root / "testA/p0.tif", target, *words)
    with pytest.raises(UserError, match="--format png"):
        run_test(root, tmp_path, "--format", "png")

    root = data(tmp_path / "floats", np.float32, ".npy", (-0.5, 7.25), (0, 0.001))
    kept = train(root, tmp_path, "--value_range", "-1", "8", "0", ".001")
    assert kept["value_range"] == [-1, 8, 0, 0.001] and kept["value_type"] == "float"
    made = run_test(root, tmp_path, "--format", "npy")
    values = np.load(made / "values/fake_B/p0.npy")
    assert values.dtype == np.float32 and values.shape == (32, 32, 1) and 0 <= values.min() < values.max() <= 0.001
    back = run_test(root, tmp_path, "--value_range", "auto")
    assert np.allclose(tifffile.imread(back / "values/fake_B/p0.tif"), values[..., 0])
    assert not (back / "values/fake_B/p0.npy").exists()
    capsys.readouterr()
    words = ["--real", root / "testB", "--fake", made / "values/fake_B", "--metrics", "l1", "--channels", 1]
    assert evaluate.main([str(word) for word in [*words, "--gpu_ids", -1, "--value_range", "0,.001"]]) == 0


@pytest.mark.slow
def test_the_way_back_has_the_values_of_the_other_side(tmp_path):
    root = data(tmp_path / "data", np.uint16, ".png", (0, 1000), (5000, 9000))
    both = ("--value_range", "0,1000,5000,9000")
    for more in (("--direction", "BtoA"), ("--model", "dcl")):
        train(root, tmp_path, *both, *more)
        made = run_test(root, tmp_path)
        ends = {side: (0, 1000) if side == "A" else (5000, 9000) for side in "AB"}
        folders = {"fake_B": "A"} if "BtoA" in more else {"fake_A": "A", "fake_B": "B"}
        for visual, side in folders.items():
            values = np.array(Image.open(made / f"values/{visual}/p0.png"))
            assert ends[side][0] <= values.min() and values.max() <= ends[side][1], (more, visual)


@pytest.mark.slow
def test_without_a_range_results_are_as_they_were(tmp_path, dataroot):
    assert train_script.main(small_argv(dataroot, tmp_path, "--max_steps", 1, "--no_html")) == 0
    made = run_test(dataroot, tmp_path)
    assert not (made / "values").exists()
    made = run_test(dataroot, tmp_path, "--format", "tif")
    shares = tifffile.imread(next((made / "values/fake_B").iterdir()))
    assert shares.dtype == np.float32 and shares.shape == (32, 32, 3) and 0 <= shares.min() < shares.max() <= 1


def test_what_is_wrong_is_said_before_anything_is_made(tmp_path):
    root = data(tmp_path / "data", np.uint16, ".png", (7, 7), (0, 1000))
    for span, what in {
        "5,1": "5 is not below 1",
        "1": "expected lo,hi for both sides",
        "1,2,3": "expected lo,hi",
        "low,high": "expected .*numbers separated by commas",
        "auto": "every value in the training pictures of A is 7",
    }.items():
        with pytest.raises(UserError, match=f"--value_range {span}: {what}"):
            train(root, tmp_path, "--value_range", span)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(("span", "what"), [("0,1", "% of the values in pictures of A lie outside"), ("0,1162", "")])
def test_a_range_that_misses_the_data_is_said(tmp_path, capsys, span, what):
    from tests.data.helpers import dataset

    root = data(tmp_path, np.uint16, ".png", (0, 1162), (0, 1162))
    dataset("unaligned", "--dataroot", root, "--input_nc", 1, "--output_nc", 1, "--value_range", span).settle()
    told = capsys.readouterr().err
    assert what in told if what else told == ""


def test_the_cache_keeps_ranges_apart(tmp_path):
    """A file that holds both sides is read once for each."""
    from tests.data.helpers import dataset

    write(tmp_path / "train/p.png", np.concatenate([np.full((8, 8), 500), np.full((8, 8), 5000)], 1).astype(np.uint16))
    words = ("--input_nc", 1, "--output_nc", 1, "--preprocess", "none", "--dataroot", tmp_path)
    item = dataset("aligned", *words, "--value_range", "0,1000,0,5000")[0]
    assert item["A"].abs().max() < 1e-6 and item["B"].min() == 1
    found = dataset("aligned", *words, "--value_range", "0,9000")
    assert found.settle().value_type == "integer"


@pytest.mark.slow
@pytest.mark.extra
def test_slices_of_scanners_in_their_units(tmp_path, capsys):
    """MR of nibabel's own test files to CT of pydicom's, and the test's results beside them."""
    import nibabel
    import pydicom

    root = tmp_path / "data"
    (root / "trainA").mkdir(parents=True)
    (root / "trainB").mkdir()
    packed = Path(nibabel.__file__).parent / "tests/data/example4d.nii.gz"
    (root / "trainA/brain.nii.gz").write_bytes(packed.read_bytes())
    scan = Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm"
    (root / "trainB/ct.dcm").write_bytes(scan.read_bytes())
    kept = train(root, tmp_path, "--value_range", "auto")["value_range"]
    low, high = (float(n) for n in np.percentile(pydicom.dcmread(scan).pixel_array - 1024.0, (0.1, 99.9)))
    assert 0 <= kept[0] < kept[1] <= 1162 and np.abs(np.array(kept[2:]) - (low, high)).max() < 60
    (root / "testA").symlink_to(root / "trainA")
    made = run_test(root, tmp_path, "--num_test", 3)
    values = tifffile.imread(made / "values/fake_B/brain_0002.tif")
    assert values.dtype == np.int16 and values.shape == (96, 128) and kept[2] <= values.min() < values.max() <= kept[3]
    assert run_translate(tmp_path, root / "testA/brain.nii.gz", tmp_path / "out/", "--format", "npy") == 0
    assert len(list((tmp_path / "out").iterdir())) == 48
    assert np.abs(np.load(tmp_path / "out/brain_0002.npy")[..., 0].astype(int) - values).max() <= 1


@pytest.mark.slow
def test_the_kind_of_file_is_that_of_the_side_that_is_made(tmp_path):
    """From values that no PNG holds to values that one does, and to more channels than one has; pages too."""
    root = data(tmp_path / "data", np.int16, ".tif", (-1000, 3000), (0, 900), size=96)
    stack = np.stack([tifffile.imread(root / f"testA/p{i}.tif") for i in range(2)])
    for i in range(2):
        (root / f"testA/p{i}.tif").unlink()
    write(root / "testA/both.tif", stack)
    train(root, tmp_path, "--value_range", "-1024,3071,0,1000", "--init_gain", 0.3)
    made = run_test(root, tmp_path, "--scale", 0.5)
    assert run_translate(tmp_path, root / "testA", tmp_path / "out/", "--scale", 0.5) == 0
    translator = Translator.from_checkpoint(tmp_path / "checkpoints/run", device="cpu", scale="0.5")
    names = {f"both_000{k}.png" for k in (1, 2)}
    assert (
        {p.name for p in (tmp_path / "out").iterdir()} == names == {p.name for p in (made / "values/fake_B").iterdir()}
    )
    for page, name in zip(stack, sorted(names), strict=True):
        results = [np.array(Image.open(folder / name)) for folder in (made / "values/fake_B", tmp_path / "out")]
        assert results[0].std() > 10 and all(np.array_equal(other, translator(page)) for other in results)

    five = data(tmp_path / "five", np.uint16, ".npy", (0, 900), (0, 900))
    for path in five.rglob("*.npy"):
        np.save(path, np.stack([np.load(path)] * 5, axis=2))
    train(five, tmp_path, "--input_nc", 5, "--output_nc", 5, "--value_range", "0,1000")
    made = run_test(five, tmp_path)
    assert run_translate(tmp_path, five / "testA", tmp_path / "five_made/") == 0
    for folder in (made / "values/fake_B", tmp_path / "five_made"):
        assert tifffile.imread(folder / "p0.tif").shape == (32, 32, 5)
    with pytest.raises(UserError, match="--format png: holds 1, 3 or 4 channels, and results of this run have 5"):
        run_test(five, tmp_path, "--format", "png")


@pytest.mark.slow
def test_what_does_not_suit_a_range_is_said_wherever_pictures_are_read(tmp_path, capsys):
    root = data(tmp_path / "data", np.uint16, ".png", (0, 1000), (0, 1000))
    train(root, tmp_path, "--value_range", "0,1000", "--init_gain", 0.3)
    capsys.readouterr()
    made = run_test(root, tmp_path)
    assert run_translate(tmp_path, root / "testA", tmp_path / "fine/") == 0
    assert "warning" not in capsys.readouterr().err
    write(root / "testA/p1.png", np.linspace(0, 60000, 1024).reshape(32, 32).astype(np.uint16))
    line = r"warning: 49\.\d % of the values in pictures of {} lie outside --value_range 0 to 1000: they go from 0 to 6"
    run_test(root, tmp_path)
    assert re.search(line.format("A"), capsys.readouterr().err)
    assert run_translate(tmp_path, root / "testA", tmp_path / "out/") == 0
    assert re.search(line.format("--input"), capsys.readouterr().err)
    words = ["--real", root / "testB", "--fake", made / "values/fake_B", "--metrics", "l1", "--channels", 1]
    grey = "pictures of --real use 1.5 % of what their type holds"
    for span, said in (((), grey), (("--value_range", "0,1000"), "")):
        assert evaluate.main([str(word) for word in (*words, "--gpu_ids", -1, *span)]) == 0
        told = capsys.readouterr().err
        assert said in told and bool(said) == ("warning" in told)
    with pytest.raises(UserError, match="--value_range 1,2,3: expected lo,hi"):
        evaluate.main([str(word) for word in (*words, "--gpu_ids", -1, "--value_range", "1,2,3")])

    other = "warning: --value_range 0,500: the run run was trained with 0,1000"
    run_test(root, tmp_path, "--value_range", "0,500")
    assert other in capsys.readouterr().err
    more = ("--continue_train", "--max_steps", 2)
    assert train_script.main(small_argv(root, tmp_path, *GREY, *more, "--value_range", "0,500")) == 0
    assert other in capsys.readouterr().err
    assert train_script.main(small_argv(root, tmp_path, *GREY, *more[:1], "--max_steps", 3)) == 0
    assert "was trained with" not in capsys.readouterr().err
