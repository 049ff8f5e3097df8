"""Judges: what they learn, what their files say of themselves, and what they refuse."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import train as train_script
from evaluation.judges import Judge, load_judge
from models import MODELS
from models.glyph_judge_model import augment
from networks.glyph_judge import GlyphJudge, judge_of
from options import UserError
from tests.conftest import records, test_options, train_options
from util.fonts.faces import Face, Geometry
from util.reading.weights import read_tensors
from util.training import checkpoint
from util.training.engine import Engine

CODES, FONTS = [65, 0x63, 0x6C38], ("thin", "bold")
TINY = ("--njf", "4", "--crop_size", "32", "--gpu_ids", "-1", "--num_threads", "0", "--batch_size", "12")


def bars(count, seed=0):
    """Glyphs (B, 1, 32, 32) of three characters, bars at other angles, in two styles, thin and bold."""
    random = torch.Generator().manual_seed(seed)
    character, style = (torch.randint(n, (count,), generator=random) for n in (3, 2))
    place = torch.randint(8, 24, (count,), generator=random)
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    across = torch.stack([y.expand(count, -1, -1), x.expand(count, -1, -1), (x + y).expand(count, -1, -1) / 2])
    offset = (across[character, torch.arange(count)] - place[:, None, None]).abs()
    images = torch.where(offset <= (1 + 2 * style)[:, None, None], -1.0, 1.0)[:, None]
    return images, torch.tensor(CODES)[character], 5 - 2 * style  # thin is number 5, bold number 3


def batch(count, seed):
    images, character, label = bars(count, seed)
    return {"A": images, "B": images, "character": character, "label": label, "B_paths": ["?"] * count}


DATA = SimpleNamespace(
    paired=True,
    characters=CODES,
    style_list=[SimpleNamespace(name="thin", label=5), SimpleNamespace(name="bold", label=3)],
)


def trained(kind, steps=40, *flags):
    opt = train_options("--model", "glyph_judge", "--judge", kind, *TINY, "--lr", "0.01", *flags)
    engine = Engine(opt)
    model = MODELS.find("glyph_judge")(opt)
    model.see_data(DATA)
    engine.prepare(model)
    for step in range(steps):
        with engine.step(model):
            model.set_input(batch(24, step))
            model.optimize_parameters()
    return model, engine


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{kind: the folder of its run} and the network that went there."""
    folders = {}
    for kind in ("character", "style"):
        model, engine = trained(kind)
        folders[kind] = tmp_path_factory.mktemp(kind)
        checkpoint.save(folders[kind], "latest", model, engine)
    return folders


@pytest.mark.slow
def test_characters_are_learnt_and_answered_as_code_points(runs):
    images, character, _ = bars(60, seed=1000)
    judge = load_judge(runs["character"], "character")
    assert (judge(images) == character).float().mean() > 0.9
    assert judge.classes == set(CODES) and judge(images).dtype == torch.int64


@pytest.mark.slow
def test_styles_are_answered_in_the_numbers_of_the_data(runs):
    images, _, label = bars(60, seed=1000)
    judge = load_judge(runs["style"], "style", styles={"thin": 5, "bold": 3})
    assert (judge(images) == label).float().mean() > 0.9
    other = load_judge(runs["style"], "style", styles={"bold": 0, "grass": 1})  # another run's data
    assert torch.equal(other(images) == 0, judge(images) == 3) and other.classes == {0}
    assert set(other(images).tolist()) == {0, -1}


def test_a_judge_from_its_file_answers_as_the_one_that_was_saved(tmp_path):
    model, engine = trained("character", 3, "--ema_decay", "0.9")
    checkpoint.save(tmp_path, "latest", model, engine)
    images = bars(20, seed=7)[0]
    kept = engine.averages["C"].module.eval()
    loaded = judge_of(read_tensors(tmp_path / "latest_net_C_ema.pth"))
    assert loaded.classes == ("65", "99", "27704") and (loaded.kind, loaded.size) == ("character", 32)
    torch.testing.assert_close(loaded(images), kept(images))  # rounding alone: the order in memory differs
    judge = load_judge(tmp_path, "character")  # averages win
    assert torch.equal(judge(images), judge.values[kept(images).argmax(1)])


