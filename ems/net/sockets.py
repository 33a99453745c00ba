"""Sockets with the options that a media server wants: set on the listening socket, inherited by the accepted ones."""

import socket

BACKLOG = 511
"""Connections that the kernel holds for us while we are busy: a burst of players at the start of a show."""

NOTSENT_LOWAT = 128 << 10
"""Bytes the kernel takes beyond what is on its way: a stuck reader then holds 0.26 MB of kernel memory instead of 3.9."""

USER_TIMEOUT_MS = 60_000
"""How long sent data may stay unacknowledged before the kernel gives the connection up."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A non-blocking TCP socket that listens on a literal IPv4 or IPv6 address; port 0 picks a free one.

    An IPv6 socket takes IPv6 connections only, so that ``0.0.0.0`` and ``::`` can stand side by side. Raises `OSError`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _set_options(listener)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def prepare_outgoing(connected: socket.socket, *, ttl: int | None = None, tos: int | None = None) -> None:
    """Give a connection that we opened the options of those that come in, and the IP header fields that were asked for."""
    _set_options(connected)
    if connected.family == socket.AF_INET6:
        level, hops, traffic_class = socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, socket.IPV6_TCLASS
    else:
        level, hops, traffic_class = socket.IPPROTO_IP, socket.IP_TTL, socket.IP_TOS
    if ttl:
        connected.setsockopt(level, hops, ttl)
    if tos is not None:
        connected.setsockopt(level, traffic_class, tos)


def _set_options(one: socket.socket) -> None:
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_NOTSENT_LOWAT", NOTSENT_LOWAT), ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS)):
        if hasattr(socket, option):
            one.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def acknowledge_at_once(handle: object) -> None:
    """Have the kernel acknowledge what has just come in without waiting for an answer to send along.

    A client that writes its requests in several small pieces (as ffmpeg does) waits 40 ms for each acknowledgement that the
    kernel delays. The effect lasts until the kernel thinks otherwise, so this is repeated while a conversation is young.
    """
    if isinstance(handle, socket.socket) and hasattr(socket, "TCP_QUICKACK"):
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
