"""Tiles of words: red where a place listened, grey where it did not, on one scale for a caption."""

import torch

from util.pages.attention_tiles import COVER, HEAT, attention_tiles


def test_red_is_as_strong_as_the_part_of_the_greatest():
    maps = torch.zeros(3, 2, 2)
    maps[0], maps[1], maps[2, 0, 0] = 0.5, 0.25, 0.01
    tiles, most = attention_tiles(torch.full((1, 8, 8), 255, dtype=torch.uint8), maps)
    assert tiles.shape == (3, 3, 8, 8) and tiles.dtype == torch.uint8 and most == 0.5
    paper = 0.95 * 255  # 0.2 + 0.75 of white
    full, half = (torch.tensor([round(c * heat + (1 - c) * paper) for heat in HEAT]) for c in (COVER, COVER / 2))
    assert (tiles[0].int() - full.view(3, 1, 1)).abs().max() <= 1
    assert (tiles[1].int() - half.view(3, 1, 1)).abs().max() <= 1
    assert (tiles[2, :, 7, 7].int() - round(paper)).abs().max() <= 1


def test_the_picture_shows_through_and_heat_lies_where_the_place_is():
    levels = torch.full((3, 8, 8), 255, dtype=torch.uint8)
    levels[:, :, 4:] = 0
    maps = torch.tensor([[[1.0, 0], [0, 0]], [[0, 1], [1, 1]]])
    tiles, _ = attention_tiles(levels, maps)
    red = tiles[:, 0].int() - tiles[:, 1].int()
    assert red[0, 0, 0] > 100 and red[0, 7, 0] == 0 and red[0, 0, 7] == 0 and red[1, 0, 0] == 0
    assert tiles[0, 1, 7, 0] - tiles[0, 1, 7, 7] > 150  # white and black ink, where there is no heat
    assert tiles[1, 1, 7, 0] - tiles[1, 1, 7, 7] > 15  # and below full heat


def test_a_caption_nobody_listens_to_has_no_heat():
    tiles, most = attention_tiles(torch.zeros(1, 4, 4, dtype=torch.uint8), torch.zeros(2, 2, 2))
    assert most == 0 and (tiles == 51).all()
