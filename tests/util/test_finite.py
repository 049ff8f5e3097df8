"""Whatever is not a number is found, wherever it lies, and nothing else."""

import pytest
import torch

from util.finite import are_finite, not_finite, tensors_of

KINDS = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_one_element_among_many_is_found(kind, bad):
    for place in (0, 5, 1000):
        odd = torch.ones(1001, dtype=kind)
        odd[place] = bad
        parts = {"sound": [torch.ones(3, dtype=kind)], "odd": {"deep": (torch.ones(2, 2, dtype=kind), [odd])}}
        assert not_finite(parts) == ["odd"]


def test_large_numbers_whole_numbers_and_none_are_finite():
    largest = torch.full((9, 9), torch.finfo(torch.float32).max)
    parts = [largest, -largest, torch.tensor(7), torch.zeros(0), torch.full((4,), 1e300, dtype=torch.float64)]
    parts.append(torch.ones(3).to(torch.float8_e4m3fn))
    assert not_finite({"all": parts, "none": {"lr": 1e-4, "name": "x", "nothing": None}}) == []
    assert are_finite([], torch.device("cpu")).item() is True


def test_tensors_are_found_in_whatever_holds_them():
    assert len(list(tensors_of({"a": [torch.ones(1), (torch.ones(1), {"b": torch.ones(1)})], "c": "text"}))) == 3
