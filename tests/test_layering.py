"""Imports point downwards, methods stay free of machinery, and every file lies where a newcomer would look."""

import ast
import re
import sys
from pathlib import Path

import pytest

from tests.writers import writers

ROOT = Path(__file__).parents[1]
OURS = ("options", "util", "networks", "data", "evaluation", "models")
MAY_IMPORT = {
    "options": {"options"},
    "networks": {"networks"},
    "util": {"options", "util"},
    "data": {"options", "util", "data"},
    "evaluation": {"options", "util", "networks", "evaluation"},
    "models": {"options", "util", "networks", "evaluation", "models"},
}
ROOMS = ("shared", "noise", "captions", "fonts", "inference")  # of models/, below its bases
MACHINERY = ("autocast", "torch.distributed", "torch.compile", ".backward(", ".cuda(", "zero_grad")
PLUGINS = {"models": "model", "data": "dataset", "evaluation/metrics": "metric"}
ALSO_THERE = {"data/image_folder.py"}  # where CycleGAN's users know it
TRAPS = {"results", "datasets", "checkpoints"}  # folders that a run makes, which no tool looks into
VALUES = {
    "glyphs",
    "digits",
    "fonts",
    "train",
    "test",
    "translate",
    "evaluate",
    "compare",
    "runs",
}  # --dataroot, scripts


