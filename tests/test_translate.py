"""translate.py and the Translator: any picture, any checkpoint, and nothing lost on the way."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import networks
import test as test_script
import train as train_script
import translate as translate_script
from networks.published import identify
from options import UserError
from tests import safetensors
from tests.conftest import small_argv
from translate import Translator
from util import cli
from util.images import to_tensor

GOLDEN = Path(__file__).parent / "golden"


def golden(name="generator_resnet9"):
    return safetensors.under(safetensors.load(GOLDEN / f"{name}.safetensors"), "state.")


def picture(path, size=(61, 33), seed=0, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, len(mode)), dtype=np.uint8)
    Image.fromarray(coarse if len(mode) > 1 else coarse[..., 0], mode).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def published(tmp_path):
    """checkpoints/one and checkpoints/two, as the authors publish them; under DataParallel's prefix the second."""
    for folder, name, prefix in (("one", "G", ""), ("two", "G_A", "module."), ("two", "G_B", "module.")):
        (tmp_path / "checkpoints" / folder).mkdir(parents=True, exist_ok=True)
        state = {prefix + key: value if name != "G_B" else -value for key, value in golden().items()}
        torch.save(state, tmp_path / f"checkpoints/{folder}/latest_net_{name}.pth")
    return tmp_path


def translate(checkpoint, source, output, *more):
    sources = source if isinstance(source, list) else [source]
    words = ["--checkpoint", checkpoint, "--input", *sources, "--output", output, "--gpu_ids", -1, *more]
    return translate_script.main([str(w) for w in words])


def run_test(folder, name, dataroot, *more):
    words = ["--dataroot", dataroot, "--name", name, "--checkpoints_dir", folder / "checkpoints", "--num_threads", 0]
    words += ["--results_dir", folder / "results", "--gpu_ids", -1, *more]
    return test_script.main([str(w) for w in words])


