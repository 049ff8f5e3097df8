"""Flags, their defaults, and what is said about mistakes."""

import copy
import dataclasses
import pickle
import re
from types import SimpleNamespace

import pytest

from options import BaseOptions, TestOptions, TrainOptions, UserError, default, option
from options.fields import Usual, flags_of
from options.parsing import as_dict, compose, parse, table
from tests.conftest import PLUGINS, test_options, train_options
from util.config import read_config, save_options, saved_options


def message(*argv):
    with pytest.raises(UserError) as caught:
        train_options(*argv)
    assert caught.value.code == 2 and "\n" not in str(caught.value)
    return str(caught.value)


# Name and default of every base, train and test option of CUT and DCLGAN.
BASE = dict(
    dataroot="placeholder",
    name="experiment_name",
    easy_label="experiment_name",
    gpu_ids="0",
    checkpoints_dir="./checkpoints",
    model="cut",
    input_nc=3,
    output_nc=3,
    ngf=64,
    ndf=64,
    netD="basic",
    netG="resnet_9blocks",
    n_layers_D=3,
    normG="instance",
    normD="instance",
    init_type="xavier",
    init_gain=0.02,
    no_dropout=True,
    no_antialias=False,
    no_antialias_up=False,
    dataset_mode="unaligned",
    direction="AtoB",
    serial_batches=False,
    num_threads=4,
    batch_size=1,
    load_size=286,
    crop_size=256,
    max_dataset_size=None,
    no_flip=False,
    display_winsize=256,
    random_scale_max=3.0,
    epoch="latest",
    verbose=False,
    suffix="",
    stylegan2_G_num_downsampling=1,
)
TRAIN = dict(
    display_freq=400,
    display_ncols=4,
    display_id=None,
    display_server="http://localhost",
    display_env="main",
    display_port=8097,
    update_html_freq=1000,
    print_freq=100,
    no_html=False,
    save_latest_freq=5000,
    save_epoch_freq=5,
    evaluation_freq=5000,
    save_by_iter=False,
    continue_train=False,
    epoch_count=1,
    phase="train",
    pretrained_name=None,
    n_epochs=200,
    n_epochs_decay=200,
    beta1=0.5,
    beta2=0.999,
    lr=2e-4,
    gan_mode="lsgan",
    lr_policy="linear",
    lr_decay_iters=50,
    preprocess="auto",
)
TEST = dict(results_dir="./results/", phase="test", eval=False, num_test=50)
CUT = dict(
    CUT_mode="CUT",
    lambda_GAN=1.0,
    lambda_NCE=1.0,
    nce_idt=True,
    nce_layers=("0", "4", "8", "12", "16"),
    nce_includes_all_negatives_from_minibatch=False,
    netF="mlp_sample",
    netF_nc=256,
    nce_T=0.07,
    num_patches=256,
    flip_equivariance=False,
    pool_size=0,
)


@pytest.mark.slow
@pytest.mark.parametrize("name,value", (BASE | TRAIN | CUT).items(), ids=str)
def test_published_flags_of_training(name, value):
    assert getattr(train_options(), name) == value


@pytest.mark.parametrize("name,value", (BASE | TEST | CUT).items(), ids=str)
def test_published_flags_of_testing(name, value):
    if name != "pool_size":
        assert getattr(test_options(), name) == value


def test_fastcut_three_ways_is_the_same_method():
    model, mode = train_options("--model", "fastcut"), train_options("--CUT_mode", "FastCUT")
    for opt in (model, mode):
        assert (opt.nce_idt, opt.lambda_NCE, opt.flip_equivariance, opt.n_epochs, opt.n_epochs_decay) == (
            False,
            10,
            True,
            150,
            50,
        )
    assert train_options("--CUT_mode", "FastCUT", "--lambda_NCE", "3").lambda_NCE == 3  # a flag wins over a preset


@pytest.mark.parametrize(
    "words,value", [(["--nce_idt", "False"], False), (["--nce_idt"], True), (["--nce_idt", "true"], True)]
)
def test_flags_of_yes_and_no(words, value):
    assert train_options(*words).nce_idt is value


