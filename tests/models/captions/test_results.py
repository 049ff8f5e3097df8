"""What a test of a model from captions leaves: files, numbers, a page; by a stand-in whose images are known."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from evaluation import captions as caption_scoring
from models.base_noise import NoiseModel
from models.captions import results as caption_results
from models.captions.results import CaptionTestOptions, save_samples
from models.captions.selection import between, one_word_apart, rows_in_turn, slug, typed_captions
from networks.caption_judge import CaptionMatcher
from networks.text import Text
from options import TestOptions, UserError
from options.parsing import parse_script
from tests.browser import chromium
from util.images import to_bytes
from util.vocabulary import Vocabulary

ENGINE = SimpleNamespace(device=torch.device("cpu"))
ATTRIBUTES = {"tone": ("dark", "light"), "thing": ("wall", "floor", "door")}
CAPTIONS = [f"a {tone} {thing}" for tone in ATTRIBUTES["tone"] for thing in ATTRIBUTES["thing"]]
MEANING = torch.tensor([(t, k) for t in range(2) for k in range(3)])
SIZE = 32


@dataclass(frozen=True, kw_only=True)
class Options(TestOptions, NoiseModel.TestOptions, CaptionTestOptions):
    pass


class Data:
    """Of each caption some pictures: its tone, with a little noise."""

    attributes, channels, present, opt = ATTRIBUTES, 1, True, SimpleNamespace(crop_size=SIZE)
    captions = tuple(CAPTIONS)

    def levels(self, phase, limit):
        random = torch.Generator().manual_seed(len(phase))
        rows = torch.arange(30 if phase == "train" else 18) % 6
        noise = 0.1 * torch.randn(len(rows), 1, SIZE, SIZE, generator=random)
        images = to_bytes((MEANING[rows, 0] - 0.5)[:, None, None, None] + noise)[:limit]
        said = MEANING[rows][:limit]
        return SimpleNamespace(
            images=images, captions=[CAPTIONS[row] for row in rows][:limit], said=said, shown=said, there=len(rows)
        )

    def find(self, caption, count):
        return torch.full((min(count, 3), 1, SIZE, SIZE), 77, dtype=torch.uint8), caption in CAPTIONS


class Gone(Data):
    attributes, captions, present = ATTRIBUTES, (), False


class Encoder:
    name, digest, most = "transformer", "f" * 64, 6
    vocabulary = Vocabulary.build(CAPTIONS, 100)

    def words(self, caption):
        return self.vocabulary.read(caption)[: self.most]

    def unknown(self, caption):
        return self.vocabulary.unknown(caption)


class Model:
    """A picture is the number of its words' mean, with a stripe that its noise moves; word t is heard in column t."""

    encoder = Encoder()

    def __init__(self, folder, *argv):
        words = ("--model", "xmcgan", "--name", "run", "--checkpoints_dir", folder, "--num_samples", 10, *argv)
        self.opt = parse_script(Options, [str(word) for word in words])
        CaptionTestOptions.validate(self.opt)
        self.fixed_captions = CAPTIONS[:2]

    def noise(self, count, generator):
        return torch.randn(count, 4, generator=generator)

    def encode(self, captions):
        ids = self.encoder.vocabulary.ids(captions, self.encoder.most)
        return Text.of(ids[:, :, None].expand(-1, -1, 2).float(), ids != 0)

    def draw(self, z, text):
        images = (text.sentence[:, 0] / 10 - 0.5)[:, None, None, None].repeat(1, 1, SIZE, SIZE)
        images[..., :4] = torch.tanh(z)[:, None, None, :]
        return images

    def attention(self, z, text):
        count = text.mask.shape[1]
        maps = torch.eye(count)[:, None, :].expand(-1, count, -1)  # (T, h, w)
        return self.draw(z, text), maps[None].expand(len(z), -1, -1, -1)


@pytest.fixture
def judge(tmp_path):
    """The folder of an untrained judge of the captions."""
    torch.manual_seed(0)
    (tmp_path / "judge").mkdir()
    network = CaptionMatcher(ATTRIBUTES, Vocabulary.build(CAPTIONS, 100).known, size=SIZE, width=2, dim=8)
    torch.save(network.state_dict(), tmp_path / "judge/latest_net_C.pth")
    return tmp_path / "judge"


