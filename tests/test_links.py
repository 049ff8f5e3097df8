"""Folders that somebody else has filled: nothing is written through a link, and nothing waits for a pipe."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

import compare as compare_script
import evaluate as evaluate_script
import test as test_script
import train as train_script
import translate as translate_script
from tests.conftest import small_argv
from tests.test_claims import tree
from tests.test_compare import TWO, pretending  # noqa: F401  (a fixture)
from util import cli, writing

RUN, RESULTS = "checkpoints/run", "results/run/test_latest"
COMPARED = "experiments/run_and_other"
CPU = ["--gpu_ids", "-1"]
# What a run writes in place, or into: there is no way but through it.
THROUGH = {"loss_log.txt", "metrics.jsonl", "web", "web/images", ".lock", ".overwritten", ".overwriting"}
THROUGH |= {"tensorboard", "wandb"}
FOLDERS = {".overwritten", ".overwriting", "tensorboard", "wandb"}
NOT_THERE = [".lock", ".overwritten", ".overwriting", "tensorboard", "wandb", "wandb_id", ".redo.json", "best_state.pt"]


@pytest.fixture(scope="module")
def lived(whole, dataroot, tmp_path_factory):
    """A folder to stand in, with what train.py, test.py, translate.py and evaluate.py leave, and a page of runs."""
    place = tmp_path_factory.mktemp("lived")
    for name in ("run", "other"):
        shutil.copytree(whole / RUN, place / "checkpoints" / name)
    options = place / "checkpoints/other/train_opt.yaml"
    options.write_text(options.read_text().replace("seed: 0", "seed: 1"))
    for words in (TEST, TRANSLATE, EVALUATE, COMPARE):
        assert call(words, place, dataroot) == 0
    return place


TRAIN = (train_script, "--continue_train --n_epochs 3 --n_epochs_decay 1 --print_freq 1 --max_dataset_size 2")
ANEW = (train_script, "--overwrite --n_epochs 1 --n_epochs_decay 0 --max_dataset_size 2")
TEST = (test_script, "--name run --dataroot {data} --phase test --metrics self_similarity --num_test 2")
TRANSLATE = (translate_script, "--checkpoint checkpoints/run --input {data} --output out --overwrite")
EVALUATE = (evaluate_script, "--real {data}/testA --fake {data}/testA --metrics ssim --output values/values.json")
COMPARE = (compare_script, "checkpoints/run checkpoints/other --output " + COMPARED)


def call(command, place, dataroot):
    """The exit code of a script with these words, in this folder."""
    script, words = command
    argv = words.format(data=dataroot).split()
    argv = [*small_argv(dataroot, Path()), "--ema_decay", "0.9", *argv] if script is train_script else argv
    argv += CPU if script in (test_script, translate_script, evaluate_script) else []
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(SystemExit):
        patch.chdir(place)
        patch.setattr("sys.argv", [f"{script.__name__}.py", *argv])
        return cli.run(lambda: script.main(argv))


class Forged:
    """The folder once more, something in the way in it, and what lies outside."""

    def __init__(self, lived, folder):
        self.place, self.outside = folder / "place", folder / "outside"
        shutil.copytree(lived, self.place)
        self.outside.mkdir()
        (self.outside / "bashrc").write_text("mine")

    def put(self, path, kind):
        """Replace what is at a path, if anything is."""
        at, there = self.place / path, self.outside / "there"
        is_folder = at.is_dir() or at.name in FOLDERS
        at.parent.mkdir(parents=True, exist_ok=True)
        if at.exists():
            shutil.move(at, there)
        elif is_folder:
            there.mkdir()
        else:
            there.write_text("mine")
        if kind == "link":  # to what was there, as somebody might move it to another disk
            at.symlink_to(there)
        elif kind == "dangling":
            at.symlink_to(self.outside / "new")
        elif kind == "pipe":
            os.mkfifo(at)
        elif kind == "hard" and not is_folder:
            os.link(there, at)
        else:
            shutil.copytree(there, at) if is_folder else shutil.copy(there, at)

    def check(self, command, dataroot, capsys, refused=None):
        """Outside all is as it was. Where something is to be refused, it is by its name, and nothing is changed."""
        outside, before = tree(self.outside), tree(self.place)
        code, error = call(command, self.place, dataroot), capsys.readouterr().err
        assert tree(self.outside) == outside and code != 1 and "Traceback" not in error, error
        if refused is not None:
            assert code == 5 and refused in error.splitlines()[-1] and "remove it" in error.splitlines()[-1], error
            after = tree(self.place)
            assert after == before, {path for path in after | before if after.get(path) != before.get(path)}
        return code, error


@pytest.fixture
def forged(lived, tmp_path):
    return Forged(lived, tmp_path)


def cases(paths, kinds, few):
    """Every path with every kind; the few are tried in ``make test``."""
    for path in paths:
        for kind in kinds:
            marks = [pytest.mark.slow] if (path, kind) in few else [pytest.mark.exhaustive]
            yield pytest.param(path, kind, marks=marks, id=f"{path}-{kind}")


OF_TRAINING = [
    *("loss_log.txt", "metrics.jsonl", "run.json", "train_opt.yaml", "train_opt.txt", "test_opt.yaml"),
    *("latest_state.pt", "latest_net_G.pth", "latest_net_G_ema.pth", "latest.manifest.json", "previous_state.pt"),
    *("previous.manifest.json", "3_state.pt", "3_net_D.pth", "3.manifest.json", "4_state.pt", "evaluations.jsonl"),
    *("web", "web/index.html", "web/images", "web/images/epoch003_fake_B.png", "web/images/epoch004_fake_B.png"),
    *("held_out.json", "scale.json", *NOT_THERE),
]
KINDS = ("link", "dangling", "pipe", "hard")
FEW = {
    ("loss_log.txt", "link"),
    ("loss_log.txt", "pipe"),
    ("web", "link"),
    ("web/images", "dangling"),
    (".lock", "hard"),
}
FEW |= {("metrics.jsonl", "hard")}


@pytest.mark.parametrize(("path", "kind"), cases(OF_TRAINING, KINDS, FEW))
def test_a_run_goes_on_and_writes_through_nothing(forged, dataroot, capsys, path, kind):
    forged.put(f"{RUN}/{path}", kind)
    through = path in THROUGH and kind != "hard" and not (kind == "pipe" and path.startswith("web"))
    refused = path in THROUGH and (kind != "hard" or path == ".lock")
    assert through <= refused
    code, error = forged.check(TRAIN, dataroot, capsys, f"{RUN}/{path} is" if refused else None)
    if kind in ("link", "hard") and not refused:  # weights and records may lie elsewhere
        assert code == 0, error


@pytest.mark.parametrize(
    ("path", "kind"),
    cases(OF_TRAINING, ("link", "dangling"), {(".overwritten", "link"), ("loss_log.txt", "dangling")}),
)
def test_a_run_starts_anew_and_writes_through_nothing(forged, dataroot, capsys, path, kind):
    """What is overwritten is put aside under its name, a link as a link."""
    forged.put(f"{RUN}/{path}", kind)
    refused = path in (".lock", ".overwritten", ".overwriting") and (kind != "hard" or path == ".lock")
    code, error = forged.check(ANEW, dataroot, capsys, f"{RUN}/{path} is" if refused else None)
    assert refused or code == 0, error


OF_TEST = [
    *("index.html", "metrics.json", "checkpoint.json", "test_opt.yaml", "test_opt.txt", ".files", "images", "values"),
    *("inputs.jsonl", "thumbnails"),
    *("images/fake_B", "images/real_A/testA_0.png", "images/fake_B/testA_0.png", "index_2.html", "."),
]


@pytest.mark.parametrize(
    ("path", "kind"),
    cases(OF_TEST, KINDS, {(".", "link"), ("images/fake_B", "link"), (".files", "link"), ("inputs.jsonl", "link")}),
)
def test_a_test_writes_through_nothing(forged, dataroot, capsys, path, kind):
    path = Path(RESULTS, path).as_posix()
    forged.put(path, kind)
    is_link = (forged.place / path).is_symlink()
    refused = kind in ("dangling", "pipe") or (
        is_link and (path.endswith((".files", ".jsonl")) or (forged.place / path).is_dir())
    )
    code, error = forged.check(TEST, dataroot, capsys, f"{path} is" if refused and path != RESULTS else None)
    assert code == (5 if refused else 0), error


@pytest.mark.parametrize(
    ("path", "kind"), cases(["testA", "testA/testA_0.png", "trainB", "."], KINDS, {("testA", "link")})
)
def test_a_translation_writes_through_nothing(forged, dataroot, capsys, path, kind):
    """The folder that is named may be a link; below it none may."""
    path = Path("out", path).as_posix()
    forged.put(path, kind)
    refused = path != "out" and kind in ("link", "dangling") and not path.endswith(".png")
    if path == "out" and kind == "link":
        assert call(TRANSLATE, forged.place, dataroot) == 0
        return
    code, error = forged.check(TRANSLATE, dataroot, capsys, f"{path} is a link" if refused else None)
    assert code == 0 or path in error.splitlines()[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("command", "path"),
    [(EVALUATE, "values/values.json"), *((COMPARE, f"{COMPARED}/{n}") for n in ("index.html", "comparison.csv"))],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.exhaustive
def test_values_and_pages_are_written_through_nothing(forged, dataroot, capsys, command, path, kind):
    forged.put(path, kind)
    assert forged.check(command, dataroot, capsys)[0] == 0 and not (forged.place / path).is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["link", "hard"])
def test_all_that_is_replaced_may_lie_elsewhere(forged, dataroot, capsys, kind):
    """Every file of a run and of its results at once: what they lead to stays as it was."""
    skipped = {*THROUGH, ".files"} if kind == "link" else set()
    for folder in (RUN, RESULTS):
        for path in [p for p in (forged.place / folder).rglob("*") if p.is_file() and p.name not in skipped]:
            there = forged.outside / "_".join(path.relative_to(forged.place).parts)
            shutil.move(path, there)
            path.symlink_to(there) if kind == "link" else os.link(there, path)
    for command in (TRAIN, TEST):
        assert forged.check(command, dataroot, capsys)[0] == 0


@pytest.mark.slow
def test_names_that_a_file_has_for_a_moment_lead_nowhere(forged, dataroot, capsys):
    """A link at every name with .tmp that this project ever used; options that a shell would run."""
    options = forged.place / RUN / "train_opt.yaml"
    lines = [line for line in options.read_text().splitlines() if not line.startswith("easy_label:")]
    options.write_text("\n".join([*lines, 'easy_label: "$(touch owned)"\n']))
    for path in [p for p in forged.place.rglob("*") if p.is_file()]:
        for name in (f".{path.name}.tmp", f"{path.name}.tmp"):
            path.with_name(name).symlink_to(forged.outside / "bashrc")
    for name in (".train_opt.yaml.tmp", ".4_state.pt.tmp", "web/images/epoch004_fake_B.png.tmp"):
        with contextlib.suppress(FileExistsError):
            (forged.place / RUN / name).symlink_to(forged.outside / "bashrc")
    for command in (TRAIN, TEST, TRANSLATE, EVALUATE, COMPARE):
        assert forged.check(command, dataroot, capsys)[0] == 0
    assert (forged.outside / "bashrc").read_text() == "mine"


@pytest.mark.slow
def test_without_the_calls_of_linux_links_are_looked_for(forged, dataroot, capsys, monkeypatch):
    monkeypatch.setattr(os, "supports_dir_fd", set())
    monkeypatch.setattr(writing, "FRESH", writing.FRESH & ~writing.NOFOLLOW)
    monkeypatch.setattr(writing, "NOFOLLOW", 0)
    for command, path in ((TRAIN, f"{RUN}/loss_log.txt"), (TRAIN, f"{RUN}/web"), (TEST, f"{RESULTS}/images")):
        forged.put(path, "link")
        forged.check(command, dataroot, capsys, f"{path} is a link")
        (forged.place / path).unlink()
        shutil.move(forged.outside / "there", forged.place / path)
    assert call(TRAIN, forged.place, dataroot) == call(TEST, forged.place, dataroot) == 0


@pytest.mark.slow
def test_links_at_a_run_and_above_it_are_the_users(forged, dataroot, capsys):
    """A run, and all runs, on another disk."""
    for name in (RUN, "results/run", "checkpoints", "results", "experiments"):
        there = forged.outside / name.replace("/", "_")
        (forged.place / name).rename(there)
        (forged.place / name).symlink_to(there)
    for command in (TRAIN, TEST, COMPARE):
        assert call(command, forged.place, dataroot) == 0, capsys.readouterr().err


WRITTEN = ["state", "logs", "checkpoints", "results", "checkpoints/cut-s0", "results/cut-s0", "logs/cut-s0.log"]
WRITTEN += ["state/cut-s0.lock"]


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[pytest.mark.slow] if p in WRITTEN[:2] else [pytest.mark.exhaustive]) for p in WRITTEN],
)
def test_a_comparison_writes_through_nothing(tmp_path, pretending, path):  # noqa: F811
    folder, outside = tmp_path / "experiments/some", tmp_path / "outside"
    (folder / path).parent.mkdir(parents=True)
    outside.mkdir()
    for target in (outside, outside / "new"):
        (folder / path).unlink(missing_ok=True)
        (folder / path).symlink_to(target)
        with contextlib.suppress(FileExistsError), pytest.raises(writing.Refused, match=f"some/{path} is a link"):
            pretending(TWO)
        assert not list(outside.iterdir()) and {p.name for p in folder.iterdir()} <= {path.split("/")[0], "checkpoints"}
