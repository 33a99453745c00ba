"""One pull or push, from its beginning to its end: what those of all protocols have in common.

A job asks a puller or a pusher (`ems.interfaces`) for an attempt, and is told of its end once, whatever happens. An attempt
has one connection at a time. Most have one only; a `ReconnectingAttempt` may go on with another, because the other server sends
us elsewhere or wants to know who we are.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAttempt, IAttemptObserver
from ems.net.connection import Connection
from ems.security.uris import check_destination
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server


OUR_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError)
"""What no network and no settings raise: the attempt ends as with any failure, but the log has where it happened."""


@implementer(IAttempt)
class Attempt(ABC):
    """One pull or push. Subclasses say how it starts; its connection calls `lost` when it is gone."""

    _log = Logger()

    def __init__(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> None:
        self.server = server
        self.uri = uri
        self.settings = settings
        self.observer = observer
        self._connection: Connection | None = None
        self._starting: Deferred[Any] | None = None
        self._ended = False

    @abstractmethod
    def start(self) -> "Deferred[Any] | Connection | None":
        """Connect, or open a socket; what comes of it is the connection, or None when that comes later.

        Raises, or the result fails with, `CommandError`, `OSError` or a network error, which end the attempt.
        """

    def release(self) -> None:
        """It has ended: let go of what is no connection."""

    def begin(self) -> Self:
        """Start, which may be to end at once; the attempt itself."""
        starting = self._starting = maybeDeferred(self.start)
        starting.addCallbacks(self._started, self._failed)
        return self

    def stop(self, reason: str) -> None:
        """Give up in good order."""
        if self._connection is not None:
            self._connection.close(reason)
            return
        self._end(reason)
        if self._starting is not None:
            self._starting.cancel()

    def check_address(self, address: str) -> None:
        """Raise `CommandError` when we may not talk to the address where a connection has led; a redirect may lead anywhere."""
        check_destination(self.uri, address)

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        self._connection = None
        self._end(reason)

    def why_not(self, error: BaseException) -> str:
        """What the observer is told when `start` has failed."""
        return str(error)

    def _started(self, connection: Connection | None) -> None:
        self._starting = None
        # It may be gone already: an address that we must not talk to is left at once.
        if connection is not None and not self._ended:
            self._connection = connection

    def _failed(self, failure: Failure) -> None:
        self._starting = None
        if failure.check(*OUR_FAULTS):
            self._log.failure("{scheme} attempt broke", failure, scheme=self.uri.scheme)
        assert failure.value is not None
        self._end(self.why_not(failure.value))

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.release()
            self.observer.ended(reason)


class ReconnectingAttempt(Attempt):
    """An attempt whose connection may be followed by another; whoever wants that says so (`connect_again`) before it ends."""

    MAX_CONNECTIONS = 6
    """Of one attempt: three for authentication, or for another way to send media, and as many redirects as make sense."""

    def __init__(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> None:
        super().__init__(server, uri, settings, observer)
        self._connections = 0
        self._again = False

    def begin(self) -> Self:
        self._connections += 1
        return super().begin()

    def stop(self, reason: str) -> None:
        self._again = False
        super().stop(reason)

    def connect_again(self) -> None:
        """When this connection is gone, make another."""
        self._again = True

    def lost(self, reason: str) -> None:
        if self._again and self._connections < self.MAX_CONNECTIONS:
            self._again = False
            self._connection = None
            self.begin()
        else:
            super().lost(reason)

    def why_not(self, error: BaseException) -> str:
        return f"cannot connect to {self.uri.host}:{self.uri.port}: {error}"


def referred(base: str, reference: str) -> Uri:
    """The address that a redirect means by a reference, absolute or relative to `base` (RFC 3986 §5). Raises `CommandError`."""
    if "://" in reference:
        return Uri.parse(reference)
    # urljoin takes the schemes of the web only to have relative references.
    scheme, _, rest = base.partition("://")
    try:
        meant = urljoin(f"http://{rest}", reference)
    except ValueError:
        raise CommandError(f"Invalid URI: {reference[:200]}") from None
    return Uri.parse(scheme + meant.removeprefix("http"))
