"""Glyphs of a source font and of any number of target fonts, drawn when they are needed."""

import bisect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from data.fonts.halves import halves, unused_code, write_halves
from data.fonts.new_characters import with_fonts
from data.fonts.styles import (
    Glyphs,
    Style,
    choose,
    open_glyphs,
    read_rows,
    report_alike,
    styles_of_fonts,
    styles_of_pairs,
    write_rows,
)
from options import UserError, default, option
from util.distributed import say_once
from util.fonts.characters import character_name, first_names
from util.fonts.charsets import SETS, charset
from util.fonts.faces import Geometry
from util.fonts.instances import joined
from util.images import to_tensor

from .base_dataset import BaseDataset

DEFAULT_FONTS = {"source_font": ("DejaVuSans",), "target_font": ("DejaVuSerif",)}
CACHE = 64 * 2**20  # bytes of drawn glyphs that a process keeps


class FontDataset(BaseDataset):
    """A is a character in the source font, B one in a target font, ``label`` the number of that font.

    In training B is another character unless ``--paired``; outside training it is the same one, since the true
    target is known. The characters are divided into a training and a test half before anything is drawn, the same
    for every font.
    """

    floors = ("the source, copied", "a white page", "the truth, one pixel off")

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options):
        section = "font"
        source_font: tuple[str, ...] = option(
            DEFAULT_FONTS["source_font"],
            "font files of A; a character missing in one is taken from the next. <file>#2 is a face of a collection, "
            "<file>@wght=700 or @Bold an instance of a variable font, a bare name a font that matplotlib ships, a "
            "folder one image for each character (U+6C38.png)",
        )
        target_font: tuple[str, ...] = option(
            DEFAULT_FONTS["target_font"],
            "font files of B, likewise; each is a style, numbered in this order and named by its file",
        )
        pairs: str | None = option(
            None, "paired images instead of fonts: a folder of <label>_<name>.png, folders A and B, or a .obj package"
        )
        pairs_left: Literal["target", "source"] = option("target", "pairs: what the left half of a picture shows")
        charset: str = option(
            "auto", f"characters: auto (all letters that the fonts share), a text file, or sets: {SETS}"
        )
        glyph_scale: float = option(0.8, "part of the canvas that an em takes", above=0)
        glyph_shift: float = option(0.12, "height of the baseline above the bottom of the em, in ems")
        test_fraction: float = option(0.1, "part of the characters that training never sees", least=0)
        test_characters: int | None = option(None, "so many of them, in place of --test_fraction", least=0)
        train_characters: int | None = option(None, "train on so many of the other characters; none is all", least=1)
        split_seed: int | None = option(None, "seed that divides the characters; none is --seed", least=0)
        held_out: tuple[str, ...] = option((), "styles that training never sees, by name or number")
        styles: tuple[str, ...] = option((), "use these styles alone, by name or number; none is all", per_run=True)
        styles_per_batch: int = option(
            0,
            "training: a batch is at most this many styles, as batch_size is a multiple of, by as many characters as "
            "fill it, each in every one of these styles; 0 mixes freely",
            least=0,
        )
        repeat: int = option(1, "training: go through the characters so many times in an epoch", least=1)
        paired: bool = option(False, "training: A and B are the same character")
        second_A: bool = option(False, "in training items have a second glyph of side A, chosen at random, as A2")
        input_nc: int = default(1)
        output_nc: int = default(1)
        crop_size: int = default(64)

        def validate(self) -> None:
            if self.test_fraction >= 1:
                raise UserError(f"--test_fraction {self.test_fraction}: must be below 1")
            if empty := [flag for flag in ("source_font", "target_font") if not getattr(self, flag)]:
                raise UserError(f"--{empty[0]}: give at least one font")

    def __init__(self, opt: Any):
        super().__init__(opt)
        self.geometry = Geometry(opt.crop_size, opt.glyph_scale, opt.glyph_shift)
        run = Path(opt.checkpoints_dir, opt.name)
        goes_on, base = not opt.is_train or opt.continue_train, getattr(opt, "pretrained_name", None)
        self._origin = run if goes_on else Path(opt.checkpoints_dir, base) if base else None  # whose split goes on
        self._rows = read_rows(self._origin) if self._origin else []  # the styles it gave numbers to
        self.sources: list[Glyphs]
        if opt.pairs:
            self._tell_unread()
            told = goes_on, unused_code(self._origin)
            self.sources, self.all_styles = styles_of_pairs(opt.pairs, opt.pairs_left, self._rows, *told)
        else:
            self.sources = [open_glyphs(name) for name in joined(opt.source_font)]
            self.all_styles = styles_of_fonts(joined(opt.target_font), self._rows)
        self.style_list = self._chosen_styles()
        self.source_of = self._real_characters()
        self.train, self.test, self.seen = halves(opt, self._origin, set(self.source_of))
        self.characters = self._characters_of_phase()[: opt.max_dataset_size]
        self.items = [  # of a style all characters, then of the next
            (style, code) for style in self.style_list for code in self.characters if code in self.real_in[style.name]
        ]
        self.paired = opt.paired or not opt.is_train
        self._drawn: dict[tuple[int, int], np.ndarray] = {}
        self._check_grid()
        self._report_overflow()
        if opt.is_train:
            named = [(f"{self.sources[0].name} (source)", self.sources[0])]
            named += [(style.name, style.glyphs) for style in self.all_styles]
            report_alike(named, self._shared_by(named))

    @property
    def paired_in_tests(self) -> bool:
        return True

    @property
    def styles(self) -> list[str]:
        """Names of the styles of this run, in the order of its items."""
        return [style.name for style in self.style_list]

    @property
    def any_sources(self) -> tuple[list[Glyphs], Geometry]:
        """What draws any character that there is, the first that has it counts, and the geometry of all."""
        opt = self.opt
        if not opt.pairs:
            return self.sources, self.geometry
        told = opt.source_font != DEFAULT_FONTS["source_font"]
        return with_fonts(self.sources, joined(opt.source_font), self.geometry, told)

    def _tell_unread(self) -> None:
        """Of fonts beside ``--pairs`` only a source is looked at, by what a test makes of new characters."""
        for flag, use in (("source_font", "what a test draws new characters from"), ("target_font", "not looked at")):
            fonts = getattr(self.opt, flag)
            if fonts != DEFAULT_FONTS[flag] and (self.opt.is_train or flag == "target_font"):
                say_once(f"--{flag} {','.join(fonts)}: --pairs bring their own pictures; it is {use}")

    def _chosen_styles(self) -> list[Style]:
        opt = self.opt
        held_out = choose(self.all_styles, opt.held_out, "--held_out")
        if opt.styles:
            chosen = choose(self.all_styles, opt.styles, "--styles")
            both = [style.name for style in chosen if style in held_out]
            if opt.is_train and both:
                raise UserError(f"--styles {both[0]} is one of --held_out, which training never sees")
            return chosen
        chosen = [style for style in self.all_styles if style not in held_out]
        if not chosen:
            raise UserError(f"--held_out {','.join(opt.held_out)} leaves no style")
        return chosen

    def _characters_of_phase(self) -> list[int]:
        opt = self.opt
        if opt.phase not in ("train", "all", "test", "val") or (opt.is_train and opt.phase not in ("train", "all")):
            phases = "train, or all, which keeps none for a test" if opt.is_train else "train, test or all"
            raise UserError(f"--phase {opt.phase}: choose {phases}")
        every = sorted(self.train + self.test)
        if opt.is_train and opt.phase == "all":
            self.train, self.test = every, []
        chosen = {"train": self.train, "all": every}.get(opt.phase, self.test)
        self.none_left = (
            f"--phase {opt.phase}: no characters; {len(self.train)} are for training and {len(self.test)} for "
            "testing; see --phase, --test_fraction and --charset"
        )
        if opt.is_train and not chosen:
            raise UserError(self.none_left)
        return chosen

    def _real_characters(self) -> dict[int, Glyphs]:
        """{character: what draws its A} of the characters that the source and every style really have.

        Of paired images that are mixed freely, those that any style has; ``real_in`` tells which.
        """
        opt = self.opt
        targets = [style.glyphs for style in self.style_list]
        if opt.pairs and opt.charset == "auto":
            wanted = sorted(set[int]().union(*(glyphs.characters for glyphs in targets)))
        else:
            wanted = charset(opt.charset, targets)
        sources = {code: glyphs for glyphs in reversed(self.sources) for code in glyphs.real(wanted)}
        self.real_in = {style.name: style.glyphs.real(wanted) & set(sources) for style in self.style_list}
        found = [("--source_font", set(sources))]
        for style in self.style_list:
            flag = f"--target_font {style.glyphs.name}" if len(targets) > 1 else "--target_font"
            found.append((flag, style.glyphs.real(wanted)))
        each = list(self.real_in.values())
        mixed = opt.pairs and not opt.styles_per_batch
        shared = set[int]().union(*each) if mixed else set.intersection(*each)
        if opt.pairs and len(shared) < len(set[int]().union(*each)):
            print(
                f"--pairs {opt.pairs}: {len(shared)} characters are in all {len(each)} labels, "
                f"{len(set[int]().union(*each))} in some; --styles_per_batch 0 uses these too",
                file=sys.stderr,
            )
        for flag, real in found:
            missing = [code for code in wanted if code not in real]
            if missing and opt.charset != "auto":
                print(
                    f"{flag}: {len(missing)} of {len(wanted)} characters are not in the font and left out: "
                    f"{first_names(missing)}",
                    file=sys.stderr,
                )
        if not shared:
            raise UserError(
                f"--charset {opt.charset}: --source_font {','.join(opt.source_font)} and "
                f"--target_font {','.join(glyphs.name for glyphs in targets)} share none of its "
                f"{len(wanted)} characters"
            )
        return {code: sources[code] for code in sorted(shared)}

    def save_files(self, folder: Path) -> None:
        """Write ``split.json`` and ``styles.json``: characters of training and test, names and numbers of styles."""
        write_halves(folder, self.opt, self.train, self.test, sorted(self.seen | set(self.train)))
        write_rows(folder, self.all_styles, self.style_list, self._rows)

    def _check_grid(self) -> None:
        """A batch of several styles by several characters must be a whole grid."""
        opt = self.opt
        if not opt.is_train or not opt.styles_per_batch:
            return
        styles = self.styles_in_batch
        if opt.serial_batches:
            raise UserError("--serial_batches does not go with --styles_per_batch; give --styles_per_batch 0")
        if opt.batch_size // styles > len(self.characters):
            raise UserError(
                f"--batch_size {opt.batch_size} with {styles} styles takes {opt.batch_size // styles} characters, "
                f"there are {len(self.characters)}; give --batch_size {styles * len(self.characters)}"
            )

    @property
    def styles_in_batch(self) -> int:
        """Styles of each character in a training batch; 1 where batches are mixed freely."""
        most = min(self.opt.styles_per_batch, len(self.style_list))
        return max((P for P in range(1, most + 1) if self.opt.batch_size % P == 0), default=1)

    def order(self, generator: torch.Generator) -> list[int]:
        """With ``--styles_per_batch P``, batches are K characters by P styles; a character's items are neighbours."""
        once = super().order if not self.opt.styles_per_batch else self._grids
        return [index for _ in range(self.opt.repeat) for index in once(generator)]

    def _grids(self, generator: torch.Generator) -> list[int]:
        P, S, n = self.styles_in_batch, len(self.style_list), len(self.characters)
        K = self.opt.batch_size // P
        characters, batches = torch.randperm(n, generator=generator), []
        for block in characters[: n // K * K].view(-1, K):
            styles = torch.randperm(S, generator=generator)
            for first in range(0, S, P):  # the last styles come with some of the first once more
                chosen = styles[(first + torch.arange(P)) % S]
                batches.append((chosen * n + block[:, None]).flatten())
        return torch.cat([batches[i] for i in torch.randperm(len(batches), generator=generator)]).tolist()

    def _report_overflow(self) -> None:
        sides = [("A", [(self.source_of[code], code) for code in self.characters])]
        for style in self.style_list:
            side = f"B, {style.name}" if len(self.style_list) > 1 else "B"
            sides.append((side, [(s.glyphs, code) for s, code in self.items if s is style]))
        for side, drawn in sides:
            outside = [code for glyphs, code in drawn if glyphs.leaves_canvas(code, self.geometry)]
            if outside:
                first = " ".join(map(character_name, outside[:5]))
                print(
                    f"side {side}: the canvas cuts off {len(outside)} of {len(drawn)} glyphs, {first} first; "
                    f"lower --glyph_scale {self.opt.glyph_scale} or change --glyph_shift",
                    file=sys.stderr,
                )

    def _shared_by(self, named: Sequence[tuple[str, Glyphs]]) -> list[int]:
        """Training characters that every one of these has."""
        shared = set(self.train)
        for _, glyphs in named:
            shared &= glyphs.real(shared)
        return sorted(shared)

    @property
    def known_labels(self) -> list[int]:
        """Numbers of the styles that the earlier run was trained in, whose weights this one begins with."""
        return sorted(row["label"] for row in self._rows if row.get("trained"))

    def choose(self, words: Sequence[str], flag: str) -> list[Style]:
        """The styles that a flag names, by name or by number."""
        return choose(self.all_styles, words, flag)

    def examples(self, style: Style, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Training characters in the source font and in a style, (N, C, H, H) each, N at most ``count``."""
        opt = self.opt
        codes = self.characters[:: max(1, len(self.characters) // count)][:count]
        A = torch.stack([self.glyph(self.source_of[code], code, opt.input_nc) for code in codes])
        return A, torch.stack([self.glyph(style.glyphs, code, opt.output_nc) for code in codes])

    def first_rows(self, count: int) -> list[int]:
        places: dict[str, list[int]] = {style.name: [] for style in self.style_list}
        for index, (style, _) in enumerate(self.items):
            places[style.name].append(index)
        return [index for of_style in places.values() for index in of_style[:count]]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        opt, rng, (style, code) = self.opt, self.random(index), self.items[index]
        other = code if self.paired else self.another(style, code, rng)
        channels = (opt.input_nc, opt.output_nc) if opt.direction == "AtoB" else (opt.output_nc, opt.input_nc)
        item = {
            "A": self.glyph(self.source_of[code], code, channels[0]),
            "B": self.glyph(style.glyphs, other, channels[1]),
            "A_paths": character_name(code),
            "B_paths": character_name(other),
            "label": style.label,
            "group": style.name,
            "character": code,
        }
        if opt.is_train and opt.second_A:
            second = self.another(style, code, rng)
            glyphs = self.source_of[second] if opt.direction == "AtoB" else style.glyphs
            item["A2"] = self.glyph(glyphs, second, opt.input_nc)
        return item

    def another(self, style: Style, code: int, rng: Any) -> int:
        """A character that is not this one, where there are others and the style has the one that is drawn."""
        place, count = bisect.bisect_left(self.characters, code), len(self.characters)
        step = 1 if self.opt.serial_batches or count == 1 else rng.randrange(1, count)
        other = self.characters[(place + step) % count]
        return other if other in self.real_in[style.name] else code

    def __getstate__(self) -> dict[str, Any]:  # ids mean nothing in another process
        return self.__dict__ | {"_drawn": {}}

    def glyph(self, glyphs: Glyphs, code: int, channels: int) -> torch.Tensor:
        """One glyph (C, H, H): white +1, ink -1."""
        drawn = self._drawn.get((id(glyphs), code))
        if drawn is None:
            drawn = glyphs.draw(code, self.geometry)
            if (len(self._drawn) + 1) * drawn.size <= CACHE:
                self._drawn[id(glyphs), code] = drawn
        return to_tensor(drawn[..., None]).repeat(channels, 1, 1)
