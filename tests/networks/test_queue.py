"""The memory of earlier vectors."""

import torch

from networks.queue import VectorQueue


def rows(*numbers):
    return torch.tensor(numbers, dtype=torch.float32)[:, None].expand(-1, 2)


def test_the_oldest_are_replaced_first():
    queue = VectorQueue(4, 2)
    queue.put(rows(1, 2, 3))
    assert queue.vectors[:, 0].tolist() == [1, 2, 3, 0]
    queue.put(rows(4, 5))
    assert queue.vectors[:, 0].tolist() == [5, 2, 3, 4]
    queue.put(rows(6, 7, 8, 9, 10, 11))
    assert sorted(queue.vectors[:, 0].tolist()) == [8, 9, 10, 11]


def test_a_loss_that_is_still_to_be_differentiated_keeps_what_it_saw():
    queue, q = VectorQueue(2, 2), torch.ones(1, 2, requires_grad=True)
    queue.put(rows(1, 2))
    loss = (q @ queue.vectors.T).sum()
    queue.put(rows(5, 5))
    loss.backward()
    assert q.grad.tolist() == [[3, 3]]
