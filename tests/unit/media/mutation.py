"""Damaged input for parsers: what a hostile or broken peer makes of something valid. The same for every run."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence

from ems.errors import MalformedData

MUTATIONS = 20_000


def prefixes(data: bytes) -> Iterator[bytes]:
    """`data` cut off at every byte, itself excluded."""
    for end in range(len(data)):
        yield data[:end]


def mutated(originals: Sequence[bytes], count: int = MUTATIONS) -> Iterator[bytes]:
    """`count` inputs, each one of `originals` with one to four things done to it."""
    chance = random.Random(20240229)
    for _ in range(count):
        data = bytearray(chance.choice(originals))
        for _ in range(chance.randint(1, 4)):
            _mutate(data, chance)
        yield bytes(data)


def refusals(parse: Callable[[bytes], object], inputs: Iterable[bytes]) -> tuple[int, int]:
    """How many inputs `parse` read and how many it refused with `MalformedData`; any other exception goes through."""
    read = refused = 0
    for data in inputs:
        try:
            parse(data)
            read += 1
        except MalformedData:
            refused += 1
    return read, refused


def _mutate(data: bytearray, chance: random.Random) -> None:
    if not data:
        return
    place = chance.randrange(len(data))
    match chance.randrange(6):
        case 0:
            data[place] ^= 1 << chance.randrange(8)
        case 1:
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        case 2:
            del data[place:]
        case 3:
            del data[place : place + chance.randint(1, 8)]
        case 4:
            data[place:place] = chance.randbytes(chance.randint(1, 8))
        case 5:
            data[place : place + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\0\0\3\1"))