def results(model, folder, data=None):
    """What a test left in ``folder``, or of captions that a user gave, in the one beside it."""
    save_samples(model, data or Data(), ENGINE, folder)
    if model.opt.caption or model.opt.caption_list:
        folder = folder.with_name(f"captions_{folder.name}")
    return json.loads((folder / "metrics.json").read_text()), (folder / "index.html").read_text()


def level(path):
    return np.asarray(Image.open(path))


# -- captions ----------------------------------------------------------------------------------------------------------


def test_captions_of_the_data_come_equally_often(tmp_path):
    numbers, page = results(Model(tmp_path, "--num_samples", 15), tmp_path / "out")
    rows = json.loads((tmp_path / "out/captions.json").read_text())
    texts = [row["caption"] for row in rows]
    assert [texts.count(caption) for caption in CAPTIONS] == [3, 3, 3, 2, 2, 2] and numbers["captions"] == 6
    kept = np.load(tmp_path / "out/samples.npz")
    assert sorted(kept) == ["images", "z"] and kept["images"].shape == (15, SIZE, SIZE, 1)
    model = Model(tmp_path)
    again = to_bytes(model.draw(torch.from_numpy(kept["z"]), model.encode(texts))).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(again, kept["images"])
    for row, image in zip(rows, kept["images"], strict=True):
        assert np.array_equal(level(tmp_path / "out" / row["file"]), image[..., 0])
    assert rows[0]["file"] == "samples/000_a-dark-wall/0000.png" and "6 captions of --phase test" in page


def test_rows_of_one_caption_take_turns():
    assert rows_in_turn(["a", "b", "a", "c"], 6) == [0, 1, 3, 2, 1, 3]
    assert rows_in_turn(["a", "b", "a", "c", "d", "e"], 3) == [0, 3, 5]


def test_a_typed_caption_is_drawn_as_often_as_asked_from_the_noise_that_all_share(tmp_path):
    (tmp_path / "list.txt").write_text("\ufeffa light door\n\n  a dark   door \na light door\n", encoding="utf-8")
    numbers, page = results(
        Model(tmp_path, "--caption_list", tmp_path / "list.txt", "--images_per_caption", 3), tmp_path / "out"
    )
    samples = tmp_path / "captions_out/samples"
    files = {p.relative_to(samples).as_posix() for p in samples.rglob("*.png")}
    assert files == {f"{name}/{i:04d}.png" for name in ("000_a-light-door", "001_a-dark-door") for i in range(3)}
    z = np.load(tmp_path / "captions_out/samples.npz")["z"]
    assert np.array_equal(z[:3], z[3:]) and not np.array_equal(z[0], z[1])
    assert numbers["samples"] == 6 and numbers["captions"] == 2 and "2 captions as given" in page
    assert "From caption to caption" in page  # they differ in one word


def test_captions_may_hold_whatever_they_like(tmp_path, capsys):
    caption = '../<script>alert("a")</script>, CON; a dark wal & so on'
    _, page = results(Model(tmp_path, "--caption", caption), tmp_path / "out")
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    assert [p.name for p in (tmp_path / "captions_out/samples").iterdir()] == [
        "000_script-alert-a-script-CON-a-dark-wal-so"
    ]
    said = capsys.readouterr().err
    assert "does not know '.', '/', '<', 'script'" in said and "and reads the rest" in said
    assert slug(7, "\u0434\u0432\u0435\u0440\u044c") == "007" and slug(0, "na\u00efve  x") == "000_naive-x"


def test_a_word_that_is_misspelt_is_told(tmp_path, capsys):
    _, page = results(Model(tmp_path, "--caption", "a ligth door"), tmp_path / "out")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "caption 'a ligth door': the text encoder does not know 'ligth' and reads the rest"
    assert said[1] == "caption 'a ligth door': 'ligth'; did you mean light?" and "did you mean light?" in page


def test_a_caption_that_is_too_long_is_told(tmp_path, capsys):
    results(Model(tmp_path, "--caption", "a dark wall a dark strange wall a dark door"), tmp_path / "out")
    assert "--max_words 6: its last 3 words are not read" in capsys.readouterr().err


