"""What each part of zi2zi is worth: plain, with one part, with all of them, several seeds each.

    python -m benchmarks.font_ablation --fonts cwming.ttf cwkai.ttf cwfs.ttf cwheib.ttf cwyen.ttf --epochs 10

trains every variant on the same characters, tests it on the same unseen ones, and prints a table in Markdown: mean and
spread (standard deviation over seeds) of each figure, and of the difference to plain with the same seed. A run that is
there already is not made again, so what was cut off goes on. Variants run side by side, one thread each.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from options import UserError
from util.reading.json_file import read_json

from .ablation import call, side_by_side, table

PLAIN = ("--sn_D", "false", "--normD", "none", "--contrastive", "none")
VARIANTS = {
    "plain": PLAIN,
    "+ content": (*PLAIN, "--contrastive_content", "supcon"),
    "+ style": (*PLAIN, "--contrastive_style", "supcon"),
    "+ spectral norm": ("--sn_D", "--contrastive", "none"),
    "all": ("--sn_D", "--contrastive", "supcon"),
}
SHOWN = ("L1 / ink", "IoU", "SSIM", "ink", "style", "recognition / real")


def run(folder: Path, name: str, seed: int, args: argparse.Namespace, flags: Sequence[str]) -> dict[str, float]:
    """Train and test one variant; {figure: mean over the styles}."""
    run_name = f"{name.strip('+ ').replace(' ', '_')}-{seed}"
    scores = folder / "results" / run_name / "test_latest" / "metrics.json"
    where = ["--checkpoints_dir", str(folder / "checkpoints"), "--name", run_name, "--gpu_ids", args.gpu_ids]
    where += ["--precision", args.precision, "--num_threads", "0"]
    if not scores.is_file():
        fonts = ["--source_font", args.fonts[0], "--target_font", *args.fonts[1:], "--charset", args.charset]
        counts = ["--train_characters", str(args.train), "--test_characters", str(args.test)]
        call("train.py", "--model", "zi2zi", *where, *fonts, *counts, "--n_epochs", str(args.epochs),
             "--n_epochs_decay", "0", "--seed", str(seed), "--split_seed", "0", "--overwrite", "--no_html",
             "--ema_decay", "0.99", *VARIANTS[name], *flags)  # fmt: skip
        judges = ["--recogniser", args.recogniser] if args.recogniser else []
        judges += ["--style_judge", args.style_judge] if args.style_judge else []
        call("test.py", *where, "--results_dir", str(folder / "results"), "--batch_size", "50", "--views", "1",
             "--metrics", "ink_l1,iou,ssim,ink", *judges)  # fmt: skip
    found = read_json(scores)
    values = {key: entry["value"] for key, entry in found.items() if isinstance(entry, dict)}
    inks = found.get("ink", {}).get("styles", {}).values()
    if inks:
        values["ink"] = statistics.mean(abs(value - 1) for value in inks)  # a mean over styles would hide the worst
    return values


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--fonts", nargs="+", required=True, help="the source font and the target fonts")
    parser.add_argument("--charset", default="big5-1")
    parser.add_argument("--train", type=int, default=800, help="characters to train on")
    parser.add_argument("--test", type=int, default=200, help="unseen characters")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--folder", default="./runs/font_ablation", help="where the runs are kept")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--gpu_ids", default="-1")
    parser.add_argument("--recogniser", help="run of --model glyph_judge --judge character")
    parser.add_argument("--style_judge", help="run of --model glyph_judge --judge style")
    args, flags = parser.parse_known_args(argv)
    if len(args.fonts) < 2:
        parser.error("--fonts: a source font and at least one target font")
    seeds, folder = [int(word) for word in args.seeds.split(",")], Path(args.folder)
    try:
        found = side_by_side(lambda name, seed: run(folder, name, seed, args, flags), VARIANTS, seeds, args.jobs)
    except UserError as error:
        print(f"benchmarks.font_ablation: {error}", file=sys.stderr)
        return error.code
    names = {key: key for key in SHOWN if any(key in values for values in found.values())}
    print(table(found, "plain", names | ({"ink": "ink, distance from 1"} if "ink" in names else {})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
