"""What a font maker takes home from a model of styles: text, blends of styles, a font file."""

import itertools
import statistics
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from models.fonts.fitting import Target, fit_style
from models.fonts.keep import read_hand, tell, with_hand
from models.fonts.lines import between, readable, source_fit, specimen, typeset, width_of
from models.fonts.naming import NamingOptions, about_style, check_naming
from options import UserError, option
from util.fonts.characters import SYNTHETIC, character_name, composed, first_names
from util.fonts.charsets import charset
from util.fonts.check import check_font
from util.fonts.completion import complete_font
from util.fonts.export import Exported, build_font
from util.fonts.faces import Face, Geometry
from util.fonts.formats import is_ufo, may_write, save_font
from util.images import save_levels, to_uint8
from util.pages.results_page import ResultsPage
from util.stopwatch import Countdown
from util.writing import new_file

GLYPHS_AT_ONCE = 64  # glyphs that are drawn at once
TASKS = {"text": "write_text", "interpolate": "write_blend", "export_ttf": "write_font", "complete": "write_font"}


@dataclass(frozen=True, kw_only=True)
class StyleTestOptions(NamingOptions):
    """What a test can make instead of the page of held-out characters."""

    section = "zi2zi results"
    text: str | None = option(None, "write this text in every style, or in those of --styles", per_run=True)
    interpolate: tuple[str, ...] = option(
        (), "styles by name or number: write --text on the way from each to the next", per_run=True
    )
    steps: int = option(8, "interpolate: steps from one style to the next", least=1, per_run=True)
    at: float = option(
        0.5, "interpolate with --export_ttf: how far the font lies on the way, 0 to 1", least=0, most=1, per_run=True
    )
    export_ttf: str | None = option(
        None,
        "write a font in the one style of --styles, or --at a part of the way of --interpolate; its ending says the "
        "format: .ttf, .otf, .woff, .woff2 or .ufo",
        per_run=True,
    )
    complete: str | None = option(
        None,
        "a font whose missing characters are added, its own kept; the result goes to --export_ttf",
        per_run=True,
    )
    export_charset: str | None = option(
        None, "characters of the font file: a name or a text file as for --charset; none is --charset", per_run=True
    )
    keep: str | None = option(
        None,
        "export_ttf: a folder of pictures (U+6C38.png) whose characters are traced as they are, auto for the one that "
        "the style was learnt from; the network draws the others, and further writings (U+6C38_2.png) are alternates",
        per_run=True,
    )
    simplify: float | None = option(
        None,
        "export_ttf: thousandths of an em between outlines and what was drawn; none is a fifth of a pixel",
        least=0.1,
        most=20,
        per_run=True,
    )
    views: int = option(
        9,
        "draw a glyph so many times, each from its source moved by a pixel or so, and average",
        least=1,
        per_run=True,
    )

    def validate(self) -> None:
        check_naming(self)
        of_file = self.export_ttf is not None or self.complete is not None
        for flag in ("keep", "export_charset", "simplify"):
            if (value := getattr(self, flag)) is not None and not of_file:
                said = f"{value:g}" if flag == "simplify" else value
                raise UserError(f"--{flag} {said}: is for a font file; give --export_ttf or --complete")
        named: tuple[str, ...] = getattr(self, "styles", ())
        if self.interpolate and named:
            raise UserError(
                f"--styles {','.join(named)}: --interpolate {','.join(self.interpolate)} names them; leave it out"
            )
        if self.steps != 8 and not self.interpolate:
            raise UserError(f"--steps {self.steps}: go from one style to another; give them by --interpolate")
        if self.at != 0.5 and not self.interpolate:
            raise UserError(f"--at {self.at:g}: is a part of the way between two styles; give them by --interpolate")
        if self.at != 0.5 and not of_file:
            raise UserError(f"--at {self.at:g}: is for --export_ttf, which is missing; --steps shows the whole way")