def test_lists_take_commas_or_spaces():
    assert (
        train_options("--nce_layers", "0,4,8").nce_layers
        == train_options("--nce_layers", "0", "4,8").nce_layers
        == ("0", "4", "8")
    )


@pytest.mark.parametrize(
    "argv,expected",
    [
        (["--lambda_NCEE", "3"], "did you mean --lambda_NCE?"),
        (["--lambda_nce", "3"], "did you mean --lambda_NCE?"),  # rather than lambda_SIM or nce_T, which are as near
        (["--Batch-Size", "3"], "did you mean --batch_size?"),
        (["--model", "dclgan"], "it is --model dcl here"),
        (["--model", "CycleGAN"], "it is --model cycle_gan here"),
        (["--model", "CUT"], "did you mean cut?"),
        (["--model", "test"], "python translate.py --checkpoint"),
        (["--netG", "resnet_cat"], "it fails there: it asks for an option that none has; choose from"),
        (["--lambda_N", "3"], "no option --lambda_N"),  # no abbreviations
        (["--lr", "fast"], "--lr fast: expected a number"),
        (["--lr", "nan"], "--lr nan: not a number"),
        (["--lr", "-1"], "--lr -1: must be at least 0"),
        (["--batch_size", "0"], "--batch_size 0: must be at least 1"),
        (["--batch_size", "2.5"], "--batch_size 2.5: expected a whole number"),
        (["--nce_T", "0"], "--nce_T 0: must be greater than 0"),
        (["--netG", "resnet_9block"], "did you mean resnet_9blocks?"),
        (["--CUT_mode", "cu"], "choose from CUT, FastCUT"),
        (["--lr_policy", "bogus"], "choose from linear, step, plateau, cosine"),
        (["--lr_policy", "plateau"], "--plateau_metric"),
        (["--lr_gamma", "2"], "--lr_gamma 2.0: must be at most 1"),
        (["--lr_min", "1e-3"], "--lr_min 0.001: must be at most --lr 0.0002"),
        (["--sn_D", "perhaps"], "--sn_D perhaps: expected true or false"),
        (["--lr_D", "slow"], "--lr_D slow: expected a number or none"),
        (["--model", "nosuch"], "no model named 'nosuch'"),
        (["--model", "fastcutt"], "did you mean fastcut?"),
        (["--model", "../x"], "cannot be the name of a model"),
        (["--model", "__init__"], "cannot be the name of a model"),
        (["--dataset_mode", "unalined"], "did you mean unaligned?"),
        (["--charset", "latin"], "it belongs to --dataset_mode font"),
        (["--name", "../../etc/x"], "--name"),
        (["--name", "a/b"], "--name"),
        (["--name", ""], "--name"),
        (["--name", "x" * 300], "--name"),
        (["--name", "CON"], "--name"),
        (["--suffix", "{model.__class__}"], "no option named 'model.__class__'"),
        (["--suffix", "{modle}"], "did you mean model?"),
        (["--suffix", "{model"], "--suffix"),
        (["--config", "nosuch.yaml"], "--config nosuch.yaml: No such file"),
        (["--input_nc", "1"], "both must be equal"),
        (["stray"], "'stray' is not a flag"),
        (["--continue_train", "--overwrite"], "contradict"),
        (["--plugin_dir", "nosuch"], "--plugin_dir nosuch: no such folder"),
    ],
)
def test_mistakes_are_named_in_one_line(argv, expected):
    assert expected in message(*argv)


def test_help_shows_the_flags_of_the_model_with_their_true_defaults(capsys):
    with pytest.raises(SystemExit) as done:
        train_options("--model", "fastcut", "--help", "all")
    text = " ".join(capsys.readouterr().out.split())
    assert done.value.code == 0
    for part in (
        "CUT: --CUT_mode",
        "weight of PatchNCE (default: 10.0)",
        "training: --",
        "(default: 150)",
        "translation networks:",
        "data:",
    ):
        assert part in text
    assert "lambda_SIM" not in text


TEN = {"dataroot", "name", "model", "dataset_mode", "batch_size", "gpu_ids", "crop_size"}
TEN |= {"n_epochs", "n_epochs_decay", "continue_train"}


