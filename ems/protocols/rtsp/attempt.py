"""One pull or push of RTSP, from its first connection to its last, and the plugins that jobs use.

A server may send us elsewhere (301, 302), and a server whose packets never arrive over UDP is asked for them inside its
connection. Each needs a new connection, and all of them are one attempt.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAttempt, IAttemptObserver, IPuller, IPusher
from ems.protocols.rtsp.client import RtspClient
from ems.protocols.rtsp.client_login import Login
from ems.protocols.rtsp.dial import dial
from ems.protocols.rtsp.pull import PullClient
from ems.protocols.rtsp.push import PushClient
from ems.security.uris import check_destination
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

SCHEMES = ("rtsp", "rtsps")


@implementer(IAttempt)
class RtspAttempt:
    """One pull or push: its connections one after the other.

    `interleaved` tells that media is to go inside the connection, because that was asked for, because of a tunnel, or because
    nothing came over UDP.
    """

    MAX_CONNECTIONS = 6
    """Of one attempt: as many redirects as make sense, and one more for TCP."""

    def __init__(
        self,
        server: "Server",
        uri: Uri,
        settings: Mapping[str, Any],
        observer: IAttemptObserver,
        make_client: type[RtspClient],
    ) -> None:
        self.server = server
        self.uri = uri
        self.settings = settings
        self.observer = observer
        self.login = Login(uri.user_name, uri.password)
        self.interleaved = bool(settings.get("forceTcp")) or bool(settings.get("httpProxy"))
        self._make_client = make_client
        self._client: RtspClient | None = None
        self._dialing: Deferred[Any] | None = None
        self._connections = 0
        self._again = False
        self._ended = False
        self._dial()

    def stop(self, reason: str) -> None:
        """Give up in good order."""
        self._again = False
        if self._client is not None:
            self._client.close(reason)
        elif self._dialing is not None:
            self._end(reason)
            self._dialing.cancel()

    def check_address(self, address: str) -> None:
        """Raise `CommandError` when we may not talk to the address where a connection has led; a redirect may lead anywhere."""
        check_destination(self.uri, address)

    def redirected(self, location: str) -> str:
        """The other server names another address, absolute or relative to the present one: plan to go there, and say so.

        Who we are is told to another host only if the address says so.
        """
        try:
            uri = self._refer(location)
        except CommandError as error:
            return f"redirected to nowhere: {error}"
        if uri.scheme not in SCHEMES:
            return f"redirected to {uri.without_credentials}, which is not RTSP"
        if (uri.scheme, uri.host) == (self.uri.scheme, self.uri.host) and not uri.user_name:
            uri = replace(uri, user_name=self.uri.user_name, password=self.uri.password)
        self.uri = uri
        self.login = Login(uri.user_name, uri.password)
        self._again = True
        return f"redirected to {uri.without_credentials}"

    def fall_back(self) -> None:
        """Plan another connection, with media inside it."""
        self.interleaved = True
        self._again = True

    def lost(self, reason: str) -> None:
        """A connection is gone: the next one is made, or the attempt is over."""
        self._client = None
        if self._again and self._connections < self.MAX_CONNECTIONS:
            self._again = False
            self._dial()
        else:
            self._end(reason)

    def _refer(self, location: str) -> Uri:
        """The address that is meant by a reference (RFC 3986 §5). Raises `CommandError`."""
        if "://" in location:
            return Uri.parse(location)
        # urljoin takes the schemes of the web only to have relative references.
        base = self.uri.without_credentials.partition("://")[2]
        return Uri.parse(self.uri.scheme + urljoin(f"http://{base}", location).removeprefix("http"))

    def _dial(self) -> None:
        self._connections += 1
        client = self._make_client(self.server, self)
        # An impossible host name, of which a redirect can tell, is raised at once.
        self._dialing = maybeDeferred(dial, self.server, self.uri, client, self.settings, self.login, self.check_address)
        self._dialing.addCallbacks(lambda _: self._connected(client), lambda failure: self._failed(failure.getErrorMessage()))

    def _connected(self, client: RtspClient) -> None:
        self._dialing = None
        # It may be gone already: an address that we must not talk to is left at once.
        if not self._ended:
            self._client = client

    def _failed(self, reason: str) -> None:
        self._dialing = None
        self._end(f"cannot connect to {self.uri.host}:{self.uri.port}: {reason}")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.observer.ended(reason)


@implementer(IPuller)
class RtspPuller:
    """Pulls by RTSP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtspAttempt(server, uri, settings, observer, PullClient)


@implementer(IPusher)
class RtspPusher:
    """Pushes by RTSP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def push(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtspAttempt(server, uri, settings, observer, PushClient)
