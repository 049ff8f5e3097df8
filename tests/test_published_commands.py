"""Commands that the READMEs and launchers of CUT and DCLGAN print run as they are; only sizes are appended.

Sources: README.md and experiments/ of taesungp/contrastive-unpaired-translation, README.md of JunlinHan/DCLGAN.
"""

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

import test as test_script
import train as train_script
from options import UserError

SHORT = "--n_epochs 1 --n_epochs_decay 0 --max_dataset_size 2 --num_threads 0"
SMALL = f"--ngf 4 --ndf 4 --load_size 36 --crop_size 32 {SHORT}"
CONTRASTIVE = f"{SMALL} --netF_nc 8 --num_patches 16"
SINGLE = "--ngf 2 --ndf 2 --netF_nc 8 --load_size 48 --crop_size 16 --batch_size 2 --max_dataset_size 4"

CUT = "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_CUT --CUT_mode CUT"
FASTCUT = "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_FastCUT --CUT_mode FastCUT"
LAUNCHED = "python train.py  --gpu_ids 0 --dataroot ./datasets/grumpifycat --name grumpifycat_CUT --CUT_mode CUT"
SINCUT = (
    "python train.py --model sincut --name singleimage_monet_etretat --dataroot ./datasets/single_image_monet_etretat"
)
DCL = "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_DCL "
SIMDCL = "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_SimDCL --model simdcl"
CUT_OF_DCL = "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_cut --model cut"
FASTCUT_OF_DCL = "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_fastcut --model fastcut"
CYCLEGAN = "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_cyclegan --model cycle_gan"

TRAINING = {  # command: (what makes it small, the model it trains)
    CUT: (CONTRASTIVE, "cut"),
    FASTCUT: (CONTRASTIVE, "cut"),
    LAUNCHED: (CONTRASTIVE, "cut"),
    SINCUT: (f"{SINGLE} --n_epochs 1 --n_epochs_decay 0 --num_threads 0", "sincut"),
    DCL: (CONTRASTIVE, "cut"),  # the one difference: without --model this toolkit trains CUT, DCLGAN's trains DCL
    SIMDCL: (CONTRASTIVE, "simdcl"),
    CUT_OF_DCL: (CONTRASTIVE, "cut"),
    FASTCUT_OF_DCL: (CONTRASTIVE, "fastcut"),
    CYCLEGAN: (SMALL, "cycle_gan"),
}
TESTING = {  # command: the training command whose run it tests
    "python test.py --dataroot ./datasets/grumpifycat --name grumpycat_CUT --CUT_mode CUT --phase train": CUT,
    "python test.py  --gpu_ids 0 --dataroot ./datasets/grumpifycat --name grumpifycat_CUT --CUT_mode CUT "
    "--phase train": LAUNCHED,
    "python test.py --model sincut --name singleimage_monet_etretat --dataroot "
    "./datasets/single_image_monet_etretat": SINCUT,
    "python test.py --dataroot ./datasets/grumpifycat --name grumpycat_DCL": DCL,
}
PRETRAINED = {  # commands that find nothing but the weights of a generator
    "python test.py  --gpu_ids 0 --dataroot datasets/cityscapes/cityscapes_val/ --direction BtoA --phase val "
    "--name cityscapes_cut_pretrained --CUT_mode CUT --num_test 500": CUT,
    "python test.py  --gpu_ids 0 --dataroot ./datasets/cityscapes_unaligned/cityscapes/ --direction BtoA "
    "--name cityscapes_fastcut_pretrained --CUT_mode FastCUT --num_test 500": FASTCUT,
    "python test.py  --gpu_ids 0 --dataroot ./datasets/horse2zebra/ --name horse2zebra_cut_pretrained "
    "--CUT_mode CUT --num_test 500": CUT,
    "python test.py  --gpu_ids 0 --dataroot ./datasets/horse2zebra/ --name horse2zebra_fastcut_pretrained "
    "--CUT_mode FastCUT --num_test 500": FASTCUT,
    "python test.py  --gpu_ids 0 --dataroot ./datasets/afhq/cat2dog/ --name cat2dog_cut_pretrained "
    "--CUT_mode CUT --num_test 500": CUT,
    "python test.py  --gpu_ids 0 --dataroot ./datasets/afhq/cat2dog/ --name cat2dog_fastcut_pretrained "
    "--CUT_mode FastCUT --num_test 500": FASTCUT,
}
# What users of both add to such a command: the same flags, in the same words.
MORE = (
    "--display_id -1",
    "--display_id 0 --display_port 8097 --display_server http://localhost --display_env main --display_ncols 4",
    "--gpu_ids -1 --batch_size 2 --num_threads 1 --serial_batches --no_flip --no_html",
    "--no_dropout False --no_antialias --no_antialias_up --normG batch --normD none",
    "--preprocess scale_width_and_crop --nce_idt False --lambda_NCE 10.0 --flip_equivariance True",
    "--direction BtoA --lr 0.0001 --lr_policy cosine --gan_mode vanilla --pool_size 50",
    "--save_by_iter --save_latest_freq 1 --save_epoch_freq 1 --evaluation_freq 1 --display_freq 1 --print_freq 1",
    "--netG resnet_6blocks --netD n_layers --n_layers_D 2 --init_type kaiming --init_gain 0.02",
)