def as_published(path):
    """What the published test.py makes of a picture, step by step: squeezed, through G, and cut to whole levels."""
    state = golden()
    name, arguments = identify(state)
    G = networks.define("G", name, **arguments)
    G.load_state_dict(state)
    image = Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BICUBIC)
    x = (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5
    with torch.no_grad():
        y = G(x)[0].clamp(-1, 1).numpy()
    return ((y.transpose(1, 2, 0) + 1) / 2 * 255).astype(np.uint8)


def level(a, b):
    return np.abs(np.asarray(a, int) - np.asarray(b, int)).max()


@pytest.mark.slow
def test_published_weights_give_the_published_picture(published):
    source = picture(published / "data/testA/cat.png", (300, 211))
    expected = as_published(source)
    assert run_test(published, "one", published / "data", "--preprocess", "resize", "--load_size", 256) == 0
    assert level(Image.open(published / "results/one/test_latest/images/fake_B/cat.png"), expected) <= 1
    Image.open(source).resize((256, 256), Image.Resampling.BICUBIC).save(published / "square.png")
    assert translate(published / "checkpoints/one", published / "square.png", published / "out.png") == 0
    assert level(Image.open(published / "out.png"), expected) <= 1


@pytest.mark.slow
def test_test_infers_both_sides_and_names_a_flag_that_contradicts(published, dataroot):
    assert run_test(published, "two", dataroot) == 0
    made = published / "results/two/test_latest/images"
    assert len(list((made / "fake_B").iterdir())) == 3 and len(list((made / "fake_A").iterdir())) == 2
    assert run_test(published, "two", dataroot, "--model", "cycle_gan", "--ngf", 8) == 0
    file = published / "checkpoints/two/latest_net_G_A.pth"
    with pytest.raises(UserError, match=rf"--ngf 64: {file} holds weights of --ngf 8"):
        run_test(published, "two", dataroot, "--ngf", 64)
    with pytest.raises(UserError, match=r"--no_antialias True: .* holds weights of --no_antialias False"):
        run_test(published, "two", dataroot, "--no_antialias")
    torch.save({"model.0.weight": torch.zeros(4, 3, 4, 4)}, file)
    with pytest.raises(UserError, match="is no generator of this toolkit: it holds a patch discriminator") as error:
        run_test(published, "two", dataroot)
    assert error.value.code == 4


def test_old_weights_with_statistics_are_loaded(tmp_path):
    state = golden()
    for key, value in golden().items():
        if key.endswith("bias") and not key.startswith("model.30"):
            head, index, _ = key.rsplit(".", 2)
            state |= {f"{head}.{int(index) + 1}.running_{what}": value for what in ("mean", "var")}
    torch.save(state, tmp_path / "latest_net_G.pth")
    torch.save(golden(), tmp_path / "plain.pth")
    x = torch.rand(3, 20, 24)
    old, new = (Translator.from_checkpoint(tmp_path / n)(x) for n in ("latest_net_G.pth", "plain.pth"))
    assert torch.equal(old, new)


def test_folders_names_and_sizes_are_kept(published, capsys):
    sizes = {"a.png": (61, 33), "b.png": (61, 33), "sub/a.jpg": (30, 47), "sub/a.png": (3, 2), "c.png": (61, 33)}
    for i, (name, size) in enumerate(sizes.items()):
        picture(published / "in" / name, size, i)
    picture(published / "more/a.png", (8, 8))
    inputs = [published / "in", published / "more"]
    assert translate(published / "checkpoints/one", inputs, published / "out", "--batch_size", 2) == 0
    made = {p.relative_to(published / "out").as_posix(): Image.open(p).size for p in (published / "out").rglob("*.*")}
    assert made == {
        "a.png": (61, 33),
        "b.png": (61, 33),
        "c.png": (61, 33),
        "sub/a.png": (30, 47),
        "sub/a_png.png": (3, 2),
        "a_png.png": (8, 8),
    }
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("6 pictures in ") and "images/s, peak memory" in last
    assert translate(published / "checkpoints/one", published / "in", published / "single") == 0
    assert level(Image.open(published / "single/b.png"), Image.open(published / "out/b.png")) <= 1


def test_nothing_is_lost(published, monkeypatch):
    source, weights = picture(published / "in/a.png"), published / "checkpoints/one"
    before = source.read_bytes()
    assert translate(weights, source, published / "out") == 0
    made = (published / "out/a.png").read_bytes()
    with pytest.raises(UserError, match="1 of 1 results exist"):
        translate(published / "nowhere", source, published / "out")  # said before anything is loaded
    assert translate(weights, source, published / "out", "--overwrite") == 0
    with pytest.raises(UserError, match="is a picture to be translated"):
        translate(weights, published / "in", published / "in", "--overwrite")
    assert source.read_bytes() == before and (published / "out/a.png").read_bytes() == made
    assert translate(weights, published / "in", published / "in/out") == 0
    assert translate(weights, published / "in", published / "in/out", "--overwrite") == 0
    assert [p.name for p in (published / "in").rglob("*.png")].count("a.png") == 2
    monkeypatch.setattr(os, "replace", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match="No space left on device") as error:
        translate(weights, source, published / "out", "--overwrite")
    monkeypatch.undo()
    assert error.value.code == 5 and [p.name for p in (published / "out").iterdir()] == ["a.png"]


def test_pictures_that_cannot_be_read(published, capsys):
    picture(published / "in/b.png")
    (published / "in/a.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"a\.png.*--on_bad_image skip"):
        translate(published / "checkpoints/one", published / "in", published / "out")
    assert translate(published / "checkpoints/one", published / "in", published / "out", "--on_bad_image", "skip") == 0
    said = capsys.readouterr()
    assert "skipped: " in said.err and "1 picture, 1 left out" in said.out
    with pytest.raises(UserError, match="no picture could be read"):
        translate(published / "checkpoints/one", published / "in/a.png", published / "c", "--on_bad_image", "skip")


@pytest.mark.parametrize(
    "words, message, code",
    [
        (("--checkpoint", "none"), "--checkpoint none: no such file or folder", 4),
        (("--input", "none"), "--input none: no such file or folder", 2),
        (("--direction", "BtoA"), "translates AtoB; it translates one way alone", 2),
        (("--epoch", "7"), "no checkpoint", 4),
        (("--precision", "int8"), "--precision int8", 2),
        (("--tile", "64", "--overlap", "64"), "--overlap 64: must be smaller than --tile 64", 2),
        (("--ngf", "4"), "no option --ngf", 2),
        (("--output", ""), "--output: not given", 2),
    ],
)
def test_errors_are_one_line(published, words, message, code, capsys, monkeypatch):
    given = {"--checkpoint": published / "checkpoints/one", "--input": picture(published / "a.png"), "--output": "out"}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    monkeypatch.chdir(published)
    argv = [str(w) for pair in given.items() for w in pair]
    monkeypatch.setattr(sys, "argv", ["translate.py"])
    assert cli.run(lambda: translate_script.main([*argv, "--gpu_ids", "-1"])) == code
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and message in said[0] and not (published / "out").exists()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html>\n<html>", "it is text that begins '<!DOCTYPE html>'"),
        (b"hello world", "it is text that begins 'hello world'"),
        (b"\x80", ""),
        (torch.nn.Linear(2, 2), "it holds Python objects such as torch.nn.modules.linear.Linear"),
        (2000, "it is cut off"),
    ],
)
def test_what_is_no_file_of_weights_is_told_in_one_line(content, words, published):
    path = published / "checkpoints/one/latest_net_G.pth"
    if isinstance(content, torch.nn.Module):
        torch.save(content, path)
    else:
        path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    with pytest.raises(UserError, match="damaged, or not a file of weights") as error:
        Translator.from_checkpoint(path)
    assert error.value.code == 4 and words in str(error.value) and "\n" not in str(error.value)


