"""L1 in units of the white-to-black range."""

import math

import pytest
import torch

from evaluation.metrics import METRICS


def test_values():
    metric = METRICS.find("l1")()
    assert math.isnan(metric.compute()["L1"])
    metric.update(torch.ones(2, 1, 4, 4), -torch.ones(2, 1, 4, 4))
    assert metric.compute() == {"L1": 1.0}
    metric.update(torch.ones(6, 1, 4, 4), torch.ones(6, 1, 4, 4), {"label": torch.zeros(6, dtype=torch.long)})
    assert metric.compute()["L1"] == pytest.approx(0.25)
