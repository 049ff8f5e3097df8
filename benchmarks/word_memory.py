"""Memory of the contrast of places with words, forward and backward:  python -m benchmarks.word_memory

``parts`` is what the model uses, ``at-once`` the same with all images together, ``contexts`` builds what each word of
each caption finds in each image, as the published code does. Each form is measured in a process of its own, above what
that held with its inputs; XMC-GAN's published sizes for COCO by default, on random vectors.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.common import ALLOCATORS, Report, describe, in_own_process, machine, memory, use_allocator
from models.losses import matching_loss, word_scores
from options import UserError
from util.cli import run
from util.device import choose_device

COLUMNS = {"form": 9, "N": 4, "R": 4, "T": 3, "D": 4, "peak_MiB": 8, "of_first": 8, "seconds": 7, "loss": 7}


def contexts(regions: torch.Tensor, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """``word_scores`` with its formula as it is written: a context (N, M, T, D) for each image, caption and word."""
    regions, words = F.normalize(regions, dim=2), F.normalize(words, dim=2)
    alpha = (5 * torch.einsum("nrd,mtd->nmtr", regions, words)).softmax(3)
    found = torch.einsum("nmtr,nrd->nmtd", alpha, regions)
    cosines = F.cosine_similarity(found, words[None], dim=3)
    return (5 * cosines).masked_fill(~mask, -math.inf).logsumexp(2) / 5 / 0.02


FORMS: dict[str, Callable[..., torch.Tensor]] = {
    "parts": word_scores,
    "at-once": lambda *x: word_scores(*x, at_once=sys.maxsize),
    "contexts": contexts,
}


def forget_peak(device: torch.device) -> None:
    """Let the highest memory so far be what is held now; where the system cannot, it stays what it was."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def measure(form: str, device: torch.device, N: int, R: int, T: int, D: int) -> dict[str, float]:
    """MiB that a loss and its gradient need beyond the inputs, of this process; seconds; the loss, in nats."""
    generator = torch.Generator().manual_seed(0)
    shapes = (N, R, D), (N, T, D)
    regions, words = (torch.randn(*shape, generator=generator).to(device).requires_grad_() for shape in shapes)
    mask = torch.ones(N, T, dtype=torch.bool, device=device)
    matching_loss(FORMS[form](regions[:1], words[:1], mask[:1])).backward()  # libraries set themselves up
    regions.grad = words.grad = None
    forget_peak(device)
    before, start = memory(device)[0], time.perf_counter()
    loss = matching_loss(FORMS[form](regions, words, mask))
    loss.backward()
    value = loss.item()
    return {"peak_MiB": memory(device)[1] - before, "seconds": time.perf_counter() - start, "loss": value}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--forms", default=",".join(FORMS), help=", ".join(FORMS))
    parser.add_argument("--batch", type=int, default=64, help="images, and as many captions (N)")
    parser.add_argument("--places", type=int, default=256, help="of an image (R)")
    parser.add_argument("--words", type=int, default=17, help="of a caption (T)")
    parser.add_argument("--dim", type=int, default=768, help="numbers of a word and of a place (D)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--allocator", choices=ALLOCATORS, default="default", help="of every form alike")
    parser.add_argument("--json", help="append a line for each row to this file")
    parser.add_argument("--peak", metavar="FORM", help="print what one form needs in this process")
    args = parser.parse_args(argv)
    use_allocator(args.allocator, "benchmarks.word_memory", argv)
    forms = [args.peak] if args.peak else args.forms.split(",")
    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise UserError(f"--forms {','.join(unknown)}: choose from {', '.join(FORMS)}")
    device = choose_device(args.device, "0")
    sizes = {"N": args.batch, "R": args.places, "T": args.words, "D": args.dim}
    if args.peak:
        print(json.dumps(measure(args.peak, device, **sizes)))
        return 0
    report = Report(args.json, **machine(device))
    print(describe(report.facts))
    report.head(**COLUMNS)
    own = [*("--batch", args.batch, "--places", args.places, "--words", args.words, "--dim", args.dim)]
    base: float | None = None
    for form in forms:
        found = in_own_process("benchmarks.word_memory", ["--peak", form, "--device", args.device, *map(str, own)])
        base = base or found["peak_MiB"]
        report.row(form=form, **sizes, **found, of_first=f"{found['peak_MiB'] / base:.0%}" if base else None)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
