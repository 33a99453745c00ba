"""The pauses between attempts."""

from random import Random

from ems.jobs.pauses import FIRST, JITTER, LONGEST, Pauses


def test_pauses_grow_to_their_limit() -> None:
    """A source that is gone is asked after a second, then ever more rarely, but at least every ten seconds."""
    pauses = Pauses(Random(1))
    taken = [pauses.next() for _ in range(50)]
    assert taken[0] == FIRST == 1
    for pause, longest in zip(taken, [1, 2, 4, 8, *[LONGEST] * 46], strict=True):
        assert longest * (1 - JITTER) <= pause <= longest


def test_pauses_differ() -> None:
    """Jobs that were lost together do not all come back in the same moment."""
    random = Random(1)
    jobs = [Pauses(random) for _ in range(100)]
    for pauses in jobs:
        pauses.next()
    assert len({pauses.next() for pauses in jobs}) == 100


def test_a_success_begins_anew() -> None:
    """After a good while of streaming the first pause is a second again."""
    pauses = Pauses(Random(1))
    for _ in range(10):
        pauses.next()
    pauses.reset()
    assert pauses.next() == FIRST
