"""A test that reads a part of the data reads a part of every style."""

import pytest

from data import DATASETS, Loader
from data.loading.rows import FirstRows
from tests.conftest import test_options


def fonts(tmp_path, *more):
    opt = test_options(
        *("--checkpoints_dir", tmp_path, "--dataset_mode", "font", "--charset", "ascii", "--num_threads", 0),
        *("--test_characters", 5, "--crop_size", 16, "--batch_size", 3, *more),
    )
    return DATASETS.find("font")(opt), opt


@pytest.mark.parametrize(("count", "each"), [(2, 2), (5, 5), (9, 5), ("all", 5)])
def test_so_many_of_every_style(tmp_path, count, each):
    dataset, opt = fonts(tmp_path, "--target_font", "DejaVuSerif,STIXGeneral,DejaVuSansMono")
    rows = FirstRows(dataset, count)
    batches = list(Loader(rows, opt).epoch())
    groups = [name for batch in batches for name in batch["group"]]
    characters = [c for batch in batches for c in batch["character"].tolist()]
    assert groups == [s for s in ("DejaVuSerif", "STIXGeneral", "DejaVuSansMono") for _ in range(each)]
    assert characters == 3 * dataset.characters[:each] and len(rows) == 3 * each


def test_one_style_is_read_from_its_beginning(tmp_path):
    dataset, _ = fonts(tmp_path)
    assert FirstRows(dataset, 3).items == [0, 1, 2] and FirstRows(dataset, "all").items == list(range(5))
