"""Readers of files as functions of one path, small files that they read, and what it means to withstand others."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import time
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tifffile
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from matplotlib import get_data_path
from PIL import Image

from data.captions.tables import Notes, read_table
from data.pictures import archives, label_files
from data.pictures.arrays import arrays as pictures_in_arrays
from data.pictures.packs import packed
from options import UserError
from util.fonts.faces import Face, Geometry
from util.fonts.font_file import open_font
from util.fonts.pairs import read_pairs
from util.images import read_pixels
from util.listing import list_images
from util.reading.json_file import read_json
from util.reading.npz import open_npz
from util.reading.pickles import read_names
from util.reading.weights import read_tensors, read_weights
from util.reading.yaml_file import read_yaml
from util.values import Units

LONGEST = 600  # characters of a line that says what is wrong


def archive(kind, name):
    """A reader of one file of an archive."""

    def read(path):
        if kind == "cifar100":
            (path.parent / "meta").write_bytes(pickle.dumps({b"fine_label_names": [b"a", b"b"]}, 2))
        reader, classes = archives._readers(kind, path.parent)
        reader = (lambda files: (archives._read_idx(files[0]),) * 2) if kind == "mnist" else reader
        return archives._read(kind, reader, classes, path.parent, "train", (name,))

    return read


def picture(path):
    for page in list_images(path.parent):
        read_pixels(page, 3, Units(0, 1000) if page.suffix == ".nii" else None)


def arrays(path):
    try:
        with open_npz(path) as found:
            for name in found:
                assert found[name].shape == found.shape(name)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def font(path):
    face = Face(str(path))
    for code in sorted(face.real(range(0x21, 0x7F)))[:3]:
        face.draw(code, Geometry(32))
        face.leaves_canvas(code, Geometry(32))
    open_font(path, 0)


def pair_of_glyphs(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for style in read_pairs(path):
            for code in style.source.characters:
                style.source.draw(code, Geometry(16))


def captions(path):
    notes = Notes(path, skip=True)
    rows = [(str(row.picture), str(row.caption)) for row in read_table(path, "utf-8", notes)]
    notes.tell()
    return rows


def labelled(source, kind):
    """A reader of a file of pictures with classes, by their source."""

    def read(path):
        found = source(kind, SimpleNamespace(dataroot=str(path)), 0)
        for reader in found.phases.values():
            pictures = reader()
            for row in range(min(3, len(pictures))):
                pictures.pixels(row, 1)

    return read


def classes_of_flat_pictures(path):
    label_files.classes_beside(path.parent, path.parent / "val", ["n1", "n2"], [Path("a_1.png")])


def named_numbers(path):
    (path.parent / label_files.GROUND_TRUTH).write_text("7\n")
    classes_of_flat_pictures(path)


def synsets():
    from scipy.io import savemat

    table = np.array([(7, "n1")], dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O")])
    return written(savemat, {"synsets": table})


def npz():
    return written(np.savez, images=PIXELS[None, ..., 0].astype(np.uint8), labels=np.array(["a"]))


def hdf5():
    import h5py

    def save(file):
        with h5py.File(file, "w") as opened:
            opened["imgs"], opened["labels"] = np.zeros((2, 1, 4, 4), np.uint8), np.arange(2)

    return written(save)


def packs(kind):
    def save(file):
        names = {"a/0.png": GLYPH, "b/0.png": GLYPH}
        if kind == "zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
                for name, data in names.items():
                    opened.writestr(name, data)
            return
        with tarfile.open(fileobj=file, mode=kind) as opened:
            for name, data in names.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                opened.addfile(info, io.BytesIO(data))

    return written(save)


def written(save, *arguments, **more):
    file = io.BytesIO()
    save(file, *arguments, **more)
    return file.getvalue()


def tensors(new=True):
    state = {"a": torch.ones(2, 3), "b": [1, 2.5, None, True, "x"], "c": torch.nn.Parameter(torch.ones(2))}
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=new)
    return file.getvalue()


def a_picture(kind, mode="RGB", **more):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 255, (9, 11, {"L": 1, "RGB": 3, "RGBA": 4}[mode]), np.uint8)
    return written(Image.fromarray(array.squeeze()).save, format=kind, **more)


def science(package, *place):
    module = __import__(package)
    return Path(module.__file__).parent.joinpath(*place).read_bytes()


def cifar():
    """As Python 2 wrote it: an array of one picture, and its label."""
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    state = b"(K\x01K\x01M\x00\x0c\x86" + kind + b"\x89T\x00\x0c\x00\x00" + bytes(3072) + b"tb"
    return b"\x80\x02}(U\x04data" + array + state + b"U\x0bfine_labels](K\x01eu."


def matlab():
    from scipy.io import savemat

    return written(savemat, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)})


PIXELS = np.arange(9 * 11 * 3, dtype=np.uint16).reshape(9, 11, 3)
GLYPH = written(Image.fromarray(np.arange(128, dtype=np.uint8).reshape(8, 16)).save, format="PNG")
# reader -> the function, the end of a name, and files that it reads
READERS = {
    "yaml": (read_yaml, ".yaml", lambda: [b"a: 1\nb: [x, {c: 2.5}]\nd: &k {e: true}\nf: {<<: *k}\n"]),
    "json": (
        lambda path: read_json(path, {"a": [int], "b?": str}),
        ".json",
        lambda: [b'{"a": [1, 2], "b": "\\u00e9"}'],
    ),
    "tensors": (read_tensors, ".pth", lambda: [tensors(), tensors(new=False)]),
    "weights": (read_weights, ".pth", lambda: [written(lambda f: torch.save({"a": torch.ones(2)}, f))]),
    "names": (read_names, ".pickle", lambda: [pickle.dumps(["a/b", "c"], 2), pickle.dumps(["a/b", "c"], 0)]),
    "package": (pair_of_glyphs, ".obj", lambda: [pickle.dumps((3, GLYPH)) * 2, pickle.dumps((3, GLYPH), 0)]),
    "cifar": (archive("cifar100", "train"), "train", lambda: [cifar()]),
    "idx": (
        archive("mnist", "train-labels-idx1-ubyte"),
        "train-labels-idx1-ubyte.gz",
        lambda: [gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 9) + bytes(9))],
    ),
    "matlab": (archive("svhn", "train_32x32.mat"), "train_32x32.mat", lambda: [matlab()]),
    "labelled npz": (labelled(pictures_in_arrays, "npz"), ".npz", lambda: [npz()]),
    "hdf5": (labelled(pictures_in_arrays, "hdf5"), ".h5", lambda: [hdf5()]),
    "zip": (labelled(packed, "zip"), ".zip", lambda: [packs("zip")]),
    "tar": (labelled(packed, "tar"), ".tar", lambda: [packs("w"), packs("w:")]),
    "tgz": (labelled(packed, "tar"), ".tgz", lambda: [packs("w:gz")]),
    "classes": (classes_of_flat_pictures, "val.txt", lambda: [b"a_1.png n1\nb_2.png n2\n", b"a_1.png 0\n"]),
    "synsets": (named_numbers, "meta.mat", lambda: [synsets()]),
    "tiff": (
        picture,
        ".tif",
        lambda: [
            written(tifffile.imwrite, PIXELS),
            written(tifffile.imwrite, PIXELS.astype(np.uint8), compression="zlib"),
            written(tifffile.imwrite, np.stack([PIXELS] * 2), photometric="rgb"),
            a_picture("TIFF", compression="tiff_lzw"),
        ],
    ),
    "array": (picture, ".npy", lambda: [written(np.save, PIXELS), written(np.save, PIXELS / 512)]),
    "archive of arrays": (
        arrays,
        ".npz",
        lambda: [
            written(np.savez, images=PIXELS[None].astype(np.uint8), labels=np.arange(1)),
            written(np.savez_compressed, mu=np.zeros(3), sigma=np.eye(3)),
        ],
    ),
    "pictures": (
        picture,
        ".png",
        lambda: [
            *(a_picture(kind) for kind in ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")),
            written(lambda f: Image.fromarray(PIXELS[..., 0]).save(f, "PNG")),
        ],
    ),
    "dicom": (picture, ".dcm", lambda: [science("pydicom", "data", "test_files", "CT_small.dcm")]),
    "nifti": (picture, ".nii", lambda: [science("nibabel", "tests", "data", "anatomical.nii")]),
    "font": (
        font,
        ".ttf",
        lambda: [
            Path(get_data_path(), "fonts/ttf", f"{name}.ttf").read_bytes() for name in ("STIXSizTwoSymBol", "cmb10")
        ],
    ),
    "coco": (
        captions,
        ".json",
        lambda: [
            json.dumps(
                {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "caption": "c"}]}
            ).encode()
        ],
    ),
    "rows": (captions, ".csv", lambda: [b'image,caption\na.png,"a, b"\nb.png,c\n']),
    "lines": (captions, ".jsonl", lambda: [b'{"image": "a", "captions": ["x", "y"]}\n']),
}
EXTRAS = {"dicom", "nifti", "hdf5"}


def changed(files):
    """Any bytes, or files with some bytes changed, put in, left out, or repeated."""

    @st.composite
    def draw(draw):
        data = bytearray(draw(st.sampled_from(files)))
        for _ in range(draw(st.integers(0, 6))):
            start = draw(st.integers(0, len(data)))
            end = min(len(data), start + draw(st.sampled_from((0, 1, 2, 4, 8, 64, 10**6))))
            piece = draw(
                st.one_of(
                    st.binary(max_size=8),
                    st.sampled_from((b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 8, b"[" * 200, b"9" * 5000)),
                    st.just(bytes(data[start:end]) * 3),
                )
            )
            data[start:end] = piece
        return bytes(data)

    return st.one_of(draw(), st.binary(max_size=300))


def withstand(read, path, data, slowest=30.0):
    """Read it: a value, or one line that names the file."""
    path.write_bytes(data)
    begin = time.monotonic()
    try:
        read(path)
    except UserError as error:
        text = str(error)
        assert len(text.splitlines()) == 1 and len(text) < LONGEST + len(str(path)), text
        assert str(path.parent) in text, text
    assert time.monotonic() - begin < slowest, f"{time.monotonic() - begin:.1f} s"


def fuzz(name, folder, seconds=None, examples=None):
    """Try files that are drawn, for so long, or so many of them; returns how many."""
    read, ending, files = READERS[name]
    path, count = folder / (ending if ending[0] != "." else f"file{ending}"), 0
    end = time.monotonic() + (seconds or 1e9)

    def some(number, examples):
        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(changed(files()))
        def withstands(data):
            nonlocal count
            if time.monotonic() < end:
                count += 1
                withstand(read, path, data)

        withstands()

    if examples:
        some(0, examples)
        return count
    number = 0
    while time.monotonic() < end:
        number += 1
        some(number, 200)
    return count
