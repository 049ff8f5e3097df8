"""A user's own files: each mistake is one line that names file, class and attribute, and what they raise is theirs."""

import itertools
import re

import pytest

import test as test_script
import train as train_script
from options import UserError
from tests.conftest import small_argv

MODEL = """
import torch
from torch import nn
from models.base_model import BaseModel

class {Name}Model(BaseModel):
    visual_names = ("real_A", "fake_B")
    {body}

    def __init__(self, opt):
        super().__init__(opt)
        self.netG = nn.Conv2d(3, 3, 3, padding=1)
        if opt.is_train:
            self.add_optimizer("G", self.netG)
        {init}

    def set_input(self, input):
        self.real_A, self.real_B = input["A"], input.get("B")
        self.image_paths = input["A_paths"]
        {set_input}

    def forward(self):
        self.fake_B = self.netG(self.real_A)
        {forward}

    def optimize_parameters(self):
        self.forward()
        {step}

    def loss_terms(self):
        return {losses}
"""
DATASET = """
from pathlib import Path
import numpy, torch
from data.base_dataset import BaseDataset

class {Name}Dataset(BaseDataset):
    {body}

    def __init__(self, opt):
        {init}

    def __len__(self):
        return {length}

    def __getitem__(self, index):
        item = dict(A=torch.zeros(3, 8, 8), B=torch.zeros(3, 8, 8), A_paths=str(index), B_paths=str(index))
        {item}
        return item
"""
METRIC = """
import torch
from evaluation.metrics.base_metric import Metric

class {Name}Metric(Metric):
    against = "source"
    {body}

    def update(self, real, fake, facts=None):
        pass

    def compute(self):
        return {values}
"""
USUAL = dict(body="", init="pass", set_input="pass", forward="pass", step='self.update("G", self.loss_terms)')
USUAL |= dict(losses='{"L1": (self.fake_B - self.real_B).abs().mean()}')
numbers = itertools.count()


def plugin(folder, kind, text, **parts):
    """The name of a plugin of this text; each has its own, for modules are imported once."""
    name = f"mine{next(numbers)}"
    for part, words in (parts | {"Name": name.capitalize()}).items():
        text = text.replace(f"{{{part}}}", words)
    (folder / f"{name}_{kind}.py").write_text(text)
    return name


def trained(dataroot, folder, *more):
    once = ("--n_epochs", 1, "--n_epochs_decay", 0, "--print_freq", 1, "--plugin_dir", folder)
    argv = small_argv(dataroot, folder)
    flags = {"--dataroot", "--checkpoints_dir", "--name", "--gpu_ids", "--num_threads"}
    kept = [word for i in range(0, len(argv), 2) if argv[i] in flags for word in argv[i : i + 2]]
    return train_script.main([*kept, *map(str, once), *map(str, more)])


def shown(dataroot, folder, *more):
    argv = ["--dataroot", dataroot, "--checkpoints_dir", folder / "checkpoints", "--name", "run", "--gpu_ids", -1]
    argv += ["--results_dir", folder / "results", "--num_threads", 0, "--plugin_dir", folder, *more]
    return test_script.main([str(word) for word in argv])


def of(folder, name, kind, said):
    """A pattern: the file, the class, and what is said of it."""
    return re.escape(f"{folder / f'{name}_{kind}.py'}: {name.capitalize()}{kind.capitalize()}") + said


def test_a_list_of_paths_is_of_side_a(dataroot, tmp_path):
    name = plugin(tmp_path, "model", MODEL, **USUAL)
    assert trained(dataroot, tmp_path, "--model", name) == 0 == shown(dataroot, tmp_path, "--model", name)
    made = sorted(path.name for path in (tmp_path / "results/run/test_latest/images/fake_B").iterdir())
    assert made == ["testA_0.png", "testA_1.png", "testA_2.png"]


