"""Pushing a local stream to another RTSP server: OPTIONS, ANNOUNCE, SETUP of each medium, RECORD.

What is sent, and how it is paced over UDP, is what viewers of this server get as well (`ems.protocols.rtsp.feed`,
`ems.protocols.rtsp.carriers`).
"""

from collections.abc import Iterator
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ems.errors import RemoteProtocolError
from ems.media.track import Kind
from ems.net.udp import PortPairs
from ems.protocols.rtsp.address import CONTROL
from ems.protocols.rtsp.carriers import DatagramOutlet
from ems.protocols.rtsp.client import RtspClient
from ems.protocols.rtsp.client_sockets import MediaSockets
from ems.protocols.rtsp.client_url import control_url
from ems.protocols.rtsp.description import Medium, describe, offered_media
from ems.protocols.rtsp.feed import TCP_PACKET, UDP_PACKET, Form
from ems.protocols.rtsp.play import RtspPlay
from ems.protocols.rtsp.tracks import wait_for_tracks
from ems.protocols.rtsp.transport import Pair, Transport
from ems.streams.inbound import InboundStream
from ems.streams.outlet import Outlet

if TYPE_CHECKING:
    from ems.protocols.rtsp.attempt import RtspAttempt
    from ems.server import Server

RECORD = "record"


class PushClient(RtspClient):
    """Records a local stream at another server."""

    TRACKS_SECONDS = 20
    """Until the local stream has told which tracks it has; an announcement cannot be changed."""

    STALL_SECONDS = 20
    """In which the other server takes nothing of what waits for it."""

    def __init__(self, server: "Server", attempt: "RtspAttempt") -> None:
        super().__init__(server, attempt)
        self.url = target_url(self.url, str(attempt.settings["targetStreamName"]))
        self._interleaved = attempt.interleaved
        self._sockets: list[MediaSockets] = []
        self._channels: list[Pair] = []
        self._push: Push | None = None
        self._datagrams: DatagramOutlet | None = None
        self._stalled = 0
        self._passed = 0

    @property
    def streams(self) -> list[Any]:
        return [self._push] if self._push is not None else []

    async def converse(self) -> None:
        name = str(self.settings["localStreamName"])
        stream = self.server.streams.by_name(name)
        if stream is None:
            raise RemoteProtocolError(f"there is no stream {name}")
        media = await self._media_of(stream)
        await self.ask_options()
        sdp = describe(name, media, self.near[0], (int(time()), 1), None)
        await self.request("ANNOUNCE", self.url, {"Content-Type": "application/sdp"}, sdp)
        for index, medium in enumerate(media):
            url = control_url(self.url, f"{CONTROL}{medium.number}")
            self._granted(index, *await self.set_up(url, self._wishes(index)))
        if self._interleaved and len(self._channels) != len(media):
            raise RemoteProtocolError("the server wants some media over UDP and some inside the connection")
        if self._interleaved:
            # From its making on every byte goes through it, and it begins with one: that is this request.
            self.outlet = Outlet(self, self.server.streams.fan_out)
        await self.request("RECORD", self.url, {"Range": "npt=now-"})
        self.attempt.observer.connected()
        self._begin(name, media)

    def end_media(self, reason: str) -> None:
        push, self._push = self._push, None
        if push is not None:
            push.say_goodbye()
            push.unsubscribe()
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None
        for sockets in self._sockets:
            sockets.close()

    def tick(self, now: float) -> None:
        super().tick(now)
        if self.closing or self._push is None:
            return
        if not self._push.fits():
            self.close("the tracks of the local stream have changed")
        elif self.outlet is not None and self._stuck(self.outlet):
            self.close(f"the other server has taken nothing for {self.STALL_SECONDS} s")

    async def _media_of(self, stream: InboundStream) -> tuple[Medium, ...]:
        """What is announced; waits for a stream that does not know its tracks yet."""
        await wait_for_tracks(stream, self.server.clock, self.TRACKS_SECONDS)
        if not stream.tracks:
            raise RemoteProtocolError(f"the local stream has not told its tracks within {self.TRACKS_SECONDS} s")
        media = offered_media(stream.tracks, ts=False) or offered_media(stream.tracks, ts=True)
        if not media:
            raise RemoteProtocolError("the local stream has nothing that RTP can carry")
        # As encoders announce them: receivers exist that know their media by the order.
        return tuple(sorted(media, key=lambda medium: medium.track is not None and medium.track.kind is Kind.AUDIO))

    def _wishes(self, index: int) -> Iterator[Transport]:
        if not self._interleaved:
            sockets = MediaSockets.unicast(self.server, PortPairs(), self.near[0], _ignore, _ignore, self)
            self._sockets.append(sockets)
            yield Transport(client_port=sockets.ports, mode=RECORD)
            if index:
                return
        yield Transport(tcp=True, interleaved=(2 * index, 2 * index + 1), mode=RECORD)

    def _granted(self, index: int, wish: Transport, granted: Transport) -> None:
        if granted.tcp or granted.interleaved is not None:
            self._interleaved = True
            self._channels.append(granted.interleaved or (2 * index, 2 * index + 1))
            return
        if granted.server_port is None or not all(granted.server_port):
            raise RemoteProtocolError("the server does not say to which ports it wants media")
        self._sockets[index].send_to(self.far[0], granted.server_port)

    def _begin(self, name: str, media: tuple[Medium, ...]) -> None:
        form = Form(media, tuple(self._channels), TCP_PACKET if self._interleaved else UDP_PACKET)
        push = self._push = Push(self, name, form, self._way_out)
        push.subscribe()
        if push.prepare() is None:
            raise RemoteProtocolError(f"there is no stream {name}")
        push.start()
        self.attempt.observer.streaming(push)

    def _way_out(self) -> Outlet | DatagramOutlet:
        if self.outlet is not None:
            return self.outlet
        ways = {}
        for index, sockets in enumerate(self._sockets):
            ways[2 * index], ways[2 * index + 1] = sockets.both
        self._datagrams = DatagramOutlet(self, self.server.streams.fan_out, self.server.clock, ways)
        return self._datagrams

    def _stuck(self, outlet: Outlet) -> bool:
        passed = self.bytes_received + self.bytes_sent - outlet.unsent
        self._stalled = 0 if passed != self._passed or outlet.open else self._stalled + 1
        self._passed = passed
        return self._stalled >= self.STALL_SECONDS


class Push(RtspPlay):
    """The outbound stream of a push: a viewer that ends when its source does."""

    __slots__ = ()

    connection: PushClient

    def source_left(self, reason: str) -> None:
        self.connection.close(f"the local stream ended: {reason}")


def target_url(base: str, name: str) -> str:
    """The address of a stream behind the path of another, its query kept behind it."""
    path, question, query = base.partition("?")
    return f"{path.rstrip('/')}/{quote(name.lstrip('/'), safe='/:@!$&+,;=~')}{question}{query}"


def _ignore(data: bytes) -> None:
    """Receivers' reports tell nothing that a push could act on."""
