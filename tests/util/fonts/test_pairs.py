import io
import os
import pickle
import pickletools

import numpy as np
import pytest
from PIL import Image

from options import UserError
from util.fonts.characters import SYNTHETIC
from util.fonts.faces import Face, Geometry
from util.fonts.pairs import read_pairs
from util.fonts.recognition import Recognizer
from util.fonts.zi2zi_package import record, records

H = 48
GEOMETRY = Geometry(H)
SOURCE, TARGETS = Face("DejaVuSans"), [Face("DejaVuSerif"), Face("DejaVuSansMono")]


def pair(character, label, left="target"):
    source, target = (face.draw(ord(character), GEOMETRY) for face in (SOURCE, TARGETS[label]))
    return np.hstack([target, source] if left == "target" else [source, target])


def encoded(levels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(levels).save(file, kind, **options)
    return file.getvalue()


def folder_of(path, names, kind="PNG", left="target", **options):
    """{file name: (character, label)} as files."""
    path.mkdir(parents=True)
    for name, (character, label) in names.items():
        (path / name).write_bytes(encoded(pair(character, label, left), kind, **options))
    return path


def package_of(path, examples, protocol=4):
    with path.open("wb") as file:
        for label, image in examples:
            pickle.dump((label, image), file, protocol=protocol)
    return path


def python2(label, image):
    """What cPickle.dump((label, image), file) of Python 2 writes, in its default protocol 0."""
    text = "".join(chr(b) if 32 <= b < 127 and b not in (39, 92) else f"\\x{b:02x}" for b in image)
    return f"(I{label}\nS'{text}'\np1\ntp2\n.".encode("ascii")


def check_glyphs(styles, characters, tolerance=0, codes=None):
    """Every label draws its own font; ``codes`` tells the code of a character, by default its own."""
    for style in styles:
        for character in characters:
            code = codes(character) if codes else ord(character)
            for glyphs, face in ((style.source, SOURCE), (style.target, TARGETS[style.label])):
                assert code in glyphs.real([code])
                wrong = np.abs(glyphs.draw(code, GEOMETRY).astype(int) - face.draw(ord(character), GEOMETRY))
                assert wrong.max() <= tolerance


@pytest.mark.parametrize("left", ("target", "source"))
def test_named_pairs(tmp_path, left):
    names = {f"{label}_U+{ord(c):04X}_{c}.png": (c, label) for label in (0, 1) for c in "AgQ"}
    styles = read_pairs(folder_of(tmp_path / "x", names, left=left), left=left)
    assert [style.label for style in styles] == [0, 1]
    assert all(set(style.source.characters) == set(map(ord, "AgQ")) for style in styles)
    check_glyphs(styles, "AgQ")
    assert styles[0].name == "x label 0"


def test_nameless_pairs_are_known_by_their_source(tmp_path, capsys):
    """zi2zi's own names: the same character in both labels has the same code, numbered as they appear."""
    names = {f"0_{i:04d}.jpg": (c, 0) for i, c in enumerate("OQCG")} | {
        f"1_{i:04d}.jpg": (c, 1) for i, c in enumerate("GXO")
    }
    styles = read_pairs(folder_of(tmp_path / "x", names, "JPEG", quality=75))
    assert [sorted(style.target.characters) for style in styles] == [
        [SYNTHETIC + i for i in (0, 1, 2, 3)],
        [SYNTHETIC + i for i in (0, 3, 4)],
    ]
    assert "7 pairs, 2 labels, 5 characters; 5 told apart by their source pictures" in capsys.readouterr().err
    check_glyphs(styles, "OG", tolerance=90, codes=lambda c: SYNTHETIC + "OQCGX".index(c))  # JPEG at 48 pixels


def test_names_may_be_ignored_or_decimal(tmp_path, capsys):
    names = {f"{ord(c)}.png": (c, 0) for c in "AgQ"}
    folder = folder_of(tmp_path / "x", names)
    (style,) = read_pairs(folder)
    assert style.label == 0 and set(style.source.characters) == set(map(ord, "AgQ"))
    assert "all-digit names are decimal code points (103 is g)" in capsys.readouterr().err
    (style,) = read_pairs(folder, names="ignore")
    assert set(style.source.characters) == {SYNTHETIC, SYNTHETIC + 1, SYNTHETIC + 2}
    (tmp_path / "x" / "10.png").write_bytes((tmp_path / "x" / "65.png").read_bytes())
    assert min(read_pairs(folder)[0].source.characters) == SYNTHETIC  # a sequence, since 10 is no character
    assert ord("A") in read_pairs(folder, names="codes")[0].source.characters


def test_a_pair_without_a_name_is_known_by_one_that_has_it(tmp_path):
    names = {"0_0001.png": ("A", 0), "1_U+0041.png": ("A", 1), "1_U+0067.png": ("g", 1), "0_0002.png": ("Q", 0)}
    styles = read_pairs(folder_of(tmp_path / "x", names))
    assert [sorted(style.source.characters) for style in styles] == [[65, SYNTHETIC], [65, 103]]


def test_two_folders(tmp_path, capsys):
    for label, character in ((0, "A"), (1, "A"), (1, "g")):
        for side, face in (("A", SOURCE), ("B", TARGETS[label])):
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(face.draw(ord(character), GEOMETRY)).save(tmp_path / side / f"{label}_{character}.png")
    (tmp_path / "A" / "1_A.png").rename(tmp_path / "A" / "1_A.bmp")
    (tmp_path / "B" / "0_Q.png").write_bytes((tmp_path / "B" / "0_A.png").read_bytes())
    styles = read_pairs(tmp_path)
    assert "1 pictures are in A or B alone and left out, such as 0_Q" in capsys.readouterr().err
    assert [sorted(style.source.characters) for style in styles] == [[65], [65, 103]]
    check_glyphs(styles, "A")
    check_glyphs(styles[1:], "g")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_packages_of_every_protocol(tmp_path, protocol):
    examples = [(label, encoded(pair(c, label))) for label in (0, 1) for c in "AgQ"]
    styles = read_pairs(package_of(tmp_path / "train.obj", examples, protocol))
    assert [style.label for style in styles] == [0, 1]
    check_glyphs(styles, "AgQ", codes=lambda c: SYNTHETIC + "AgQ".index(c))


def test_packages_of_python_2(tmp_path):
    image = encoded(pair("A", 0))
    assert pickle.loads(python2(3, image), encoding="bytes") == (3, image)
    binary = b"\x80\x02K\x07T" + len(image).to_bytes(4, "little") + image + b"q\x01\x86q\x02."  # protocol 2
    assert pickle.loads(binary, encoding="bytes") == (7, image)
    path = tmp_path / "train.obj"
    path.write_bytes(python2(3, image) + binary)
    found = list(records(path))
    assert [label for label, _, _ in found] == [3, 7]
    assert all(record(path, start, end) == image for _, start, end in found)


class Harm:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_in_a_package_is_carried_out(tmp_path, protocol):
    target = tmp_path / "harmed"
    good = (0, encoded(pair("A", 0)))
    for number, bad in enumerate([(0, Harm(target)), Harm(target), (Harm(target), b"")]):
        path = tmp_path / f"{number}.obj"
        path.write_bytes(pickle.dumps(good, protocol) + pickle.dumps(bad, protocol))
        with pytest.raises(UserError, match=r"record 1 holds a reference to \w+\.mkdir; .*a pickle can run programs"):
            read_pairs(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(Harm(target), protocol))
    assert target.exists()  # so the package was harmful indeed


@pytest.mark.parametrize(
    "content, what",
    [
        (b"", "empty file"),
        (b"\x89PNG\r\n\x1a\n", "holds the instruction"),
        (pickle.dumps([0, b""]), "holds the instruction b']'"),
        (pickle.dumps({}), "holds the instruction b'}'"),
        (pickle.dumps((0, 1.5)), "holds the instruction b'G'"),
        (pickle.dumps((0, "text")), r"is \['int', 'str'\]; a package of zi2zi holds \(label, bytes\)"),
        (pickle.dumps((0, b"", b"")), r"is \['int', 'bytes', 'bytes'\]"),
        (pickle.dumps(7), "is int; a package"),
        (pickle.dumps((-1, b"x")), "has label -1"),
        (b"K\x00C\x01x\x86R.", "is damaged"),
        (b"K\x00K\x00R.", "holds a call"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00rot\x86R.", "_codecs.encode other than with latin1"),
        (b"c_codecs\nencode\n.", "is object"),
        (b"\x8c\x02os\x8c\x06system\x93.", r"a reference to os\.system"),
        (b"(ios\nsystem\n.", "holds the instruction b'i'"),
        (b"\x80\xff.", "is damaged"),
        (b"h\x05.", "is damaged"),
        (b"t.", "is damaged"),
        (b"K\x00C\x01x\x86K\x01.", "is damaged"),
        (b"K\x00T\xff\xff\xff\xff.", "is damaged"),
        (b"I" + b"9" * 9999 + b"\n.", "is damaged"),
        (b"K\x00\x8e" + b"\xff" * 7 + b"\x00x", "ends within record 0"),
    ],
)
def test_what_is_no_package_is_refused_in_one_line(tmp_path, content, what):
    path = tmp_path / "train.obj"
    path.write_bytes(content)
    with pytest.raises(UserError, match=what):
        read_pairs(path)


def test_a_package_that_was_cut_off_says_so(tmp_path):
    examples = [(0, encoded(pair(c, 0))) for c in "Ag"]
    path = package_of(tmp_path / "train.obj", examples)
    whole, first = path.read_bytes(), len(pickle.dumps(examples[0], 4))
    for end in (first + 1, first + 30, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"train\.obj: ends within record 1; it was cut off"):
            read_pairs(path)
    path.write_bytes(whole[:first])
    assert len(read_pairs(path)[0].source.characters) == 1


def test_every_instruction_means_what_pythons_reader_makes_of_it(tmp_path):
    """Pickles with memos and tuples of every size, optimised or not, against the standard library."""
    image = bytes(range(256)) * 300  # longer than one frame, with every byte
    path = tmp_path / "train.obj"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for label in (0, 1, 255, 256, 65536, 2**31 - 1):
            for data in (image, b"", b"'\"\\\n"):
                dumped = pickle.dumps((label, data), protocol)
                if not data and protocol < 3:
                    continue  # written as a call of bytes()
                path.write_bytes(dumped + pickletools.optimize(dumped))
                (l1, a1, b1), (l2, a2, b2) = records(path)
                assert l1 == l2 == label and record(path, a1, b1) == record(path, a2, b2) == data


def test_repeated_and_unusable_pairs_are_counted(tmp_path, capsys):
    blank = np.full((H, H), 255, np.uint8)
    examples = [(0, encoded(pair("A", 0))), (0, encoded(pair("A", 0))), (1, encoded(pair("A", 1))), (0, b"no image")]
    examples += [(0, encoded(np.hstack([pair("g", 0)[:, :H], blank])))]
    styles = read_pairs(package_of(tmp_path / "x.obj", examples))
    assert [set(style.source.characters) for style in styles] == [{SYNTHETIC}] * 2
    said = capsys.readouterr().err
    assert "1 without a source glyph left out; 1 unreadable left out (" in said
    assert "record 3: cannot be read (not an image)" in said
    assert "1 repeat a character of their label" in said


def test_blank_targets_are_not_real(tmp_path, capsys):
    folder = folder_of(tmp_path / "x", {"U+0041.png": ("A", 0), "U+0067.png": ("g", 0)})
    blank = pair("g", 0)
    blank[:, :H] = 255
    (folder / "U+0067.png").write_bytes(encoded(blank))
    (style,) = read_pairs(folder)
    assert (style.source.real([65, 103]), style.target.real([65, 103])) == ({65, 103}, {65})
    assert "label 0 target: 1 of 2 pictures are blank and left out" in capsys.readouterr().err


def test_what_holds_no_pairs_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        read_pairs(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no pictures in it, nor sub-folders A and B$"):
        read_pairs(tmp_path)
    package_of(tmp_path / "train.obj", [])
    with pytest.raises(UserError, match=r"give the package itself, such as .*train\.obj"):
        read_pairs(tmp_path)
    Image.fromarray(SOURCE.draw(65, GEOMETRY)).save(tmp_path / "A.png")
    with pytest.raises(UserError, match="48 x 48 pixels; a pair is twice as wide as high, or lies in sub-folders"):
        read_pairs(tmp_path)
    with pytest.raises(UserError, match="left 'right' is none of target, source"):
        read_pairs(tmp_path, left="right")
    for side in "AB":
        (tmp_path / "two" / side).mkdir(parents=True)
        Image.fromarray(SOURCE.draw(65, GEOMETRY)).save(tmp_path / "two" / side / f"{side}.png")
    with pytest.raises(UserError, match="no picture of A has the name of one of B"):
        read_pairs(tmp_path / "two")


def test_styles_travel_to_worker_processes(tmp_path):
    styles = read_pairs(package_of(tmp_path / "x.obj", [(0, encoded(pair(c, 0))) for c in "AgQ"]))
    sent = pickle.dumps(styles)
    assert len(sent) < 2000  # neither images nor what was decoded
    (style,) = pickle.loads(sent)
    assert (style.target.draw(SYNTHETIC, GEOMETRY) == TARGETS[0].draw(65, GEOMETRY)).all()
    assert style.source.store is style.target.store


def test_the_cache_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("util.fonts.pairs.CACHE", 2 * H * 2 * H)
    (style,) = read_pairs(package_of(tmp_path / "x.obj", [(0, encoded(pair(c, 0))) for c in "AgQXY"]))
    store = style.source.store
    assert len(store._cache) == 2 and store._cached == 2 * H * 2 * H
    check_glyphs([style], "AgQXY", codes=lambda c: SYNTHETIC + "AgQXY".index(c))
    assert len(store._cache) == 2


@pytest.mark.parametrize("quality", (30, 75))
def test_similar_letters_are_told_apart_and_noise_is_not(quality):
    """O Q C G c e o and accents differ in one stroke or dot."""
    letters = [ord(c) for c in "OQCGceoòóôõöIlijEFPRÉÈvVwWuU"]
    recognizer = Recognizer()
    drawn = [SOURCE.draw(code, Geometry(64)) for code in letters]
    codes = [recognizer.code(levels) for levels in drawn]
    noisy = [np.asarray(Image.open(io.BytesIO(encoded(levels, "JPEG", quality=quality)))) for levels in drawn]
    assert codes == list(range(SYNTHETIC, SYNTHETIC + len(letters)))
    assert [recognizer.code(levels) for levels in noisy] == codes