@pytest.mark.parametrize(
    "parts,said",
    [
        (dict(body='visual_names = "fake_B"'), r'.visual_names is the string "fake_B"'),
        (dict(body="visual_names = 3"), r".visual_names is an int; it must list names"),
        (dict(body='visual_names = ("fake_B", "gone")'), r".visual_names lists gone, which forward\(\) did not set"),
        (dict(forward="self.real_A = [self.real_A]"), r".real_A is a list; 'real_A' of visual_names must be images"),
        (dict(forward="self.real_A = self.real_A[0]"), r".real_A is a tensor of shape \(3, 256, 256\)"),
        (dict(forward="self.real_A = self.real_A.repeat(2, 1, 1, 1)"), r".visual_names lists .*real_A 2, fake_B 1"),
        (dict(losses="None"), r".loss_terms returned None; losses are a dictionary"),
        (dict(losses="self.fake_B.mean()"), r".loss_terms returned a tensor of shape \(\)"),
        (dict(losses='{"L1": self.fake_B.mean().item()}'), r".loss_terms returned a float as 'L1'"),
        (dict(losses='{"L1": "much"}'), r".loss_terms returned a str as 'L1'"),
        (dict(losses='{"L1": self.fake_B}'), r".loss_terms returned a tensor of shape .* as 'L1'.*: take its mean\(\)"),
        (dict(losses="{1: self.fake_B.mean()}"), r".loss_terms returned the name 1 of a loss"),
        (dict(losses='{"L1": self.fake_B.mean().detach()}'), r".update\('G'\) has losses that depend on no network"),
        (dict(step='self.update("X", self.loss_terms)'), r".update\('X'\) names no optimizer; .* made: G"),
        (dict(step='self.update("G", self.loss_terms())'), r".update\('G'\) was given a dict; give it the method"),
        (
            dict(step='[self.update("G", self.loss_terms) for _ in "12"]'),
            r".update\('G'\) has losses that were",
        ),
        (dict(init="self.optimizers.clear()"), r".optimizers is empty, so nothing would be learnt"),
        (dict(init="self.optimizers = []"), r".optimizers is a list"),
        (dict(init='self.optimizers["G"] = torch.optim.SGD(self.netG.parameters())'), r".optimizers has a SGD as 'G'"),
        (dict(init='self.add_optimizer("G", self.netG)'), r".add_optimizer was given weights twice for 'G'"),
        (dict(init='self.add_optimizer("X", self.netG, lr="x")'), r".add_optimizer was given lr='x'"),
        (dict(init="self.losses = ['L1']"), r".losses is a list"),
        (dict(init="self.opt = None"), r".opt is None"),
        (dict(init="self.visual_sides = ['A']"), r".visual_sides is a list"),
        (dict(body="Options = None"), r".Options is None; write @dataclass"),
        (dict(step="pass"), r".optimize_parameters never calls self.update"),
        (dict(step='self.every(0) or self.update("G", self.loss_terms)'), r".every\(0\) takes a number of steps"),
        (dict(step='self.every(2, ["L1"]) or self.update("G", self.loss_terms)'), r".every\(2, \['L1'\]\) takes"),
        (dict(losses='{"L1": self.fake_B.mean() * 1j}'), r".loss_terms returned .* as 'L1'; a loss is real"),
        (dict(body="def get_current_losses(self): return ['L1']"), r".get_current_losses returned a list"),
        (dict(body="def get_current_visuals(self): return [self.fake_B]"), r".get_current_visuals returned a list"),
        (dict(body="loss_levels = {'L1': {'chance': float('nan')}}"), r".loss_levels has .*finite numbers"),
        (
            dict(body="def meet(self, dataset): pass\n    def see_data(self, dataset): pass"),
            r".meet is called see_data now",
        ),
        (dict(init="self.add_optimizer(self.netG)"), r".add_optimizer was given a Conv2d"),
        (dict(init='self.loss_names = ["G"]'), r".loss_names is a property .*; leave it out"),
        (dict(init='self.model_names = ["G"]'), r".model_names is a property .*; leave it out"),
        (dict(init="self.netX = [self.netG]"), r".netX is a list; keep networks in torch.nn.ModuleList"),
        (dict(init="import networks; networks.define_G(3, 3, 64)"), r" asks for networks.define_G, .*self.build_G\("),
        (dict(init="self.isTrain"), r".isTrain is not here; write self.opt.is_train"),
        (dict(body="modify_commandline_options = print"), r".modify_commandline_options is never called here"),
        (dict(body="def save_files(self): pass"), r".save_files does not take .*write def save_files\(self, folder\)"),
        (dict(body="loss_levels = {'L1': 0.5}"), r".loss_levels has a float for 'L1'"),
        (dict(body="def loss_levels(self): return {}"), r".loss_levels is a method; it must be a property"),
        (dict(body="visual_sides = {'fake_B': 'C'}"), r".visual_sides has 'C' for 'fake_B'"),
        (dict(body="def losses(self): return {}"), r".losses is a method, and self.losses is the toolkit's"),
        (dict(body="tasks = {'phase': 'nosuch'}"), r".tasks says 'nosuch' of 'phase'"),
    ],
    ids=str,
)
def test_a_model_that_breaks_its_contract_is_told_in_one_line(dataroot, tmp_path, parts, said):
    name = plugin(tmp_path, "model", MODEL, **(USUAL | parts))
    with pytest.raises(UserError, match=of(tmp_path, name, "model", said)) as error:
        trained(dataroot, tmp_path, "--model", name)
    assert error.value.code == 2 and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "parts,said",
    [
        (dict(set_input="self.image_paths = None"), r".image_paths is None for side A"),
        (dict(set_input="self.image_paths = {}"), r".image_paths is empty; set_input must keep"),
        (dict(set_input="self.image_paths *= 2"), r".real_A holds 1 images, and image_paths 2 files"),
        (dict(set_input='self.image_paths = {"C": ["x"]}'), r".image_paths has a side 'C'"),
        (dict(body="visual_names = ()"), r".visual_names is empty, so there is nothing to show"),
    ],
    ids=str,
)
def test_what_only_a_test_asks_of_a_model(dataroot, tmp_path, parts, said):
    name = plugin(tmp_path, "model", MODEL, **(USUAL | parts))
    assert trained(dataroot, tmp_path, "--model", name) == 0
    with pytest.raises(UserError, match=of(tmp_path, name, "model", said)):
        shown(dataroot, tmp_path, "--model", name)


