"""How long to wait before the next attempt."""

from random import Random

FIRST = 1.0
"""Seconds. Most losses are short, and the original tries again after a second, too."""

LONGEST = 10.0
"""Seconds. A source that comes back after hours is there again within this time."""

JITTER = 0.25
"""The share of a pause that is left to chance, so that a thousand jobs that were lost together do not return together."""

SUCCESS = 10.0
"""Seconds of streaming after which the pauses begin anew; a source that only flickers is not asked every second."""


class Pauses:
    """The pauses between the attempts of one job: the first is one second, each doubles, none is longer than `LONGEST`."""

    __slots__ = ("_count", "_random")

    def __init__(self, random: Random) -> None:
        self._count = 0
        self._random = random

    def next(self) -> float:
        """The next pause in seconds; every one but the first is shortened by chance, by up to `JITTER`."""
        if self._count == 0:
            self._count = 1
            return FIRST
        longest = min(LONGEST, FIRST * (1 << self._count))
        self._count += longest < LONGEST
        return longest * (1 - JITTER * self._random.random())

    def reset(self) -> None:
        """Begin anew after a success."""
        self._count = 0
