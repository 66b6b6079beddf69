"""The parts of a study computed on this machine: one after the other, or by several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

from roofsim.foundation.errors import InputError
from roofsim.spaces.evaluate import Part, Runner, Study

WORTH = 2**18
"""Points below which a study is done before other processes have started."""

AHEAD = 2
"""Parts for each process that are asked for before those before them are kept, which bounds the memory."""

_RUNNER: list[Runner] = []


def computed(study: Study, numbers: Sequence[int], workers: int | None) -> Iterator[tuple[int, Part]]:
    """Parts by number as they are done; `workers` is the number of processes, None one for each processor."""
    workers = workers or processors()
    size = sum(len(range(*study.space.span(i))) for i in numbers)
    if min(workers, len(numbers)) < 2 or (size < WORTH and study.space.cases < WORTH_CASES):
        runner = Runner(study)
        return ((number, runner.part(number)) for number in numbers)
    return _shared_out(study, numbers, workers)


WORTH_CASES = 256
"""Cases from which on several processes are worth their start, whatever the points."""


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def left_to_the_first() -> None:
    """For other processes: what interrupts the program is handled where the work was asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _shared_out(study: Study, numbers: Sequence[int], workers: int) -> Iterator[tuple[int, Part]]:
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    left = list(reversed(numbers))
    waiting: dict[Future[Part], int] = {}
    # not forked: a process that was forked while threads of a library run can hang
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (study,)) as pool:
        try:
            while left or waiting:
                while left and len(waiting) < AHEAD * workers:
                    number = left.pop()
                    waiting[pool.submit(_part, number)] = number
                for each in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(each), each.result()
        except BrokenProcessPool:
            raise InputError(
                "a process that computed parts of the study was ended from outside, perhaps for want of memory; "
                "the same command goes on from what is kept, with --workers 1 in one process"
            ) from None
        finally:
            for each in waiting:
                each.cancel()


def _begin(study: Study) -> None:
    _RUNNER[:] = [Runner(study)]


def _part(number: int) -> Part:
    return _RUNNER[0].part(number)
