"""--pretrained: images drawn with published weights, and runs that begin with them, from the command line."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import networks
import test as test_script
import train as train_script
from models import MODELS
from models.inference.weight_folder import identify_file
from models.noise.published import shown_options
from models.noise.published_networks import fitted, identify_latent, take_vectors_as_they_are
from networks.discriminator import Discriminator
from networks.r3gan_discriminator import R3GANHead
from options import UserError
from tests.conftest import train_options
from tests.models.noise.test_published_networks import build_G, recorded

TINY = ("--dataroot", "digits", "--classes_used", "0,1,2", "--max_dataset_size", 16, "--batch_size", 8, "--no_html")
G, EMA, D = "model=G-best-weights-step=9.pth", "model=G_ema-best-weights-step=9.pth", "model=D-best-weights-step=9.pth"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """As the published codes write them."""
    folder = tmp_path_factory.mktemp("published")
    state = lambda name: recorded(f"latent_{name}")[2]  # noqa: E731
    torch.save({"state_dict": state("studiogan_G"), "optimizer": {"state": {}, "param_groups": []}}, folder / G)
    torch.save({"state_dict": state("studiogan_G_ema")}, folder / EMA)
    facts = {"best_fid": np.float64(3.5), "lecam_emas": {"init": 7777}, "aa_p": None, "topk": "initialize"}
    torch.save({"state_dict": state("studiogan_D_2c"), **facts}, folder / D)
    for name in ("sngan_G", "infomaxgan_D", "cgan_pd_G"):
        content = {"model_state_dict": state(f"mimicry_{name}"), "optimizer_state_dict": None, "global_step": 9}
        torch.save(content, folder / f"{name}.pth")
    return folder


def run(script, folder, *words):
    own = ("--checkpoints_dir", folder / "checkpoints", "--name", "run", "--gpu_ids", -1)
    return script.main([str(word) for word in (*own, *words)])


def published_G(path):
    found = identify_latent(torch.load(path, weights_only=True))
    network = build_G(found)
    network.load_state_dict(fitted(found, network)[0])
    return network


@pytest.mark.slow
@pytest.mark.parametrize("name, classes", [(EMA, 3), ("sngan_G.pth", 0), ("cgan_pd_G.pth", 3)])
def test_images_are_those_of_the_published_code_without_data_or_a_run(files, tmp_path, capsys, name, classes):
    """In evaluation: batch norm's statistics, and vectors of spectral norm that are averages, are the file's."""
    flags = ("--pretrained", files / name, "--num_samples", 6, "--results_dir", tmp_path / "results")
    assert run(test_script, tmp_path, *flags) == 0
    folder = tmp_path / "results/run/test_pretrained"
    samples, network = np.load(folder / "samples.npz"), published_G(files / name).eval()
    take_vectors_as_they_are(network)
    y = torch.from_numpy(samples["labels"]) if classes else None
    with torch.no_grad():
        images = network(torch.from_numpy(samples["z"]), y).permute(0, 2, 3, 1).numpy()
    assert np.abs((images + 1) * 127.5 - samples["images"]).max() <= 0.51
    facts = json.loads((folder / "metrics.json").read_text())
    assert facts["classes"] == ["0", "1", "2"][:classes]
    assert facts["pretrained"][0]["file"] == str(files / name) and len(facts["pretrained"][0]["sha256"]) == 64
    told = capsys.readouterr().err
    assert f"--pretrained {files / name}: {'StudioGAN' if name == EMA else 'mimicry'}'s G, --netG" in told
    assert ("as short as 0.83" in told) == (name == EMA)
    assert not (tmp_path / "checkpoints").exists() and "classes" not in samples  # whose names nobody knows


@pytest.mark.slow
def test_a_run_begins_with_weights_of_all_three_and_goes_on(files, tmp_path, capsys):
    pretrained = ("--pretrained", files / G, files / EMA, files / D)
    assert run(train_script, tmp_path, *TINY, *pretrained, "--n_epochs", 1, "--lr", 0, "--lr_D", 0) == 0
    run_folder = tmp_path / "checkpoints/run"
    made = {name: torch.load(run_folder / f"latest_net_{name}.pth", weights_only=True) for name in ("G", "G_ema", "D")}
    for name, file in (("G", G), ("G_ema", EMA)):  # at a rate of 0; the average takes 0.1 % of G a step
        weights, limit = dict(published_G(files / file).named_parameters()), 0 if name == "G" else 0.01
        assert max((made[name][key] - value).abs().max().item() for key, value in weights.items()) <= limit
    _, _, state = recorded("latent_studiogan_D_2c")
    names = {"heads.proxy.embedding": "embedding", "trunk.body.0.conv1": "blocks.2.0.conv2d1"}
    for ours, theirs in names.items():
        assert torch.equal(made["D"][f"{ours}.parametrizations.weight.original"], state[f"{theirs}.weight_orig"])
    options = (run_folder / "train_opt.yaml").read_text()
    assert "model: contragan" in options and "embed_dim: 6" in options and "ngf: 2" in options
    assert "pretrained:" not in options and "known_classes" not in options
    assert "StudioGAN's average of G" in capsys.readouterr().err
    assert run(train_script, tmp_path, "--continue_train", "auto", "--n_epochs", 2, *pretrained) == 0
    assert "ignored, for the run goes on from its own checkpoint" in capsys.readouterr().out


@pytest.mark.parametrize("adc", [True, False])
def test_a_discriminator_of_each_class_twice_is_one_of_adc(files, tmp_path, adc):
    """StudioGAN's with ADC has a row of real and one of generated images of each class."""
    content = dict(recorded("latent_studiogan_D_2c")[2])
    if adc:
        twice = {key: value.repeat_interleave(2, 0) for key, value in content.items() if key.startswith("embedding.")}
        content |= twice | {"embedding.weight_v": content["embedding.weight_v"]}
    torch.save({"state_dict": content}, tmp_path / D)
    values = shown_options([str(files / G), str(tmp_path / D)]).values
    assert values["adc"] is adc and values["model"] == "contragan"
    names = ("model", "netG", "netD", "ngf", "ndf", "z_dim", "crop_size", "embed_dim")
    words = [word for name in names for word in (f"--{name}", values[name])]
    model = MODELS.find("contragan")(train_options(*words, *(("--adc",) if adc else ()), "--gpu_ids", -1))
    model.see_data(SimpleNamespace(classes=("0", "1", "2"), channels=3, mirrors=False))
    fitted(identify_latent({"state_dict": content}), model.netD)


