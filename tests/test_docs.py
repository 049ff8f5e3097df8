"""What the pages show works: commands parse, links lead somewhere, the example trains, the tables are true."""

import contextlib
import importlib.metadata
import json
import math
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import networks
import test as test_script
import train as train_script
from benchmarks import overlap, scaling
from data import DATASETS
from data.loading.transforms import parse_steps, transform
from evaluation.metrics import METRICS
from evaluation.metrics.base_captioned import CaptionedMetric
from models import MODELS
from models.losses import gan_loss, patch_nce
from networks import registry
from options import Exit, TestOptions, TrainOptions
from options.compare_options import CompareOptions
from options.evaluate_options import EvaluateOptions
from options.fields import flags_of
from options.parsing import NOT_CONTINUED, compose, option_classes, parse_script
from options.runs_options import RunsOptions
from options.translate_options import TranslateOptions
from tests.conftest import SMALL, test_options, train_options
from util import visdom_server
from util.fonts.charsets import CHARSETS, charset
from util.handwriting.__main__ import _parser as handwriting_parser
from util.picture_files import ResultNames
from util.training.schedule import Progress, lr_factor

ROOT = Path(__file__).parents[1]
NAMES = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {
    *("dce_idt", "mode"),  # of published commands that docs/zoo.md sets beside ours
    "build-constraint",
    "build-constraints",
    "no-deps",
    "nproc_per_node",
    "logdir",
    "help",
    *("max-restarts", "time", "requeue", "open-mode", "signal"),  # of torchrun and Slurm
    *("million", "buckets", "delay_ms", "mbit", "rounds"),  # of benchmarks
    *("nnodes", "rdzv-backend", "rdzv-endpoint", "rdzv-id", "rdzv-conf"),  # of torchrun
    *("headless", "no-sandbox", "hide-scrollbars", "window-size", "screenshot"),
}  # flags of other programs

PAPERS_AND_CODE = re.compile(r"https://(arxiv\.org/abs|doi\.org|github\.com)/[\w./-]+")  # where a page may lead outside
HANDWRITING = {"output", "font", "columns", "dpi", "size"}  # flags of python -m util.handwriting


def prose(text):
    return FENCE.sub("", text)


def commands():
    """(page, words) of every line of a bash block, and of every inline command without an ellipsis."""
    for page, text in TEXT.items():
        blocks = [block.replace("\\\n", "") for language, block in FENCE.findall(text) if language == "bash"]
        lines = [line for block in blocks for line in block.splitlines()]
        inline = re.findall(r"`((?:python|torchrun|make|uv|pip|tensorboard) [^`]+)`", prose(text))
        for line in [*lines, *(line for line in inline if "..." not in line)]:
            yield pytest.param(shlex.split(line), id=f"{page}: {line}")


def files_shown():
    """{name: content} of the blocks that begin with a comment which is the name of a file."""
    blocks = [
        block for text in TEXT.values() for language, block in FENCE.findall(text) if language in ("python", "yaml")
    ]
    return {block.split()[1]: block for block in blocks if re.match(r"# [\w./]+\.(py|yaml)\n", block)}


@pytest.fixture
def workshop(tmp_path, monkeypatch, dataroot):
    """A folder with the files that the pages show, and pictures where their commands look. It leaves no trace."""
    for name, content in files_shown().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "photos").symlink_to(dataroot)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(registry._BUILDERS, "G", dict(registry._BUILDERS["G"]))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name in files_shown():
        sys.modules.pop(Path(name).stem, None)