@pytest.fixture(scope="module")
def folder(dataroot, tmp_path_factory):
    """The folders that the commands name, with pictures of 32 pixels."""
    root = tmp_path_factory.mktemp("published")
    for name in ("grumpifycat", "horse2zebra", "afhq/cat2dog"):
        (root / "datasets" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "datasets" / name).symlink_to(dataroot)
    for name in ("cityscapes/cityscapes_val", "cityscapes_unaligned/cityscapes"):
        for side in "AB":
            shutil.copytree(dataroot / f"test{side}", root / "datasets" / name / f"val{side}")
    for side, number in (("A", 0), ("B", 1)):
        one = root / "datasets/single_image_monet_etretat" / f"train{side}"
        one.mkdir(parents=True)
        with Image.open(dataroot / f"train{side}/train{side}_{number}.png") as picture:
            picture.resize((60, 50)).save(one / "picture.jpg")
    return root


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def run(command, more=""):
    """Run a command in this process; its options and what is appended are passed as they are."""
    program, script, *words = shlex.split(command)
    assert program == "python"
    main = {"train.py": train_script, "test.py": test_script}[script].main
    assert main([*words, *shlex.split(more)]) == 0


def name_of(command):
    return re.search(r"--name (\S+)", command)[1]


def checkpoint(command):
    """The folder of this training command's run, which is carried out if it was not."""
    run_folder = Path("checkpoints", name_of(command))
    if not run_folder.exists():
        run(command, TRAINING[command][0])
    return run_folder


@pytest.mark.slow
@pytest.mark.parametrize("command", TRAINING)
def test_training(command):
    folder = checkpoint(command)
    options = yaml.safe_load((folder / "train_opt.yaml").read_text())
    assert options["model"] == TRAINING[command][1]
    assert (folder / "web/index.html").is_file() and list(folder.glob("latest_net_G*.pth"))
    if command == FASTCUT:
        assert (options["nce_idt"], options["lambda_NCE"], options["flip_equivariance"]) == (False, 10.0, True)


@pytest.mark.slow
@pytest.mark.parametrize("command", TESTING)
def test_testing(command):
    checkpoint(TESTING[command])
    run(command)
    phase = "train" if "--phase train" in command else "test"
    page = Path("results", name_of(command), f"{phase}_latest")
    assert (page / "index.html").is_file() and list((page / "images/fake_B").glob("*.png"))


@pytest.mark.slow
@pytest.mark.parametrize("command", PRETRAINED)
def test_weights_alone_can_be_tested(command):
    """Nothing but latest_net_G.pth is there, as in the authors' archive; the width is told, 64 being theirs."""
    folder = Path("checkpoints", name_of(command))
    folder.mkdir(parents=True)
    shutil.copy(checkpoint(PRETRAINED[command]) / "latest_net_G.pth", folder)
    run(command, "--ngf 4")
    phase = "val" if "--phase val" in command else "test"
    assert len(list(Path("results", folder.name, f"{phase}_latest/images/fake_B").iterdir())) > 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ("", " --model dcl"))
def test_the_weights_of_dclgan_alone_can_be_tested(model):
    """The published command has no ``--model``, dcl being the default there and cut here: the weights decide."""
    source, folder = Path("checkpoints/dcl"), Path("checkpoints/horse2zebra_dcl")
    if not source.exists():
        run(DCL.replace("grumpycat_DCL", "dcl --model dcl"), CONTRASTIVE)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree("results/horse2zebra_dcl", ignore_errors=True)
    folder.mkdir()
    for side in "AB":
        shutil.copy(source / f"latest_net_G_{side}.pth", folder)
    run("python test.py --dataroot ./datasets/horse2zebra --name horse2zebra_dcl" + model, "--ngf 4")
    images = Path("./results/horse2zebra_dcl/test_latest/images")
    for visual in ("fake_B", "real_B", "fake_A", "real_A"):  # the folders given to pytorch_fid
        assert list((images / visual).iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("more", MORE)
def test_a_command_with_more_of_the_published_flags(more):
    name = "more_" + str(MORE.index(more))
    run(CUT.replace("grumpycat_CUT", name), f"{CONTRASTIVE} {more}")
    assert Path("checkpoints", name, "latest_net_G.pth").is_file()


@pytest.mark.slow
def test_training_goes_on_as_published():
    checkpoint(CUT)
    shutil.copytree("checkpoints/grumpycat_CUT", "checkpoints/goes_on")
    command = CUT.replace("grumpycat_CUT", "goes_on")
    run(f"{command} --continue_train --epoch_count 2", f"{CONTRASTIVE} --n_epochs 2")
    assert Path("checkpoints/goes_on/2_net_G.pth").is_file()
    run(f"{command} --continue_train --epoch latest --epoch_count 3", f"{CONTRASTIVE} --n_epochs 3")
    assert Path("checkpoints/goes_on/3_net_G.pth").is_file()


@pytest.mark.slow
def test_the_weights_of_another_run_are_the_start():
    checkpoint(CUT)
    run(CUT.replace("grumpycat_CUT", "finetuned") + " --pretrained_name grumpycat_CUT", CONTRASTIVE)
    assert Path("checkpoints/finetuned/latest_net_G.pth").is_file()


def test_several_gpus_are_refused_with_the_command_that_takes_them():
    with pytest.raises(UserError, match="torchrun --nproc_per_node 2"):
        run(CUT.replace("grumpycat_CUT", "several"), f"{CONTRASTIVE} --gpu_ids 0,1")
    assert not os.path.lexists("checkpoints/several")