@pytest.mark.slow
def test_a_run_may_begin_with_a_generator_alone(files, tmp_path, capsys):
    flags = ("--pretrained", f"{files / 'sngan_G.pth'}", "--model", "infomaxgan", "--n_epochs", 1, "--ndf", 4)
    assert run(train_script, tmp_path, *TINY, *flags, "--continue_train", "auto") == 0
    assert "no weights of D, which starts afresh" in capsys.readouterr().err


REFUSED = [
    (("sngan_G.pth", "--ngf", 16), "--ngf 16: .*sngan_G.pth holds weights of --ngf 8"),
    (("infomaxgan_D.pth",), "weights of D alone; add those of G"),
    (("sngan_G.pth,cgan_pd_G.pth",), "both are of G; give one of them"),
    ((f"sngan_G.pth,{EMA}",), "the second is no average of the first"),
    (("sngan_G.pth", "--model", "biggan"), "weights without classes, and --model biggan makes images with them"),
    (("cgan_pd_G.pth", "--model", "sngan"), "weights of 3 classes, and --model sngan makes images without them"),
    ((G, "--classes_used", "0,1"), "weights of 3 classes, and --dataroot digits has 2"),
    (("nothing.pth",), "nothing.pth: No such file"),
    (("",), "a folder; give the files"),
    (("sngan_G.pth", "--pretrained_name", "other"), "a run begins with one; leave one out"),
    (("sngan_G.pth", "--netD", "sngan", "--dataroot", "nowhere"), "--dataroot nowhere"),
]


