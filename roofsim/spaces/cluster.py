"""The parts of a study computed on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

from roofsim.foundation.errors import InputError, MissingExtra
from roofsim.spaces.evaluate import Part, Runner, Study

AHEAD = 4
"""Parts for each thread of the cluster that are asked for before those before them are kept."""

TRIES = 3
"""How often a part is tried again whose worker was lost or failed; Dask itself puts up with as many lost workers."""

ANSWERS = "10s"
"""How long a scheduler has to answer."""

_KEPT: dict[str, Runner] = {}


def computed(
    study: Study, numbers: Sequence[int], scheduler: str | None, workers: int | None
) -> Iterator[tuple[int, Part]]:
    """Parts by number as they are done, by the cluster of a scheduler (`tcp://host:8786`), or by one made for this run.

    Raises MissingExtra without Dask, InputError for a scheduler that does not answer.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise MissingExtra("--engine dask needs Dask", "distributed") from None
    if not numbers:
        return
    cluster = None
    try:
        if scheduler is None:
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        client = Client(cluster or scheduler, set_as_default=False, timeout=ANSWERS)
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler {scheduler}: no scheduler answers there ({error})") from None
    try:
        # a cluster outlives its clients: what workers keep and what the scheduler knows is by study, whoever asks
        token = f"roofsim-study-{uuid4().hex}"
        [held] = client.scatter([study], broadcast=True, hash=False)
        left = list(reversed(numbers))
        threads = max(sum(client.nthreads().values()), 1)

        def submit() -> Any:
            number = left.pop()
            return client.submit(part, token, held, number, key=f"{token}-{number}", retries=TRIES, pure=False)

        waiting = as_completed([submit() for _ in range(min(AHEAD * threads, len(left)))], loop=client.loop)
        for done in waiting:
            number = int(done.key.rpartition("-")[2])
            made: Part = done.result()
            done.release()
            yield number, made
            if left:
                waiting.add(submit())
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def part(token: str, study: Study, number: int) -> Part:
    """One part, on a worker, which keeps what the parts of a study have in common."""
    if token not in _KEPT:
        _KEPT.clear()
        _KEPT[token] = Runner(study)
    return _KEPT[token].part(number)