def test_a_file_without_names_is_no_generator(tmp_path):
    torch.save([torch.zeros(3)], tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: holds no state dict of one network \(a list"):
        Translator.from_checkpoint(tmp_path / "a.pth")


def test_output_may_be_above_the_input_or_end_with_a_slash(published, monkeypatch):
    weights, source = published / "checkpoints/one", picture(published / "data/photos/a.png")
    picture(published / "data/photos/sub/b.png")
    assert translate(weights, published / "data/photos", published / "data") == 0
    assert (published / "data/a.png").is_file() and (published / "data/sub/b.png").is_file()
    with pytest.raises(UserError, match="the name of a folder ends with /"):
        translate(weights, source, published / "v0.5")
    assert translate(weights, source, f"{published}/v0.5/") == 0 and (published / "v0.5/a.png").is_file()
    with pytest.raises(UserError, match=r"cannot be looked at \(File name too long"):
        translate(weights, source, published / ("a" * 300))
    with pytest.raises(UserError, match="File name too long") as error:
        Translator.from_checkpoint("a" * 300)
    assert error.value.code == 4


def test_either_direction_of_a_two_sided_folder(published):
    folder, x = published / "checkpoints/two", torch.rand(3, 16, 16)
    there, back = (Translator.from_checkpoint(folder, d) for d in ("AtoB", "BtoA"))
    assert (there.file.name, back.file.name) == ("latest_net_G_A.pth", "latest_net_G_B.pth")
    assert not torch.equal(there(x), back(x))
    assert Translator.from_checkpoint(folder / "latest_net_G_B.pth").direction == "BtoA"
    with pytest.raises(UserError, match="translates BtoA; give the file of the other side"):
        Translator.from_checkpoint(folder / "latest_net_G_B.pth", "AtoB")
    (folder / "latest_net_G_A.pth").unlink()
    with pytest.raises(UserError, match="no G_A in it, which translates AtoB; --direction BtoA is there"):
        Translator.from_checkpoint(folder)
    assert torch.equal(Translator.from_checkpoint(folder, "BtoA")(x), back(x))


@pytest.mark.slow
def test_a_run_of_ours_its_average_and_its_direction(whole, tmp_path):
    run, x = whole / "checkpoints/run", torch.rand(3, 32, 32)
    averaged, raw = (Translator.from_checkpoint(run, use_ema=ema) for ema in (True, False))
    assert averaged.file.name == "latest_net_G_ema.pth" and not torch.equal(averaged(x), raw(x))
    for path in run.glob("latest*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "train_opt.yaml").write_text("direction: BtoA\nmodel: evil.module\n")  # never imported
    turned = Translator.from_checkpoint(tmp_path)
    assert turned.direction == "BtoA" and torch.equal(turned(x), averaged(x))
    assert Translator.from_checkpoint(tmp_path, "BtoA").direction == "BtoA"
    with pytest.raises(UserError, match=r"--direction AtoB: .* translates BtoA; it translates one way alone"):
        Translator.from_checkpoint(tmp_path, "AtoB")


@pytest.mark.slow
def test_a_run_that_was_trained_BtoA_gives_what_its_test_gives(dataroot, tmp_path):
    argv = small_argv(dataroot, tmp_path, "--direction", "BtoA", "--n_epochs", 1, "--n_epochs_decay", 0)
    assert train_script.main(argv) == 0
    assert run_test(tmp_path, "run", dataroot) == 0
    assert translate(tmp_path / "checkpoints/run", dataroot / "testB", tmp_path / "out", "--direction", "BtoA") == 0
    for path in (tmp_path / "results/run/test_latest/images/fake_B").iterdir():
        assert level(Image.open(path), Image.open(tmp_path / "out" / path.name)) <= 1


def test_every_kind_of_image_comes_back_as_it_came(published):
    translator = Translator.from_checkpoint(published / "checkpoints/one")
    pil = Image.open(picture(published / "a.png", (30, 21)))
    array = np.array(pil)
    tensor = torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1
    made = [translator(image) for image in (pil, array, tensor, tensor[None].double())]
    assert made[0].size == (30, 21) and made[0].mode == "RGB"
    assert made[1].shape == array.shape and made[1].dtype == np.uint8
    assert made[2].shape == tensor.shape and made[3].shape == (1, *tensor.shape) and made[3].dtype == torch.float64
    assert level(made[0], made[1]) == 0
    assert level(made[1], ((made[2] + 1) * 127.5).round().permute(1, 2, 0)) == 0
    both = translator.batch([array, np.ascontiguousarray(array[::-1]), array[:9]])
    assert level(both[0], made[1]) <= 1 and both[2].shape == (9, 30, 3)
    assert translator(Image.new("RGBA", (9, 8))).size == (9, 8) and translator(Image.new("I;16", (9, 8))).mode == "RGB"
    for wrong in (array.astype(np.float32), array[..., :2], tensor[:2], (tensor > 0)):
        with pytest.raises(ValueError):
            translator(wrong)
    with pytest.raises(TypeError, match="a str; expected"):
        translator("a.png")


@pytest.mark.slow
def test_large_pictures_in_tiles(published):
    source = picture(published / "a.png", (300, 280))
    for name, words in (("whole", ()), ("tiles", ("--tile", 192, "--overlap", 128))):
        assert translate(published / "checkpoints/one", source, published / name, *words) == 0
    assert level(Image.open(published / "whole/a.png"), Image.open(published / "tiles/a.png")) <= 2


def test_a_picture_lower_than_the_network_needs_is_tiled(published):
    x = torch.rand(3, 3, 400)
    tiles, whole = (Translator.from_checkpoint(published / "checkpoints/one", tile=t) for t in (256, 0))
    assert level(tiles(x) * 127.5, whole(x) * 127.5) <= 2


def test_rows_leave_the_caller_its_own_mode(published):
    for tile in (0, 192):
        rows = Translator.from_checkpoint(published / "checkpoints/one", tile=tile).rows(torch.rand(3, 300, 64))
        next(rows)
        assert not torch.is_inference_mode_enabled()


def test_other_channels_and_files(tmp_path):
    import networks

    for channels, name in ((1, "grey"), (2, "two")):
        G = networks.define("G", "resnet_4blocks", input_nc=channels, output_nc=channels, ngf=4)
        torch.save(G.state_dict(), tmp_path / f"{name}.pth")
    colour = picture(tmp_path / "a.png", (20, 12))
    assert translate(tmp_path / "grey.pth", colour, tmp_path / "a.jpg") == 0
    assert Image.open(tmp_path / "a.jpg").mode == "L" and Image.open(tmp_path / "a.jpg").format == "JPEG"
    np.save(tmp_path / "b.npy", np.zeros((8, 9, 2), np.float32))
    with pytest.raises(UserError, match="makes 2 channels; give --format npy"):
        translate(tmp_path / "two.pth", tmp_path / "b.npy", tmp_path / "out")
    assert translate(tmp_path / "two.pth", tmp_path / "b.npy", tmp_path / "out", "--format", "npy") == 0
    assert np.load(tmp_path / "out/b.npy").shape == (8, 9, 2)


def test_transparency_is_a_fourth_channel(tmp_path):
    """Of a folder, one file and a picture in memory; values are those of the network."""
    G = networks.define("G", "resnet_4blocks", input_nc=4, output_nc=4, ngf=4)
    torch.save(G.state_dict(), tmp_path / "four.pth")
    source = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 20, 4), dtype=np.uint8))
    (tmp_path / "in").mkdir()
    source.save(tmp_path / "in/a.png")
    with torch.no_grad():
        made = G.eval()(to_tensor(np.asarray(source))[None])[0]
    expected = ((made + 1) * 127.5).permute(1, 2, 0).numpy()
    assert translate(tmp_path / "four.pth", tmp_path / "in", tmp_path / "out") == 0
    in_memory = Translator.from_checkpoint(tmp_path / "four.pth", device="cpu")(source)
    for picture in (Image.open(tmp_path / "out/a.png"), in_memory):
        assert picture.mode == "RGBA" and np.abs(np.asarray(picture) - expected).max() < 0.51
    with pytest.raises(UserError, match="makes 4 channels; give --format png or npy"):
        translate(tmp_path / "four.pth", tmp_path / "in", tmp_path / "no", "--format", "jpg")
    with pytest.raises(UserError, match="makes 4 channels"):
        translate(tmp_path / "four.pth", tmp_path / "in/a.png", tmp_path / "a.jpeg")
    assert not (tmp_path / "no").exists() and not (tmp_path / "a.jpeg").exists()