@pytest.mark.parametrize("flags, words", REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_written(files, tmp_path, flags, words):
    (names, *more) = flags
    paths = ",".join(str(files / name) for name in names.split(","))
    with pytest.raises(UserError, match=words):
        run(train_script, tmp_path, *TINY, "--n_epochs", 1, "--pretrained", paths, *more)
    assert not list((tmp_path / "checkpoints").glob("run/*"))


def test_a_number_of_classes_belongs_to_weights(tmp_path):
    with pytest.raises(UserError, match="--known_classes 3: --pretrained weights say it"):
        run(train_script, tmp_path, *TINY, "--model", "sngan", "--known_classes", 3)


@pytest.mark.parametrize("name", [G, "sngan_G.pth"])
def test_who_takes_such_weights_for_a_translator_is_told(files, name):
    with pytest.raises(UserError, match=r"'s G, of images from noise; test.py and train.py take it as --pretrained"):
        identify_file(files / name)


@pytest.mark.slow
def test_weights_of_r3gan_are_recognised_and_loaded(tmp_path, capsys):
    """State dicts under its names: a published file is a pickle, from which its own code takes them."""
    torch.manual_seed(0)
    G = networks.define("latent_G", "r3gan", size=8, channels=1, classes=3, z_dim=4, ngf=8)
    trunk = networks.define("latent_D", "r3gan", size=8, channels=1, ndf=8)
    D = Discriminator(trunk, {"logit": R3GANHead(8, 3, 8)})
    last = f"MainLayers.1.Layers.{len(trunk.MainLayers[1].Layers)}."
    theirs = {
        "trunk.basis.Basis.weight": f"{last}Basis.weight",
        "heads.logit.linear.weight": f"{last}LinearLayer.weight",
        "heads.logit.embedding.weight": "EmbeddingLayer.weight",
    }
    named = {theirs.get(key, key.removeprefix("trunk.")): value for key, value in D.state_dict().items()}
    torch.save(G.state_dict(), tmp_path / "G_ema.pth")
    torch.save({f"Model.{key}": value for key, value in named.items()}, tmp_path / "D.pth")  # as its trainer wraps it
    flags = ("--pretrained", tmp_path / "G_ema.pth", "--num_samples", 6, "--results_dir", tmp_path / "results")
    assert run(test_script, tmp_path, *flags) == 0
    samples = np.load(tmp_path / "results/run/test_pretrained/samples.npz")
    with torch.no_grad():
        images = G(torch.from_numpy(samples["z"]), torch.from_numpy(samples["labels"])).permute(0, 2, 3, 1).clamp(-1, 1)
    assert np.abs((images.numpy() + 1) * 127.5 - samples["images"]).max() <= 0.51
    flags = ("--pretrained", f"{tmp_path / 'G_ema.pth'},{tmp_path / 'D.pth'}", *TINY, "--n_epochs", 1, "--lr", 0)
    assert run(train_script, tmp_path, *flags, "--lr_D", 0) == 0
    kept = torch.load(tmp_path / "checkpoints/run/latest_net_D.pth", weights_only=True)
    assert all(torch.equal(kept[key], value) for key, value in D.state_dict().items())
    torch.save({**G.state_dict(), "MainLayers.1.Layers.1.NonLinearity1.Bias": torch.zeros(5)}, tmp_path / "G_ema.pth")
    with pytest.raises(UserError, match=r"its stages are not those of --netG r3gan --ngf 8") as error:
        run(test_script, tmp_path, "--pretrained", tmp_path / "G_ema.pth")
    assert error.value.code == 4
