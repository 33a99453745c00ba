"""How long to wait before the next attempt: the longer the other side has been away, the longer."""

from random import Random

FIRST = 1.0
"""Seconds. Most losses are short, and the original tries again after a second, too."""

LONGEST = 10.0
"""Seconds. A source that comes back after hours is there again within this time."""

SHARE = 1 / 30
"""A pause in units of the time that the other side has been away. One that was away for half a minute is asked every second
and so is back at once; only after five minutes the pauses are as long as they get."""

JITTER = 0.25
"""The share of a pause that is left to chance, so that a thousand jobs that were lost together do not return together."""

SUCCESS = 1.0
"""Seconds of streaming after which the other side counts as having been there; one that only flickers is still away."""


class Pauses:
    """The pauses between the attempts of one job."""

    __slots__ = ("_away_since", "_random")

    def __init__(self, random: Random) -> None:
        self._away_since: float | None = None
        self._random = random

    def next(self, now: float) -> float:
        """The next pause in seconds, at this moment in seconds.

        The first is `FIRST`; later ones are as long as `SHARE` says and shortened by chance, by up to `JITTER`.
        """
        if self._away_since is None:
            self._away_since = now
            return FIRST
        longest = min(LONGEST, max(FIRST, SHARE * (now - self._away_since)))
        return longest * (1 - JITTER * self._random.random())

    def reset(self) -> None:
        """Begin anew: the other side is there, or was not asked for a while."""
        self._away_since = None