def imported(path):
    """Modules that a file imports, and names that may be modules, as absolute dotted names."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{a.name}" for a in node.names if module)


def files_of(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def is_file(module):
    """Whether a dotted name is a module of ours, not a name in one."""
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def faults(files, allowed):
    """Lines for imports that ``allowed(file, module)`` denies."""
    ours = ((f, m) for f in files for m in imported(f) if m.split(".")[0] in OURS and is_file(m))
    return [f"{f.relative_to(ROOT)} imports {m}" for f, m in ours if not allowed(f, m)]


def test_relative_imports_are_read():
    found = set(imported(ROOT / "models/__init__.py"))
    assert "models.base_model" in found and "util.registry" in found


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_imports_point_downwards(layer):
    files = files_of(layer)
    assert files and not faults(files, lambda _, module: module.split(".")[0] in MAY_IMPORT[layer])


def test_evaluation_knows_no_pages():
    assert not faults(files_of("evaluation"), lambda _, module: not module.startswith("util.pages"))


def test_losses_know_nothing_of_models():
    files = files_of("models/losses")
    assert files and not faults(files, lambda _, m: not m.startswith("models") or m.startswith("models.losses"))


def test_rooms_of_models_are_below_its_bases_and_these_below_methods():
    def floor(module):
        parts = module.split(".")
        if parts[0] != "models" or len(parts) == 1:
            return 0
        return 1 if parts[1] in (*ROOMS, "losses") else 2 if parts[1].startswith("base_") else 3

    def allowed(file, module):
        own = floor(".".join(file.relative_to(ROOT).with_suffix("").parts))
        return floor(module) <= own

    files = [f for f in files_of("models") if f.name != "__init__.py" or f.parent.name != "models"]
    assert files and not faults(files, allowed)


@pytest.mark.parametrize("folder", PLUGINS)
def test_the_top_level_holds_plugins_and_their_bases(folder):
    kind = re.compile(rf"base_\w+\.py|\w+_{PLUGINS[folder]}\.py|__init__\.py")
    there = {p.relative_to(ROOT).as_posix(): p.name for p in (ROOT / folder).glob("*.py")}
    assert there and not [path for path, name in there.items() if not kind.fullmatch(name) and path not in ALSO_THERE]


def test_no_folder_has_a_name_that_hides_it():
    folders = {p.parent.relative_to(ROOT) for top in (*OURS, "tests", "benchmarks") for p in files_of(top)}
    assert not [folder for folder in folders if TRAPS & set(folder.parts)]
    assert not [folder for folder in folders if folder.parts[0] in VALUES]


def test_options_need_the_standard_library_only():
    known = set(sys.stdlib_module_names) | {"options"}
    assert not [(f.name, n) for f in files_of("options") for n in imported(f) if n.split(".")[0] not in known]


def test_networks_import_torch_only():
    allowed = {"torch", "networks", "math", "copy", "inspect", "collections", "dataclasses", "typing", "itertools"}
    allowed |= {"functools", "re"}
    assert not [(f.name, n) for f in files_of("networks") for n in imported(f) if n.split(".")[0] not in allowed]


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*_model.py")), ids=lambda p: p.name)
def test_methods_do_not_touch_the_machinery(path):
    assert path.name == "base_model.py" or not [word for word in MACHINERY if word in path.read_text()]


# What is read from disk, or from a server, has one way in for each kind, which is total.
DECODERS = {
    "json.load": {"util/reading/json_file.py"},
    "yaml.load": {"util/reading/yaml_file.py"},
    "yaml.safe_load": set(),
    "yaml.full_load": set(),
    "torch.load": {"util/reading/weights.py"},
    "torch.jit.load": set(),
    "np.load": {"util/reading/pixels.py"},
    "pickle.load": set(),
    "pickle.Unpickler": set(),
    "loadmat": {"util/reading/matlab.py"},
    "tifffile.TiffFile": {"util/reading/tiff.py"},
    "dcmread": {"util/reading/science.py"},
    "zipfile.ZipFile": {
        "util/reading/torch_file.py",
        "util/reading/npz.py",
        "evaluation/extractors/inception.py",
        "util/reading/packs.py",
    },  # the latter reads names alone
    "tarfile": {"benchmarks/beyond.py"},  # which makes some
    "h5py": {"util/reading/hdf5.py"},
    "gzip.decompress": set(),
    "zlib.decompress": set(),
    "gzip.open": {"data/pictures/archives.py"},
    "fromfile": set(),
    "ElementTree": set(),
    "urlopen": set(),
}


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_is_read_has_one_way_in(decoder):
    word = re.compile(rf"\b{re.escape(decoder)}(s|_all)?\b")
    files = [f for top in (*OURS, "benchmarks") for f in files_of(top)] + sorted(ROOT.glob("*.py"))
    lines = ((f, line.partition("  # ")[0]) for f in files for line in f.read_text(encoding="utf-8").splitlines())
    found = {f.relative_to(ROOT).as_posix() for f, line in lines if word.search(line) and "``" not in line}
    assert found <= DECODERS[decoder], found


# What is written goes through util/writing.py. These calls do not, and why:
ROOT_OF_A_RUN = "the folder of a run itself, which may be a link"
PROBE = "a fresh name, exclusively, gone at once"
MADE_UP = "pictures in a temporary folder"
OURS_TO_SAVE = "of ours: saves through util/writing.py"
WRITES = {
    "util/writing.py": {
        **dict.fromkeys(("os.link", "os.mkdir", "os.replace", "shutil.rmtree"), "the one way"),
        **dict.fromkeys(("root.mkdir", "path.parent.mkdir"), "folders that are named, through links or not"),
    },
    "util/claim.py": {"os.open": PROBE},
    "util/storage.py": {"os.open": PROBE},
    "util/reading/item.py": {"tempfile.TemporaryDirectory": "a fresh folder, gone at once"},
    "util/cli.py": {"os.open": "/dev/null, in place of a pipe that is closed"},
    "util/training/checkpoint.py": {"run.mkdir": ROOT_OF_A_RUN},
    "util/training/run_folder.py": {"path.mkdir": ROOT_OF_A_RUN, "shutil.rmtree": "it follows no link"},
    "util/visualizer.py": {"run.mkdir": ROOT_OF_A_RUN},
    "util/training/sinks.py": {"SummaryWriter": "in a folder that is no link, under a name that is drawn"},
    "util/training/visdom.py": {"self._client.save": "the server writes, not this process"},
    "util/visdom_server.py": {"env_path.mkdir": "what visdom's server writes, where its user told it to"},
    "models/captions/cache.py": dict.fromkeys(
        ("self.path.parent.mkdir", "sqlite3.connect"), "sqlite writes by path; it is no link, which is looked at first"
    ),
    "models/zi2zi_model.py": {"font_results.write_text": OURS_TO_SAVE},
    "models/noise/results.py": {"Album(model, dataset, chosen).save": OURS_TO_SAVE},
    "models/captions/results.py": {"CaptionAlbum(model, dataset, notes, data, clip).save": OURS_TO_SAVE},
    "data/unaligned_dataset.py": {"held_out.save": OURS_TO_SAVE},
    "util/pages/results.py": {"self.save": OURS_TO_SAVE},
    "test.py": {"results.save": OURS_TO_SAVE},
    "train.py": {"checkpoint.save": OURS_TO_SAVE},
    "evaluation/records.py": {"checkpoint.save": OURS_TO_SAVE},
    "util/training/ending.py": {"checkpoint.save": OURS_TO_SAVE},
    "benchmarks/word_memory.py": {"Path('/proc/self/clear_refs').write_text": "asks the kernel to count anew"},
    "benchmarks/data.py": {
        "tempfile.TemporaryDirectory": MADE_UP,
        "(root / f'train{side}').mkdir": MADE_UP,
        "Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save": MADE_UP,
    },
    "benchmarks/beyond.py": {
        "tempfile.TemporaryDirectory": MADE_UP,
        "into.mkdir": MADE_UP,
        "tarfile.open": MADE_UP,
        "open": MADE_UP,
    },
    "benchmarks/gpu.py": {
        "tempfile.TemporaryDirectory": MADE_UP,
        "(folder / name).mkdir": MADE_UP,
        "Image.fromarray(pixels).resize((160, 160)).save": MADE_UP,
    },
}
ALL = [f for top in (*OURS, "benchmarks") for f in files_of(top)] + sorted(ROOT.glob("*.py"))


def test_what_is_written_has_one_way():
    found = {f.relative_to(ROOT).as_posix(): {call for _, call in writers(f.read_text(encoding="utf-8"))} for f in ALL}
    assert {file: calls for file, calls in found.items() if calls} == {
        file: set(calls) for file, calls in WRITES.items()
    }


@pytest.mark.parametrize(
    "text",
    [
        *('open(p, "w")', 'open(p, mode="ab")', 'p.open("x")', 'open(p, "r+")', "p.open(mode)", 'io.open(p, "wt")'),
        *('gzip.open(p, "wb")', 'zipfile.ZipFile(p, "w")', "os.open(p, os.O_WRONLY | os.O_CREAT)", 'p.write_text("")'),
        *(
            'p.write_bytes(b"")',
            "np.save(p, x)",
            "np.savez(p, x=x)",
            "torch.save(x, p)",
            "image.save(p)",
            "font.save(p)",
        ),
        *(
            'image.save(p, "PNG")',
            "plt.savefig(p)",
            "tifffile.imwrite(p, x)",
            "shutil.copyfile(a, b)",
            "shutil.move(a, b)",
        ),
        *(
            "shutil.copytree(a, b)",
            "os.replace(a, b)",
            "os.rename(a, b)",
            "a.rename(b)",
            "a.replace(b)",
            "os.link(a, b)",
        ),
        *("os.symlink(a, b)", "a.symlink_to(b)", "a.hardlink_to(b)", "p.mkdir()", "os.makedirs(p)", "x.tofile(p)"),
        *("logging.FileHandler(p)", "SummaryWriter(p)", "tempfile.mkdtemp()", "sqlite3.connect(p)", "np.memmap(p)"),
        *("pickle.dump(x, p)", "archive.extractall(p)", "shutil.rmtree(p)", "yaml.safe_dump(x); p.touch()"),
    ],
)
def test_a_call_that_writes_by_a_path_is_found(text):
    assert len(list(writers(text))) == 1


def test_what_writes_through_the_one_way_or_into_memory_is_not():
    text = """
with new_file(path) as file:
    np.savez(file, x=x)
    image.save(file, "PNG")
buffer = io.BytesIO()
torch.save(x, buffer)
open(path), path.open("rb"), Image.open(path, "r"), path.open(encoding="utf-8"), zipfile.ZipFile(path)
"a".replace("a", "b"), dataclasses.replace(x, a=1), here.rename(a, b, there), page.save(), os.open(path, os.O_RDONLY)
"""
    assert not list(writers(text))