def test_what_is_wrong_with_captions_is_said_in_a_line(tmp_path):
    file = tmp_path / "list.txt"
    with pytest.raises(UserError, match="--caption ' ': names nothing; leave the flag out, or say none"):
        typed_captions(Model(tmp_path, "--caption", "  ").opt)
    with pytest.raises(UserError, match=r"--caption: '\?!' has no words; write at least one"):
        typed_captions(Model(tmp_path, "--caption", "?!").opt)
    for content, problem in (
        (b"a \xe9", "is not UTF-8"),
        ("\n \n\u202e\n".encode(), "holds no caption"),
        (None, "No such file"),
    ):
        file.unlink(missing_ok=True) if content is None else file.write_bytes(content)
        with pytest.raises(UserError, match=f"--caption_list .*list.txt: {problem}"):
            typed_captions(Model(tmp_path, "--caption_list", file).opt)
    with pytest.raises(UserError, match="give either this or --caption"):
        Model(tmp_path, "--caption", "a", "--caption_list", file)
    with pytest.raises(
        UserError, match="--caption_judge j: scores are of the captions of --phase; leave out --caption"
    ):
        Model(tmp_path, "--caption", "a", "--caption_judge", "j")
    with pytest.raises(UserError, match="--metrics fid: captions that were typed have no real images"):
        results(Model(tmp_path, "--caption", "a", "--metrics", "fid"), tmp_path / "latest")


def test_results_say_which_checkpoint_they_are_of(tmp_path):
    save_samples(Model(tmp_path, "--caption", "a"), Data(), ENGINE, tmp_path / "test_latest")
    told = json.loads((tmp_path / "captions_latest/checkpoint.json").read_text())
    assert told == {"checkpoint": "latest", "step": None, "epoch": None, "sha256": None}


def test_a_later_test_removes_what_an_earlier_one_wrote(tmp_path, judge):
    results(Model(tmp_path, "--caption_judge", judge), tmp_path / "out")
    assert (tmp_path / "out/r_precision_ids.npz").is_file()
    results(Model(tmp_path, "--num_samples", 1), tmp_path / "out")
    assert [p.name for p in (tmp_path / "out/samples").iterdir()] == ["000_a-dark-wall"]
    assert not (tmp_path / "out/r_precision_ids.npz").exists()


def test_captions_of_a_user_have_a_folder_of_their_own_and_need_no_scores(tmp_path, judge):
    class Unread(Data):
        def levels(self, phase, limit):
            raise AssertionError("pictures are read that nobody looks at")

    results(Model(tmp_path, "--caption_judge", judge), tmp_path / "test_latest")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "test_latest").rglob("*")}
    for caption in ("a door", "a dark door"):
        save_samples(Model(tmp_path, "--caption", caption), Unread(), ENGINE, tmp_path / "test_latest")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "test_latest").rglob("*")}
    assert [p.name for p in (tmp_path / "captions_latest/samples").iterdir()] == ["000_a-dark-door"]
    assert {p.name for p in tmp_path.iterdir()} == {"judge", "test_latest", "captions_latest"}


def test_captions_of_a_user_are_cleaned_as_those_of_data_are(tmp_path):
    caption = "a dark\x1b[31m \u202edoor caf\udce9 gru\u0308n"  # \udce9: a byte of another encoding on a command line
    _, page = results(Model(tmp_path, "--caption", caption), tmp_path / "out")
    rows = json.loads((tmp_path / "captions_out/captions.json").read_text(encoding="utf-8"))
    assert rows[0]["caption"] == "a dark [31m door caf? gr\u00fcn" and rows[0]["caption"] in page
    assert not any(character in page for character in "\x1b\u202e")
    assert "caf? gr" in (tmp_path / "captions_out/test_opt.yaml").read_text(encoding="utf-8")
    (tmp_path / "list.txt").write_text("a \u200bdoor\na\tdoor\n\u202e\n", encoding="utf-8")
    assert typed_captions(Model(tmp_path, "--caption_list", tmp_path / "list.txt").opt) == ["a door"]


# -- the page ----------------------------------------------------------------------------------------------------------


def test_words_are_heard_where_the_model_says(tmp_path):
    _, page = results(Model(tmp_path, "--caption", "a dark door"), tmp_path / "out")
    for place in range(3):
        tile = level(tmp_path / f"captions_out/images/captions/000_word_{place:02d}.png").astype(int)
        red = (tile[..., 0] - tile[..., 1]).mean(0)
        assert tile.shape == (SIZE, SIZE, 3) and np.argmax(np.convolve(red, np.ones(8), "same")) // 11 == place
    assert page.count("<b>dark</b>") == 1 and "1.00" in page and "sum to 1" in page


