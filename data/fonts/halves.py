"""Which characters a run trains on and which it keeps for a test: drawn once, kept in ``split.json``."""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from options import UserError
from util.fonts.characters import SYNTHETIC, split
from util.reading.json_file import read_json
from util.writing import write_atomically

FILE = "split.json"
SPLIT = {"train": [str], "test": [str], "seen?": [str], "glyph_scale?": float, "glyph_shift?": float}


def halves(opt: Any, origin: Path | None, present: set[int]) -> tuple[list[int], list[int], set[int]]:
    """Training and test characters: those of the run that goes on where there is one, else drawn from the seed.

    Args:
        origin: the run whose division goes on, or None.
        present: the characters that there are.

    Returns:
        both, and what that run or those before it were trained on, which is never tested as unseen.

    Raises:
        UserError: what the run keeps is no division, or it had another geometry.
    """
    seed = seed_of(opt)
    path = origin / FILE if origin else None
    if path is None or not path.is_file():
        return *split(present, seed, opt.test_fraction, opt.test_characters, opt.train_characters), set()
    saved = read_json(path, SPLIT, "a split of characters", "delete it to draw a new one")
    try:
        train, test, seen = (
            {int(word.removeprefix("U+"), 16) for word in words}
            for words in (saved["train"], saved["test"], saved.get("seen", saved["train"]))
        )
    except ValueError as error:
        raise UserError(f"{path}: not a split of characters ({error}); delete it to draw a new one") from None
    if opt.is_train and not opt.continue_train:  # from the weights of another run
        _check_geometry(opt, saved)
        # What that run has not seen stays unseen, unless nothing is to be kept for a test.
        keeps = opt.test_characters != 0 if opt.test_characters is not None else opt.test_fraction > 0
        unseen = sorted(present & test - seen)[: opt.test_characters] if keeps else []
        drawn, _ = split(present - set(unseen), seed, 0, None, opt.train_characters)
        return drawn, unseen, seen
    gone, new = (train | test) - present, present - train - test - seen
    if opt.train_characters is None and opt.test_characters is None:
        if gone or new:
            print(
                f"{path}: the fonts or the charset differ from the training run's: {len(gone)} of its characters "
                f"are missing, {len(new)} are new and count as unseen",
                file=sys.stderr,
            )
        test = present - train - seen
    return sorted(present & train), sorted(present & test - seen), seen


def unused_code(origin: Path | None) -> int:
    """The first number that no character of a run has which was told from others without knowing it."""
    path = origin / FILE if origin else None
    if path is None or not path.is_file():
        return SYNTHETIC
    saved = read_json(path, SPLIT, "a split of characters", "delete it to draw a new one")
    words = [word for half in ("train", "test", "seen") for word in saved.get(half, ())]
    codes = [int(word[2:], 16) for word in words if re.fullmatch("U\\+[0-9A-Fa-f]{1,8}", word)]
    return max([SYNTHETIC - 1, *codes]) + 1


def write_halves(folder: Path, opt: Any, train: Iterable[int], test: Iterable[int], seen: Iterable[int]) -> None:
    """Keep them with the run, and what they were drawn from."""
    origin = {
        "source_font": list(opt.source_font),
        "target_font": list(opt.target_font),
        "charset": opt.charset,
        "seed": seed_of(opt),
        "test_fraction": opt.test_fraction,
        "glyph_scale": opt.glyph_scale,
        "glyph_shift": opt.glyph_shift,
    }
    kept = {
        half: [f"U+{code:04X}" for code in codes] for half, codes in (("train", train), ("test", test), ("seen", seen))
    }
    write_atomically(folder / FILE, json.dumps(origin | kept, indent=1))


def seed_of(opt: Any) -> int:
    return opt.seed if opt.split_seed is None else opt.split_seed


def _check_geometry(opt: Any, saved: dict[str, Any]) -> None:
    for flag in ("glyph_scale", "glyph_shift"):
        if saved.get(flag, getattr(opt, flag)) != getattr(opt, flag):
            raise UserError(
                f"--{flag} {getattr(opt, flag)}: {opt.pretrained_name} was trained with {saved[flag]}; "
                f"give --{flag} {saved[flag]}"
            )
