"""One pull or push of RTSP, from its first connection to its last, and the plugins that jobs use.

A server may send us elsewhere (301, 302), and a server whose packets never arrive over UDP is asked for them inside its
connection. Each needs a new connection, and all of them are one attempt.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAttempt, IAttemptObserver, IPuller, IPusher
from ems.net.attempt import ReconnectingAttempt, referred
from ems.protocols.rtsp.client import RtspClient
from ems.protocols.rtsp.client_login import Login
from ems.protocols.rtsp.dial import dial
from ems.protocols.rtsp.pull import PullClient
from ems.protocols.rtsp.push import PushClient
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

SCHEMES = ("rtsp", "rtsps")


class RtspAttempt(ReconnectingAttempt):
    """One pull or push: its connections one after the other.

    `interleaved` tells that media is to go inside the connection, because that was asked for, because of a tunnel, or because
    nothing came over UDP.
    """

    def __init__(
        self,
        server: "Server",
        uri: Uri,
        settings: Mapping[str, Any],
        observer: IAttemptObserver,
        make_client: type[RtspClient],
    ) -> None:
        super().__init__(server, uri, settings, observer)
        self.login = Login(uri.user_name, uri.password)
        self.interleaved = bool(settings.get("forceTcp")) or bool(settings.get("httpProxy"))
        self._make_client = make_client

    def start(self) -> "Deferred[Any]":
        client = self._make_client(self.server, self)
        return dial(self.server, self.uri, client, self.settings, self.login, self.check_address)

    def redirected(self, location: str) -> str:
        """The other server names another address, absolute or relative to the present one: plan to go there, and say so.

        Who we are is told to another host only if the address says so.
        """
        try:
            uri = referred(self.uri.without_credentials, location)
        except CommandError as error:
            return f"redirected to nowhere: {error}"
        if uri.scheme not in SCHEMES:
            return f"redirected to {uri.without_credentials}, which is not RTSP"
        if (uri.scheme, uri.host) == (self.uri.scheme, self.uri.host) and not uri.user_name:
            uri = replace(uri, user_name=self.uri.user_name, password=self.uri.password)
        self.uri = uri
        self.login = Login(uri.user_name, uri.password)
        self.connect_again()
        return f"redirected to {uri.without_credentials}"

    def fall_back(self) -> None:
        """Plan another connection, with media inside it."""
        self.interleaved = True
        self.connect_again()


@implementer(IPuller)
class RtspPuller:
    """Pulls by RTSP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtspAttempt(server, uri, settings, observer, PullClient).begin()


@implementer(IPusher)
class RtspPusher:
    """Pushes by RTSP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def push(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtspAttempt(server, uri, settings, observer, PushClient).begin()