OWN = """
from dataclasses import dataclass
from torch import nn
from models.base_translation import TranslationModel
from options import option

class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1))
        self.filt = nn.Parameter(self.model[0].weight.detach().clone())
    def forward(self, x):
        return self.model(x).tanh()

class OwnModel(TranslationModel):
    @dataclass(frozen=True, kw_only=True)
    class Options(TranslationModel.Options):
        shapes = ("width",)
        width: int = option(4, "channels")
    visual_names = ("real_A", "fake_B", "real_B")
    def __init__(self, opt):
        super().__init__(opt)
        self.netG = Net(opt.width)
        if opt.is_train:
            self.add_optimizer("G", self.netG)
    def forward(self):
        self.fake_B = self.netG(self.real_A)
    def optimize_parameters(self):
        self.forward()
        self.update("G", lambda: {"L1": (self.fake_B - self.real_A).abs().mean()})
"""


@pytest.mark.parametrize(("method", "makes"), [("r3gan", "samples"), ("label_judge", "answers")])
def test_a_run_of_a_method_that_translates_nothing_is_refused_by_name(dataroot, tmp_path, method, makes):
    torch.save({"convs.0.weight": torch.zeros(2, 2, 3, 3)}, tmp_path / "latest_net_G.pth")
    (tmp_path / "train_opt.yaml").write_text(f"model: {method}\n")
    with pytest.raises(UserError, match=f"--model {method} makes {makes}, no translations; test.py") as error:
        translate(tmp_path, dataroot / "testA/testA_0.png", tmp_path / "out")
    assert error.value.code == 4


