"""The benchmark runs; what it measures is not asserted."""

import subprocess
import sys
from pathlib import Path

SMALL = "--ngf 4 --ndf 4 --netG resnet_4blocks --netD n_layers --n_layers_D 2 --gpu_ids -1"


def test_it_prints_a_line_for_each_variant():
    command = [
        sys.executable,
        "-m",
        "benchmarks.step",
        "--sizes",
        "32",
        "--precisions",
        "fp32",
        "--rounds",
        "1",
        *SMALL.split(),
    ]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    columns = done.stdout.splitlines()[-1].split()
    assert columns[:2] == ["32", "fp32"] and columns[3] == "1.00" and float(columns[2]) > 0 and float(columns[4]) > 10