@pytest.mark.parametrize("place", ["init", "set_input", "forward", "step"])
def test_what_a_users_own_lines_raise_is_left_alone(dataroot, tmp_path, place):
    for words, kind in (("1 / 0", ZeroDivisionError), ("self.nosuch", AttributeError), ("{}['key']", KeyError)):
        name = plugin(tmp_path, "model", MODEL, **(USUAL | {place: words}))
        with pytest.raises(kind) as error:
            trained(dataroot, tmp_path, "--model", name, "--overwrite")
        assert not isinstance(error.value, UserError) and f"{name}_model.py" in str(error.getrepr())


SOUND = dict(body="", init="super().__init__(opt)", length="3", item="pass")


@pytest.mark.parametrize(
    "parts,said",
    [
        (dict(item="return [item]"), r".__getitem__ returned a list; an item is a dictionary"),
        (dict(item="return None"), r".__getitem__ returned None; an item is a dictionary"),
        (dict(item="item['A'] = numpy.zeros((3, 8, 8))"), r".__getitem__ returned a ndarray as 'A'"),
        (dict(item="item['A'] = item['A'].byte()"), r".__getitem__ returned a tensor of shape .* uint8 as 'A'"),
        (dict(item="item['A'] = item['A'][None]"), r".__getitem__ returned a tensor of shape \(1, 3, 8, 8\)"),
        (dict(item="item['A'] = item['A'] + 255"), r".__getitem__ returned an image that reaches to 255 as 'A'"),
        (dict(item="item['A_paths'] = Path('x')"), r".__getitem__ returned a PosixPath as 'A_paths'"),
        (dict(init="pass"), r".__init__ does not call super\(\).__init__\(opt\)"),
        (dict(length="3.0"), r".__len__ returned 3.0"),
        (dict(body="def order(self): return []"), r".order does not take .*write def order\(self, generator\)"),
        (dict(body="modify_commandline_options = print"), r".modify_commandline_options is never called here"),
    ],
    ids=str,
)
@pytest.mark.parametrize("workers", [0, 1])
def test_data_that_break_their_contract_are_told_in_one_line(dataroot, tmp_path, parts, said, workers):
    model = plugin(tmp_path, "model", MODEL, **USUAL)
    data = plugin(tmp_path, "dataset", DATASET, **(SOUND | parts))
    with pytest.raises(UserError, match=of(tmp_path, data, "dataset", said)):
        trained(dataroot, tmp_path, "--model", model, "--dataset_mode", data, "--num_threads", workers)


@pytest.mark.parametrize(
    "values,said",
    [
        ("None", r".compute returned None; it must return \{name: number\}"),
        ("1.0", r".compute returned a float"),
        ("{1: 1.0}", r".compute returned a dict"),
        ("{'x': torch.zeros(())}", r".compute returned a tensor of shape \(\) and float32 as 'x'"),
        ("{'x': '1'}", r".compute returned a str as 'x'"),
    ],
)
def test_metrics_that_break_their_contract_are_told_in_one_line(whole, dataroot, tmp_path, values, said):
    name = plugin(tmp_path, "metric", METRIC, body="", values=values)
    argv = ["--checkpoints_dir", whole / "checkpoints", "--metrics", name, "--num_test", 1]
    with pytest.raises(UserError, match=of(tmp_path, name, "metric", said)):
        shown(dataroot, tmp_path, *argv)


def test_a_metric_says_where_it_improves(whole, dataroot, tmp_path):
    name = plugin(tmp_path, "metric", METRIC, body="better = 'up'", values="{'x': 1.0}")
    said = r".better is 'up'; it must be one of 'lower', 'higher', 'one'"
    with pytest.raises(UserError, match=of(tmp_path, name, "metric", said)):
        shown(dataroot, tmp_path, "--checkpoints_dir", whole / "checkpoints", "--metrics", name)


def test_paths_of_a_method_that_gives_them_itself(dataroot, tmp_path):
    """What CUT's files override; a list is of side A there too."""
    name = plugin(tmp_path, "model", MODEL, **USUAL | dict(body="def get_image_paths(self): return self.image_paths"))
    assert trained(dataroot, tmp_path, "--model", name) == 0 == shown(dataroot, tmp_path, "--model", name)


def test_a_hook_that_a_mixin_writes_by_its_old_name_is_called(dataroot, tmp_path, capsys):
    text = MODEL.replace(
        "class {Name}Model(",
        "class Sees:\n    def meet(self, dataset):\n        print('met')\n\n\nclass {Name}Model(Sees, ",
    )
    name = plugin(tmp_path, "model", text, **USUAL)
    assert trained(dataroot, tmp_path, "--model", name) == 0
    told = capsys.readouterr()
    assert "met" in told.out.splitlines() and ".meet is called see_data now" in told.err
