"""A grid of small images."""

import numpy as np

from util.pages.contact_sheet import GAP, LARGEST, contact_sheet


def test_a_column_for_each_item_and_a_row_for_each_image():
    items = [{"a": np.full((8, 8), 10 * i, np.uint8), "b": np.full((8, 8, 3), (0, 0, i), np.uint8)} for i in range(3)]
    sheet = contact_sheet(items, ["b", "a"])
    step = 8 + GAP
    assert sheet.shape == (2 * step - GAP, 3 * step - GAP, 4)
    for i in range(3):
        assert (sheet[:8, i * step : i * step + 8] == (0, 0, i, 255)).all()
        assert (sheet[step:, i * step : i * step + 8] == (10 * i, 10 * i, 10 * i, 255)).all()
    assert (sheet[8:step, :, 3] == 0).all() and (sheet[:, 8:step, 3] == 0).all()


def test_what_is_missing_is_transparent():
    page = np.zeros((4, 4), np.uint8)
    sheet = contact_sheet([{"a": page}, {"b": page}], ["a", "b"])
    opaque = sheet[..., 3] == 255
    assert opaque[:4, :4].all() and opaque[-4:, -4:].all() and opaque.sum() == 32


def test_large_images_and_odd_sizes_are_fitted():
    sheet = contact_sheet([{"a": np.zeros((512, 256), np.uint8)}, {"a": np.zeros((64, 64), np.uint8)}], ["a"])
    width = LARGEST // 2
    assert sheet.shape == (LARGEST, 2 * width + GAP, 4)
    opaque = sheet[:, width + GAP :, 3] == 255
    assert opaque.sum() == width * width and opaque[(LARGEST - width) // 2 : (LARGEST + width) // 2].all()
