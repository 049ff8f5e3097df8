"""A judge of captions: what it learns, what its file says, what it is asked, and what it refuses."""

import hashlib
import json
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import test as test_script
import train as train_script
from evaluation.judges import load_caption_judge, load_label_judge
from models import MODELS
from models.caption_judge_model import known_entropy
from networks.caption_judge import CaptionMatcher, matcher_of
from options import UserError
from tests.conftest import train_options
from util.reading.weights import read_tensors
from util.training import checkpoint
from util.training.engine import Engine
from util.words import EARLIER, UAX29

ATTRIBUTES = {"way": ("across", "down"), "tone": ("dark", "light")}
TINY = ("--njf", "4", "--crop_size", "32", "--gpu_ids", "-1", "--num_threads", "0")


def bars(count, seed=0):
    """Bytes (N, 1, 32, 32) of bars, what they show (N, 2), their captions; every third leaves the tone unsaid."""
    random = torch.Generator().manual_seed(seed)
    shown = torch.randint(2, (count, 2), generator=random)
    place = torch.randint(8, 24, (count, 1, 1), generator=random)
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    inside = (torch.stack([y, x])[shown[:, 0]] - place).abs() <= 2
    ink = torch.tensor([0, 150])[shown[:, 1]][:, None, None]
    said = shown.clone()
    said[::3, 1] = -1
    captions = [f"a {ATTRIBUTES['tone'][t] if t >= 0 else ''} bar {ATTRIBUTES['way'][w]}" for w, t in said.tolist()]
    return torch.where(inside, ink, 255).to(torch.uint8)[:, None], shown, said, captions


CAPTIONS = tuple(dict.fromkeys(bars(60)[3]))
DATA = SimpleNamespace(attributes=ATTRIBUTES, captions=CAPTIONS, channels=1, present=True)


def batch(count, seed):
    levels, shown, said, captions = bars(count, seed)
    image = levels.float() / 127.5 - 1
    return {"image": image, "caption": captions, "said": said, "shown": shown, "image_paths": ["?"] * count}