# -- commands, links, names ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("words", commands())
def test_a_command_that_is_shown_is_understood(words, workshop, monkeypatch):
    constrained, elsewhere = words[0].startswith("PIP_CONSTRAINT="), words[0].startswith("PYTHONPATH=")
    words = words[1:] if constrained or elsewhere else words
    if words[0] == "torchrun":
        words = ["python", *words[next(n for n, word in enumerate(words) if word.endswith(".py")) :]]
    match words:
        case ["python", "train.py", *argv] | ["python", "test.py", *argv]:
            parse = train_options if words[1] == "train.py" else test_options
            with pytest.raises(SystemExit) if "--help" in argv else contextlib.nullcontext():
                opt = parse(*argv)
                assert opt.name in argv
        case ["python", "translate.py", *argv]:
            opt = parse_script(TranslateOptions, argv)
            assert opt.checkpoint and opt.input and opt.output
        case ["python", "evaluate.py", *argv]:
            opt = parse_script(EvaluateOptions, argv)
            assert opt.real and opt.fake
        case ["python", "compare.py", *argv]:
            opt = parse_script(CompareOptions, ["--runs", *argv])
            assert opt.recipe is None or Path(opt.recipe).is_file()
        case ["python", "runs.py", *argv]:
            opt = parse_script(RunsOptions, argv)
            assert opt.checkpoints_dir and not opt.verbose
        case ["python", "-m", "util.visdom_server", *argv]:
            monkeypatch.setattr(sys, "argv", ["visdom_server", *argv])
            monkeypatch.setattr(visdom_server, "serve", lambda *_: None)
            assert visdom_server.main() == 0
        case ["python", "-m", "benchmarks.gpu", *argv]:
            assert (ROOT / "benchmarks/gpu.py").is_file() and not argv  # run by tests/benchmarks/test_gpu.py
        case ["python", "-m", "benchmarks.scaling" | "benchmarks.overlap", *argv]:
            script = {"benchmarks.scaling": scaling, "benchmarks.overlap": overlap}[words[2]]
            args, rest = script.parser().parse_known_args(argv)
            models = args.models.split(",")
            assert set(models) <= set(scaling.SIZES)
            train_options("--name", "measured", "--model", models[0], *rest)
        case ["python", "-m", "util.handwriting", *argv]:
            assert handwriting_parser().parse_args(argv).output
        case ["make", target, *variables]:
            makefile = (ROOT / "Makefile").read_text()
            assert re.search(rf"^{target}:", makefile, re.MULTILINE)
            assert all(f"$({variable.split('=')[0]})" in makefile for variable in variables)
        case ["pip", "install", *argv] | ["uv", "pip", "install", *argv]:
            named = [word for word in argv if Path(word).suffix in (".txt", ".lock")]
            assert all((ROOT / name).is_file() for name in named)
            assert not (constrained and named)  # it would constrain the lock's own setuptools
        case ["python", "program.py"]:
            assert elsewhere  # tried by test_a_program_elsewhere_finds_the_translator
        case ["cp", source, picture]:
            assert Path(source).suffix == Path(picture).suffix and (ROOT / picture).is_file()
        case ["chromium", *flags, page]:
            shot = next(flag.partition("=")[2] for flag in flags if flag.startswith("--screenshot="))
            assert (ROOT / shot).is_file() and page.endswith("index.html")
        case ["source", ".venv/bin/activate"] | ["python", "-m", "visdom.server"] | ["tensorboard", "--logdir", _]:
            pass
        case _:
            raise AssertionError(f"no test knows how to check {' '.join(words)}")


@pytest.mark.parametrize("page", TEXT)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", TEXT[page]):
        if PAPERS_AND_CODE.fullmatch(target):
            continue
        linked = (ROOT / page).parent / target if target else ROOT / page
        assert linked.is_file(), target
        if linked.suffix != ".md":
            assert linked.stat().st_size < 150_000, "pictures of pages are small"
            continue
        headings = re.findall(r"^#+ (.*)$", prose(linked.read_text(encoding="utf-8")), re.MULTILINE)
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, anchor


@pytest.mark.slow
@pytest.mark.parametrize("page", TEXT)
def test_flags_and_files_that_are_named_exist(page, workshop):
    kinds = [(MODELS, [*MODELS.names(), "denoise"]), (DATASETS, [*DATASETS.names(), "noisy"])]
    plugins = [kind.find(name, "lab") for kind, names in kinds for name in names]
    known = {
        flag
        for cls in (TrainOptions, TestOptions)
        for plugin in plugins
        for flag in flags_of(compose(cls, option_classes(plugin, cls)))
    }
    known |= {
        flag for cls in (TranslateOptions, EvaluateOptions, CompareOptions, RunsOptions) for flag in flags_of(cls)
    }
    known |= ELSEWHERE | {"port", "env_path", "offline"} | HANDWRITING
    assert set(re.findall(r"(?<![\w-])--([a-z]\w*(?:-\w+)*)", TEXT[page])) <= known
    folders = "models|data|docs|util|networks|options|tests|evaluation|benchmarks|recipes"
    paths = re.findall(rf"`((?:{folders})/[\w/]+\.\w+)`", TEXT[page])
    assert all((ROOT / path).is_file() for path in paths)