class Pen:
    """Draws any character of the source fonts in any style, or mixture of styles, of a trained model.

    Args:
        dataset: a FontDataset; its source fonts, geometry and styles are used, not its split of characters.

    Attributes:
        fonts: what draws the source of a character, the first that has it counts.
    """

    def __init__(self, model: Any, dataset: Any, engine: Any):
        self.model, self.dataset, self.engine = model, dataset, engine
        self.fonts, self.geometry = dataset.any_sources
        self.count = model.opt.embedding_num

    def sources(self, codes: Iterable[int]) -> dict[int, Any]:
        """{character: the source font that has it}, in the order of the characters, without those that none has."""
        wanted = list(dict.fromkeys(codes))
        found: dict[int, Any] = {}
        for glyphs in reversed(self.fonts):
            found |= dict.fromkeys(glyphs.real(wanted), glyphs)
        return {code: found[code] for code in wanted if code in found}

    def weights(self, mixture: dict[int, float]) -> torch.Tensor:
        """{label: part} as a row of weights of styles."""
        row = torch.zeros(self.count)
        for label, part in mixture.items():
            row[label] += part
        return row

    def source(self, code: int, glyphs: Any) -> np.ndarray:
        return to_uint8(self.dataset.glyph(glyphs, code, 1))

    def draw(self, sources: dict[int, Any], mixture: dict[int, float], progress: Any = None) -> dict[int, np.ndarray]:
        """{character: grey levels (H, H), ink 0}."""
        codes, row = list(sources), self.weights(mixture)
        channels = self.model.opt.input_nc
        drawn: dict[int, np.ndarray] = {}
        for start in range(0, len(codes), GLYPHS_AT_ONCE):
            batch = codes[start : start + GLYPHS_AT_ONCE]
            A = torch.stack([self.dataset.glyph(sources[code], code, channels) for code in batch])
            with self.engine.inference():
                images = self.model.draw(self.engine.place(A), self.engine.place(row.expand(len(batch), -1)))
            drawn |= {code: to_uint8(image) for code, image in zip(batch, images.mean(1, keepdim=True), strict=True)}
            if progress is not None:
                progress.step(len(batch))
        return drawn


def write_text(pen: Pen, text: str, folder: Path) -> None:
    """``--text``: a page with a line in the source font and in each style, and each line as a picture."""
    text, root = composed(text), folder.parents[1]
    sources = readable(pen, text)
    page = ResultsPage(folder, f"{pen.model.opt.name}: {text}", ["line"], width_of(text), root=root)
    rows = {"source": {code: pen.source(code, glyphs) for code, glyphs in sources.items()}}
    fits = {"source": source_fit(pen, sources)}
    for style in pen.dataset.style_list:
        glyphs = rows[style.name] = pen.draw(sources, {style.label: 1.0})
        fits[style.name] = fit_style(pen, Target([(style, 1.0)]), glyphs, sources)
    for number, (name, glyphs) in enumerate(rows.items()):
        file = f"images/{number:02d}_{safe(name)}.png"
        save_levels(typeset(text, glyphs, fits[name], pen.geometry), folder / file, root)
        page.add_row(name, {"line": file})
    page.save()
    print(f"{len(rows) - 1} styles: {folder / 'index.html'}")


def write_blend(pen: Pen, folder: Path) -> None:
    """``--interpolate a b``: the way from style to style, each in ``--steps`` steps, as lines and a moving picture."""
    opt, steps = pen.model.opt, pen.model.opt.steps
    styles = pen.dataset.choose(opt.interpolate, "--interpolate")
    if len(styles) < 2:
        raise UserError(f"--interpolate {','.join(opt.interpolate)}: give two styles or more")
    text = composed(opt.text or "") or "".join(chr(code) for code in pen.dataset.characters[:8] if code < SYNTHETIC)
    sources = readable(pen, text)
    title, root = f"{opt.name}: {' to '.join(s.name for s in styles)}", folder.parents[1]
    page = ResultsPage(folder, title, ["line"], width_of(text), root=root)
    ends = {style.label: Target([(style, 1.0)]) for style in styles}
    fits = {n: fit_style(pen, end, pen.draw(sources, end.mixture), sources) for n, end in ends.items()}
    lines: list[tuple[str, np.ndarray]] = []
    countdown = Countdown((len(styles) - 1) * (steps + 1), "line")
    for one, other in itertools.pairwise(styles):
        for k in range(steps + 1):
            part = k / steps
            mixture = {one.label: 1.0} if one.label == other.label else {one.label: 1 - part, other.label: part}
            fit = between(fits[one.label], fits[other.label], part)
            line = typeset(text, pen.draw(sources, mixture), fit, pen.geometry)
            lines.append((f"{1 - part:.0%} {one.name}, {part:.0%} {other.name}", line))
            countdown.step()
    frames, widest = [], max(line.shape[1] for _, line in lines)
    for title, line in lines:
        frames.append(np.pad(line, ((0, 0), (0, widest - line.shape[1])), constant_values=255))
        file = f"images/{len(frames):03d}.png"
        save_levels(frames[-1], folder / file, root)
        page.add_row(title, {"line": file})
    pictures = [Image.fromarray(frame) for frame in frames]
    with new_file(folder / "blend.gif", root) as moving:
        pictures[0].save(moving, "GIF", save_all=True, append_images=pictures[1:], duration=120, loop=0)
    page.save()
    print(f"{len(frames)} lines: {folder / 'index.html'}, {folder / 'blend.gif'}")