@pytest.mark.slow
def test_a_generator_of_a_plugin_translates_with_its_folder(dataroot, tmp_path, monkeypatch):
    """It is what test.py makes of it; without the folder the message is of the method, not of a discriminator."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/own_model.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    plugin = ("--plugin_dir", tmp_path / "lab")
    words = ("--model", "own", *plugin, "--max_steps", 1, "--load_size", 36, "--crop_size", 32, "--num_threads", 0)
    words += ("--dataroot", dataroot, "--checkpoints_dir", tmp_path / "checkpoints", "--gpu_ids", -1)
    assert train_script.main([str(w) for w in (*words, "--name", "run", "--width", 3)]) == 0
    run, source = tmp_path / "checkpoints/run", dataroot / "testA/testA_0.png"
    with pytest.raises(UserError, match=r"--model own is no method of the toolkit.*give --plugin_dir"):
        translate(run, source, tmp_path / "out")
    assert translate(run, source, tmp_path / "out", "--scale", "native", *plugin) == 0
    run_test(tmp_path, "run", dataroot, "--num_test", 1, *plugin)
    (there,) = (tmp_path / "results").rglob("fake_B/testA_0.png")
    assert np.array_equal(np.asarray(Image.open(there)), np.asarray(Image.open(tmp_path / "out/testA_0.png")))
    # A run that begins with it takes what its class says shapes it.
    assert train_script.main([str(w) for w in (*words, "--name", "again", "--pretrained_name", "run")]) == 0
    with pytest.raises(UserError, match="no such folder"):
        translate(run, source, tmp_path / "out", "--plugin_dir", tmp_path / "nowhere", "--overwrite")
    (run / "train_opt.yaml").unlink()
    with pytest.raises(UserError, match="no generator that is known here"):
        translate(run, source, tmp_path / "out", *plugin, "--overwrite")
