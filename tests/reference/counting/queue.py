"""A host that fills a queue and a device that drains it, simulated event by event."""

from __future__ import annotations

from collections import deque

Piece = tuple[float, float, int]
"""Time of the host and of the device, and how often."""


def simulated(pieces: list[Piece], start: float) -> float:
    """The clock when both host and device are idle and the queue is empty.

    The host prepares one piece after the other and puts each into the queue; the device takes the first of the queue
    whenever it is free.
    """
    work = deque((host, device) for host, device, count in pieces for _ in range(count))
    queue: deque[float] = deque()
    clock, prepared, busy_until = 0.0, start, None
    preparing: float | None = None
    if work:
        host, preparing = work.popleft()
        prepared = start + host
    while preparing is not None or queue or busy_until is not None:
        events = [time for time in (prepared if preparing is not None else None, busy_until) if time is not None]
        clock = min(events)
        if busy_until is not None and clock == busy_until:
            busy_until = None
        if preparing is not None and clock == prepared:
            queue.append(preparing)
            preparing = None
            if work:
                host, preparing = work.popleft()
                prepared = clock + host
        if busy_until is None and queue:
            busy_until = clock + queue.popleft()
    return max(clock, start)
