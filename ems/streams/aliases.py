"""Aliases: other names for streams, which viewers use in place of the real ones.

With ``hasStreamAliases`` a viewer can play aliases only, so an alias is a ticket: for one viewer, for some time, or for ever.
They are kept in memory and end with the server.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from time import time

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from ems.errors import CommandError
from ems.streams.names import checked_name, short_name

MAX_ALIASES = 100_000
"""Aliases at a time: looking through them once a second takes some milliseconds."""


@dataclass(frozen=True, slots=True)
class Alias:
    """One alias. `created` is in seconds since the epoch, `expires` on the clock (None: never), `period` in seconds."""

    name: str
    stream_name: str
    created: float
    period: int
    one_shot: bool
    expires: float | None

    @property
    def permanent(self) -> bool:
        """True when it does not expire."""
        return self.expires is None


class StreamAliases(Service):
    """The aliases of the server's streams; all of them fail, and names are used as they are, unless it is `enabled`.

    `streams` has the names of the live inbound streams, which no alias may hide.
    """

    name = "aliases"

    def __init__(self, clock: IReactorTime, streams: Container[str], *, enabled: bool) -> None:
        self.enabled = enabled
        self._clock = clock
        self._streams = streams
        self._aliases: dict[str, Alias] = {}
        self._expiry = LoopingCall(self._drop_expired)
        self._expiry.clock = clock

    def startService(self) -> None:
        super().startService()
        if self.enabled:
            self._expiry.start(1.0, now=False)

    def stopService(self) -> None:
        super().stopService()
        if self._expiry.running:
            self._expiry.stop()

    def __iter__(self) -> Iterator[Alias]:
        self._drop_expired()
        return iter([*self._aliases.values()])

    def __contains__(self, name: object) -> bool:
        alias = self._aliases.get(name) if isinstance(name, str) else None
        return alias is not None and not self._is_over(alias)

    def add(self, name: str, stream_name: str, period: int) -> Alias:
        """Give a stream, which need not be there, another name: for ever with a period of 0, for so many seconds with a positive
        one, for one viewer within so many seconds with a negative one. A stream's own alias is renewed.

        Raises `CommandError`: a stream has that name, another one has that alias, or it is no name at all.
        """
        name, stream_name = checked_name(name), checked_name(stream_name)
        if name in self._streams or name == stream_name:
            raise CommandError(f"{name} is the name of a stream")
        if name in self and self._aliases[name].stream_name != stream_name:
            raise CommandError(f"{name} is an alias of {self._aliases[name].stream_name}")
        if len(self._aliases) >= MAX_ALIASES:
            raise CommandError(f"there are {MAX_ALIASES} aliases already")
        expires = self._clock.seconds() + abs(period) if period else None
        alias = self._aliases[name] = Alias(name, stream_name, time(), abs(period), period < 0, expires)
        return alias

    def remove(self, name: str) -> Alias:
        """Take an alias back; who plays by it goes on. Raises `CommandError` for an unknown one."""
        if name not in self:
            raise CommandError(f"there is no alias {name}")
        return self._aliases.pop(name)

    def clear(self) -> None:
        """Take all aliases back."""
        self._aliases.clear()

    def resolve(self, played: str, *, use: bool = True) -> str:
        """The name of the stream that a viewer means, as every protocol with viewers asks; internal consumers do not.

        The whole text is looked for, then the part before its query. With `use` an alias for one viewer is used up. Raises
        `CommandError` when it is no alias, and only those can be played.
        """
        if not self.enabled:
            return played
        for name in (played, short_name(played)):
            if name in self:
                alias = self._aliases.pop(name) if use and self._aliases[name].one_shot else self._aliases[name]
                return alias.stream_name
        raise CommandError(f"there is no stream {short_name(played)!r}")

    def _is_over(self, alias: Alias) -> bool:
        return alias.expires is not None and alias.expires <= self._clock.seconds()

    def _drop_expired(self) -> None:
        for alias in [alias for alias in self._aliases.values() if self._is_over(alias)]:
            del self._aliases[alias.name]
