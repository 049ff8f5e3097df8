"""A judge of labels: what it learns, what its file says, what it is asked, and what it refuses."""

import hashlib
import json
from types import SimpleNamespace

import pytest
import torch

import test as test_script
import train as train_script
from evaluation.judges import LabelJudge, load_judge, load_label_judge
from models import MODELS
from models.label_judge_model import augment
from networks.glyph_judge import GlyphJudge
from options import UserError
from tests.conftest import train_options
from util.training import checkpoint
from util.training.engine import Engine

CLASSES = ("across", "down", "both")
TINY = ("--njf", "4", "--crop_size", "32", "--gpu_ids", "-1", "--num_threads", "0")


def bars(count, seed=0):
    """Images (N, 1, 32, 32) of bars in three directions, and their labels."""
    random = torch.Generator().manual_seed(seed)
    label = torch.arange(count) % 3
    place = torch.randint(8, 24, (count,), generator=random)
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    ways = torch.stack([y, x, (x + y) // 2])
    return torch.where((ways[label] - place[:, None, None]).abs() <= 2, 1.0, -1.0)[:, None], label


DATA = SimpleNamespace(classes=CLASSES, channels=1, present=True, arrays=lambda phase: bars(30, 99))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of 40 steps."""
    folder = tmp_path_factory.mktemp("runs") / "judge"
    opt = train_options("--model", "label_judge", *TINY, "--lr", "0.01")
    engine, model = Engine(opt), MODELS.find("label_judge")(opt)
    model.see_data(DATA)
    engine.prepare(model)
    for step in range(40):
        with engine.step(model):
            images, label = bars(24, step)
            model.set_input({"image": images, "label": label, "image_paths": ["?"] * 24})
            model.optimize_parameters()
    assert model.loss_names == ["CE", "C", "accuracy"] and model.get_current_visuals()["seen"].shape == (24, 1, 32, 32)
    checkpoint.save(folder, "latest", model, engine)
    return folder


def look(judge, images):
    features, answers = zip(*judge.look(images.split(16)), strict=True)
    return torch.cat(features), torch.cat(answers)


@pytest.mark.slow
def test_labels_are_learnt_and_answered_in_the_numbers_of_the_data(run):
    images, label = bars(60, 1000)
    judge = load_label_judge(run, CLASSES)
    features, answers = look(judge, images)
    assert (answers == label).float().mean() > 0.9 and torch.equal(judge(images), answers)
    assert features.shape == (60, judge.features) == (60, 8 * 4)
    other = load_label_judge(run, ("both", "ring", "across"))  # the numbers of other data; "down" is none of theirs
    renamed = torch.tensor([2, -1, 0])
    assert torch.equal(look(other, images)[1], renamed[answers]) and other.unknown == ["ring"]


def test_features_are_what_the_answer_is_read_from(run):
    judge, (images, _) = load_label_judge(run, CLASSES), bars(8)
    features, answers = look(judge, images)
    assert torch.equal(judge.network.answer(features).argmax(1), answers) and features.min() >= 0


def test_the_digest_is_of_the_weight_file(run):
    judge = load_label_judge(run, CLASSES)
    assert judge.digest == hashlib.sha256((run / "latest_net_C.pth").read_bytes()).hexdigest()
    assert judge.run == str(run)


def test_images_are_fitted_to_the_judge(run):
    judge, (images, _) = load_label_judge(run, CLASSES), bars(6)
    large = images.repeat_interleave(2, 2).repeat_interleave(2, 3).expand(-1, 3, -1, -1)
    torch.testing.assert_close(look(judge, large)[1], look(judge, images)[1])


def test_augmentation_never_mirrors_and_0_is_none():
    half = torch.full((16, 1, 32, 32), -1.0)
    half[..., :10] = 1
    warped = augment(half)
    assert warped.shape == half.shape and warped.abs().max() <= 1 and not torch.equal(warped, half)
    assert (warped[..., :6].mean((1, 2, 3)) > warped[..., -6:].mean((1, 2, 3))).all()
    assert augment(half, 0) is half


def test_data_that_teach_nothing_are_refused():
    model = MODELS.find("label_judge")(train_options("--model", "label_judge", *TINY))
    for classes, word in ((("one",), "1 label alone"), (("a", "b\nc"), "line break")):
        with pytest.raises(UserError, match=word):
            model.see_data(SimpleNamespace(classes=classes, channels=1))
    model = MODELS.find("label_judge")(train_options("--model", "label_judge", "--crop_size", 16))
    with pytest.raises(UserError, match="--crop_size 16"):
        model.see_data(DATA)


def test_what_is_no_judge_of_these_labels_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"no run in .* --model label_judge"):
        load_label_judge(tmp_path / "absent", CLASSES)
    with pytest.raises(UserError, match="judges across, down, both, and these data are of x, y"):
        load_label_judge(run, ("x", "y"))
    with pytest.raises(UserError, match=r"--recogniser .* trained with --model label_judge"):
        load_judge(run, "character")
    torch.save(GlyphJudge("character", ["65", "66"], width=2).state_dict(), tmp_path / "latest_net_C.pth")
    with pytest.raises(UserError, match=r"--label_judge .* --judge character"):
        load_label_judge(tmp_path, CLASSES)


def test_labels_that_a_judge_cannot_name_are_no_class():
    judge = LabelJudge(GlyphJudge("label", ["a", "b"], size=32, width=2).eval(), "--label_judge x", {"a": 5}, "")
    assert judge.classes == {5} and judge.values.tolist() == [5, -1]


def test_from_the_command_line_to_its_accuracy(tmp_path, capsys):
    """scikit-learn's digits, one epoch; test.py prints and writes the accuracy on digits that training never saw."""
    where = ["--dataroot", "digits", "--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", "judge"]
    argv = ["--model", "label_judge", *where, *TINY, "--n_epochs", "1", "--max_dataset_size", "300"]
    assert train_script.main(argv) == 0
    results = ["--results_dir", str(tmp_path / "results"), "--gpu_ids", "-1"]
    assert test_script.main([*where, *results]) == 0
    written = json.loads((tmp_path / "results/judge/test_latest/metrics.json").read_text())
    accuracy = written["accuracy"]
    assert f"accuracy {accuracy['value']:.4f} on {accuracy['images']} images of test" in capsys.readouterr().out
    assert accuracy["images"] > 300 and set(written["classes"]) == set("0123456789")