@pytest.mark.parametrize("page", TEXT)
def test_a_page_speaks_of_the_project_alone(page):
    assert not re.search(r"https?://|/(?:work|tmp|root|home)\b", PAPERS_AND_CODE.sub("", TEXT[page]))
    assert all(len(line) <= 120 or line.startswith("|") for line in TEXT[page].splitlines())


def test_metrics_that_are_listed_are_those_that_a_test_takes():
    rows = TEXT["docs/evaluation.md"].split("| `--metrics` | compares | better |")[1].split("\n\n")[0].splitlines()
    listed = {name for row in rows for name in re.findall(r"`([a-z]\w*)`", row.split("|")[1] if "|" in row else "")}
    taken = {name for name in METRICS.names() if not issubclass(METRICS.find(name), CaptionedMetric)}
    assert listed == taken


# -- the example of docs/new_method.md -------------------------------------------------------------


def arguments(script, model):
    """The words of a command of docs/new_method.md."""
    for language, block in FENCE.findall(TEXT["docs/new_method.md"]):
        for line in block.replace("\\\n", " ").splitlines() if language == "bash" else ():
            words = shlex.split(line)
            if words[1] == script and words[words.index("--name") + 1] == model:
                return words[2:]
    raise AssertionError(f"no command {script} --name {model}")


@pytest.mark.slow
def test_the_example_trains_and_is_tested(workshop):
    small = [w for w in SMALL if w not in ("--netF_nc", "8", "--num_patches", "16")]
    small = [*small, "--max_dataset_size", "3", "--print_freq", "1", "--n_epochs_decay", "0"]
    assert train_script.main([*arguments("train.py", "denoise"), *small, "--n_epochs", "2"]) == 0
    records = (workshop / "checkpoints/denoise/metrics.jsonl").read_text().splitlines()
    assert len(records) == 6
    shown = TEXT["docs/new_method.md"].split("curves called ")[1].split(";")[0]
    assert {name.strip() for name in shown.split(",")} <= {*re.findall(r'"(\w+)":', records[-1])}
    assert {p.name for p in (workshop / "checkpoints/denoise").glob("latest_net_*")} == {
        f"latest_net_{name}.pth" for name in "GFD"
    }
    assert (workshop / "checkpoints/denoise/web/index.html").is_file()

    assert test_script.main([*arguments("test.py", "denoise"), "--num_test", "2", "--gpu_ids", "-1"]) == 0
    results = workshop / "results/denoise/test_latest"
    assert (results / "index.html").is_file() and (results / "metrics.json").is_file()
    assert [len(list((results / "images" / v).iterdir())) for v in ("real_A", "fake_B", "real_B")] == [2, 2, 2]
    assert "noise: 0.3" in (results / "test_opt.yaml").read_text()
    measured = [*arguments("test.py", "denoise"), "--num_test", "2", "--gpu_ids", "-1", "--metrics", "l1,contrast"]
    assert test_script.main(measured) == 0
    assert json.loads((results / "metrics.json").read_text())["contrast"]["value"] > 0

    first = [w for w in small if w not in ("--netG", "resnet_4blocks")]
    assert train_script.main([*arguments("train.py", "shallow"), *first, "--n_epochs", "1"]) == 0
    assert "netG: shallow" in (workshop / "checkpoints/shallow/train_opt.yaml").read_text()


# -- what the tables say ---------------------------------------------------------------------------


def rows(page, header):
    """The cells of the table with this first cell, as text without backquotes."""
    table = TEXT[page].split(f"\n| {header} ", 1)[1].split("\n\n", 1)[0].split("\n")[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table]


