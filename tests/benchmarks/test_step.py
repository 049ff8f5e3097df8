"""The benchmark runs; what it measures is not asserted."""

import json
import subprocess
import sys

import pytest
import torch

from benchmarks import common, floor, step
from options import UserError

SMALL = "--ngf 4 --ndf 4 --netG resnet_4blocks --netD n_layers --n_layers_D 2 --gpu_ids -1 --sizes 32 --rounds 1"
HEADS = "--netF_nc 8 --num_patches 16 --nce_layers 4,8,12,14"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cut", "simdcl"])
def test_a_row_for_each_variant(model, tmp_path, capsys):
    argv = f"--models {model} --variants published,fp32,adamw=--optimizer=adamw --floor --no_memory {SMALL} {HEADS}"
    assert step.main([*argv.split(), "--json", str(tmp_path / "rows")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [row["variant"] for row in rows] == ["published", "fp32", "adamw"]
    assert rows[0]["ratio"] == 1 and all(row["floor"] > 0 and len(row["seconds"]) == 1 for row in rows)
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.slow
def test_a_step_of_a_method_from_noise_is_one_of_its_generator():
    flags = ["--ngf", "16", "--ndf", "8", "--z_dim", "8", "--batch_size", "4", "--n_dis", "3", "--gpu_ids", "-1"]
    one = step.Step("contragan", 32, "fp32", flags)
    assert one() > 0 and one.engine.progress.step == 3
    assert one.engine.averages["G"].n_averaged == 1


@pytest.mark.exhaustive
def test_memory_is_that_of_a_process_of_its_own():
    own = common.in_own_process("benchmarks.step", f"--peak published --models cut {SMALL} {HEADS}".split())
    assert 10 < own["start"] < own["peak"]


@pytest.mark.slow
def test_memory_of_the_process_that_started_it_does_not_count():
    ballast = torch.ones(2**28)  # 1 GiB
    code = "import torch; from benchmarks.common import memory; print(memory(torch.device('cpu'))[1])"
    done = subprocess.run([sys.executable, "-c", code], cwd=common.ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1024 and len(ballast) > 0


@pytest.mark.slow
def test_what_cannot_be_measured_is_left_out_with_a_reason(capsys):
    step.main([*f"--models cut --no_memory --variants published,fp32 --normG batch {SMALL} {HEADS}".split()])
    published, ours = capsys.readouterr().out.splitlines()[-2:]
    assert "left out: --normG batch" in published and "left out" not in ours
    with pytest.raises(UserError, match="choose from published, fp32"):
        step.main(["--variants", "fp31"])


def test_the_floor_counts_convolutions_forward_and_backward():
    convs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3, groups=4))
    with floor.Recorder() as recorder:
        for _ in range(2):
            convs(torch.ones(1, 3, 8, 8)).sum().backward()
    assert sorted((call[0].name(), count) for call, count in recorder.calls.items()) == [
        ("aten::convolution", 2),
        ("aten::convolution_backward", 2),
    ]


def test_the_floor_of_a_gradient_that_is_one_number():
    """The gradient of a mean lies in memory once, with a step of zero from place to place."""
    conv = torch.nn.Conv2d(3, 4, 3)
    assert floor.conv_floor(lambda: conv(torch.ones(1, 3, 8, 8)).mean().backward(), torch.device("cpu"), 1) > 0
