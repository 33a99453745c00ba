"""One pull or push of RTMP, from its first connection to its last, and the plugins that jobs use.

A server may answer the connect call with another address, or ask who we are (`ems.protocols.rtmp.credentials`), and a server
of Enhanced RTMP may ask at any time that we connect anew. Each needs a new connection, and all of them are one attempt.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAttempt, IAttemptObserver, IPuller, IPusher
from ems.net.attempt import ReconnectingAttempt, referred
from ems.protocols.rtmp.client import CAPABILITIES, LAYERS, PullClient, PushClient
from ems.protocols.rtmp.credentials import next_query
from ems.protocols.rtmp.dial import dial
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

SCHEMES = tuple(LAYERS)


class RtmpAttempt(ReconnectingAttempt):
    """One pull or push: its connections one after the other, as redirects and authentication ask for them."""

    def __init__(
        self,
        server: "Server",
        uri: Uri,
        settings: Mapping[str, Any],
        observer: IAttemptObserver,
        make_client: "type[PullClient | PushClient]",
    ) -> None:
        super().__init__(server, uri, settings, observer)
        self.stream_name, self._app = make_client.address(uri, settings)
        self._query = ""
        self._make_client = make_client

    def start(self) -> "Deferred[Any]":
        return dial(self.server, self.uri, self._make_client(self.server, self), self.settings)

    def connect_properties(self) -> dict[str, Any]:
        """The command object of the connect call."""
        settings, base = self.settings, self._base
        properties = {
            "app": self._with_login(self._app),
            "flashVer": settings.get("emulateUserAgent", ""),
            "swfUrl": self._with_login(settings.get("swfUrl") or base),
            "tcUrl": self._with_login(settings.get("tcUrl") or base),
            **CAPABILITIES,
        }
        if settings.get("pageUrl"):
            properties["pageUrl"] = settings["pageUrl"]
        return {**properties, **self._make_client.properties}

    def refused(self, info: Mapping[str, Any]) -> str:
        """The connect call was refused: plan what to do next, and say why this connection closes."""
        description = str(info.get("description", ""))[:500]
        details = info.get("ex")
        if isinstance(details, dict) and details.get("code") == 302:
            return self.redirected(str(details.get("redirect") or ""))
        query = next_query(description, self._query, self._app, self.uri.user_name, self.uri.password)
        if query is None:
            return f"refused: {description or info.get('code', '')}"
        self._query = query
        self.connect_again()
        return "the other server asks who we are"

    def redirected(self, text: str) -> str:
        """The other server names another address, or wants us to connect anew: plan that, and say so.

        The address may be relative to the present one. Who we are is told to another host only if the address says so.
        """
        try:
            uri = referred(self._base, text) if text else self.uri
        except CommandError as error:
            return f"redirected to nowhere: {error}"
        if uri.scheme not in SCHEMES:
            return f"redirected to {uri.without_credentials}, which is not RTMP"
        if text:
            if uri.host == self.uri.host and not uri.user_name:
                uri = replace(uri, user_name=self.uri.user_name, password=self.uri.password)
            self.uri = uri
            self._app = uri.path_and_query.strip("/")
        self._query = ""
        self.connect_again()
        return f"redirected to {uri.without_credentials}"

    @property
    def _base(self) -> str:
        """The address of the application: what a client calls its tcUrl."""
        uri = self.uri
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        return f"{uri.scheme}://{host}:{uri.port}/{self._app}"

    def _with_login(self, text: str) -> str:
        """An application or an address with what proves who we are, in its query."""
        if not self._query:
            return text
        return f"{text}{'&' if '?' in text else '?'}{self._query}"


@implementer(IPuller)
class RtmpPuller:
    """Pulls by RTMP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtmpAttempt(server, uri, settings, observer, PullClient).begin()


@implementer(IPusher)
class RtmpPusher:
    """Pushes by RTMP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def push(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtmpAttempt(server, uri, settings, observer, PushClient).begin()
