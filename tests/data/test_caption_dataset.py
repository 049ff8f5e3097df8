import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from data import Loader
from data.captions.files import normalised
from options import UserError

from .helpers import dataset, images
from .test_image_folder import same

FONTS = ("--target_font", "DejaVuSans,DejaVuSans-Bold,DejaVuSerif,DejaVuSerif-Bold", "--glyph_variants", 2)
GLYPHS = ("--dataroot", "glyphs", *FONTS, "--crop_size", 16)


def colours(root, *names):
    """Pictures of one colour each; the colours are 10, 20, ..."""
    for i, name in enumerate(names, 1):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (10 * i, 0, 40)).save(root / name)
    return root


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def jsonl(*rows):
    return "\n".join(json.dumps(row) for row in rows)


def captions(root, *words):
    """{picture: captions} of everything there is."""
    pictures = dataset("caption", "--dataroot", root, "--phase", "all", *words).pictures
    return dict(zip(pictures.names, pictures.captions, strict=True))


# -- items -------------------------------------------------------------------------------------------------------------


def test_a_batch():
    data = dataset("caption", *GLYPHS, "--batch_size", 8)
    batch = next(Loader(data, data.opt).epoch())
    assert batch["image"].shape == (8, 1, 16, 16) and batch["image"].dtype == torch.float32
    assert batch["said"].shape == batch["shown"].shape == (8, len(data.attributes))
    assert batch["said"].dtype == batch["shown"].dtype == torch.int64
    assert ((batch["said"] == -1) | (batch["said"] == batch["shown"])).all()  # every caption is true of its picture
    assert all(isinstance(caption, str) for caption in batch["caption"])
    assert set(batch["caption"]) <= set(data.captions) and len(set(data.captions)) == len(data.captions)
    assert (data.channels, data.mirrors, data.present) == (1, False, True)