@pytest.mark.parametrize(
    "words,own",
    [
        (["--model", "fastcut"], {"CUT_mode", "lambda_NCE", "nce_layers", "lambda_IDT"}),
        (["--model", "cycle_gan"], {"lambda_A", "lambda_B", "lambda_identity"}),
        (["--model", "contragan"], {"preset", "contra_form", "tau", "fake_labels"}),
        (["--model", "zi2zi"], {"source_font", "target_font", "lambda_L1"}),
    ],
)
def test_the_short_help_has_the_flags_that_matter_and_the_methods_own(words, own, capsys):
    with pytest.raises(SystemExit) as done:
        train_options(*words, "-h")
    short = capsys.readouterr().out
    assert done.value.code == 0
    shown = set(re.findall(r"^  --(\w+)", short, re.MULTILINE))
    assert shown >= {*TEN, *own} and not shown & {"seed", "no_flip", "ndf", "beta1", "display_port", "normD"}
    with pytest.raises(SystemExit):
        train_options(*words, "--help", "all")
    every = set(re.findall(r"^  --(\w+)", capsys.readouterr().out, re.MULTILINE))
    assert f"{len(every) - len(shown)} more flags: --help all" in short and every > {"seed", *shown}


def test_the_short_help_of_a_test(capsys):
    with pytest.raises(SystemExit):
        test_options("--model", "cut", "--help")
    shown = re.findall(r"^  --(\w+)", capsys.readouterr().out, re.MULTILINE)
    assert {"name", "results_dir", "num_test", "metrics"} <= set(shown) and "n_epochs" not in shown


def test_configuration_files(tmp_path):
    (tmp_path / "a.yaml").write_text("lr: 1e-4\nlambda_NCE: 2\nnce_layers: [0, 4]\nnce_idt: false\nmodel: fastcut\n")
    (tmp_path / "b.yaml").write_text("lr: 5e-4\n")
    opt = train_options("--config", tmp_path / "a.yaml", tmp_path / "b.yaml", "--lambda_NCE", "4")
    assert (opt.lr, opt.lambda_NCE, opt.nce_layers, opt.nce_idt, opt.model) == (5e-4, 4, ("0", "4"), False, "fastcut")
    for text, part in (
        ("lrr: 1", "a.yaml: no option 'lrr'; did you mean lr?"),
        ("lr: fast", "a.yaml: --lr fast"),
        ("- lr", "option: value"),
        ("lr: 1\nlr: 2", "given twice"),
        ("train: {lr: 1}", "top level"),
        ("x: !!python/object/apply:os.getcwd []", "a.yaml"),
        ("charset: latin", "it belongs to --dataset_mode font"),
    ):
        (tmp_path / "a.yaml").write_text(text)
        assert part in message("--config", tmp_path / "a.yaml")


def test_options_survive_a_file(tmp_path):
    opt = train_options("--nce_layers", "res1", "--lr", "1e-4", "--suffix", "{model}_{ngf}", "--name", "x")
    assert opt.name == "x_cut_64"
    save_options(opt, tmp_path, "train")
    again = train_options("--config", tmp_path / "train_opt.yaml")
    assert as_dict(again) | {"config": []} == as_dict(opt)
    assert "lr: 0.0001" in (tmp_path / "train_opt.txt").read_text() and "[default: 0.0002]" in table(opt)


def test_an_interval_is_told_or_usual_and_a_file_keeps_what_was_told(tmp_path):
    opt = train_options("--print_freq", 100, "--model", "contragan")
    assert type(opt.print_freq) is int and isinstance(opt.display_freq, Usual) and opt.display_freq == 12800
    assert type(as_dict(opt)["display_freq"]) is int
    save_options(opt, tmp_path, "train")
    again = train_options("--config", tmp_path / "train_opt.yaml")
    assert type(again.print_freq) is int and isinstance(again.display_freq, Usual)
    assert isinstance(pickle.loads(pickle.dumps(opt)).display_freq, Usual)


def test_the_short_table_has_what_differs():
    opt = train_options("--lr", "1e-4", "--name", "x")
    lines = table(opt, whole=False).splitlines()
    assert len(lines) == 5 and "lr: 0.0001" in lines[1] and "name: x" in lines[2] and "--verbose" in lines[3]
    assert lines[3].startswith(f"{len(flags_of(type(opt))) - 2} others") and len(table(opt).splitlines()) > 100


