"""evaluate.py: folder against folder, none of whose pictures gets lost unseen."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import evaluate
from options import UserError
from tests.evaluation.test_testing import EYES, published_fid, six_features


@pytest.fixture
def folders(tmp_path):
    random = np.random.default_rng(0)
    for folder, count, low in (("real", 11, 100), ("fake", 11, 0), ("train", 10, 100)):
        (tmp_path / folder / "deep").mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(low, 200, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / ("deep" if i % 2 else ".") / f"{i}.png")
    (tmp_path / "eyes.py").write_text(EYES)
    return tmp_path


def values(folders, *more):
    argv = ["--real", folders / "real", "--fake", folders / "fake", "--gpu_ids", -1, "--output", folders / "out.json"]
    argv += ["--extractor", f"module:{folders / 'eyes.py'}:Eyes", *more]
    assert evaluate.main([str(a) for a in argv]) == 0
    return json.loads((folders / "out.json").read_text())


def test_values_are_those_of_the_library(folders):
    found = values(folders, "--metrics", "fid", "l1", "--train", folders / "train")
    real, fake, train = (six_features(sorted((folders / f).rglob("*.png"))) for f in ("real", "fake", "train"))
    assert found["FID-module"]["value"] == pytest.approx(published_fid(real, fake), rel=1e-3)
    assert found["FID-module"]["floors"]["real training images"]["value"] == pytest.approx(
        published_fid(real, train), rel=1e-3
    )
    pairs = [[np.asarray(Image.open(folders / f / name), float) for f in ("real", "fake")] for name in names(folders)]
    assert found["L1"]["value"] == pytest.approx(np.mean([abs(a - b).mean() / 255 for a, b in pairs]), rel=1e-5)


def names(folders):
    return [path.relative_to(folders / "real") for path in (folders / "real").rglob("*.png")]


def test_a_lost_picture_is_an_error_for_pairs_and_counted_for_sets(folders):
    (folders / "fake/deep/1.png").unlink()
    with pytest.raises(UserError, match=r"--fake .*: lacks 1 of 11 names: deep/1; metrics of sets"):
        values(folders, "--metrics", "l1")
    assert values(folders, "--metrics", "fid")["FID-module"]["images"] == 10


def test_pictures_of_one_name_are_not_taken_for_one(folders):
    Image.open(folders / "fake/0.png").save(folders / "fake/0.jpg")
    with pytest.raises(UserError, match=r"--fake: 0\.\w+ and 0\.\w+ have one name"):
        values(folders, "--metrics", "l1")
    assert values(folders, "--metrics", "fid")["FID-module"]["images"] == 12


def test_what_it_cannot_do_is_said(folders):
    for name in ("recognition", "self_similarity", "accuracy", "r_precision"):
        with pytest.raises(UserError, match=rf"--metrics {name}: needs more than pictures"):
            values(folders, "--metrics", name)
    with pytest.raises(UserError, match=r"no --extractor|--extractor"):  # before a folder is read
        evaluate.main([str(a) for a in ("--real", folders / "none", "--fake", "x", "--metrics", "fid")])
    shutil.rmtree(folders / "fake")
    with pytest.raises(UserError, match=r"--fake .*: no such folder"):
        values(folders, "--metrics", "fid")
    with pytest.raises(UserError, match=r"--real: not given"):
        evaluate.main(["--fake", "x"])
