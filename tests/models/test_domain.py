"""A domain network: what it learns, from which data, what its views share, and what it says of itself."""

import json
from types import SimpleNamespace

import pytest
import torch

import test as test_script
import train as train_script
from evaluation.extractors import load_extractor
from models import MODELS
from models.domain_model import effective_dimensions, found, view
from networks.domain_encoder import DomainEncoder, encoder_of
from networks.glyph_judge import GlyphJudge
from options import UserError
from tests.conftest import train_options
from util.training.engine import Engine

TINY = ("--njf", "4", "--features", "8", "--crop_size", "32", "--gpu_ids", "-1", "--num_threads", "0")


class Data(SimpleNamespace):
    """What a model asks of a dataset, of 64 items."""

    def __len__(self):
        return 64


def model_of(dataset, *argv):
    model = MODELS.find("domain")(train_options("--model", "domain", *TINY, *argv))
    model.see_data(dataset)
    return model


def squares(count, seed):
    """Images (N, 1, 32, 32) of one to four squares in places of their own."""
    random = torch.Generator().manual_seed(seed)
    images = -torch.ones(count, 1, 32, 32)
    for image in images:
        for y, x in torch.randint(
            2, 24, (int(torch.randint(1, 5, (), generator=random)), 2), generator=random
        ).tolist():
            image[:, y : y + 6, x : x + 6] = 1
    return images


@pytest.mark.slow
def test_views_of_new_images_find_one_another():
    opt = train_options("--model", "domain", *TINY, "--lr", "0.005")
    engine, model = Engine(opt), MODELS.find("domain")(opt)
    model.see_data(Data(channels=1))
    engine.prepare(model)
    for step in range(50):
        with engine.step(model):
            model.set_input({"image": squares(32, step), "image_paths": ["?"] * 32})
            model.optimize_parameters()
    assert model.loss_names == ["NTXent", "C", "found"] and model.get_current_losses()["NTXent"] < 2
    assert model.loss_levels["NTXent"]["chance"] == pytest.approx(4.143, abs=1e-3)  # log 63
    network, new = model.netC.eval(), squares(50, 1000)
    with torch.no_grad():
        features = network.embed(new)
        assert found(network.embed(view(new)), network.embed(view(new))) > 0.3  # by chance 0.02
    assert effective_dimensions(features) > 1.5
    assert 0.3 < features.var(0).mean() < 3  # unit variance over views of what it learnt from


def test_every_image_of_a_batch_is_learnt_from():
    model = model_of(Data(), "--input_nc", "1", "--output_nc", "3")
    A, B = torch.zeros(2, 1, 32, 32), torch.ones(3, 3, 48, 32)
    model.set_input({"A": A, "B": B, "A_paths": ["a", "b"], "B_paths": ["c", "d", "e"], "label": torch.zeros(2)})
    assert model.netC.channels == 3 and model.real.shape == (5, 3, 32, 32)
    assert model.real.mean((1, 2, 3)).round().tolist() == [0, 0, 1, 1, 1]
    assert model.image_paths["A"] == list("abcde")


def test_views_are_mirrored_only_where_that_is_harmless():
    half = torch.full((32, 1, 32, 32), -1.0)
    half[..., :10] = 1
    left = [
        (seen[..., :6].mean((1, 2, 3)) > seen[..., -6:].mean((1, 2, 3))) for seen in (view(half), view(half, 1, True))
    ]
    assert left[0].all() and 0 < left[1].sum() < 32
    assert view(half, 0) is half and view(half).abs().max() <= 1
    assert model_of(Data(mirrors=True, channels=3)).mirrors and not model_of(Data()).mirrors


def test_a_weight_file_says_what_it_is():
    network = DomainEncoder(1, 32, 4, 8).eval()
    again = encoder_of(network.state_dict())
    images = squares(3, 0)
    assert torch.equal(again.embed(images), network.embed(images)) and (again.size, again.count) == (32, 8)
    with pytest.raises(ValueError, match="domain of size 64, not domain of size 32"):
        network.set_extra_state(DomainEncoder(1, 64, 4, 8).get_extra_state())
    with pytest.raises(ValueError, match="no weights of a domain network"):
        encoder_of(GlyphJudge("label", ["a", "b"], 1, 32, 4).state_dict())


def test_effective_dimensions_count_what_varies():
    independent = torch.eye(6).repeat(2, 1) * torch.tensor([1.0] * 6 + [-1.0] * 6)[:, None]
    assert effective_dimensions(independent) == pytest.approx(6)
    assert effective_dimensions(independent[:, :1].expand(-1, 6)) == pytest.approx(1)
    assert effective_dimensions(torch.ones(5, 3)) == 0


def test_runs_of_few_steps_are_told_so(capsys):
    model_of(Data(channels=1), "--n_epochs", "3", "--batch_size", "32")
    assert "6 steps teach little; --n_epochs 100 makes 200 of them" in capsys.readouterr().err
    model_of(Data(channels=1), "--n_epochs", "100", "--batch_size", "32")
    assert not capsys.readouterr().err


def test_data_that_teach_nothing_are_refused():
    for argv, word in (("--crop_size", "16"), "--crop_size 16"), (("--batch_size", "1"), "--batch_size 1"):
        with pytest.raises(UserError, match=word):
            model_of(Data(channels=1), *argv)


def test_images_that_are_no_squares_are_refused():
    with pytest.raises(UserError, match="--crop_size 64x32: --model domain learns from squares; give one number"):
        model_of(Data(channels=1), "--dataset_mode", "labeled", "--crop_size", "64x32")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folders", "font", "digits"])
def test_from_the_command_line_to_an_extractor(kind, dataroot, tmp_path, capsys):
    """Two steps on folders, glyphs or digits; test.py says what they are worth, metrics see with them."""
    data = {
        "folders": ["--dataroot", str(dataroot), "--load_size", "36", "--batch_size", "3"],
        "font": ["--dataset_mode", "font", "--charset", "ascii", "--batch_size", "30"],
        "digits": ["--dataset_mode", "labeled", "--dataroot", "digits", "--max_dataset_size", "80"],
    }[kind]
    where = [*data[: 4 if kind == "digits" else 2], "--checkpoints_dir", str(tmp_path / "runs"), "--name", "eyes"]
    assert train_script.main(["--model", "domain", *where, *data, *TINY, "--n_epochs", "1"]) == 0
    capsys.readouterr()
    rows = ["--num_test", "20", "--results_dir", str(tmp_path / "results"), "--gpu_ids", "-1"]
    assert test_script.main([*where, *rows]) == 0
    found = json.loads((tmp_path / "results/eyes/test_latest/metrics.json").read_text())["found"]
    assert f"{found['value']:.4f} of the views of {found['images']} images of test" in capsys.readouterr().out
    assert found["images"] == {"folders": 5, "font": 2 * 9, "digits": 20}[kind] and found["value"] > 0
    extractor = load_extractor(
        SimpleNamespace(extractor=f"domain:{tmp_path / 'runs/eyes'}", inception_weights=None, resize="clean")
    )
    levels = torch.randint(256, (3, 3, 40, 40), dtype=torch.uint8)
    assert extractor(levels).features.shape == (3, 8) and "eyes" in extractor.name
