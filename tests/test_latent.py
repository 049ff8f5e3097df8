"""Images from noise through the scripts: digits, CIFAR-10 in its own format, a run that is continued, recipes."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import test as test_script
import train as train_script
from models import MODELS
from options import UserError
from tests.conftest import train_options
from tests.data.test_labeled_dataset import cifar10_binary
from tests.evaluation.test_testing import EYES
from tests.util.test_distributed import in_processes
from util.training.engine import Engine

RECIPES = sorted(
    path
    for path in (Path(__file__).parents[1] / "recipes").glob("*.yaml")
    if "\ndataset_mode: labeled" in path.read_text()
)
COLOUR = ("--augment_D", "color")
TINY = ("--ngf", 16, "--ndf", 8, "--z_dim", 8, "--batch_size", 16, "--gpu_ids", -1, "--embed_dim", 8)


def run(script, folder, *words):
    own = ("--checkpoints_dir", folder / "checkpoints", "--name", "run", "--gpu_ids", -1)
    return script.main([str(word) for word in (*own, *words)])


def state(folder):
    return torch.load(folder / "checkpoints/run/latest_state.pt", weights_only=True)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.slow
def test_a_continued_run_is_the_whole_run(tmp_path):
    """Bit for bit, with all that has a state: averages, ADA's probability, LeCam's averages, n_dis across epochs."""
    stable = ("--augment_D", "color,translation", "--ada_target", 0.6, "--ada_kimg", 0.5, "--lambda_lecam", 0.3)
    stable += ("--lambda_CR", 1, "--lambda_CR_fake", 1, "--lambda_zCR", 2, "--lambda_zCR_G", 0.5, "--adc")
    words = ("--model", "contragan", "--dataroot", "digits", *TINY, *stable, "--lecam_from", 1, "--n_dis", 2)
    words += ("--max_dataset_size", 80, "--no_html")
    assert run(train_script, tmp_path / "whole", *words, "--n_epochs", 3) == 0
    assert run(train_script, tmp_path / "cut", *words, "--n_epochs", 1) == 0
    cut = state(tmp_path / "cut")
    assert run(train_script, tmp_path / "cut", "--continue_train", "--n_epochs", 3) == 0
    whole, continued = state(tmp_path / "whole"), state(tmp_path / "cut")
    assert same(whole, continued) and not same(whole, cut)
    assert whole["model"]["stabilizers.ada.p"] > 0 and whole["progress"]["step"] == 15


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("r3gan", "--beta2_end", 0.9, "--anneal_r", 0.1, "--ema_half_life", 500, *COLOUR, "--augment_p_from", 0),
        ("contrad", "--head_dim", 8, "--view_dim", 4, "--accumulate", 2, "--lambda_r2", 0.1, "--precision", "bf16"),
    ],
    ids=lambda words: words[0],
)
def test_what_anneals_and_what_is_contrasted_goes_on_as_it_would(tmp_path, words):
    words = ("--model", *words, "--dataroot", "digits", "--ngf", 4, "--ndf", 4, "--z_dim", 8, "--batch_size", 4)
    words += ("--max_dataset_size", 24, "--no_html", "--anneal_images", 40, "--lr_policy", "cosine")
    assert run(train_script, tmp_path / "whole", *words, "--n_epochs", 3) == 0
    assert run(train_script, tmp_path / "cut", *words, "--n_epochs", 1) == 0
    assert run(train_script, tmp_path / "cut", "--continue_train", "--n_epochs", 3) == 0
    assert same(state(tmp_path / "whole"), state(tmp_path / "cut"))


@pytest.mark.slow
def test_cifar10_from_a_local_copy_to_a_page(tmp_path, capsys):
    cifar10_binary(tmp_path / "cifar")
    words = ("--model", "contragan", "--dataroot", tmp_path / "cifar", "--source", "cifar10", *TINY)
    assert run(train_script, tmp_path, *words, "--batch_size", 10, "--print_freq", 10, "--n_epochs", 1) == 0
    results = ("--results_dir", tmp_path / "results", "--num_samples", 20, "--classes", "bat,dog")
    assert run(test_script, tmp_path, "--dataroot", tmp_path / "cifar", *results) == 0
    folder = tmp_path / "results/run/test_latest"
    samples = np.load(folder / "samples.npz")
    assert samples["images"].shape == (20, 32, 32, 3) and samples["images"].dtype == np.uint8
    assert np.bincount(samples["labels"]).tolist() == [0, 10, 0, 10]
    assert {path.parent.name for path in folder.glob("samples/*/*.png")} == {"bat", "dog"}
    assert "bat" in (folder / "index.html").read_text()
    records = [json.loads(line) for line in (tmp_path / "checkpoints/run/metrics.jsonl").read_text().splitlines()]
    assert {"D_cond", "G_cond"} <= set(records[-1])
    log = (tmp_path / "checkpoints/run/loss_log.txt").read_text()
    assert "D_cond" in log and "(chance " in log and "floor" in log


@pytest.mark.slow
def test_images_without_the_data(tmp_path, capsys):
    words = ("--model", "sngan", "--dataroot", "digits", *TINY[:-2], "--max_dataset_size", 40, "--n_epochs", 1)
    assert run(train_script, tmp_path, *words) == 0
    away = ("--dataroot", tmp_path / "nowhere", "--results_dir", tmp_path / "results", "--num_samples", 5)
    assert run(test_script, tmp_path, *away) == 0
    assert len(list((tmp_path / "results/run/test_latest/samples").glob("*.png"))) == 5
    assert "nowhere" in capsys.readouterr().err
    (tmp_path / "eyes.py").write_text(EYES)
    metrics = ("--metrics", "fid", "--extractor", f"module:{tmp_path / 'eyes.py'}:Eyes", "--num_samples", 7)
    with pytest.raises(UserError, match="--metrics fid: there are no real images to compare with") as error:
        run(test_script, tmp_path, *away, *metrics)
    assert error.value.code == 2  # and what lay there is there
    assert len(list((tmp_path / "results/run/test_latest/samples").glob("*.png"))) == 5


@pytest.mark.slow
def test_the_fixed_grid_of_a_test_is_that_of_training(tmp_path):
    words = ("--model", "biggan", "--dataroot", "digits", *TINY[:-2], "--max_dataset_size", 40, "--n_epochs", 1)
    assert run(train_script, tmp_path, *words, "--seed", 5) == 0
    file = tmp_path / "checkpoints/run/fixed_noise.pt"
    kept = torch.load(file, weights_only=True)
    assert kept["z"].shape == (100, 8) and kept["y"].tolist() == [k for k in range(10) for _ in range(10)]
    grids = []
    for z in (kept["z"], -kept["z"], kept["z"]):  # the file decides
        torch.save(kept | {"z": z}, file)
        away = ("--dataroot", tmp_path / "nowhere", "--results_dir", tmp_path / "results", "--num_samples", 10)
        assert run(test_script, tmp_path, *away) == 0
        folder = tmp_path / "results/run/test_latest/images"
        grids.append({path.name: path.read_bytes() for path in sorted(folder.rglob("*.png")) if "grid" in str(path)})
    assert len(grids[0]) == 100 and grids[0] == grids[2] != grids[1]


def test_a_class_that_is_not_there_is_named(tmp_path):
    words = ("--model", "biggan", "--dataroot", "digits", *TINY[:-2], "--max_dataset_size", 40, "--n_epochs", 1)
    assert run(train_script, tmp_path, *words) == 0
    with pytest.raises(UserError, match="--classes 11"):
        run(test_script, tmp_path, "--dataroot", "digits", "--classes", "11")


@pytest.mark.slow
def test_two_processes_have_one_model_and_noise_of_their_own(tmp_path):
    """Three steps with everything that gathers: weights, ADA's probability and LeCam's averages stay one."""

    def work(rank):
        flags = (*TINY, "--augment_D", "color", "--ada_target", 0.6, "--ada_kimg", 0.01, "--lambda_lecam", 0.3)
        flags += ("--lambda_CR_fake", 1, "--lambda_zCR", 2, "--lambda_zCR_G", 0.5, "--adc")
        opt = train_options("--model", "contragan", *flags, "--lecam_from", 0)
        engine, model = Engine(opt), MODELS.find("contragan")(opt)
        model.see_data(SimpleNamespace(classes=("a", "b", "c"), channels=1, mirrors=False))
        engine.prepare(model)
        random = torch.Generator().manual_seed(rank)
        for _ in range(5):
            images, label = torch.rand(16, 1, 32, 32, generator=random), torch.randint(3, (16,), generator=random)
            with engine.step(model):
                model.set_input({"image": images, "label": label, "image_paths": []})
                model.optimize_parameters()
        stable = model.stabilizers
        state = [stable.ada.signs.item(), stable.averages.real.item(), stable.averages.fake.item()]
        nets = [torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (model.netG, model.netD)]
        return [*state, *(w.double().norm().item() for w in nets)], model.fake_y.tolist()

    (one, labels), (other, others) = in_processes(work, tmp_path)
    assert one == other and one[0] != 0
    assert labels != others


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_networks_of_recipes_fit_together(path):
    opt = train_options("--config", path)
    model = MODELS.find(opt.model)(opt)
    with torch.device("meta"):
        netG = model.build("G", opt.netG, ngf=opt.ngf, size=opt.crop_size, channels=3, z_dim=opt.z_dim, classes=10)
        trunk = model.build("D", opt.netD, ndf=opt.ndf, size=opt.crop_size, channels=3, norm=opt.normD)
        image = netG(torch.empty(4, opt.z_dim), torch.zeros(4, dtype=torch.long))
    assert image.shape == (4, 3, opt.crop_size, opt.crop_size) and trunk.features > 0


@pytest.mark.slow
def test_parameters_of_the_published_configurations():
    """Counts of ContraGAN's training logs: CIFAR-10 at 32 pixels, ten classes, embeddings of 512."""
    opt = train_options("--model", "contragan", "--preset", "official", "--source", "cifar10", "--dataroot", "x")
    model = MODELS.find("contragan")(opt)

    class Data:
        classes, channels, mirrors = tuple("0123456789"), 3, True

    model.see_data(Data())
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in model.networks.items()}
    assert counts == {"G": 9_416_196, "D": 2_517_186}


@pytest.mark.slow
def test_images_that_are_not_square(tmp_path, capsys):
    """Wide ones: what is trained on, what is made, pages, neighbours, and what judges say of them."""
    words = ("--model", "biggan", "--dataroot", "digits", *TINY[:-2], "--max_dataset_size", 16, "--n_epochs", 1)
    words += ("--crop_size", "48x32", "--augment_D", "color,translation,cutout", "--classes_used", "0,1")
    assert run(train_script, tmp_path, *words) == 0
    results = ("--dataroot", "digits", "--results_dir", tmp_path / "results", "--num_samples", 6)
    assert run(test_script, tmp_path, *results) == 0
    folder = tmp_path / "results/run/test_latest"
    assert np.load(folder / "samples.npz")["images"].shape == (6, 32, 48, 1)
    sizes = {Image.open(path).size for path in folder.rglob("*.png") if path.parent.name != "assets"}
    assert sizes == {(48, 32)} and any((folder / "images/train").glob("*.png"))
    assert "distance to the nearest training image" in capsys.readouterr().out
