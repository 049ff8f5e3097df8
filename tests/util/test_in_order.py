"""Two processes do their parts, and the main one has all of it in order."""

import torch

from options import UserError
from tests.util.test_distributed import in_processes
from util import distributed
from util.in_order import in_order, shared_out

CPU = torch.device("cpu")


def test_alone_it_is_what_comes():
    assert list(in_order(iter([(3, "a"), (5, "b")]), CPU)) == ["a", "b"]
    assert shared_out(str, [1, 2], CPU) == ["1", "2"]


def fails_at(rank, numbers):
    for number in numbers:
        if number == 5:
            raise UserError(f"process {rank} cannot make {number}")
        yield number, number


def parts(rank):
    numbers = ([0, 5, 6, 7, 9], [1, 2, 3])[rank]  # some are skipped, and one process has more than the other
    found = list(in_order(((n, f"{n} of {rank}") for n in numbers), CPU))
    nothing = list(in_order(iter([(4, "alone")] * (rank == 1)), CPU))
    shared = shared_out(lambda item: item * 10, [1, 2, 3], CPU)
    told, came = "", []
    try:
        with distributed.together(CPU):  # as an evaluation is inside
            for number in in_order(fails_at(rank, numbers), CPU):
                came.append(number)
    except UserError as error:
        told = str(error)
    return found, nothing, shared, came, told, distributed.any_process(rank == 1, CPU)


def test_of_two_processes_the_main_one_gets_all_of_it_in_order(tmp_path):
    main, other = in_processes(parts, tmp_path)
    order = ["0 of 0", "1 of 1", "2 of 1", "3 of 1", "5 of 0", "6 of 0", "7 of 0", "9 of 0"]
    assert main == (order, ["alone"], [10, 20, 30], [0], "process 0 cannot make 5", True)
    assert other == ([], [], [10, 20, 30], [], "process 0 cannot make 5", True)


def consumer(rank):
    try:
        with distributed.together(CPU):
            for number in in_order(((n, n) for n in range(rank, 8, 2)), CPU):
                if number == 2:
                    raise UserError("the disk is full")
    except UserError as error:
        return str(error), distributed.is_shared(error), distributed.any_process(rank == 1, CPU)


def test_what_goes_wrong_with_what_came_goes_wrong_in_all(tmp_path):
    assert in_processes(consumer, tmp_path) == [("the disk is full", True, True)] * 2
