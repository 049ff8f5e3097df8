"""What waits for an accelerator runs on the CPU, finds what is wrong, and leaves what was measured when it is cut."""

import json

import pytest
import torch

from benchmarks import gpu

TOY = ("--toy", "--device", "cpu", "--rounds", "1")


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.exhaustive
def test_all_of_it_on_the_cpu(tmp_path, capsys):
    assert gpu.main([*TOY, "--json", str(tmp_path / "rows"), "--minutes", "30", "--check_minutes", "20"]) == 0
    found, printed = rows(tmp_path / "rows"), capsys.readouterr().out
    assert [row["check"] for row in found if row.get("result") == "right"].count("recording") == 6
    assert {row["check"] for row in found if row.get("result") == "right"} == {"recording", "step", "resume"}
    (resumed,) = (row for row in found if row["check"] == "resume")
    assert resumed["error"] == 0 and resumed["values"] > 50
    fast = [(row["of"], row["variant"]) for row in found if row.get("s/step", 0) > 0 and row["peak_MiB"] > 10]
    assert len(fast) == 2 * len(gpu.PUBLISHED) and printed.count("only CUDA has it") == len(gpu.PUBLISHED)
    assert "memory is taken away of a CUDA device alone" in printed and printed.endswith("0 wrong\n")


def test_what_is_wrong_is_said_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    def measured(name, entry, device, precision):
        if precision == "bf16":
            raise RuntimeError("no such kernel")
        return {"error": 0.5, "limit": 1e-4}

    monkeypatch.setattr(gpu, "recording", measured)
    monkeypatch.setattr(gpu, "step_as_on_cpu", lambda *_: {"error": float("nan"), "limit": 1e-3})
    monkeypatch.setattr(gpu, "resumed", lambda *_: {"error": 0.0, "limit": 0.0})
    monkeypatch.setattr(gpu, "timed", lambda *_: {"s/step": 1.0})
    assert gpu.main([*TOY, "--json", str(tmp_path / "rows")]) == 1
    found = rows(tmp_path / "rows")
    assert [row.get("result") for row in found[:2]] == ["WRONG", "WRONG"] and "no such kernel" in found[1]["note"]
    assert all(row["result"] == "WRONG" for row in found if row["check"] == "step")
    assert found[-1]["s/step"] == 1 and "9 wrong" in capsys.readouterr().out


def test_what_does_not_fit_the_time_is_left_out(tmp_path):
    assert gpu.main([*TOY, "--json", str(tmp_path / "rows"), "--minutes", "0"]) == 0
    found = rows(tmp_path / "rows")
    assert len(found) == 23 and {row["note"] for row in found} == {"left out: no time"}


@pytest.mark.parametrize(
    "draw",
    [
        lambda device: torch.rand(3, device=device),
        lambda device: torch.randint(9, (3,), device=device),
        lambda device: torch.randn_like(torch.empty(3, device=device)),
        lambda device: torch.empty(3, device=device).uniform_(),
    ],
)
def test_two_devices_draw_the_same(draw):
    """Both take as much from the CPU's generator; without the mode a draw on another device takes nothing from it."""
    after = {}
    for device in ("cpu", "meta"):
        torch.manual_seed(0)
        with gpu.DrawnOnCPU():
            assert draw(device).device.type == device
        after[device] = torch.rand(())
    torch.manual_seed(0)
    assert after["cpu"] == after["meta"] != torch.rand(())


def test_numbers_of_another_size_are_far():
    assert gpu.far(torch.tensor([1.0, 2.1]), torch.tensor([1.0, 2.0])) == pytest.approx(0.05, rel=1e-5)
