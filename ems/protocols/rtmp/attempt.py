"""One pull or push of RTMP, from its first connection to its last, and the plugins that jobs use.

A server may answer the connect call with another address, or ask who we are (`ems.protocols.rtmp.credentials`), and a server
of Enhanced RTMP may ask at any time that we connect anew. Each needs a new connection, and all of them are one attempt.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from ems.errors import CommandError
from ems.interfaces import IAttempt, IAttemptObserver, IPuller, IPusher
from ems.protocols.rtmp.client import CAPABILITIES, LAYERS, PullClient, PushClient, RtmpClient
from ems.protocols.rtmp.credentials import next_query
from ems.protocols.rtmp.dial import dial
from ems.security.uris import check_destination
from ems.uri import Uri

if TYPE_CHECKING:
    from ems.server import Server

SCHEMES = tuple(LAYERS)


@implementer(IAttempt)
class RtmpAttempt:
    """One pull or push: its connections one after the other, as redirects and authentication ask for them."""

    MAX_CONNECTIONS = 6
    """Of one attempt: three for authentication, and as many redirects as make sense."""

    def __init__(
        self,
        server: "Server",
        uri: Uri,
        settings: Mapping[str, Any],
        observer: IAttemptObserver,
        make_client: "type[PullClient | PushClient]",
    ) -> None:
        self.server = server
        self.settings = settings
        self.observer = observer
        self.stream_name, self._app = make_client.address(uri, settings)
        self._uri = uri
        self._query = ""
        self._make_client = make_client
        self._client: RtmpClient | None = None
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

    @property
    def scheme(self) -> str:
        """The scheme of the present address, one of `SCHEMES`."""
        return self._uri.scheme

    def check_address(self, address: str) -> None:
        """Raise `CommandError` when we may not talk to the address where a connection has led; a redirect may lead anywhere."""
        check_destination(self._uri, address)

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
        query = next_query(description, self._query, self._app, self._uri.user_name, self._uri.password)
        if query is None:
            return f"refused: {description or info.get('code', '')}"
        self._query = query
        self._again = True
        return "the other server asks who we are"

    def redirected(self, text: str) -> str:
        """The other server names another address, or wants us to connect anew: plan that, and say so.

        The address may be relative to the present one. Who we are is told to another host only if the address says so.
        """
        try:
            uri = self._refer(text) if text else self._uri
        except CommandError as error:
            return f"redirected to nowhere: {error}"
        if uri.scheme not in SCHEMES:
            return f"redirected to {uri.without_credentials}, which is not RTMP"
        if text:
            if uri.host == self._uri.host and not uri.user_name:
                uri = replace(uri, user_name=self._uri.user_name, password=self._uri.password)
            self._uri = uri
            self._app = uri.path_and_query.strip("/")
        self._query = ""
        self._again = True
        return f"redirected to {uri.without_credentials}"

    def lost(self, reason: str) -> None:
        """A connection is gone: the next one is made, or the attempt is over."""
        self._client = None
        if self._again and self._connections < self.MAX_CONNECTIONS:
            self._again = False
            self._dial()
        else:
            self._end(reason)

    @property
    def _base(self) -> str:
        """The address of the application: what a client calls its tcUrl."""
        uri = self._uri
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        return f"{uri.scheme}://{host}:{uri.port}/{self._app}"

    def _with_login(self, text: str) -> str:
        """An application or an address with what proves who we are, in its query."""
        if not self._query:
            return text
        return f"{text}{'&' if '?' in text else '?'}{self._query}"

    def _refer(self, reference: str) -> Uri:
        """The address that is meant by a reference (RFC 3986 §5). Raises `CommandError`."""
        if "://" in reference:
            return Uri.parse(reference)
        # urljoin takes the schemes of the web only to have relative references.
        scheme = self._uri.scheme
        return Uri.parse(scheme + urljoin("http" + self._base.removeprefix(scheme), reference).removeprefix("http"))

    def _dial(self) -> None:
        self._connections += 1
        client = self._make_client(self.server, self)
        # An impossible host name, of which a redirect can tell, is raised at once.
        self._dialing = maybeDeferred(dial, self.server, self._uri, client, self.settings)
        self._dialing.addCallbacks(lambda _: self._connected(client), lambda failure: self._failed(failure.getErrorMessage()))

    def _connected(self, client: RtmpClient) -> None:
        self._dialing = None
        self._client = client

    def _failed(self, reason: str) -> None:
        self._dialing = None
        self._end(f"cannot connect to {self._uri.host}:{self._uri.port}: {reason}")

    def _end(self, reason: str) -> None:
        if not self._ended:
            self._ended = True
            self.observer.ended(reason)


@implementer(IPuller)
class RtmpPuller:
    """Pulls by RTMP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def pull(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtmpAttempt(server, uri, settings, observer, PullClient)


@implementer(IPusher)
class RtmpPusher:
    """Pushes by RTMP, plain, over TLS and through HTTP."""

    schemes = SCHEMES

    def push(self, server: "Server", uri: Uri, settings: Mapping[str, Any], observer: IAttemptObserver) -> IAttempt:
        return RtmpAttempt(server, uri, settings, observer, PushClient)
