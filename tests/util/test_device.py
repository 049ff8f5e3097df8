import pytest
import torch

from options import UserError
from util.device import choose_device


@pytest.mark.parametrize("device,gpu_ids", [("auto", "-1"), ("cpu", "0"), ("auto", "0")])
def test_the_cpu(device, gpu_ids, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(device, gpu_ids) == torch.device("cpu")


def test_the_first_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", "1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="GPUs 0 to 1"):
        choose_device("auto", "2")


@pytest.mark.parametrize(
    "device,gpu_ids,message",
    [
        ("auto", "7", "no CUDA device"),
        ("auto", "0,1", "one process uses one GPU; give one of them, such as --gpu_ids 0"),
        ("auto", "a", "--gpu_ids a"),
        ("auto", "", "--gpu_ids"),
        ("cuda:3", "0", "no CUDA device"),
        ("gpu", "0", "--device gpu"),
        ("mps", "0", "--device mps"),
    ],
)
def test_what_is_not_there_is_said(device, gpu_ids, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=message):
        choose_device(device, gpu_ids)
    with pytest.raises(UserError, match=r"torchrun --nproc_per_node 2 train\.py"):
        choose_device("auto", "0,1", trains=True)