def test_models_and_datasets_are_those_there_are():
    assert sorted(row[0] for row in rows("README.md", "`--model`")) == MODELS.names()
    assert sorted(row[0] for row in rows("README.md", "`--dataset_mode`")) == DATASETS.names()
    assert sorted(row[0].split()[0] for row in rows("docs/data.md", "`--dataset_mode`")) == DATASETS.names()


def test_sizes():
    opt = train_options()
    sources = [tuple(map(int, cell.split("x"))) for cell in re.findall(r"\d+x\d+", "500x333 90x70 301x257")]
    table = rows("docs/data.md", "`--preprocess`")
    assert len(table) == 8
    for mode, *cells in table:
        for (width, height), cell in zip(sources, cells, strict=True):
            for is_train, said in zip((True, False), cell.split(" / "), strict=True):
                rng = random.Random(0) if is_train else None
                pixels = np.zeros((height, width, 3), np.uint8)
                made = transform(pixels, parse_steps(mode, is_train), opt.load_size, opt.crop_size, rng=rng)
                assert f"{made.shape[1]}x{made.shape[0]}" == said, mode


def test_characters_of_the_charsets():
    table = rows("docs/data.md", "`--charset`")
    pairs = [pair for names, counts, _ in table for pair in zip(names.split(), counts.split(), strict=True)]
    assert {name: int(count) for name, count in pairs} == {name: len(charset(name)) for name in CHARSETS}


def test_learning_rates():
    def at(epoch, policy, **more):
        opt = dict(lr_policy=policy, lr_decay_iters=5, lr_gamma=0.1, n_epochs=10, n_epochs_decay=10, total_epochs=20)
        opt |= {"max_steps": 0, "anneal_images": 0, **more}
        return lr_factor(SimpleNamespace(**opt), Progress(epoch=epoch - 1))

    assert [at(e, "linear") for e in (1, 10, 11, 21)] == pytest.approx([1, 1, 10 / 11, 0])
    assert [at(e, "step") for e in (5, 6, 11)] == pytest.approx([1, 0.1, 0.01])
    assert [at(e, "cosine") for e in (1, 11, 21)] == pytest.approx([1, 0.5, 0], abs=1e-9)
    progress = Progress()
    for _ in range(6):
        progress.watch(1.0)
    assert progress.plateau == 1
    progress.watch(1.0)
    assert progress.plateau == pytest.approx(0.2)


def test_taps():
    for names, taps, _ in rows("docs/questions.md", "`--netG`"):
        words = set(re.findall(r"\w+", taps)) - {"to"}
        for name in names.split(", "):
            size = {"size": 256, "num_downsampling": 1}
            network: Any = networks.define("G", name, input_nc=3, output_nc=3, ngf=2, **size)
            assert max(network.tap_names, key=network.tap_names.get) in words
            assert {"pixels", "down1"} <= network.tap_names.keys()
    nets: list[Any] = [
        networks.define("G", n, input_nc=3, output_nc=3, ngf=2, size=256) for n in ("unet_256", "unet_128")
    ]
    assert [net.stride for net in nets] == [256, 128]
    network = networks.define("G", "resnet_9blocks", input_nc=3, output_nc=3, ngf=2)
    assert [network.tap_names[n] for n in ("pixels", "down1", "down2", "res1", "res5")] == [0, 4, 8, 12, 16]


def test_numbers_of_the_losses():
    alike = torch.ones(1, 256, 8) / math.sqrt(8)
    assert patch_nce(alike, alike).item() == pytest.approx(math.log(256)) == pytest.approx(5.545, abs=5e-4)
    undecided = torch.full((1, 1, 4, 4), 0.5)
    assert 0.5 * gan_loss(undecided, True, "lsgan", for_D=True).item() == pytest.approx(0.125)
    assert gan_loss(undecided, True, "lsgan", for_D=False).item() == pytest.approx(0.25)