def test_real_pictures_say_whether_the_caption_is_theirs(tmp_path):
    (tmp_path / "list.txt").write_text("a dark door\na green door", encoding="utf-8")
    _, page = results(Model(tmp_path, "--caption_list", tmp_path / "list.txt"), tmp_path / "out")
    assert page.count("real pictures of this caption") == 1
    assert page.count("no real picture has this caption; the nearest") == 1
    assert (level(tmp_path / "captions_out/images/captions/001_real_02.png") == 77).all()


def test_without_data_images_are_made_of_the_captions_of_training(tmp_path, judge, capsys):
    numbers, page = results(Model(tmp_path, "--caption_judge", judge), tmp_path / "out", Gone())
    assert "scores" not in numbers and "neighbours" not in numbers and "From noise to noise" in page
    assert numbers["captions"] == 2 and capsys.readouterr().out.count("left out") == 1
    assert "real pictures of this caption" not in page


def test_ways_lead_from_caption_to_caption(tmp_path):
    results(Model(tmp_path), tmp_path / "out")
    model, part = Model(tmp_path), torch.linspace(0, 1, 9)
    pairs = one_word_apart(CAPTIONS, model.encoder.words, 10)
    assert pairs[0] == ("a dark wall", "a light wall") and pairs[1] == ("a dark wall", "a dark floor")
    text = model.encode(pairs[0])
    way = between(text, part)
    assert torch.equal(way.words[[0, -1]], text.words) and torch.allclose(way.sentence[4], text.sentence.mean(0))
    assert way.mask.all() and len(way) == 9
    expected = to_bytes(text.sentence[:, 0] / 10 - 0.5).tolist()
    row = [int(level(tmp_path / f"out/images/caption/000_{i:02d}.png")[0, 20]) for i in (0, 8)]
    assert row == expected


def test_captions_further_apart_than_a_word_are_no_way():
    words = str.split
    assert one_word_apart(["a b c", "a x y", "a b", "b a c"], words, 5) == []
    assert one_word_apart(["a b", "a c", "a d"], words, 5) == [("a b", "a c"), ("a b", "a d")]
    assert len(one_word_apart([f"a {i}" for i in range(9)], words, 5)) == 5


# -- scores ------------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_the_judge_and_name_it(tmp_path, judge, capsys):
    (judge / "train_opt.yaml").write_text(yaml.safe_dump({"phase": "all"}))
    numbers, page = results(Model(tmp_path, "--caption_judge", judge, "--num_samples", 24), tmp_path / "out")
    digest, precision = numbers["judge"]["sha256"], numbers["R-precision@1/6"]
    assert len(digest) == 64 and digest in page and "not comparable with published R-precision" in page
    assert precision["images"] == 24 and {row: of["images"] for row, of in precision["floors"].items()} == {
        **{"held-out real pictures (ceiling)": 18, "training pictures": 30},
        **{"generated, captions shuffled (floor)": 24},
    }
    assert numbers["variety"]["floors"]["held-out real pictures (ceiling)"]["value"] == 1
    assert set(ATTRIBUTES) < set(numbers)
    pools = np.load(tmp_path / "out/r_precision_ids.npz")
    shapes = {"generated": (24, 6), "held-out": (18, 6), "training": (30, 6), "shuffled": (24, 6)}
    assert {row: pools[row].shape for row in pools} == shapes  # of 6 captions 5 are others'
    assert "has seen held-out pictures" in page
    assert numbers["neighbours"]["space"] == "features of the judge judge"
    assert "tone: " in capsys.readouterr().out


def test_a_judge_that_may_know_the_pictures_is_told(tmp_path, judge):
    def told(kept, seed=0, divided=(0, 0.1), own=(0, 0.1)):
        (judge / "train_opt.yaml").write_text(yaml.safe_dump(kept))
        (tmp_path / "run").mkdir(exist_ok=True)
        for run, (split_seed, fraction) in ((judge, divided), (tmp_path / "run", own)):
            text = json.dumps({"split_seed": split_seed, "test_fraction": fraction})
            (run / "captions.json").write_text(text)
        opt = SimpleNamespace(checkpoints_dir=tmp_path, name="run", phase="test", draw_seed=seed)
        known = SimpleNamespace(run=str(judge), unknown=[])
        return " ".join(caption_scoring.caption_doubts(known, SimpleNamespace(phase="test"), opt))

    assert told({"phase": "train"}) == ""
    other = told({"phase": "train"}, divided=(3, 0.1))
    assert "the judge was trained with --split_seed 3 --test_fraction 0.1, the model with --split_seed 0" in other
    assert "has seen held-out pictures" in told({"phase": "all", "dataroot": "some/files", "draw_seed": 0})
    glyphs = {"phase": "all", "dataroot": "glyphs", "draw_seed": 1}
    assert "in other drawings" in told(glyphs) and "knows these very drawings" in told(glyphs, seed=1)


