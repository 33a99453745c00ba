"""Tells EMS of the protocol ``inboundLine``; it is imported when an acceptor asks for it."""

from ems.plugins import LazyAcceptorProtocol

line = LazyAcceptorProtocol("inboundLine", ("TCP", "ILINE"), "ems_line:InboundLine")