def write_font(pen: Pen, folder: Path) -> None:
    """``--export_ttf``: a font of one style, or of a blend; with ``--complete`` the user's own, with what it lacked.

    It is read back, drawn, and compared with what the network drew.
    """
    opt = pen.model.opt
    style, target = _style(pen)
    path = may_write(opt.export_ttf or folder / f"{safe(style)}-completed.ttf", overwrite=False)
    flag = "--export_charset" if opt.export_charset else "--charset"
    wanted = charset(opt.export_charset or opt.charset, pen.fonts, flag)
    kept = read_hand(opt.keep, [end for end, _ in target.ends])
    wanted = sorted({*wanted, *(kept.writings if kept else ())})
    if not wanted:
        raise UserError("--export_ttf: these glyphs have no code points; name characters with --export_charset")
    if opt.complete:
        there = Face(opt.complete).real(wanted)
        wanted = [code for code in wanted if code not in there]
        print(f"--complete {opt.complete}: {len(there)} characters are there and stay, {len(wanted)} are missing")
        if not wanted:
            raise UserError(f"--complete {opt.complete}: lacks nothing of {flag}; name more by --export_charset")
    kept = kept.only(wanted) if kept else None
    wanted = [code for code in wanted if not kept or code not in kept.writings]
    sources = pen.sources(wanted)
    if len(sources) < len(wanted):
        first = first_names(code for code in wanted if code not in sources)
        print(
            f"{len(wanted) - len(sources)} characters are in no --source_font and are left out: {first}",
            file=sys.stderr,
        )
    if not sources and not (kept and kept.writings):
        raise UserError("--export_ttf: no characters to draw; see --export_charset and --source_font")
    if kept:
        tell(opt.keep, kept, len(sources))
    glyphs = pen.draw(sources, target.mixture, Countdown(len(sources), "glyph"))
    fit = fit_style(pen, target, *with_hand(kept, pen, glyphs, sources))
    advances = fit.advances | dict(kept.advances if kept else {})  # the hand knows best
    told: dict[str, Any] = {"advances": advances, "boxes": fit.boxes, "kept": kept, "simplify": opt.simplify}
    if opt.complete:
        exported = complete_font(opt.complete, path, glyphs, pen.geometry, family=opt.family, **told)
    else:
        told |= {"kerning": fit.kerning, "lines": target.lines}
        told["about"] = about_style(opt, max(target.ends, key=lambda end: end[1])[0].glyphs)
        exported = build_font(path, glyphs, pen.geometry, opt.family or f"{opt.name} {style}", **told)
    shown = path
    if is_ufo(path):  # which FreeType does not draw
        shown = folder / "preview.ttf"
        save_font(exported.font, shown, overwrite=True)
    ways = [(glyphs, "the network's", pen.geometry)]
    ways += [(kept.pictures, "the pictures that are kept", kept.in_geometry(pen.geometry))] if kept else []
    shared = [
        agreement(shown, {c: images[c] for c in exported.added if c in images}, whose, geometry, exported.boxes)
        for images, whose, geometry in ways
    ]
    what = f"{len(exported.added)} glyphs{points_of(exported)}"
    print(f"{path}: {what}; drawn from the font they share {'; '.join(filter(None, shared))}")
    sample = opt.text or "".join(map(chr, list(exported.added)[:48]))
    save_levels(specimen(shown, sample), folder / "specimen.png", folder.parent)
    print(f"specimen: {folder / 'specimen.png'}")


def points_of(exported: Exported) -> str:
    """How many points a new glyph has, where its outline is TrueType's."""
    if "glyf" not in exported.font:
        return ""
    cmap, glyphs = exported.font.getBestCmap(), exported.font["glyf"]
    counts = [len(glyphs[cmap[code]].coordinates) for code in exported.added]
    return f" of {statistics.mean(counts):.0f} points (mean)"


def agreement(
    path: Path, images: dict[int, np.ndarray], whose: str, geometry: Geometry, boxes: Mapping[int, float]
) -> str:
    """How much of their ink glyphs of the file share with the images that they were traced from."""
    if not images:
        return ""
    overlaps = check_font(path, images, geometry, boxes)
    worst = min(overlaps, key=lambda code: overlaps[code])
    return (
        f"{statistics.mean(overlaps.values()):.3f} of their ink with {whose} (IoU, mean), "
        f"{overlaps[worst]:.3f} at least ({character_name(worst)})"
    )


def _style(pen: Pen) -> tuple[str, Target]:
    """The name of the font's style, and what it is made of."""
    opt, styles = pen.model.opt, pen.dataset.style_list
    if not opt.interpolate:
        if len(styles) != 1:
            names = ", ".join(style.name for style in styles)
            raise UserError(
                f"--export_ttf: a font has one style, these are {len(styles)}; pick one of {names} by --styles"
            )
        return styles[0].name, Target([(styles[0], 1.0)])
    ends = pen.dataset.choose(opt.interpolate, "--interpolate")
    if len(ends) != 2:
        raise UserError(
            f"--interpolate {','.join(opt.interpolate)}: a font lies between two styles, these are {len(ends)}"
        )
    one, other = ends
    print(f"--export_ttf: {1 - opt.at:.0%} {one.name}, {opt.at:.0%} {other.name} (--at {opt.at:g})")
    return f"{one.name} {other.name} {opt.at:g}", Target([(one, 1 - opt.at), (other, opt.at)])


def safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:80]