@pytest.mark.slow
def test_losses_and_pictures_of_a_step():
    model, _ = trained("character", 1)
    assert model.loss_names == ["CE", "C", "accuracy"] and 0 <= model.get_current_losses()["accuracy"] <= 1
    visuals = model.get_current_visuals()
    assert visuals["seen_B"].shape == visuals["real_B"].shape == (24, 1, 32, 32)


def test_data_that_teach_nothing_are_refused():
    model = MODELS.find("glyph_judge")(train_options("--model", "glyph_judge", "--judge", "style"))
    for data, word in (
        (SimpleNamespace(paired=False), "--paired"),
        (SimpleNamespace(paired=True, style_list=DATA.style_list[:1]), "--judge style"),
    ):
        with pytest.raises(UserError, match=word):
            model.see_data(data)


def test_from_the_command_line_and_on_from_its_checkpoint(tmp_path):
    """Two fonts of matplotlib, one epoch and another; and test.py's model is the one that was trained."""
    (tmp_path / "chars.txt").write_text("ABCDEF")
    argv = [
        *("--model", "glyph_judge", "--target_font", "DejaVuSans,DejaVuSerif", "--charset", tmp_path / "chars.txt"),
        *("--test_fraction", 0, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "run", *TINY),
        *("--print_freq", 1, "--n_epochs", 1),
    ]
    assert train_script.main([str(a) for a in argv]) == 0
    assert train_script.main([str(a) for a in [*argv[:-1], 2, "--continue_train"]]) == 0
    assert [row["epoch"] for row in records(tmp_path)] == [1, 2]
    judge = load_judge(tmp_path / "checkpoints/run", "character")
    assert judge.classes == set(map(ord, "ABCDEF"))
    again = test_options("--name", "run", "--checkpoints_dir", tmp_path / "checkpoints", "--model", "glyph_judge")
    model = MODELS.find("glyph_judge")(again)
    model.see_data(None)
    assert model.netC.classes == judge.network.classes


def test_what_is_no_judge_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match="no run in"):
        load_judge(tmp_path / "absent", "character")
    with pytest.raises(UserError, match=r"--style_judge .* --judge character"):
        load_judge(runs["character"], "style")
    torch.save({"model.weight": torch.zeros(3)}, tmp_path / "latest_net_C.pth")
    with pytest.raises(UserError, match="no weights of a judge"):
        load_judge(tmp_path, "character")


def test_images_are_fitted_to_the_judge_or_refused():
    judge = Judge(GlyphJudge("character", ["65", "66"], size=32, width=2).eval(), "--recogniser x", {})
    image = bars(2)[0]
    assert judge(nn.Upsample(64)(image).expand(-1, 3, -1, -1)).shape == (2,)
    assert torch.equal(judge.fit(image.expand(-1, 3, -1, -1)), image)
    for wrong, word in (((2, 1, 8, 8), "--crop_size 8"), ((2, 1, 32, 64), "64 x 32"), ((2, 4, 32, 32), "4")):
        with pytest.raises(UserError, match=word):
            judge(torch.ones(wrong))


@pytest.mark.parametrize("size", [32, 64, 128])
def test_any_power_of_two_is_judged(size):
    network = GlyphJudge("style", ["a", "b", "c"], channels=3, size=size, width=2)
    assert network(torch.randn(2, 3, size, size)).shape == (2, 3)


def test_other_classes_do_not_load():
    one, other = (GlyphJudge("character", classes, width=2) for classes in (["65", "66"], ["65", "67"]))
    with pytest.raises(ValueError, match="2 characters"):
        other.load_state_dict(one.state_dict())


def test_augmentation_keeps_paper_and_legibility():
    face, geometry = Face("DejaVuSerif"), Geometry(64)
    glyph = torch.from_numpy(face.draw(ord("R"), geometry)).float()[None, None] / 127.5 - 1
    torch.manual_seed(0)
    seen = augment(glyph.expand(64, -1, -1, -1))
    assert seen.shape == (64, 1, 64, 64) and seen.min() >= -1 and seen.max() <= 1
    assert seen[:, :, :3].mean() > 0.9  # the page stays white
    ink = (1 - seen).mean((1, 2, 3)) / (1 - glyph).mean()
    assert ink.min() > 0.3 and ink.max() < 2 and ink.std() > 0.1
    assert augment(glyph, 0.0) is glyph
