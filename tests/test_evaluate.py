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
    for name in ("recognition", "self_similarity", "r_precision"):
        with pytest.raises(UserError, match=rf"--metrics {name}: needs more than pictures"):
            values(folders, "--metrics", name)
    with pytest.raises(UserError, match=r"no --extractor|--extractor"):  # before a folder is read
        evaluate.main([str(a) for a in ("--real", folders / "none", "--fake", "x", "--metrics", "fid")])
    shutil.rmtree(folders / "fake")
    with pytest.raises(UserError, match=r"--fake .*: no such folder"):
        values(folders, "--metrics", "fid")
    with pytest.raises(UserError, match=r"--real: not given"):
        evaluate.main(["--fake", "x"])


# -- archives, statistics, classes -----------------------------------------------------------------


@pytest.fixture
def archives(folders):
    """The pictures of ``folders`` as samples.npz of two classes, as features and as statistics; and class folders."""
    for side in ("real", "fake"):
        files = sorted((folders / side).rglob("*.png"))
        images, labels = np.stack([np.asarray(Image.open(f)) for f in files]), np.arange(len(files)) % 2
        np.savez(folders / f"{side}.npz", images=images, labels=labels, z=np.zeros((len(files), 3)))
        np.savez(folders / f"{side}_feats.npz", feats=six_features(files).numpy())
        features = six_features(files).double().numpy()
        np.savez_compressed(folders / f"{side}_stats.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
        for file, label in zip(files, labels, strict=True):
            folder = folders / f"{side}_classes" / "ab"[label]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / file.name)
    return folders


def test_archives_of_images_features_and_statistics_have_the_values_of_their_pictures(archives):
    wanted = values(archives, "--metrics", "fid", "kid")
    images = values(
        archives, "--metrics", "fid", "kid", "--real", archives / "real.npz", "--fake", archives / "fake.npz"
    )
    features = values(archives, "--metrics", "fid", "kid", "--real", archives / "real_feats.npz")
    for name in ("FID-module", "KID-module x 1000", "KID-all-module x 1000"):
        assert images[name]["value"] == pytest.approx(wanted[name]["value"], rel=1e-5)
        assert features[name]["value"] == pytest.approx(wanted[name]["value"], rel=1e-4)
    for sides in ((), ("--fake", archives / "fake_stats.npz"), ("--train", archives / "train")):
        found = values(archives, "--metrics", "fid", "--real", archives / "real_stats.npz", *sides)["FID-module"]
        assert found["value"] == pytest.approx(wanted["FID-module"]["value"], rel=1e-4)
    assert found["floors"]["real training images"]["value"] > 0


def test_statistics_give_what_they_can(archives, capsys):
    real = ("--real", archives / "real_stats.npz")
    with pytest.raises(UserError, match=r"--real .*real_stats.npz: mean and covariance alone; they give --metrics fid"):
        values(archives, "--metrics", "fid", "kid", *real)
    values(archives, "--metrics", "fid", *real)
    assert "does not say how its images were resized" in capsys.readouterr().out
    named = archives / "ours_legacy_pytorch_test_256.npz"
    shutil.copy(archives / "real_stats.npz", named)
    with pytest.raises(UserError, match="by its name of --resize legacy-pytorch, not clean; give --resize"):
        values(archives, "--metrics", "fid", "--real", named)
    values(archives, "--metrics", "fid", "--real", named, "--resize", "legacy-pytorch")
    captured = capsys.readouterr()
    assert "does not say" not in captured.out and "counts for --extractor inception" in captured.out + captured.err
    np.savez(archives / "wide.npz", feats=np.random.default_rng(0).normal(size=(12, 7)))
    with pytest.raises(UserError, match=r"of 7 features; --extractor module:.* sees 6"):
        values(archives, "--metrics", "fid", "--real", archives / "wide.npz")


def test_classes_are_folders_or_labels(archives, capsys):
    folders = ("--real", archives / "real_classes", "--fake", archives / "fake_classes")
    by_name = values(archives, "--metrics", "ifid", *folders)
    assert set(by_name["intra-FID of classes"]) == {"a", "b"} and "intra-FID of a: " in capsys.readouterr().out
    assert by_name["intra-FID of classes"] == {"a": None, "b": None}  # of six and five pictures there is none
    with pytest.raises(UserError, match="--metrics ifid: needs classes on every side"):
        values(archives, "--metrics", "ifid", "--fake", archives / "fake_classes")
    for side, shift in (("real", 0), ("fake", 60)):
        images = np.random.default_rng(shift).integers(shift, 200, (40, 8, 8, 3)).astype(np.uint8)
        np.savez(archives / f"{side}.npz", images=images, labels=np.arange(40) % 2)
    found = values(archives, "--metrics", "ifid", "--real", archives / "real.npz", "--fake", archives / "fake.npz")
    classes = found["intra-FID of classes"]
    assert found["intra-FID-module"]["value"] == pytest.approx(sum(classes.values()) / 2) and min(classes.values()) > 0