def test_defaults_and_codes_that_are_named():
    opt = train_options("--dataset_mode", "font")
    assert (opt.glyph_scale, opt.glyph_shift, opt.test_fraction, opt.crop_size) == (0.8, 0.12, 0.1, 64)
    assert (opt.input_nc, opt.output_nc, test_options().num_test) == (1, 1, 50)
    assert {"plugin_dir", "device", "gpu_ids", "num_threads", "checkpoints_dir"} <= NOT_CONTINUED
    codes = [row[0] for row in rows("docs/running.md", "code")]
    assert codes == [str(int(code)) for code in Exit]
    names = ResultNames()
    assert [names(p) for p in ("a/cat.png", "a/cat.jpg", "a/b/cat.jpg")] == ["cat", "cat_jpg", "b__cat"]


@pytest.mark.slow
def test_a_program_elsewhere_finds_the_translator(tmp_path):
    """docs/translate.md: with the checkout on its path, and not without it."""
    (tmp_path / "program.py").write_text("from translate import Translator\nprint(Translator.__name__)\n")
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for environment, code in ((without | {"PYTHONPATH": str(ROOT)}, 0), (without, 1)):
        done = subprocess.run(
            [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code and (done.stdout == "Translator\n") == (code == 0), done.stderr


# -- packages --------------------------------------------------------------------------------------


def packages():
    """{extra, "" for core: names of its packages}; ``dev`` names other extras and none of its own."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        extra: [re.match(r"[\w-]+", line)[0] for line in lines] for extra, lines in groups.items() if extra != "dev"
    }


def stated_licence(name):
    """What an installed package says of its licence, wherever it says it."""
    about = importlib.metadata.metadata(name)
    kinds = [kind for kind in about.get_all("Classifier", []) if kind.startswith("License")]
    if stated := list(filter(None, [about["License-Expression"], about["License"], *kinds])):
        return " ".join(stated)
    files = [file for file in importlib.metadata.files(name) or () if file.name.startswith("LICENSE")]
    return " ".join(file.read_text() for file in files)  # it ships its text alone


def test_every_dependency_has_a_row_and_its_own_licence():
    rows_of = {header: rows("CONTRIBUTING.md", header) for header in ("core", "extra", "tests")}
    said = {name: row for found in rows_of.values() for row in found for name in row[0].split(", ")}
    names = packages()
    assert {name for row in rows_of["core"] for name in row[0].split(", ")} == set(names[""])
    assert {name for row in rows_of["tests"] for name in row[0].split(", ")} == set(names["test"])
    assert said.keys() == {name for found in names.values() for name in found}
    for name, (_, purpose, size, licence) in said.items():
        assert purpose and float(size) > 0
        family = re.match(r"Apache|BSD|LGPL|MIT|MPL|Python Software Foundation", licence)
        assert family, licence
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # an extra that is not installed
            assert family[0] in stated_licence(name), name


def test_core_and_dev_are_locked_together_from_no_host_in_particular():
    locked = (ROOT / "requirements.lock").read_text()
    names = set(re.findall(r"^([\w-]+)==", locked, re.MULTILINE))
    wanted = packages()
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    extras = re.fullmatch(r"diptych\[(.*)\]", dev[0])[1].split(",")
    assert len(dev) == 1 and {"test", "text", "tensorboard"} <= set(extras)
    assert {name for extra in ("", *extras) for name in wanted[extra]} <= names
    assert "://" not in locked and "@" not in locked


def test_pins_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {"visdom==0.2.4", "tornado>=6.5,<6.6"} <= set(project["project"]["dependencies"])
    assert (ROOT / "build-constraints.txt").read_text().strip() == "setuptools<81"
    assert "tornado<6.6" in TEXT["README.md"] and "setuptools<82" in TEXT["README.md"]
    assert "--build-constraints build-constraints.txt" in (ROOT / "Makefile").read_text()


def test_flags_of_the_example_are_shown_by_help(workshop, capsys):
    with pytest.raises(SystemExit):
        train_options("--model", "denoise", "--plugin_dir", "lab", "--help")
    shown = capsys.readouterr().out
    assert all(re.search(rf"^{group}:", shown, re.MULTILINE) for group in ("denoise", "noisy"))
    assert "--n_dis" in shown and "--noise" in shown