def test_a_test_takes_what_the_run_is_and_not_how_it_was_carried_out(tmp_path):
    trained = train_options(
        "--model",
        "fastcut",
        "--ngf",
        "8",
        "--batch_size",
        "4",
        "--preprocess",
        "crop",
        "--name",
        "x",
        "--dataroot",
        "here",
        "--checkpoints_dir",
        tmp_path,
    )
    (tmp_path / "x").mkdir()
    save_options(trained, tmp_path / "x", "train")
    opt = test_options("--name", "x", "--checkpoints_dir", tmp_path)
    assert (opt.model, opt.ngf, opt.dataroot) == ("fastcut", 8, "here")
    assert (opt.batch_size, opt.preprocess) == (1, "auto")
    assert test_options("--name", "x", "--checkpoints_dir", tmp_path, "--ngf", "16").ngf == 16
    again = train_options("--name", "x", "--checkpoints_dir", tmp_path, "--continue_train", "--lr", "1e-5")
    assert (again.batch_size, again.preprocess, again.model, again.lr, again.continue_train) == (
        4,
        "crop",
        "fastcut",
        1e-5,
        True,
    )
    assert train_options("--name", "x", "--checkpoints_dir", tmp_path).ngf == 64  # a new run is new


@pytest.mark.parametrize(
    ("kept", "told", "found"),
    [
        (("--dataroot", "d"), ("--A", "a", "--B", "b"), ("placeholder", "a", "b")),
        (("--A", "a", "--B", "b"), ("--dataroot", "d"), ("d", None, None)),
        (("--A", "a", "--B", "b"), ("--A", "c"), ("placeholder", "c", "b")),
        (("--A", "a", "--B", "b"), (), ("placeholder", "a", "b")),
    ],
)
def test_what_is_told_silences_what_a_run_or_a_file_says_in_another_way(tmp_path, kept, told, found):
    (tmp_path / "x").mkdir()
    place = ("--name", "x", "--checkpoints_dir", tmp_path)
    save_options(train_options(*place, *kept), tmp_path / "x", "train")
    of_file = train_options("--config", tmp_path / "x" / "train_opt.yaml", *told)
    for opt in (test_options(*place, *told), of_file):
        assert (opt.dataroot, opt.A, opt.B) == found


def test_where_plugins_disagree_the_dataset_wins_over_the_model_and_a_flag_over_both():
    class Model:
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Options(BaseOptions):
            width: int = option(1, "width")
            input_nc: int = default(2)
            output_nc: int = default(2)

    class Data:
        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Options(BaseOptions):
            input_nc: int = default(1)

    opt = compose(TrainOptions, [Model.Options, Data.Options])()
    assert (opt.width, opt.input_nc, opt.output_nc, opt.lr) == (1, 1, 2, 2e-4)
    assert isinstance(opt, Model.Options) and isinstance(opt, Data.Options) and isinstance(opt, TrainOptions)
    with pytest.raises(dataclasses.FrozenInstanceError):
        opt.lr = 1


def test_options_travel_to_other_processes():
    """Their class is composed and has no name of its own that pickle could look up."""
    for opt in (train_options("--model", "zi2zi", "--charset", "ascii"), test_options("--model", "cut", "--seed", 3)):
        sent = pickle.loads(pickle.dumps(opt))
        assert sent == opt and type(sent) is type(opt) and copy.deepcopy(opt) == opt
        assert dataclasses.replace(sent, seed=5).seed == 5 and sent.is_train is opt.is_train


class Wide:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        norm: str = option("instance", "norm", choices=("instance", "batch", "none"))
        bound: bool = option(False, "bound", presets={False: {}, True: {"norm": "none"}})


class Narrow:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Options(Wide.Options):
        style: str = option(
            "own",
            "style",
            presets={"own": {}, "old": {"norm": "batch"}, "new": {"bound": True}, "both": {"kind": "thin"}},
        )
        kind: str = option("thick", "kind", presets={"thick": {}, "thin": {"norm": "batch"}})


