"""AttnGAN's layout of birds (CUB) and COCO: texts in a tree of their own, pickles that say which are for what.

text/001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111.txt                   ten captions, a line each
CUB_200_2011/images/001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111.jpg
train/filenames.pickle, test/filenames.pickle                                            such names without endings
"""

from collections.abc import Iterator
from pathlib import Path

from data.captions.tables import CaptionRow, Notes, lines_of
from data.loading.phases import phase_folder
from util import distributed
from util.listing import list_images, look_into
from util.reading.pickles import read_names

TEXTS = ("text", "text_c10")  # AttnGAN's; Reed's and StackGAN's
PICTURES = ("CUB_200_2011/images", "images", "jpg")
LIST = "filenames.pickle"


def texts_apart(root: Path) -> Path | None:
    """The folder of texts whose pictures lie elsewhere, where there is such a one with both."""
    for name in TEXTS:
        if (root / name).is_dir() and _pictures(root).is_dir() and _texts(root / name):
            return root / name
    return None


def splits_in(root: Path) -> tuple[str, ...]:
    """The phases that lists divide the texts into; none where one of the two is missing, which is said."""
    lists = {phase: _list(root, phase) for phase in ("train", "test")}
    missing = [path for path in lists.values() if not path.is_file()]
    if len(missing) == 1:
        distributed.say_once(
            f"{root}: {missing[0].relative_to(root)} is missing, so that of the other phase is not used"
        )
    return () if missing else tuple(lists)


def rows_apart(root: Path, folder: Path, split: str, encoding: str, notes: Notes) -> Iterator[CaptionRow]:
    """The captions of a phase, or of every text where ``split`` is empty, with the pictures of these names.

    Raises:
        UserError: the list of the phase cannot be read, or a text has no picture and is not to be skipped.
    """
    texts, place = _texts(folder), _pictures(root)
    listed = list_images(place)
    pictures = {path.name.rpartition(".")[0]: path for path in listed}  # flowers have no folders of pictures
    pictures |= {path.relative_to(place).as_posix().rpartition(".")[0]: path for path in listed}
    for name in read_names(_list(root, split)) if split else texts:
        where = f"{folder.name}/{name}.txt"
        picture = pictures.get(name) or pictures.get(name.rpartition("/")[2])
        if name not in texts:
            notes.fault(f"{split}/{LIST}", f"{where}: no such text")
        elif picture is None:
            notes.fault(where, f"no picture of this name in {place}")
        else:
            yield from lines_of(texts[name], picture, where, encoding, notes)


def _list(root: Path, phase: str) -> Path:
    return phase_folder(root, phase) / LIST


def _pictures(root: Path) -> Path:
    return next((root / name for name in PICTURES if (root / name).is_dir()), root / PICTURES[0])


def _texts(folder: Path) -> dict[str, Path]:
    """Name within the folder, without its ending -> the text."""
    found = [path for path in look_into(folder).others if path.suffix == ".txt"]
    return {path.relative_to(folder).as_posix().removesuffix(".txt"): path for path in found}
