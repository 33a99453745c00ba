"""The acceptor protocols of the RTMP family, as plugins: what ``protocol =`` in config.lua names.

============  ==========================================================================================
inboundRtmp   RTMP (Adobe RTMP 1.0); a client that begins with an HTTP request is served as by inboundRtmpt
inboundRtmps  the same inside TLS; takes ``sslKey`` and ``sslCert``
inboundRtmpt  RTMP through HTTP (`ems.protocols.rtmp.tunnel`), with a key and a certificate through HTTPS
============  ==========================================================================================
"""

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from ems.interfaces import IAcceptorProtocol
from ems.net.tls import CertificateError
from ems.protocols.rtmp.server import RtmpConnection
from ems.protocols.rtmp.tunnel_http import TunnelFactory

if TYPE_CHECKING:
    from ems.config import AcceptorConfig
    from ems.server import Server


class RtmpFactory(Factory):
    """Makes the connections of one acceptor; its HTTP clients share their sessions."""

    noisy = False

    def __init__(self, server: "Server", *, tls: bool = False) -> None:
        self._server = server
        self._tags = InboundRtmps.tags if tls else InboundRtmp.tags
        self._http = TunnelFactory(server, tls=tls)

    def buildProtocol(self, addr: IAddress | None) -> RtmpConnection:
        connection = RtmpConnection(self._server, validate_handshake=self._server.config.application.validate_handshake)
        connection.factory = self
        connection.tags = self._tags
        return connection

    def make_http(self) -> Protocol:
        """What takes over from a connection that turns out to be HTTP."""
        return self._http.buildProtocol(None)


@implementer(IAcceptorProtocol)
class InboundRtmp:
    """The acceptor protocol ``inboundRtmp``."""

    protocol = "inboundRtmp"
    tags = ("TCP", "IR")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> RtmpFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        return RtmpFactory(server, tls=config.tls)


@implementer(IAcceptorProtocol)
class InboundRtmps:
    """The acceptor protocol ``inboundRtmps``."""

    protocol = "inboundRtmps"
    tags = ("TCP", "ISSL", "IRS")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> RtmpFactory:
        """The factory of one acceptor (`IAcceptorProtocol`). Raises `CertificateError` without key and certificate."""
        if not config.tls:
            raise CertificateError(f"{self.protocol} on port {config.port} needs sslKey and sslCert")
        return RtmpFactory(server, tls=True)


@implementer(IAcceptorProtocol)
class InboundRtmpt:
    """The acceptor protocol ``inboundRtmpt``."""

    protocol = "inboundRtmpt"
    tags = ("TCP", "IH4R", "IR")

    def make_factory(self, server: "Server", config: "AcceptorConfig") -> TunnelFactory:
        """The factory of one acceptor (`IAcceptorProtocol`)."""
        return TunnelFactory(server, tls=config.tls)
