import random

import torch

from util.image_pool import ImagePool


def images(*values):
    return torch.stack([torch.full((1, 2, 2), float(v)) for v in values])


def test_size_zero_lets_everything_through():
    x = images(1, 2)
    assert ImagePool(0).query(x) is x


def test_it_fills_then_gives_back_half():
    random.seed(0)
    pool = ImagePool(10)
    assert torch.equal(pool.query(images(*range(10))), images(*range(10)))
    old = sum(pool.query(images(100 + i))[0, 0, 0, 0].item() < 100 + i for i in range(400))
    assert 160 < old < 240 and len(pool.images) == 10


def test_an_image_given_back_is_replaced_by_the_new_one():
    random.seed(1)
    pool = ImagePool(1)
    pool.query(images(7))
    while (out := pool.query(images(8))[0, 0, 0, 0].item()) == 8:
        pass
    assert out == 7 and pool.images[0][0, 0, 0].item() == 8


def test_its_images_are_part_of_the_state():
    pool, other = ImagePool(4), ImagePool(4)
    pool.query(images(1, 2, 3))
    other.load_state_dict(pool.state_dict())
    assert [i[0, 0, 0].item() for i in other.images] == [1, 2, 3]


def test_a_batch_stays_of_one_size():
    """Earlier fakes of another size leave the pool, and never meet those of a batch; one alone may be of any size."""
    random.seed(0)
    pool = ImagePool(2)
    pool.query(images(1, 2))
    wide = torch.zeros(2, 1, 2, 5)
    for _ in range(10):
        assert pool.query(wide).shape == wide.shape
    assert [tuple(i.shape) for i in pool.images] == [(1, 2, 5)] * 2
    while (one := pool.query(images(3))).shape[3] == 2:
        pass
    assert one.shape == (1, 1, 2, 5)
