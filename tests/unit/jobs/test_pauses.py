"""The pauses between attempts."""

from itertools import pairwise
from random import Random

from ems.jobs.pauses import FIRST, JITTER, LONGEST, Pauses


def moments(pauses: Pauses, seconds: float, now: float = 0) -> list[float]:
    """When the attempts of so many seconds are made, if none lasts."""
    made = [now]
    while made[-1] < now + seconds:
        made.append(made[-1] + pauses.next(made[-1]))
    return made


def test_a_short_absence_is_noticed_within_a_second() -> None:
    """What was away for half a minute is asked every second."""
    pauses = [after - before for before, after in pairwise(moments(Pauses(Random(1)), 30))]
    assert pauses[0] == FIRST == 1
    assert all(FIRST * (1 - JITTER) <= pause <= FIRST for pause in pauses)


def test_a_long_absence_is_noticed_within_ten_seconds() -> None:
    """A source that is gone is asked ever more rarely, but at least every ten seconds."""
    made = moments(Pauses(Random(1)), 86_400)
    pauses = [after - before for before, after in pairwise(made)]
    assert min(pauses[200:]) >= LONGEST * (1 - JITTER)
    assert max(pauses) <= LONGEST
    assert len([moment for moment in made if moment < 600]) < 150


def test_pauses_differ() -> None:
    """Jobs that were lost together do not all come back in the same moment."""
    random = Random(1)
    jobs = [Pauses(random) for _ in range(100)]
    for pauses in jobs:
        pauses.next(0)
    assert len({pauses.next(1) for pauses in jobs}) == 100


def test_a_success_begins_anew() -> None:
    """After streaming, however long the absence before, the first pause is a second again."""
    pauses = Pauses(Random(1))
    moments(pauses, 600)
    pauses.reset()
    assert pauses.next(700) == FIRST
    assert pauses.next(701) <= FIRST
