"""What each contrast of XMC-GAN is worth: all of them, without one, without any, several seeds each.

    python -m benchmarks.caption_ablation --epochs 30

trains a judge and every variant on some glyphs with captions, tests it on compositions that training never showed, and
prints a table in Markdown: mean and spread (standard deviation over seeds) of each figure, and its mean difference to
all of them with the same seed. Further flags go to train.py of every variant. A run that is there already is not made
again, so what was cut off goes on. Variants run side by side, one thread each.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from options import UserError
from util.reading.json_file import read_json
from util.writing import write_atomically

from .ablation import call, side_by_side, table

ALL = "all"
VARIANTS = {
    ALL: (),
    "without sentences": ("--lambda_sent", "0"),
    "without words": ("--lambda_word", "0"),
    "without reals": ("--lambda_img", "0"),
    "none": ("--lambda_sent", "0", "--lambda_word", "0", "--lambda_img", "0"),
}


def run(folder: Path, name: str, seed: int, args: argparse.Namespace, flags: Sequence[str]) -> dict[str, float]:
    """Train and test one variant; the scores of what it generates."""
    run_name = f"{name.replace(' ', '_')}-{seed}"
    scores = folder / "results" / run_name / "test_latest" / "metrics.json"
    where = ["--checkpoints_dir", str(folder / "checkpoints"), "--name", run_name, "--gpu_ids", "-1"]
    data = glyphs(folder)
    if not scores.is_file():
        call("train.py", "--model", "xmcgan", *where, *data, "--n_epochs", str(args.epochs), "--n_epochs_decay", "0",
             "--seed", str(seed), "--overwrite", "--no_html", *VARIANTS[name], *flags)  # fmt: skip
        call("test.py", *where, *data, "--results_dir", str(folder / "results"), "--num_samples", str(args.samples),
             "--caption_judge", str(folder / "checkpoints/judge"))  # fmt: skip
    found = read_json(scores)
    return {name: entry["value"] for name, entry in found.items() if isinstance(entry, dict) and "value" in entry}


def glyphs(folder: Path) -> list[str]:
    return ["--dataroot", "glyphs", "--charset", str((folder / "characters.txt").resolve())]


def train_judge(folder: Path, args: argparse.Namespace) -> None:
    if not (folder / "checkpoints/judge/latest_net_C.pth").is_file():
        where = ["--checkpoints_dir", str(folder / "checkpoints"), "--name", "judge", "--gpu_ids", "-1", "--overwrite"]
        data = [*glyphs(folder), "--phase", "all", "--glyph_variants", "24"]
        call("train.py", "--model", "caption_judge", *where, *data, "--no_html", "--n_epochs", str(args.judge_epochs))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--characters", default="ABEGRQaegnrt", help="that are drawn in twelve fonts")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--judge_epochs", type=int, default=12)
    parser.add_argument("--samples", type=int, default=192, help="images that are scored, of each run")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--folder", default="./runs/caption_ablation", help="where the runs are kept")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    args, flags = parser.parse_known_args(argv)
    seeds, folder = [int(word) for word in args.seeds.split(",")], Path(args.folder)
    write_atomically(folder / "characters.txt", args.characters)
    settings, kept = {**vars(args), "flags": flags}, folder / "settings.json"
    comparable = {key: value for key, value in settings.items() if key not in ("seeds", "jobs", "folder")}
    if kept.is_file() and read_json(kept) != comparable:
        parser.error(f"--folder {folder}: holds runs of other settings, see {kept}; give another folder")
    write_atomically(kept, json.dumps(comparable))
    try:
        train_judge(folder, args)
        found = side_by_side(lambda name, seed: run(folder, name, seed, args, flags), VARIANTS, seeds, args.jobs)
    except UserError as error:
        print(f"benchmarks.caption_ablation: {error}", file=sys.stderr)
        return error.code
    shown = [key for key in found[ALL, seeds[0]] if key not in ("pictures", "+-")]
    print(table(found, ALL, dict(zip(shown, shown, strict=True))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