def trained(data, folder, change=lambda batch: batch, steps=60):
    opt = train_options("--model", "caption_judge", *TINY, "--lr", "0.01")
    engine, model = Engine(opt), MODELS.find("caption_judge")(opt)
    model.see_data(data)
    engine.prepare(model)
    for step in range(steps):
        with engine.step(model):
            model.set_input(change(batch(24, step)))
            model.optimize_parameters()
    checkpoint.save(folder, "latest", model, engine)
    return model


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run of 60 steps."""
    folder = tmp_path_factory.mktemp("runs") / "judge"
    model = trained(DATA, folder)
    assert model.loss_names == ["CE_way", "CE_tone", "match", "C", "accuracy"]
    assert model.get_current_visuals()["seen"].shape == (24, 1, 32, 32)
    return folder


@pytest.mark.slow
def test_attributes_and_captions_are_learnt(run):
    levels, shown, said, captions = bars(200, 1000)
    judge = load_caption_judge(run, ATTRIBUTES)
    judged = judge.judge(levels, captions, said, shown)
    assert (judged.seen.answers == shown).double().mean() > 0.95
    names = ["a dark bar across", "a light bar across", "a dark bar down", "a light bar down"]
    nearest = (judged.seen.embedding @ judge.read(names).T).argmax(1)
    assert (nearest == 2 * shown[:, 0] + shown[:, 1]).double().mean() > 0.9
    torch.testing.assert_close(judged.captions.norm(dim=1), torch.ones(200))
    assert judged.seen.features.shape == (200, judge.features) == (200, 32) and len(judged) == 200


def test_answers_are_in_the_numbers_of_the_data(run):
    levels, *_ = bars(40, 1000)
    answers = load_caption_judge(run, ATTRIBUTES).see(levels).answers
    other = load_caption_judge(run, {"tone": ("light", "grey"), "size": ("large",), "way": ("down", "across")})
    found = other.see(levels).answers
    assert found[:, 2].equal(1 - answers[:, 0]) and found[:, 1].eq(-1).all()
    assert found[:, 0].equal(torch.tensor([-1, 0])[answers[:, 1]])  # dark is no value of these data
    assert other.unknown == ["tone grey", "size"]


def test_a_caption_reads_the_same_among_others(run):
    judge = load_caption_judge(run, ATTRIBUTES)
    together = judge.read(["a bar down", "a bar , a light bar , a bar across", "a bar down"])
    torch.testing.assert_close(together[[0, 2]], judge.read(["a bar down"]).expand(2, -1), atol=1e-6, rtol=0)


def test_the_weight_file_says_what_it_means(run):
    file = run / "latest_net_C.pth"
    network, judge = matcher_of(read_tensors(file)), load_caption_judge(run, ATTRIBUTES)
    assert network.attributes == ATTRIBUTES and set(network.words) == {"a", "dark", "light", "bar", "across", "down"}
    assert (network.size, network.channels, network.most, network.training) == (32, 1, 32, False)
    assert judge.digest == hashlib.sha256(file.read_bytes()).hexdigest() and judge.run == str(run)
    other = CaptionMatcher({"way": ("down", "across"), "tone": ("dark", "light")}, network.words, 1, 32, 4)
    with pytest.raises(ValueError, match="a judge of way, tone at 32 pixels"):
        other.load_state_dict(network.state_dict())


def test_a_judge_keeps_the_rule_of_its_words_and_one_of_before_has_the_earlier(run):
    network = matcher_of(read_tensors(run / "latest_net_C.pth"))
    assert network.rule == load_caption_judge(run, ATTRIBUTES).vocabulary.rule == UAX29
    told = bytes(network.get_extra_state().tolist()).decode()
    assert told.startswith("32 UAX 29\n2\n")
    before = torch.tensor(list(told.replace(" UAX 29", "", 1).encode()), dtype=torch.uint8)
    assert matcher_of(network.state_dict() | {"_extra_state": before}).rule == EARLIER


def test_a_judge_goes_on_by_the_rule_that_it_learnt_by(tmp_path, monkeypatch):
    """A run of before names no rule, and one that names one may not be read by another."""
    monkeypatch.setattr("models.caption_judge_model.UAX29", EARLIER)
    trained(DATA, tmp_path / "old", steps=1)
    monkeypatch.undo()
    for words, rule in ((("--pretrained_name", "old"), EARLIER), ((), UAX29)):
        opt = train_options("--model", "caption_judge", *TINY, "--checkpoints_dir", str(tmp_path), *words)
        model = MODELS.find("caption_judge")(opt)
        model.see_data(DATA)
        assert model.netC.rule == model.vocabulary.rule == rule


def test_data_without_attributes_are_matched_alone(tmp_path):
    """What captions say is the number of their text."""

    def numbered(batch):
        number = torch.tensor([CAPTIONS.index(caption) for caption in batch["caption"]])[:, None]
        return batch | {"said": number, "shown": number}

    data = SimpleNamespace(attributes={}, captions=CAPTIONS, channels=1)
    model = trained(data, tmp_path, numbered, steps=3)
    assert model.loss_names == ["match", "C"]
    levels, shown, _, captions = bars(6)
    judged = load_caption_judge(tmp_path, {}).judge(levels, captions, shown, shown)
    assert judged.seen.answers.shape == (6, 0)
    with pytest.raises(UserError, match="judges captions alone, and these data have way, tone"):
        load_caption_judge(tmp_path, ATTRIBUTES)


def test_unknown_values_teach_nothing():
    logits, target = torch.randn(6, 3, requires_grad=True), torch.tensor([0, -1, 2, 1, -1, 1])
    known = target >= 0
    torch.testing.assert_close(
        known_entropy(logits, target, 0.1), F.cross_entropy(logits[known], target[known], label_smoothing=0.1)
    )
    nothing = known_entropy(logits, torch.full((6,), -1))
    nothing.backward()
    assert nothing == 0 and logits.grad.eq(0).all()


def test_pictures_that_a_caption_is_true_of_are_no_negatives():
    """Two pictures of one caption: the loss is 0 whatever the network."""
    model = MODELS.find("caption_judge")(train_options("--model", "caption_judge", *TINY))
    model.see_data(DATA)
    item = batch(1, 0)
    twice = {
        key: torch.cat([value] * 2) if isinstance(value, torch.Tensor) else value * 2 for key, value in item.items()
    }
    model.set_input(twice)
    model.forward()
    assert model.judge_losses()["match"] == 0
    model.set_input(batch(24, 0))
    model.forward()
    assert model.judge_losses()["match"] > 0.1


def test_half_of_what_it_learns_from_is_as_it_is():
    model = MODELS.find("caption_judge")(train_options("--model", "caption_judge", *TINY))
    model.see_data(DATA)
    torch.manual_seed(0)
    model.set_input(batch(64, 0))
    model.forward()
    assert 16 < (model.seen == model.real).flatten(1).all(1).sum() < 48  # 32 on average, standard deviation 4


def test_data_that_teach_nothing_are_refused():
    model = MODELS.find("caption_judge")(train_options("--model", "caption_judge", *TINY))
    with pytest.raises(UserError, match="a single caption"):
        model.see_data(SimpleNamespace(attributes={}, captions=("one",), channels=1))
    model = MODELS.find("caption_judge")(train_options("--model", "caption_judge", "--crop_size", 16))
    with pytest.raises(UserError, match="--crop_size 16"):
        model.see_data(DATA)


def test_what_is_no_judge_of_these_data_is_refused(run, tmp_path):
    with pytest.raises(UserError, match=r"no run in .* --model caption_judge"):
        load_caption_judge(tmp_path / "absent", ATTRIBUTES)
    with pytest.raises(UserError, match="judges way, tone, and these data have colour"):
        load_caption_judge(run, {"colour": ("red",)})
    with pytest.raises(UserError, match="no weights of a judge"):
        load_label_judge(run, ("a", "b"))
    torch.save({"x": torch.zeros(1)}, tmp_path / "latest_net_C.pth")
    with pytest.raises(UserError, match="no weights of a judge of captions"):
        load_caption_judge(tmp_path, ATTRIBUTES)


def test_from_the_command_line_to_its_scores(tmp_path, capsys):
    """Three letters in two fonts, drawn twice; test.py prints and writes what it sees in drawings of another seed."""
    (tmp_path / "abc.txt").write_text("abc")
    glyphs = [
        "--dataroot",
        "glyphs",
        "--charset",
        str(tmp_path / "abc.txt"),
        "--target_font",
        "DejaVuSans,DejaVuSerif-Bold",
    ]
    where = [*glyphs, "--glyph_variants", "2", "--checkpoints_dir", str(tmp_path / "checkpoints"), "--name", "judge"]
    assert (
        train_script.main(
            ["--model", "caption_judge", *where, *TINY, "--phase", "all", "--n_epochs", "1", "--batch_size", "4"]
        )
        == 0
    )
    results = ["--results_dir", str(tmp_path / "results"), "--gpu_ids", "-1", "--phase", "all", "--draw_seed", "1"]
    assert test_script.main([*where, *results]) == 0
    written = json.loads((tmp_path / "results/judge/all_latest/metrics.json").read_text())
    told = capsys.readouterr().out
    assert f"letter {written['letter']['value']:.4f}" in told and "on 12 pictures of all" in told
    assert written["letter"]["images"] == 12 and set(written["values"]["letter"]) == set("abc")
    assert {"letter", "family", "weight", "slant", "all"} < set(written)
