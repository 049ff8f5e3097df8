"""Every published flag is taken by train.py or test.py, with the published default; the exceptions are named here.

Source: the options and models of taesungp/contrastive-unpaired-translation and JunlinHan/DCLGAN.
"""

import shlex

import pytest

from options.fields import idle
from tests.conftest import test_options, train_options

NCE = dict(
    lambda_GAN=1.0,
    nce_idt=True,
    nce_includes_all_negatives_from_minibatch=False,
    netF="mlp_sample",
    netF_nc=256,
    nce_T=0.07,
    num_patches=256,
    flip_equivariance=False,
    pool_size=0,
)
DUAL = NCE | dict(DCL_mode="DCL")
LAYERS, DEEPER = ("0", "4", "8", "12", "16"), ("4", "8", "12", "16")
FASTER = dict(nce_idt=False, lambda_NCE=10.0, flip_equivariance=True, n_epochs=150, n_epochs_decay=50)
OF_DCLGAN = dict(gan_mode="hinge", save_epoch_freq=50)

# {what the command says: the defaults that model has in train.py, where it is published}
TRAINING = {
    "--model cut": NCE | dict(CUT_mode="CUT", lambda_NCE=1.0, nce_layers=LAYERS, gan_mode="lsgan", save_epoch_freq=5),
    "--model cut --CUT_mode FastCUT": NCE | FASTER | dict(CUT_mode="FastCUT", nce_layers=LAYERS),
    "--model fastcut": NCE | FASTER | dict(nce_layers=LAYERS, lambda_IDT=10.0) | OF_DCLGAN,
    "--model sincut": NCE
    | dict(
        nce_includes_all_negatives_from_minibatch=True,
        dataset_mode="singleimage",
        netG="stylegan2",
        stylegan2_G_num_downsampling=1,
        netD="stylegan2",
        gan_mode="nonsaturating",
        num_patches=1,
        nce_layers=("0", "2", "4"),
        lambda_NCE=4.0,
        lambda_R1=1.0,
        lambda_identity=1.0,
        ngf=10,
        ndf=8,
        lr=0.002,
        beta1=0.0,
        beta2=0.99,
        load_size=1024,
        crop_size=64,
        preprocess="zoom_and_patch",
        batch_size=16,
        save_epoch_freq=1,
        save_latest_freq=20000,
        n_epochs=8,
        n_epochs_decay=8,
    ),
    "--model cycle_gan": dict(lambda_A=10.0, lambda_B=10.0, lambda_identity=0.5, pool_size=50) | OF_DCLGAN,
    "--model dcl": DUAL | dict(lambda_NCE=2.0, lambda_IDT=1.0, nce_layers=DEEPER) | OF_DCLGAN,
    "--model simdcl": DUAL | dict(DCL_mode="SIM", lambda_NCE=2.0, lambda_SIM=10.0, nce_layers=DEEPER) | OF_DCLGAN,
}
TESTING = {
    "--model cut": dict(CUT_mode="CUT", num_test=50, load_size=256),
    "--model sincut": dict(preprocess="none", batch_size=1, num_test=1),
    "--model cycle_gan": dict(num_test=5000),
    "--model dcl": dict(nce_layers=DEEPER, num_test=5000),
    "--model simdcl": dict(nce_layers=DEEPER, num_test=5000),
}
# Where this toolkit does otherwise: {(script, command, flag): (its default, why)}.
OTHERWISE = {
    ("train", "--model fastcut", "gan_mode"): ("lsgan", "one CUT for both repositories: that of its authors"),
    ("train", "--model fastcut", "save_epoch_freq"): (5, "likewise"),
    ("train", "--model sincut", "nce_includes_all_negatives_from_minibatch"): (
        False,
        "--negatives minibatch says the same",
    ),
    ("test", "--model cut", "load_size"): (286, "a test does not resize unless told to"),
}
# Flags without a model, as words; train.py takes TRAIN and BOTH, test.py takes TEST and BOTH.
BOTH = shlex.split("""--dataroot . --name n --easy_label experiment_name --gpu_ids 0 --checkpoints_dir ./checkpoints
--model cut --input_nc 3 --output_nc 3 --ngf 64 --ndf 64 --netD basic --netG resnet_9blocks
--n_layers_D 3 --normG instance
--normD instance --init_type xavier --init_gain 0.02 --no_dropout True --no_antialias --no_antialias_up
--dataset_mode unaligned --direction AtoB --serial_batches --num_threads 4 --batch_size 1 --load_size 286
--crop_size 256 --max_dataset_size 10 --preprocess resize_and_crop --no_flip --display_winsize 256
--random_scale_max 3.0 --epoch latest --verbose --suffix {model} --stylegan2_G_num_downsampling 1
--CUT_mode CUT --lambda_GAN 1.0 --lambda_NCE 1.0 --nce_idt True --nce_layers 0,4,8,12,16
--nce_includes_all_negatives_from_minibatch False --netF mlp_sample --netF_nc 256 --nce_T 0.07 --num_patches 256
--flip_equivariance False""")
TRAIN = shlex.split("""--display_freq 400 --display_ncols 4 --display_id 1 --display_server http://localhost
--display_env main --display_port 8097 --update_html_freq 1000 --print_freq 100 --no_html --save_latest_freq 5000
--save_epoch_freq 5 --evaluation_freq 5000 --save_by_iter --continue_train --epoch_count 1 --phase train
--pretrained_name other --n_epochs 200 --n_epochs_decay 200 --beta1 0.5 --beta2 0.999 --lr 0.0002
--gan_mode lsgan --pool_size 50 --lr_policy linear --lr_decay_iters 50""")
TEST = shlex.split("--results_dir ./results/ --phase test --eval --num_test 50")
CHOICES = {
    "netG": "resnet_9blocks resnet_6blocks unet_256 unet_128 stylegan2 smallstylegan2",
    "netD": "basic n_layers pixel stylegan2 tilestylegan2",
    "netF": "sample reshape mlp_sample",
    "gan_mode": "vanilla lsgan wgangp nonsaturating hinge",
    "lr_policy": "linear step cosine",
    "init_type": "normal xavier kaiming orthogonal",
    "normG": "instance batch none",
    "normD": "instance batch none",
    "direction": "AtoB BtoA",
    "CUT_mode": "CUT cut FastCUT fastcut",
    "preprocess": "resize_and_crop crop scale_width scale_width_and_crop scale_shortside scale_shortside_and_crop "
    "resize trim none zoom_and_crop scale_shortside_and_zoom_and_crop",
}