def test_archives_lie_and_number_their_classes_as_labelled_data_may(folders, capsys):
    images = np.random.default_rng(0).integers(0, 200, (40, 8, 8, 1)).astype(np.uint8)
    labels = np.arange(40) % 2
    np.savez(folders / "fixed.npz", images=images // 2, labels=labels)
    words = ("--real", folders / "d.npz", "--fake", folders / "fixed.npz")
    several = {
        "last": {"images": images, "labels": labels},
        "grey": {"x": images[..., 0], "y": np.eye(2)[labels]},
        "first": {"imgs": images.transpose(0, 3, 1, 2), "labels": np.array(["cat", "dog"])[labels]},
    }
    found = {}
    for name, arrays in several.items():
        np.savez(folders / "d.npz", **arrays)
        found[name] = values(folders, "--metrics", "ifid", *words)
    classes = [list(one["intra-FID of classes"]) for one in found.values()]
    assert classes == [["0", "1"], ["0", "1"], ["cat", "dog"]]
    line = f"--fake {folders / 'fixed.npz'}: its labels have no names and are taken for the other side's: cat, dog"
    assert line in capsys.readouterr().err
    (value,) = {one["intra-FID-module"]["value"] for one in found.values()}
    assert value > 1e-4
    np.savez(folders / "d.npz", images=images, labels=labels, classes=["cat", "dog"])
    np.savez(folders / "other.npz", images=images, labels=1 - labels, classes=["dog", "cat"])
    other = values(folders, "--metrics", "ifid", *words[:3], folders / "other.npz")
    assert other["intra-FID-module"]["value"] == pytest.approx(0, abs=1e-6)
    assert set(other["intra-FID of classes"]) == {"cat", "dog"}
    np.savez(folders / "d.npz", images=images, labels=labels - 1)
    with pytest.raises(UserError, match="--metrics ifid: needs classes on every side"):
        values(folders, "--metrics", "ifid", *words)
    assert "20 of 40 labels are below 0, which is no class" in capsys.readouterr().err
    np.savez(folders / "d.npz", images=images, labels=labels[:30])
    with pytest.raises(UserError, match=r"--real .*d\.npz: 40 pictures in images and 30 labels in labels"):
        values(folders, "--metrics", "fid", *words)


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"images": np.zeros((5, 8, 8, 3), np.float32)}, "images is float32, 5 x 8 x 8 x 3; wanted are"),
        ({"images": np.zeros((5, 3, 2, 2), np.float32)}, "wanted are at least two images"),
        ({"what": np.zeros(3)}, "holds what; wanted are images"),
        ({"mu": np.zeros(3), "sigma": np.zeros((2, 2))}, "do not belong together"),
        ({"feats": np.full((5, 6), np.nan)}, "no finite numbers"),
        ({"images": np.array([{}], object)}, "not of plain numbers"),
    ],
)
def test_archives_of_other_things_are_a_line(folders, arrays, line):
    np.savez(folders / "odd.npz", **arrays)
    with pytest.raises(UserError, match=line) as error:
        values(folders, "--metrics", "fid", "--fake", folders / "odd.npz")
    assert "\n" not in str(error.value) and str(error.value).startswith(f"--fake {folders / 'odd.npz'}")
    with pytest.raises(UserError, match="has no names of pictures"):
        np.savez(folders / "odd.npz", images=np.zeros((5, 8, 8, 3), np.uint8))
        values(folders, "--metrics", "l1", "--fake", folders / "odd.npz")


def test_an_archive_that_unpacks_to_far_more_is_not_read(folders):
    np.savez_compressed(folders / "bomb.npz", images=np.zeros((100_000, 32, 32, 3), np.uint8))
    with pytest.raises(UserError, match="it would unpack to 292 MiB"):
        values(folders, "--metrics", "fid", "--fake", folders / "bomb.npz")


def test_folders_of_classes_that_are_mixed_otherwise_have_a_line_with_both_mixes(folders, capsys):
    for folder, counts in (("real", (60, 6)), ("fake", (20, 20))):
        shutil.rmtree(folders / folder)
        for name, count in zip(("cat", "dog"), counts, strict=True):
            (folders / folder / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (16, 16), (i, 2 * i, 99)).save(folders / folder / name / f"{i}.png")
    found = values(folders, "--metrics", "fid")
    (line,) = [line for line in found["remarks"] if "mixed otherwise" in line]
    assert "generated images are 20 of a class (cat 50.0%, dog 50.0%)" in line and "cat 90.9%, dog 9.1%" in line
    assert line in capsys.readouterr().out
    shutil.rmtree(folders / "fake/dog")
    shutil.rmtree(folders / "real/dog")
    assert "mixed otherwise" not in str(values(folders, "--metrics", "fid"))
    shutil.copytree(folders / "real/cat", folders / "real/dog")
    only_cats = values(folders, "--metrics", "fid", "ifid")["remarks"]  # one folder is a class where the other side has
    assert any("cat 100.0%" in line for line in only_cats)
    assert "intra-FID: no generated images of dog, which are left out" in only_cats
    (folders / "fake/cat").rename(folders / "fake/images")
    assert "mixed otherwise" not in str(values(folders, "--metrics", "fid"))