@pytest.mark.parametrize(
    "argv,norm",
    [
        ("", "instance"),
        ("--bound", "none"),
        ("--bound false", "instance"),
        ("--bound --norm batch", "batch"),
        ("--style old", "batch"),
        ("--style old --bound", "none"),  # the narrower switch
        ("--style new", "none"),  # a preset throws it
        ("--style new --bound false", "instance"),
        ("--style new --norm batch", "batch"),
        ("--style both", "batch"),  # and one below in its own class
        ("--style both --kind thick", "instance"),
    ],
)
def test_a_preset_may_set_options_that_have_presets(argv, norm):
    plugin = SimpleNamespace(find=lambda name, folder: Narrow)
    assert parse(TrainOptions, {"model": plugin}, argv.split()).norm == norm


def test_help_of_a_switch_with_presets_is_that_of_a_switch(capsys):
    with pytest.raises(SystemExit):
        train_options("--sn_D", "--help", "all")
    text = " ".join(capsys.readouterr().out.split())
    assert re.search(r"--sn_D \[SN_D\] spectral norm [^{}]* \(default: True\)", text)
    assert "{instance, batch, none} (default: none)" in text


def test_a_default_for_an_option_that_this_kind_of_run_lacks_is_no_flag():
    fastcut = PLUGINS["model"].find("fastcut").Options
    assert "n_epochs" in flags_of(compose(TrainOptions, [fastcut])) and "n_epochs" not in flags_of(
        compose(TestOptions, [fastcut])
    )


@pytest.mark.slow
def test_every_flag_has_a_line_of_help():
    for name in PLUGINS["model"].names():
        for kind in (TrainOptions, TestOptions):
            for flag in flags_of(compose(kind, [PLUGINS["model"].find(name).Options])).values():
                assert 10 < len(flag.metadata["help"]) < 110, flag.name


def test_parsing_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_options()
    parse(TrainOptions, PLUGINS, [], read_config, saved_options)
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_a_run_never_name_code_to_run(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/train_opt.yaml").write_text("model: antigravity.payload_model\nplugin_dir: here\n")
    with pytest.raises(UserError, match="give --model to allow it"):
        test_options("--name", "x", "--checkpoints_dir", tmp_path)
    assert test_options("--name", "x", "--checkpoints_dir", tmp_path, "--model", "cut").plugin_dir is None


@pytest.mark.parametrize("flag,value", [("extractor", "module:eyes.py:Eyes"), ("eval_metrics", ["l1", "lab.mine"])])
def test_a_runs_file_names_no_code_for_evaluations(tmp_path, flag, value):
    words = ["--checkpoints_dir", str(tmp_path), "--name", "run", "--continue_train"]
    (tmp_path / "run").mkdir()
    saved = {"eval_freq": 5, "eval_metrics": ["fid"], flag: value}
    (tmp_path / "run/train_opt.yaml").write_text("".join(f"{k}: {v}\n" for k, v in saved.items()))

    def continued(*more):
        return parse(TrainOptions, PLUGINS, [*words, *more], read_config, saved_options)

    with pytest.raises(UserError, match=rf"{flag} is .*, a module of its own; give --{flag} to allow it"):
        continued()
    told = ",".join(value) if isinstance(value, list) else value
    assert as_dict(continued(f"--{flag}", told))[flag] == value
    (tmp_path / "run/train_opt.yaml").write_text("eval_freq: 5\neval_metrics: [fid]\nextractor: domain:eyes\n")
    assert continued().extractor == "domain:eyes"


def test_values_that_begin_with_a_minus_are_no_flags():
    for words in (["--value_range", "-1000,3000"], ["--value_range=-1000,3000"], ["--value_range", "-1000", "3000"]):
        assert parse(TrainOptions, PLUGINS, words).value_range == (-1000, 3000)
    opt = parse(TrainOptions, PLUGINS, ["--value_range", "-.5,-1e-3", "--gpu_ids", "-1", "--name", "x"])
    assert opt.value_range == (-0.5, -0.001) and opt.gpu_ids == "-1" and opt.name == "x"
    with pytest.raises(UserError, match="'-5' is not a flag"):
        parse(TrainOptions, PLUGINS, ["--name", "x", "-5"])