def test_captions_of_training_are_scored_beside_held_out_pictures(tmp_path, judge):
    numbers, page = results(Model(tmp_path, "--caption_judge", judge, "--phase", "train"), tmp_path / "out")
    assert numbers["tone"]["floors"]["held-out real pictures (ceiling)"]["images"] == 18
    assert numbers["real images"]["test"]["there"] == 18
    assert "generated are captions of --phase train; held-out pictures are those of test" in page


def test_neighbours_are_in_pixels_without_a_judge_and_find_a_copy(tmp_path):
    train = Data().levels("train", 100).images

    class Copies(Model):
        def draw(self, z, text):
            return train[: len(z)].float() / 127.5 - 1

    numbers, _ = results(Copies(tmp_path), tmp_path / "out")
    assert numbers["neighbours"]["copies"] == 10 and "pixels" in numbers["neighbours"]["space"]
    assert "scores" not in numbers


def test_the_clip_score_stands_between_real_pictures_and_shuffled_captions(tmp_path, monkeypatch):
    asked, loaded = [], []

    class Clip:
        name, digests = "clip", {"model.safetensors": "abc"}

        def __init__(self, path, device):
            loaded.append(path)

        def __call__(self, images, captions):
            asked.append((len(images), list(captions)))
            return 10.0 * len(asked)

    monkeypatch.setattr(caption_results, "Clip", Clip)
    numbers, page = results(Model(tmp_path, "--clip", "some/clip"), tmp_path / "out")
    assert numbers["clip"] == {"model": "some/clip", "sha256": Clip.digests} and loaded == ["some/clip"]
    score = numbers["CLIP score"]
    assert [score["value"], *(floor["value"] for floor in score["floors"].values())] == [10, 20, 30]
    assert "these very weights" not in page
    assert asked[0][1] == asked[1][1][:10] and sorted(asked[0][1]) == sorted(asked[2][1]) and asked[0] != asked[2]
    numbers, _ = results(Model(tmp_path, "--clip", "some/clip", "--caption", "a door"), tmp_path / "out")
    assert numbers["CLIP score"]["floors"] == {} and "CLIP score" in page
    monkeypatch.setattr(Encoder, "digests", {"weights.safetensors": "abc"}, raising=False)
    _, page = results(Model(tmp_path, "--clip", "some/clip"), tmp_path / "out")
    assert "the generator learnt from what these very weights make of captions (transformer)" in page


def test_a_clip_that_cannot_be_had_is_named_before_anything_is_lost(tmp_path):
    results(Model(tmp_path), tmp_path / "out")
    with pytest.raises(UserError, match="--clip some/clip: no such folder"):
        results(Model(tmp_path, "--clip", "some/clip"), tmp_path / "out")
    assert (tmp_path / "out/index.html").is_file() and len(list((tmp_path / "out/samples").iterdir())) == 6


def test_images_that_are_not_finite_are_refused(tmp_path):
    model = Model(tmp_path)
    model.draw = lambda z, text: torch.full((len(z), 1, SIZE, SIZE), math.nan)
    with pytest.raises(UserError, match="not finite") as error:
        results(model, tmp_path / "out")
    assert error.value.code == 3


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path, judge):
    """Every image arrives, a tile of a word enlarges, a phone needs no sideways scrolling."""
    results(Model(tmp_path, "--caption_judge", judge, "--num_samples", 12), tmp_path / "out")
    path = Path(tmp_path / "out/index.html")
    with chromium() as page:
        for width in (1200, 375):
            page.size(width, 800, mobile=width < 600)
            page.open(path)
            assert page.errors == [] and page.broken_images() == [] and page.strangers(path.parent) == []
            assert page.run("document.documentElement.scrollWidth") <= width
        assert (
            page.run("document.querySelector('.words figcaption').innerText.trim().split(/\\s+/).join(' ')") == "a 1.00"
        )
        page.run("document.querySelectorAll('.words figure a')[1].click()")
        page.wait_for("document.querySelector('dialog[open]') !== null")
        told = page.run("document.querySelector('dialog p').textContent")
        assert told.startswith("a dark wall") and "2. dark" in told
        page.press("ArrowRight")
        assert "3. wall" in page.run("document.querySelector('dialog p').textContent")
