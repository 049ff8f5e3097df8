"""loss_log.txt holds every step once, whatever was killed and gone on from."""

import pytest

from util.files import read_text
from util.training.loss_log import cut_back, header, line_of

FULL = 10  # images of an epoch


def lines(*points):
    return [line_of(*point, {"G": 0.5}, 0.1, 0.0, {}) for point in points]


OTHERS = [header(), *lines((199, 5), (200, 5))]  # by whoever trained what this run went on from
OURS = [header(), *lines((1, 5), (1, FULL), (2, 5), (2, FULL), (3, 5))]


@pytest.mark.parametrize(
    ("text", "point", "left"),
    [
        (OURS, (3, 5), OURS),
        (OURS, (3, 0), OURS[:5]),  # at the end of an epoch nothing of the next is done
        (OURS, (2, 5), OURS[:4]),
        (OURS, (1, 0), OURS[:1]),
        ([*OURS[:3], *OURS[:1], *OURS[3:]], (1, 5), [*OURS[:2], OURS[0]]),  # back beyond an earlier part
        ([*OURS, "a note"], (3, 0), [*OURS[:5], "a note"]),
        (OTHERS + OURS, (2, 5), OTHERS + OURS[:4]),
        (OTHERS, (1, 0), OTHERS[:1]),
        ([], (1, 0), []),
        (["(epoch: x, iters: 5, ", "(epoch: 1" + "0" * 50 + ", iters: 5, "], (1, 0), None),
    ],
)
def test_lines_that_are_written_again_are_dropped_from_the_end(tmp_path, text, point, left):
    file = tmp_path / "loss_log.txt"
    file.write_text("".join(f"{line}\n" for line in text))
    before = file.stat().st_ino
    cut_back(file, *point)
    assert read_text(file).splitlines() == (text if left is None else left)
    assert (file.stat().st_ino == before) == (left is None or left == text)  # what needs no change is not rewritten


def test_a_line_that_a_kill_tore_is_dropped(tmp_path):
    file = tmp_path / "loss_log.txt"
    cut_back(file, 1, 0)
    assert not file.exists()
    file.write_text("\n".join(OURS)[:-7])
    cut_back(file, 3, 5)
    assert file.read_text() == "".join(f"{line}\n" for line in OURS[:-1])