def cases(table):
    for command, defaults in table.items():
        for name, value in defaults.items():
            yield pytest.param(command, name, value, id=f"{command} {name}")


def check(script, parse, command, name, value):
    found = getattr(parse(*command.split()), name)
    expected, why = OTHERWISE.get((script, command, name), (value, ""))
    assert found == expected, why
    assert (expected != value) == bool(why), "no exception any more: take it off the list"


@pytest.mark.slow
@pytest.mark.parametrize("command,name,value", cases(TRAINING))
def test_defaults_of_training(command, name, value):
    check("train", train_options, command, name, value)


@pytest.mark.parametrize("command,name,value", cases(TESTING))
def test_defaults_of_testing(command, name, value):
    check("test", test_options, command, name, value)


def test_every_flag_is_taken_in_the_published_words():
    opt = train_options(*[w for w in [*BOTH, *TRAIN] if w != "--continue_train"])
    assert (opt.name, opt.no_flip, opt.nce_layers) == ("n_cut", True, ("0", "4", "8", "12", "16"))
    assert opt.no_dropout and opt.nce_idt and not opt.flip_equivariance and opt.max_dataset_size == 10
    opt = test_options(*BOTH, *TEST)
    assert opt.eval and opt.num_test == 50


@pytest.mark.parametrize("name,value", [(name, value) for name, values in CHOICES.items() for value in values.split()])
def test_every_choice_is_taken(name, value):
    assert getattr(train_options(f"--{name}", value), name).lower() == value.lower()


def test_the_help_of_a_model_has_its_published_flags(capsys):
    for command, defaults in TRAINING.items():
        with pytest.raises(SystemExit):
            train_options(*command.split(), "--help", "all")
        shown = capsys.readouterr().out
        assert all(f"--{name}" in shown for name in defaults), command


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--evaluation_freq", 100), "--evaluation_freq 100: nothing reads it; --eval_freq evaluates"),
        (("--lambda_IDT", 1), "--lambda_IDT 1.0: nothing reads it; CUT's identity term is --nce_idt"),
        (
            ("--model", "simdcl", "--flip_equivariance", "true"),
            "--flip_equivariance true: nothing reads it; it is an option of --model fastcut",
        ),
    ],
)
def test_what_nothing_reads_is_said(words, line):
    assert idle(train_options(*words)) == [line]
    assert idle(train_options("--model", "fastcut", "--flip_equivariance", "false")) == []
