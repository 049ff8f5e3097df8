"""The benchmark runs; what it measures is not asserted."""

import json

import pytest

from benchmarks import data

SMALL = "--size 32 --images 3 --epochs 1 --workers 0 --steps 2 --model cut --ngf 4 --ndf 4 --netG resnet_4blocks"
NETWORKS = "--netD n_layers --n_layers_D 2 --netF_nc 8 --num_patches 16 --nce_layers 4,8,12,14 --gpu_ids -1"


@pytest.mark.slow
def test_a_row_for_each_pipeline(tmp_path):
    assert data.main([*SMALL.split(), *NETWORKS.split(), "--json", str(tmp_path / "rows")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [row["variant"] for row in rows] == ["published", "loader", "cached"]
    assert all(row["images/s"] > 0 and 0 <= row["waits_share"] <= 1 for row in rows)
