"""Pages to write on, and their scans back into pictures of characters: python -m util.handwriting print|read"""

import argparse
import io
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from options import Exit, UserError
from util.fonts.characters import character_name
from util.fonts.charsets import SETS, charset
from util.fonts.faces import Face, Geometry
from util.fonts.picture_folder import geometry_note
from util.fonts.pictures import to_levels
from util.images import read_pixels
from util.reading import pdf
from util.reading.frames import pages_of
from util.writing import new_file, write_atomically

from .ink import Written, read_page
from .layout import STEP, Layout
from .scan import COARSEST, Page, register
from .template import INCH, draw_pages

PROGRAM = "python -m util.handwriting"


def main(argv: Sequence[str] | None = None) -> int:
    words = _parser().parse_args(argv)
    try:
        _check_geometry(words.glyph_scale, words.glyph_shift)
        if words.command == "print":
            print_template(words)
        else:
            read_scans(words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="print pages to write characters on, and read their scans"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    printer = commands.add_parser("print", help="make the pages of a template", allow_abbrev=False)
    printer.add_argument(
        "--charset",
        required=True,
        help=f"characters to write: a text file, or sets: {SETS}",
    )
    printer.add_argument("--output", required=True, help="a .pdf, or a folder for a PNG of each page")
    printer.add_argument(
        "--font",
        nargs="+",
        default=["DejaVuSans"],
        help="fonts of the printed samples, also font.ttc#2 or font.ttf@wght=700; the first that has a character",
    )
    printer.add_argument(
        "--repeat", type=int, default=1, help="cells for each character, whose writings can take turns (default: 1)"
    )
    printer.add_argument("--columns", type=int, default=10, help="cells in a row, 4 to 14 (default: 10)")
    printer.add_argument("--dpi", type=float, default=300, help="pixels in an inch (default: 300)")
    reader = commands.add_parser("read", help="read scanned pages", allow_abbrev=False)
    reader.add_argument(
        "scans", nargs="+", help="pictures of pages in any order, whichever way up; of a PDF and of a TIFF all pages"
    )
    reader.add_argument("--output", required=True, help="folder of the characters' pictures")
    reader.add_argument("--size", type=int, default=256, help="side of a picture in pixels (default: 256)")
    for command in (printer, reader):
        command.add_argument("--glyph_scale", type=float, default=0.8, help="part of the canvas that an em takes")
        command.add_argument(
            "--glyph_shift", type=float, default=0.12, help="height of the baseline above the bottom of the em, in ems"
        )
        command.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return parser


def _check_geometry(scale: float, shift: float) -> None:
    for flag, value, least in (("--glyph_scale", scale, 1), ("--glyph_shift", shift, 0)):
        steps = value * STEP
        if not (least <= steps <= 255 and abs(steps - round(steps)) < 1e-6):
            raise UserError(
                f"{flag} {value}: must be a multiple of {1 / STEP} from {least / STEP} to {255 / STEP}, "
                "which is what pages can tell"
            )


# ---- print -----------------------------------------------------------------------------------------------------------


def print_template(words: argparse.Namespace) -> None:
    if not 4 <= words.columns <= 14:
        raise UserError(f"--columns {words.columns}: must be 4 to 14")
    least = math.ceil(COARSEST * INCH)
    if not least <= words.dpi <= 1200:
        raise UserError(f"--dpi {words.dpi:g}: must be {least}, below which no page can be read back, to 1200")
    if not 1 <= words.repeat <= 20:
        raise UserError(f"--repeat {words.repeat}: must be 1 to 20")
    faces = [Face(name) for name in words.font]
    codes = charset(words.charset, faces)
    if not codes:
        raise UserError(f"--charset {words.charset}: no characters")
    samples = {code: face for face in reversed(faces) for code in face.real(codes)}
    missing = [code for code in codes if code not in samples]
    if missing:
        print(
            f"--font {' '.join(words.font)}: lacks {len(missing)} of {len(codes)} characters, which get no sample: "
            f"{' '.join(map(character_name, missing[:8]))}{' ...' * (len(missing) > 8)}",
            file=sys.stderr,
        )
    layout = Layout(words.columns, words.glyph_scale, words.glyph_shift)
    size = layout.columns * layout.rows
    cells = [code for code in codes for _ in range(words.repeat)]
    pages = -(-len(cells) // size)
    if pages >= 2**12:
        raise UserError(f"--charset {words.charset}: {pages} pages; at most {2**12 - 1}")
    output = Path(words.output)
    drawn = draw_pages(cells, layout, samples, words.dpi)
    try:
        if output.suffix.lower() == ".pdf":
            _check_new([output], words.overwrite)
            _write_pdf(drawn, output, words.dpi)
        else:
            targets = [output / f"page_{page + 1:03d}.png" for page in range(pages)]
            _check_new(targets, words.overwrite)
            for target, page in zip(targets, drawn, strict=True):
                with new_file(target) as file:
                    page.save(file, "PNG", dpi=(words.dpi, words.dpi))
    except OSError as error:
        raise UserError(
            f"--output {output}: cannot be written ({error.strerror or error})", code=Exit.STORAGE
        ) from None
    times = f", {words.repeat} times each," if words.repeat > 1 else ""
    print(f"{output}: {len(codes)} characters{times} on {pages} page{'s' * (pages != 1)}, {size} to a page")


def _write_pdf(pages: Iterator[Image.Image], path: Path, dpi: float) -> None:
    """One page after the other, so that only one is in memory."""
    with new_file(path) as file:
        for number, page in enumerate(pages):
            page.save(file, "PDF", resolution=dpi, quality=90, append=number > 0, title="Handwriting template")


def _check_new(targets: Sequence[Path], overwrite: bool) -> None:
    existing = [target for target in targets if target.exists()]
    if existing and not overwrite:
        raise UserError(
            f"--output: {len(existing)} of {len(targets)} files exist, such as {existing[0]}; --overwrite replaces them"
        )


# ---- read ------------------------------------------------------------------------------------------------------------


def read_scans(words: argparse.Namespace) -> None:
    """All scans are read before anything is written."""
    if not 16 <= words.size <= 2048:
        raise UserError(f"--size {words.size}: must be 16 to 2048 pixels")
    geometry = Geometry(words.size, words.glyph_scale, words.glyph_shift)
    output = Path(words.output)
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output}: is a file; characters need a folder")
    pictures: dict[int, list[tuple[tuple[int, int], bytes]]] = {}  # writings of a character: page and file
    seen: dict[int, set[int]] = {}
    read: dict[tuple[int, int], str] = {}
    for scan, levels in _pages(words.scans):
        page = register(levels, scan)
        seen.setdefault(page.header.pages, set()).add(page.header.page)
        written, place = read_page(page, geometry), (page.header.page, page.header.pages)
        _report(scan, page, written)
        twice = next((code for code in written.canvases if place in dict(pictures.get(code, ()))), None)
        if twice is not None:
            raise UserError(f"{scan}: {character_name(twice)} is also in {read[place]}; read one of them only")
        read[place] = scan
        for code, canvas in (*written.canvases.items(), *written.again):
            file = io.BytesIO()
            Image.fromarray(canvas).save(file, "PNG", pnginfo=geometry_note(geometry))
            pictures.setdefault(code, []).append((place, file.getvalue()))
    for pages, numbers in seen.items():
        if absent := sorted(set(range(1, pages + 1)) - numbers):
            print(f"of a template of {pages} pages, {len(absent)} were not read: {', '.join(map(str, absent[:20]))}")
    if not pictures:
        raise UserError("nothing is written on these pages")
    targets = {
        output / f"{character_name(code)}{f'_{again + 1}' * (again > 0)}.png": data
        for code, writings in pictures.items()
        for again, (_, data) in enumerate(sorted(writings, key=lambda writing: writing[0]))
    }
    _check_new(list(targets), words.overwrite)
    try:
        for target, data in targets.items():
            write_atomically(target, data)
    except OSError as error:
        raise UserError(
            f"--output {output}: cannot be written ({error.strerror or error})", code=Exit.STORAGE
        ) from None
    more = len(targets) - len(pictures)
    print(f"{output}: {len(pictures)} characters" + f", {more} of them written again" * bool(more))


def _pages(scans: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Every page of every file with its name, one at a time: (H, W) levels of its red, in which blue pens are dark."""
    for scan in scans:
        path = Path(scan)
        if path.is_file() and pdf.knows(path):
            try:
                for page in range(pages := pdf.count(path)):
                    levels = pdf.read(path, page).astype(np.float32)
                    yield f"{scan}, page {page + 1} of the PDF" if pages > 1 else scan, levels
            except (ValueError, Image.DecompressionBombError) as error:
                raise UserError(f"{scan}: cannot be read ({str(error) or type(error).__name__})") from None
        else:
            for page_path in pages_of(path):
                yield str(page_path), to_levels(read_pixels(page_path, 3)[..., :1])


def _report(scan: str, page: Page, written: Written) -> None:
    header = page.header
    print(
        f"{scan}: page {header.page} of {header.pages}, {page.scale * 25.4:.0f} dpi, {len(written.canvases)} characters"
        + f", {len(written.empty)} empty: {_listed(written.empty)}" * bool(written.empty)
    )
    if written.cut_off:
        print(f"{scan}: {len(written.cut_off)} reach beyond their cells and are cut off: {_listed(written.cut_off)}")
    if written.unreadable:
        print(f"{scan}: {written.unreadable} cells are left out: their labels cannot be read", file=sys.stderr)


def _listed(codes: Sequence[int]) -> str:
    return " ".join(map(character_name, codes))


if __name__ == "__main__":
    sys.exit(main())
