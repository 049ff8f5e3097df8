"""The processor's cores: how many there are, and the share of a run beside others."""

import os


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(jobs: int) -> int:
    """Of a child: alone it takes the threads it likes, beside others its share of the cores."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if jobs == 1 and told.isdecimal() and int(told) else max(1, cores() // jobs)


def shared(jobs: int) -> dict[str, str]:
    """What the environment of a child beside others says of its share."""
    return {"OMP_NUM_THREADS": str(threads(jobs))} if jobs > 1 else {}