def test_a_caption_is_drawn_for_every_item_and_epoch():
    data = dataset("caption", *GLYPHS)
    first = [data[i]["caption"] for i in range(40)]
    assert first == [data[i]["caption"] for i in range(40)]
    data.epoch = 2
    assert first != [data[i]["caption"] for i in range(40)]
    seen = set()
    for data.epoch in range(40):
        seen.add(data[0]["caption"])
    assert seen == set(data.pictures.captions[0])
    other = dataset("caption", *GLYPHS, "--seed", 5)
    assert first != [other[i]["caption"] for i in range(40)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_items_are_the_same_whatever_the_number_of_workers():
    streams = []
    for threads in (0, 2):
        data = dataset("caption", *GLYPHS, "--batch_size", 32, "--num_threads", threads, "--max_dataset_size", 96)
        loader = Loader(data, data.opt)
        streams.append([batch for number in (1, 2) for batch in loader.epoch(number)])
        loader.close()
    assert same(*streams) and len(streams[0]) == 6


def test_outside_training_the_caption_is_the_first():
    data = dataset("caption", *GLYPHS, train=False)
    assert [data[i]["caption"] for i in range(30)] == [texts[0] for texts in data.pictures.captions[:30]]
    assert set(data.captions) == {texts[0] for texts in data.pictures.captions}


def test_equal_captions_of_files_have_equal_numbers(tmp_path):
    root = colours(tmp_path / "d", *(f"{n}.png" for n in range(4)))
    rows = [("0.png", "A red dog."), ("1.png", "a  RED dog"), ("2.png", "a red dogs"), ("3.png", "a cat")]
    write(root / "captions.jsonl", jsonl(*({"image": image, "caption": caption} for image, caption in rows)))
    data = dataset("caption", "--dataroot", root, "--phase", "all")
    said = [int(data[i]["said"]) for i in range(4)]
    assert data.attributes == {} and data[0]["said"].shape == (1,) and said[0] == said[1] and len(set(said)) == 3
    assert said == [int(data[i]["shown"]) for i in range(4)] and min(said) >= 0
    assert normalised(" A Red\tDog. ") == "a red dog"


def test_pictures_are_mirrored_when_asked_and_left_and_right_are_told(tmp_path, capsys):
    root = tmp_path / "d"
    images(root, "0.png", size=(32, 32))
    write(root / "captions.csv", "0.png,a dog on the left\n")
    words = ("--dataroot", root, "--test_fraction", 0)
    plain, turned = dataset("caption", *words), dataset("caption", *words, "--flip")
    assert "--flip: 1 captions say left or right" in capsys.readouterr().err
    found = []
    for turned.epoch in range(1, 20):
        found.append(torch.equal(turned[0]["image"], plain[0]["image"].flip(2)))
        assert found[-1] or torch.equal(turned[0]["image"], plain[0]["image"])
    assert set(found) == {True, False}
    assert torch.equal(turned.levels("train").images, plain.levels("train").images)


# -- which pictures are for what ---------------------------------------------------------------------------------------


def test_compositions_that_are_held_out_are_never_trained_on(capsys):
    train = dataset("caption", *GLYPHS)
    assert "held out: " in (told := capsys.readouterr().out) and "compositions" in told and "52 of letter" in told
    test = dataset("caption", *GLYPHS, train=False)
    shown = [set(map(tuple, data.pictures.shown.tolist())) for data in (train, test)]
    assert not shown[0] & shown[1] and len(shown[1]) == 52
    assert len(train) + len(test) == 52 * 4 * 2 == len(dataset("caption", *GLYPHS, "--phase", "all"))


@pytest.mark.slow
def test_levels_are_items_of_a_phase_in_bytes():
    data = dataset("caption", *GLYPHS)
    levels, test = data.levels("test"), dataset("caption", *GLYPHS, train=False)
    assert levels.images.dtype == torch.uint8 and levels.there == len(test) == len(levels.captions)
    assert torch.equal(levels.images.float() / 127.5 - 1, torch.stack([test[i]["image"] for i in range(len(test))]))
    assert levels.captions == [test[i]["caption"] for i in range(len(test))]
    assert torch.equal(levels.said, torch.stack([test[i]["said"] for i in range(len(test))]))
    assert torch.equal(levels.shown, torch.stack([test[i]["shown"] for i in range(len(test))]))
    few = data.levels("test", 26)
    assert few.images.shape[0] == len(few.captions) == 26 and few.there == levels.there
    assert few.captions == data.levels("test", 26).captions
    with pytest.raises(UserError, match="--phase test: no pictures"):
        dataset("caption", *GLYPHS, "--test_fraction", 0).levels("test")


def test_digits_are_found_by_their_name():
    data = dataset("caption", "--dataroot", "digits", "--crop_size", 8)
    assert data.source.kind == "digits" and data.channels == 1 and data.attributes["digit"] == tuple("0123456789")
    assert data.levels("test", 12).images.shape == (12, 1, 8, 8)


# -- real pictures for a caption that somebody typed -------------------------------------------------------------------


@pytest.mark.slow
def test_real_pictures_of_a_typed_caption_show_what_it_says():
    data = dataset("caption", *GLYPHS)
    found, exact = data.find("a bold letter g", 3)
    assert exact and found.shape == (3, 1, 16, 16) and torch.equal(found, data.find("a bold letter g", 3)[0])
    everything = dataset("caption", *GLYPHS, "--phase", "all").levels("all")
    place = {name: values.index for name, values in data.attributes.items()}
    names = list(data.attributes)
    true = (everything.shown[:, names.index("letter")] == place["letter"]("g")) & (
        everything.shown[:, names.index("weight")] == place["weight"]("bold")
    )
    assert len(data.find("a bold letter g", 99)[0]) == int(true.sum()) == 4  # two fonts, two drawings
    rows = everything.images[true]
    assert all((rows == image).flatten(1).all(1).any() for image in found)


@pytest.mark.parametrize("caption", ["a bold purple letter g", "hello world", "a bold चिड़िया g"])
def test_a_caption_with_words_that_no_caption_has_is_true_of_no_picture(caption):
    found, exact = dataset("caption", *GLYPHS).find(caption, 4)
    assert not exact and len(found) == 4


def test_in_files_a_typed_caption_is_found_by_its_text_or_its_words(tmp_path):
    root = colours(tmp_path / "d", *(f"{n}.png" for n in range(4)))
    write(
        root / "captions.csv", "0.png,A red dog.\n0.png,An animal\n1.png,a red dog\n2.png,two black cats\n3.png,sky\n"
    )
    data = dataset("caption", "--dataroot", root, "--test_fraction", 0.5)
    found, exact = data.find("a RED dog", 9)
    assert exact and sorted(found[:, 0, 0, 0].tolist()) == [10, 20]
    found, exact = data.find("black cats asleep", 1)
    assert not exact and found[0, 0, 0, 0] == 30


# -- files -------------------------------------------------------------------------------------------------------------


def test_coco(tmp_path):
    root = colours(tmp_path / "d", "train2014/a.jpg", "train2014/b.jpg", "val2014/c.jpg")
    for phase, names in (("train2014", ("a.jpg", "b.jpg")), ("val2014", ("c.jpg",))):
        coco = {
            "info": {},
            "images": [{"id": n, "file_name": name, "width": 16} for n, name in enumerate(names)],
            "annotations": [
                {"id": 2 * n + k, "image_id": n, "caption": f"caption {k} of {name}\n"}
                for n, name in enumerate(names)
                for k in (0, 1)
            ],
        }
        write(root / f"annotations/captions_{phase}.json", json.dumps(coco))
    train, test = dataset("caption", "--dataroot", root), dataset("caption", "--dataroot", root, train=False)
    assert list(train.pictures.names) == ["train2014/a.jpg", "train2014/b.jpg"]
    assert train.pictures.captions[1] == ("caption 0 of b.jpg", "caption 1 of b.jpg") and train.channels == 3
    assert list(test.pictures.names) == ["val2014/c.jpg"] and len(captions(root)) == 3


LAYOUTS = {
    "a table": {"captions.csv": "image,caption\na.png,one\nb.png,two\nb.png,three\n"},
    "no header": {"captions.csv": 'a.png,one\nb.png,two\nb.png,"three"\n'},
    "more columns": {"metadata.csv": "id;text;file_name\n0;one;a.png\n1;two;b.png\n2;three;b.png\n"},
    "lines": {
        "captions.jsonl": jsonl({"file": "a.png", "text": "one"}, {"file": "b.png", "caption": ["two", "three"]})
    },
    "a list": {
        "captions.json": json.dumps(
            [{"path": "a.png", "caption": "one"}, {"path": "b.png", "caption": ["two", "three"]}]
        )
    },
    "texts": {"a.txt": "one\n", "b.txt": "two\r\nthree\r\n\r\n"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, tmp_path):
    root = colours(tmp_path / "d", "a.png", "b.png")
    for name, text in LAYOUTS[layout].items():
        write(root / name, text)
    assert captions(root) == {"a.png": ("one",), "b.png": ("two", "three")}


@pytest.mark.parametrize("test", ["test", "val"])
@pytest.mark.parametrize("kind", ["files of phases", "folders", "texts"])
def test_data_that_are_divided_stay_so(kind, test, tmp_path):
    root = colours(tmp_path / "d", "train/a.png", "train/b.png", f"{test}/a.png")
    for phase, names in (("train", "ab"), (test, "a")):
        rows = jsonl(*({"image": f"{name}.png", "caption": f"{name} of {phase}"} for name in names))
        if kind == "files of phases":
            write(root / f"captions_{phase}.jsonl", rows)
        elif kind == "folders":
            write(root / phase / "captions.jsonl", rows)
        else:
            for name in names:
                write(root / phase / f"{name}.txt", f"{name} of {phase}")
    train = dataset("caption", "--dataroot", root)
    assert list(train.captions) == ["a of train", "b of train"]
    assert list(dataset("caption", "--dataroot", root, train=False).captions) == [f"a of {test}"]
    assert len(captions(root)) == 3


KARPATHY = [
    ("train2014/a.jpg", "train"),
    ("val2014/b.jpg", "restval"),
    ("val2014/c.jpg", "val"),
    ("val2014/d.jpg", "test"),
]


def karpathy(pictures):
    """As dataset_coco.json has them; those of Flickr have no folder."""
    told = []
    for picture, split in pictures:
        folder, _, name = picture.rpartition("/")
        sentences = [{"tokens": ["no", "case"], "raw": f"{name} {k}.", "sentid": k} for k in (0, 1)]
        told.append(
            {"filename": name, "split": split, "sentences": sentences} | ({"filepath": folder} if folder else {})
        )
    return json.dumps({"images": told, "dataset": "coco"})


@pytest.mark.parametrize("place", ["dataset_coco.json", "annotations/dataset_coco.json", "elsewhere/k.json"])
def test_karpathys_division_of_coco(place, tmp_path):
    root = colours(tmp_path / "d", *(picture for picture, _ in KARPATHY))
    write(root / place, karpathy(KARPATHY))
    words = ("--dataroot", root, *(("--caption_file", root / place) if place[0] == "e" else ()))
    assert list(dataset("caption", *words).captions) == ["a.jpg 0.", "a.jpg 1.", "b.jpg 0.", "b.jpg 1."]
    assert list(dataset("caption", *words, train=False).captions) == ["d.jpg 0."]
    assert list(dataset("caption", *words, "--phase", "val", train=False).captions) == ["c.jpg 0."]


def test_karpathys_division_of_flickr(tmp_path, capsys):
    root = colours(tmp_path / "d", *(f"Flicker8k_Dataset/{picture[-5:]}" for picture, _ in KARPATHY))
    pictures = [(picture[-5:], split) for picture, split in KARPATHY]
    write(root / "dataset_flickr8k.json", karpathy(pictures))
    assert list(dataset("caption", "--dataroot", root).pictures.names) == [f"Flicker8k_Dataset/{n}.jpg" for n in "ab"]
    assert "left out" not in capsys.readouterr().err  # those of other splits are not missing
    write(root / "dataset_flickr8k.json", karpathy([*pictures, ("a.jpg", "more")]))
    with pytest.raises(UserError, match="images, item 4: split 'more'; expected one of train, restval, val, test"):
        dataset("caption", "--dataroot", root)
    write(root / "captions.csv", "Flicker8k_Dataset/a.jpg,a dog\n")
    assert captions(root) == {"Flicker8k_Dataset/a.jpg": ("a dog",)}
    assert (
        "dataset_flickr8k.json: not read, for there are other captions too; --caption_file" in capsys.readouterr().err
    )


BIRDS = [
    "001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111",
    "002.Crow/Crow_0002_7",
    "002.Crow/Crow_0003_8",
]


def birds(folder, protocol=2):
    """As AttnGAN has them; protocol 0 is that of its own files."""
    root = colours(folder, *(f"CUB_200_2011/images/{name}.jpg" for name in BIRDS))
    for name in BIRDS:
        write(root / f"text/{name}.txt", "".join(f"bird {name[-1]} of text {k} .\n" for k in range(10)))
    for phase, names in (("train", BIRDS[:2]), ("test", BIRDS[2:])):
        write(root / phase / "filenames.pickle", pickle.dumps(names, protocol))
        write(root / phase / "class_info.pickle", b"cos\nsystem\n(S'false'\ntR.")  # nobody reads it
    return root


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_attngans_birds(protocol, tmp_path, capsys):
    root = birds(tmp_path / "birds", protocol)
    train, test = dataset("caption", "--dataroot", root), dataset("caption", "--dataroot", root, train=False)
    assert list(train.pictures.names) == [f"CUB_200_2011/images/{name}.jpg" for name in BIRDS[:2]]
    assert train.pictures.captions[0] == tuple(f"bird 1 of text {k} ." for k in range(10))
    assert list(test.captions) == ["bird 8 of text 0 ."] and "left out" not in capsys.readouterr().err
    (root / "test/filenames.pickle").unlink()
    assert len(captions(root)) == 3 and "test/filenames.pickle is missing" in capsys.readouterr().err


def test_flowers_have_folders_of_texts_alone(tmp_path):
    root = colours(tmp_path / "flowers", "jpg/image_00001.jpg", "jpg/image_00002.jpg")
    write(root / "text_c10/class_00007/image_00001.txt", "a red flower\n")
    assert captions(root) == {"jpg/image_00001.jpg": ("a red flower",)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"cos\nsystem\n(S'touch harm'\ntR.", "holds a reference to os.system; a list of names is texts alone"),
        (pickle.dumps({"a": 1}), "holds a dict"),
        (pickle.dumps([BIRDS[0], 3]), "holds a list with values of type int"),
        (pickle.dumps(BIRDS)[:40], "is cut off"),
        (pickle.dumps(["../../secret"]), "text/../../secret.txt: no such text"),
        (b"", "is cut off"),
    ],
)
def test_lists_of_names_are_texts_and_nothing_runs(content, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = birds(tmp_path / "birds")
    write(root / "train/filenames.pickle", content)
    with pytest.raises(UserError, match=re.escape(told)) as error:
        dataset("caption", "--dataroot", root)
    assert "filenames.pickle" in str(error.value) and not Path("harm").exists()


def test_one_file_of_captions_alone_is_divided_by_picture(tmp_path):
    root = colours(tmp_path / "d", *(f"{n}.png" for n in range(10)))
    write(root / "captions_train.csv", "\n".join(f"{n % 10}.png,{n}" for n in range(20)))
    train, test = dataset("caption", "--dataroot", root), dataset("caption", "--dataroot", root, train=False)
    assert (len(train), len(test)) == (8, 2) and not set(train.pictures.names) & set(test.pictures.names)


def test_a_file_of_captions_may_lie_elsewhere(tmp_path):
    root, other = colours(tmp_path / "d", "a.png"), colours(tmp_path / "o", "b.png")
    table = write(tmp_path / "t.csv", f"a.png,one\n{other / 'b.png'},two\n{root / 'a.png'},three\n")
    found = captions(root, "--caption_file", table)
    assert found == {"a.png": ("one", "three"), str(other / "b.png"): ("two",)}
    beside = write(root / "t.csv", "a.png,one\n")
    assert list(dataset("caption", "--caption_file", beside, "--phase", "all").captions) == ["one"]
    with pytest.raises(UserError, match=r"--caption_file \S+gone\.csv: no such file"):
        dataset("caption", "--dataroot", root, "--caption_file", root / "gone.csv")


@pytest.mark.parametrize(
    ("encoding", "flag"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("utf-32", None), ("cp1252", "cp1252")],
)
def test_encodings(encoding, flag, tmp_path):
    root = colours(tmp_path / "d", "a.png")
    write(root / "captions.csv", "a.png,ein süßer Hund\r\n".encode(encoding))
    words = ("--caption_encoding", flag) if flag else ()
    assert captions(root, *words) == {"a.png": ("ein süßer Hund",)}


def test_what_is_not_of_the_encoding_is_named_with_its_line(tmp_path):
    root = colours(tmp_path / "d", "a.png")
    write(root / "captions.csv", "a.png,one\na.png,süß\n".encode("cp1252"))
    with pytest.raises(UserError, match=r"captions\.csv: line 2 is not utf-8; name its encoding by --caption_encoding"):
        captions(root)
    with pytest.raises(UserError, match="--caption_encoding utf-9: no such encoding"):
        captions(root, "--caption_encoding", "utf-9")


# -- captions that are not as they should be ---------------------------------------------------------------------------

GOOD = '{"image": "a.png", "caption": "one"}\n'
ROWS = {
    "gone": ('{"image": "gone.png", "caption": "x"}', "line 2: picture gone.png: no such file in"),
    "outside": ('{"image": "../out.png", "caption": "x"}', r"line 2: picture \.\./out\.png: outside"),
    "absolute": ('{"image": "/etc/a.png", "caption": "x"}', "line 2: picture /etc/a.png: an absolute path"),
    "a name too long": (jsonl({"image": "a" * 5000, "caption": "x"}), "line 2: picture a{200}: File name too long"),
    "half a character": (r'{"image": "\ud800.png", "caption": "x"}', r"line 2: picture \?\.png: no such file in"),
    "no picture": ('{"caption": "x"}', "line 2: expected an object with one of image, file_name"),
    "a nameless picture": ('{"image": " ", "caption": "x"}', "line 2: the name of the picture is missing"),
    "no caption": ('{"image": "a.png"}', "line 2: the caption is missing"),
    "no text": ('{"image": "a.png", "caption": 7}', "line 2: the caption is no text: 7"),
    "no JSON": ('{"image": "a.png", "capt', "line 2: no JSON"),
    "no object": ('["a.png", "x"]', "line 2: expected an object"),
    "too long": (jsonl({"image": "a.png", "caption": "x" * 100_001}), "line 2: a caption of 100,001 characters"),
}


@pytest.mark.parametrize("row", ROWS)
def test_rows_that_cannot_be_used_stop_the_run_or_are_left_out(row, tmp_path, capsys):
    root = colours(tmp_path / "d", "a.png")
    images(tmp_path, "out.png")
    line, message = ROWS[row]
    write(root / "captions.jsonl", GOOD + line + "\n" + GOOD.replace("one", "two"))
    with pytest.raises(UserError, match=rf"captions\.jsonl: {message}.*; --on_bad_caption skip leaves such rows out"):
        captions(root)
    assert captions(root, "--on_bad_caption", "skip") == {"a.png": ("one", "two")}
    assert "captions.jsonl: 1 rows left out, the first: line 2: " in capsys.readouterr().err


def test_rows_of_a_table_that_are_broken(tmp_path, capsys):
    root = colours(tmp_path / "d", "a.png")
    write(root / "captions.csv", 'a.png,one\na.png,a dog, asleep\na.png,"two\nlines"\na.png,"x"y\na.png,last\n')
    with pytest.raises(UserError, match=r"line 2: 3 columns, not 2; a caption with ',' in it needs quotes"):
        captions(root)
    assert captions(root, "--on_bad_caption", "skip") == {"a.png": ("one", "two lines", "last")}
    assert "2 rows left out" in capsys.readouterr().err
    write(root / "captions.csv", 'a.png,one\na.png,"never closed\na.png,two\n')
    with pytest.raises(UserError, match="line 2 to 3: the table is broken here"):
        captions(root)


def test_coco_whose_ids_are_wrong(tmp_path, capsys):
    root = colours(tmp_path / "d", "a.png", "b.png", "c.png")
    listed = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.png"}, {"id": 3, "file_name": "c.png"}]
    said = [{"image_id": 1, "caption": "one"}, {"image_id": 2, "caption": "two"}]
    write(root / "captions.json", json.dumps({"images": listed, "annotations": said}))
    assert captions(root) == {"a.png": ("one", "two")}
    told = capsys.readouterr().err
    assert "1 pictures of two ids, whose captions are joined, the first: a.png, 1 and 2" in told
    assert "1 images without a caption, the first: id 3, c.png" in told
    for images_, annotations, message in (
        ([*listed, {"id": 1, "file_name": "b.png"}], said, "images, item 3: id 1 is that of a.png already"),
        (listed, [*said, {"image_id": 9, "caption": "x"}], "annotations, item 2: image_id 9 is not among the images"),
        (listed, {}, "expected COCO's lists images and annotations"),
    ):
        write(root / "captions.json", json.dumps({"images": images_, "annotations": annotations}))
        with pytest.raises(UserError, match=message):
            captions(root)
    write(root / "captions.json", "{")
    with pytest.raises(UserError, match=r"captions\.json: no JSON"):
        captions(root)
    write(root / "captions.json", "[" * 100_000)
    with pytest.raises(UserError, match=r"captions\.json: no JSON"):
        captions(root)


def test_what_is_left_out_is_counted_and_the_first_is_named(tmp_path, capsys):
    root = colours(tmp_path / "d", "a.png", "b.png", "c.png", "d.png")
    write(root / "captions.csv", "a.png,one\na.png,\na.png,ONE.\nb.png, \nb.png,...\n")
    assert captions(root) == {"a.png": ("one",)}
    told = capsys.readouterr().err
    assert "3 empty captions left out, the first: line 2" in told
    assert "1 captions left out that equal another one of their picture, the first: line 3" in told
    assert "1 pictures left out whose captions are all empty, the first: b.png" in told
    assert "2 pictures left out that have no caption, the first: c.png" in told
    write(root / "captions.csv", "a.png,\n")
    with pytest.raises(UserError, match=r"captions\.csv: no picture with a caption"):
        captions(root)


def test_texts_without_a_picture_and_pictures_without_a_text(tmp_path, capsys):
    root = colours(tmp_path / "d", "a.png", "b.png")
    write(root / "a.txt", "one")
    write(root / "README.txt", "about these pictures")
    assert captions(root) == {"a.png": ("one",)}
    assert "1 pictures left out that have no caption, the first: b.png" in capsys.readouterr().err
    write(root / "b.txt", b"\xff\xfa")
    with pytest.raises(UserError, match=r"b\.txt: line 1 is not utf-8"):
        captions(root)
    assert captions(root, "--on_bad_caption", "skip") == {"a.png": ("one",)}


def test_captions_are_one_line_of_characters_that_can_be_written(tmp_path):
    root = colours(tmp_path / "d", "a.png")
    odd = "\ufeffa\tdog\x00\x1b[31m \n<b>\u202eevil</b> & \ud800 cafe\u0301\u2028end \U0001f436"
    write(
        root / "captions.jsonl", jsonl({"image": "a.png", "caption": odd}, {"image": "a.png", "caption": "w " * 5000})
    )
    clean, long = captions(root)["a.png"]
    assert clean == "a dog [31m <b> evil</b> & ? café end \U0001f436" and clean.encode()
    assert len(long) == 9999


def test_unreadable_pictures_stop_the_run_or_are_left_out(tmp_path):
    root = colours(tmp_path / "d", "a.png", "b.png")
    write(root / "a.png", b"no picture")
    write(root / "captions.csv", "a.png,one\nb.png,two\n")
    data = dataset("caption", "--dataroot", root, "--phase", "all")
    with pytest.raises(UserError, match=r"a\.png: cannot be read .*; --on_bad_image skip leaves such files out"):
        list(Loader(data, data.opt).epoch())
    data = dataset("caption", "--dataroot", root, "--phase", "all", "--on_bad_image", "skip")
    levels = data.levels("all")
    assert levels.captions == ["two"] and len(levels.images) == len(levels.said) == len(levels.shown) == 1


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    for words, message in (
        ((), "--dataroot placeholder: give a folder of pictures with captions, or glyphs or digits"),
        (("--dataroot", tmp_path / "nowhere"), r"--dataroot \S+nowhere: no such folder"),
        (("--dataroot", "glyphs", "--phase", "test"), "--phase test: choose train or all"),
    ):
        with pytest.raises(UserError, match=message):
            dataset("caption", *words)
    root = colours(tmp_path / "d", "a.png")
    with pytest.raises(UserError, match=r"no captions; expected captions\.csv, .*; or give --caption_file"):
        captions(root)
    for name in ("captions.csv", "captions.jsonl"):
        write(root / name, GOOD)
    with pytest.raises(
        UserError, match=r"captions are in captions\.csv and captions\.jsonl; say which with --caption_fi"
    ):
        captions(root)


def test_a_picture_for_training_and_for_the_test_is_named(tmp_path, capsys):
    root = colours(tmp_path / "d", "images/a.png", "images/b.png")
    write(root / "captions_train.csv", "a.png,one\nb.png,two\n")
    write(root / "captions_test.csv", "b.png,three\n")
    dataset("caption", "--dataroot", root)
    assert "1 pictures are for training and for the test, the first: images/b.png" in capsys.readouterr().err


# -- a run and its tests -----------------------------------------------------------------------------------------------


def test_a_run_keeps_what_its_test_must_know(tmp_path, capsys):
    run = ("--checkpoints_dir", tmp_path, "--name", "run")
    train = dataset("caption", *GLYPHS, *run, "--split_seed", 3)
    train.save_files(tmp_path / "run")
    kept = json.loads((tmp_path / "run/captions.json").read_text())
    assert kept["attributes"] == {name: list(values) for name, values in train.attributes.items()}
    assert (kept["source"], kept["channels"], kept["split_seed"], kept["test_fraction"]) == ("glyphs", 1, 3, 0.2)
    assert kept["captions"] == len(train.captions)
    test = dataset("caption", *GLYPHS, *run, train=False)  # of another seed: the run's split counts
    assert not set(test.pictures.names) & set(train.pictures.names)
    gone = dataset("caption", "--dataroot", tmp_path / "gone", *run, train=False)
    assert (gone.present, len(gone), gone.channels, gone.captions) == (False, 0, 1, ())
    assert gone.attributes == train.attributes and "going on without the data" in capsys.readouterr().err
    found, exact = gone.find("a bold g", 3)
    assert found.shape[0] == 0 and not exact
    with pytest.raises(UserError, match="no such folder"):
        gone.levels("test")
    with pytest.raises(UserError, match="letter is one of a, in the training of run it was one of A B C"):
        dataset("caption", *GLYPHS, *run, "--charset", write(tmp_path / "one.txt", "a"), train=False)
    (tmp_path / "run/captions.json").write_text('{"source": 1}')
    with pytest.raises(UserError, match=r"captions\.json: not what a run keeps of its captions"):
        dataset("caption", *GLYPHS, *run, train=False)


def test_a_run_on_glyphs_is_tested_with_files(tmp_path):
    run = ("--checkpoints_dir", tmp_path, "--name", "run")
    dataset("caption", *GLYPHS, *run).save_files(tmp_path / "run")
    root = colours(tmp_path / "d", "a.png")
    write(root / "a.txt", "a bold letter g")
    data = dataset("caption", "--dataroot", root, *run, "--phase", "all", train=False)
    assert data[0]["image"].shape[0] == 1 and data.captions == ("a bold letter g",) and data.attributes == {}


def test_captions_beside_pictures_are_read_and_other_files_told(tmp_path, capsys):
    colours(tmp_path / "texts", "x.png", "y.png")
    for name in ("x.txt", "y.txt", "lonely.txt", "z.psd"):
        write(tmp_path / "texts" / name, "one")
    dataset("caption", "--dataroot", tmp_path / "texts")
    assert f"2 files of {tmp_path / 'texts'} are not read: lonely.txt, z.psd; read" in capsys.readouterr().err
    colours(tmp_path / "table", "x.png", "y.png")
    write(tmp_path / "table/captions.csv", "image,caption\nx.png,one\ny.png,two\n")
    dataset("caption", "--dataroot", tmp_path / "table")
    assert "not read" not in capsys.readouterr().err
    write(tmp_path / "table/z.psd", "")
    dataset("caption", "--dataroot", tmp_path / "table")
    assert f"1 file of {tmp_path / 'table'} is not read: z.psd; read" in capsys.readouterr().err
    write(tmp_path / "none/z.psd", "")
    with pytest.raises(UserError, match=r"no captions; .* 1 file of \S+none is not read: z.psd; read are"):
        dataset("caption", "--dataroot", tmp_path / "none")
