"""Pulling a stream from another RTSP server: OPTIONS, DESCRIBE, SETUP of each medium, PLAY.

Media come over UDP, or inside the connection when that was asked for, when it goes through HTTP, when the server grants nothing
else (461), and when nothing has come over UDP for a while.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ems.errors import CommandError, RemoteProtocolError
from ems.formats import sdp
from ems.interfaces import IScaledSource
from ems.net.udp import PortPairs
from ems.protocols.rtsp.client import Refused, RtspClient, custom_headers
from ems.protocols.rtsp.client_sockets import MediaSockets
from ems.protocols.rtsp.client_url import base_url, control_url
from ems.protocols.rtsp.incoming import TYPE_TAG, Incoming, chosen_media, is_bare_transport_stream
from ems.protocols.rtsp.renewal import Renewal
from ems.protocols.rtsp.transport import Pair, Transport
from ems.protocols.rtsp.wire import Response
from ems.protocols.rtsp.wire import interleaved as interleaved_frame
from ems.streams.inbound import InboundStream

if TYPE_CHECKING:
    from ems.protocols.rtsp.attempt import RtspAttempt
    from ems.server import Server

_RTPTIME = re.compile(r"(?i)(?:^|;)\s*rtptime\s*=\s*([0-9]{1,10})", re.ASCII)
_URL = re.compile(r'(?i)(?:^|;)\s*url\s*=\s*"?([^;"]+)')


class PulledMedium:
    """One medium: what the description says of it, its address, and what carries it."""

    def __init__(self, media: sdp.Media, url: str, group: str) -> None:
        self.media = media
        self.url = url
        self.group = group
        self.sockets: MediaSockets | None = None
        self.channels: Pair | None = None

    @property
    def profile(self) -> str:
        """The profile that is asked for (RFC 2326 §12.39)."""
        return "RAW/RAW" if self.raw else "RTP/AVP"

    @property
    def raw(self) -> bool:
        """True for transport packets in datagrams without RTP, as the original server has them."""
        return is_bare_transport_stream(self.media)


@implementer(IScaledSource)
class PullClient(RtspClient):
    """Plays a presentation of another server and makes it a local stream."""

    FALL_BACK_SECONDS = 5
    """Without a packet over UDP, after which media are asked for inside the connection: something on the way keeps UDP out."""

    FIRST_MEDIA_SECONDS = 20
    """Without a packet, after which the source counts as dead; packets that make no stream get as long as reports, too."""

    REPORT_SECONDS = 5
    """Between two receiver reports (RFC 3550 §6.2)."""

    MAX_EARLY = 1024
    """Packets that may come before PLAY is answered; many servers send some."""

    def __init__(self, server: "Server", attempt: "RtspAttempt") -> None:
        super().__init__(server, attempt)
        self._media: list[PulledMedium] = []
        self._channels: dict[int, Callable[[bytes], None]] = {}
        self._early: list[tuple[Callable[[int, bytes], None], int, bytes]] = []
        self._incoming: Incoming | None = None
        self._renewal: Renewal | None = None
        self._interleaved = attempt.interleaved
        self._playing = 0
        self._control_url = self.url

    @property
    def streams(self) -> list[Any]:
        stream = self._incoming.stream if self._incoming is not None else None
        return [stream] if stream is not None else []

    @property
    def _report_seconds(self) -> float:
        """How long sender reports are waited for."""
        return float(self.settings.get("rtcpDetectionInterval", 10))

    async def converse(self) -> None:
        await self.ask_options()
        description = await self._describe()
        for medium in self._media:
            self._granted(medium, *await self.set_up(medium.url, self._wishes(medium)))
        answer = await self._play()
        self._begin(description, answer)

    def interleaved(self, channel: int, data: bytes) -> None:
        take = self._channels.get(channel)
        if take is not None:
            take(data)

    def end_media(self, reason: str) -> None:
        for medium in self._media:
            if medium.sockets is not None:
                medium.sockets.close()
        self._early.clear()
        if self._renewal is not None:
            self._renewal.close()
            self._renewal = None
        if self._incoming is not None:
            self._incoming.end(reason)
            self.server.intake.discard(self)

    def tick(self, now: float) -> None:
        super().tick(now)
        incoming = self._incoming
        if incoming is None or self.closing:
            return
        self._playing += 1
        incoming.tick()
        if self._playing % self.REPORT_SECONDS == 0:
            self._report(incoming)
        if incoming.stream is None and not self.closing:
            self._without_stream(incoming.heard)

    def scale(self, factor: float) -> "Deferred[None]":
        """Play at another speed (`IScaledSource`); fails with `CommandError` when the server refuses."""
        return Deferred.fromCoroutine(self._scale(factor))

    async def _describe(self) -> sdp.SessionDescription:
        headers = {"Accept": "application/sdp", **custom_headers(str(self.settings.get("sdpCustParams", "")))}
        answer = await self.request("DESCRIBE", self.url, headers)
        description = sdp.parse(answer.body)
        base = base_url(self.url, answer.headers.get)
        self._control_url = control_url(base, description.control)
        self.url = self._control_url
        for media in chosen_media(description):
            connection = description.connection_of(media)
            group = connection.address if connection is not None and _is_group(connection.address) else ""
            self._media.append(PulledMedium(media, control_url(base, media.control), group))
        return description

    def _wishes(self, medium: PulledMedium) -> Iterator[Transport]:
        """The transports to ask for, the best first. All media of a session are carried alike."""
        index = self._media.index(medium)
        inside = Transport(tcp=True, interleaved=(2 * index, 2 * index + 1))
        if self._interleaved:
            yield inside
            return
        if medium.group:
            yield Transport(medium.profile, multicast=True)
        medium.sockets = self._sockets(index)
        yield Transport(medium.profile, client_port=medium.sockets.ports)
        if index == 0 and not medium.raw:
            yield inside
        if not medium.group:
            yield Transport(medium.profile, multicast=True)

    def _sockets(self, index: int) -> MediaSockets:
        rtp, rtcp = self._takers(index)
        return MediaSockets.unicast(self.server, PortPairs(), self.near[0], rtp, rtcp, self)

    def _takers(self, index: int) -> tuple[Callable[[bytes], None], Callable[[bytes], None]]:
        return partial(self._rtp, index), partial(self._rtcp, index)

    def _granted(self, medium: PulledMedium, wish: Transport, granted: Transport) -> None:
        """Carry the medium as the server says."""
        index = self._media.index(medium)
        if granted.tcp or granted.interleaved is not None:
            self._interleaved = True
            medium.channels = granted.interleaved or wish.interleaved or (2 * index, 2 * index + 1)
            self._channels.update(zip(medium.channels, self._takers(index), strict=True))
        if self._interleaved or granted.multicast:
            self._close_sockets(medium)
        if granted.multicast:
            self._join(medium, granted)
        elif medium.sockets is not None:
            self._expect(medium.sockets, granted)

    def _close_sockets(self, medium: PulledMedium) -> None:
        if medium.sockets is not None:
            medium.sockets.close()
            medium.sockets = None

    def _join(self, medium: PulledMedium, granted: Transport) -> None:
        group = granted.destination or medium.group
        ports = granted.port or granted.client_port
        if ports is None and medium.media.port:
            ports = medium.media.port, medium.media.port + 1
        if not _is_group(group) or ports is None or not all(ports):
            raise RemoteProtocolError("the server does not say to which group it sends")
        rtp, rtcp = self._takers(self._media.index(medium))
        medium.sockets = MediaSockets.at(self.server, group, ports, rtp, rtcp, self)

    def _expect(self, sockets: MediaSockets, granted: Transport) -> None:
        """Packets of the server only, which may send from another address than it answers from, if it says so."""
        far = self.far[0].partition("%")[0]
        sockets.sources = frozenset(filter(None, (far, granted.source)))
        if granted.server_port is not None and all(granted.server_port):
            sockets.send_to(granted.source or self.far[0], granted.server_port)
            sockets.open_way()

    async def _play(self) -> Response:
        headers = self._range()
        try:
            return await self.request("PLAY", self.url, headers)
        except Refused as refused:
            if refused.status != 457 or not headers:
                raise
        return await self.request("PLAY", self.url)

    def _range(self) -> dict[str, str]:
        """From where to where the source is to play (RFC 2326 §12.29): seconds, or times of day."""
        settings = self.settings
        if settings.get("rangeTimeStart"):
            return {"Range": f"clock={settings['rangeTimeStart']}-{settings.get('rangeTimeEnd', '')}"}
        start, end = int(settings.get("rangeStart", -2)), int(settings.get("rangeEnd", -1))
        if start >= 0:
            return {"Range": f"npt={start}-{end if end > start else ''}"}
        if start == -1 or self.server.config.application.send_rtsp_range_headers:
            return {"Range": "npt=now-"}
        return {}

    def _begin(self, description: sdp.SessionDescription, answer: Response) -> None:
        """PLAY is answered: what comes is media now."""
        settings = self.settings
        medias = [medium.media for medium in self._media]
        name = str(settings["localStreamName"])
        self._incoming = Incoming(
            medias,
            lambda: self.server.streams.register(name, type_tag=TYPE_TAG, source=self),
            self.close,
            self._streaming,
            interval=self._report_seconds,
            ordered=self._interleaved,
            raw=self._media[0].raw and not self._interleaved,
            origins=rtp_info(answer.headers.get("RTP-Info"), [medium.url for medium in self._media]),
        )
        self.server.intake.add(self)
        self.attempt.observer.connected()
        early, self._early = self._early, []
        for take, index, data in early:
            if not self.closing:
                take(index, data)

    def _streaming(self, stream: InboundStream) -> None:
        if self.settings.get("sendRenewStream"):
            self._renewal = Renewal(self.server, stream, self._renew)
        self.attempt.observer.streaming(stream)

    def _renew(self) -> None:
        """Ask for a key frame, in a way that some cameras know."""
        headers = {"RenewStream": "yes", "Content-Type": "text/parameters"}
        self.note("SET_PARAMETER", headers, b"Renew-Stream: yes\r\n")

    def _rtp(self, index: int, data: bytes) -> None:
        if self._incoming is not None:
            self._incoming.rtp(index, data)
        elif len(self._early) < self.MAX_EARLY:
            self._early.append((self._rtp, index, data))

    def _rtcp(self, index: int, data: bytes) -> None:
        if self._incoming is not None:
            self._incoming.rtcp(index, data)
        elif len(self._early) < self.MAX_EARLY:
            self._early.append((self._rtcp, index, data))

    def _report(self, incoming: Incoming) -> None:
        """Tell the source how its media arrive, which also is a sign of life, and keep the way open."""
        for medium, packet in zip(self._media, incoming.reports(), strict=True):
            if medium.channels is not None:
                self.send(interleaved_frame(medium.channels[1], packet))
            elif medium.sockets is not None and not medium.raw:
                medium.sockets.open_way()
                medium.sockets.send_control(packet)

    def _without_stream(self, heard: bool) -> None:
        """Nothing has come yet, or nothing that makes a stream: is it time to do something about it?"""
        if heard:
            patience = self.FIRST_MEDIA_SECONDS + self._report_seconds
            if self._playing >= patience:
                self.close(f"nothing that can be played came for {patience:g} s")
        elif not self._interleaved and self._playing >= self.FALL_BACK_SECONDS and not any(medium.raw for medium in self._media):
            self.attempt.fall_back()
            self.close(f"nothing came over UDP for {self.FALL_BACK_SECONDS} s")
        elif self._playing >= self.FIRST_MEDIA_SECONDS:
            self.close(f"nothing came for {self.FIRST_MEDIA_SECONDS} s")

    async def _scale(self, factor: float) -> None:
        if self._incoming is None or self.closing:
            raise CommandError("the source does not play")
        try:
            await self.request("PLAY", self.url, {"Scale": f"{factor:g}", **self._range()})
        except RemoteProtocolError as error:
            raise CommandError(str(error)) from None


def rtp_info(header: str, urls: list[str]) -> Mapping[int, int]:
    """The timestamps of RTP-Info (RFC 2326 §12.33) by the index of each medium's address in `urls`.

    Addresses are compared by their ends, as servers write them whole or in part; when none is alike, the order counts.
    """
    entries = [(_URL.search(entry), _RTPTIME.search(entry)) for entry in header.split(",")[: 2 * len(urls)]]
    known = [(url[1].strip().rstrip("/"), int(time[1]) & 0xFFFFFFFF) for url, time in entries if url and time]
    found = {}
    for index, url in enumerate(urls):
        wanted = url.rstrip("/")
        time = next((time for told, time in known if told and (wanted.endswith(told) or told.endswith(wanted))), None)
        if time is not None:
            found[index] = time
    if not found and len(known) == len(urls):
        found = {index: time for index, (_, time) in enumerate(known)}
    return found


def _is_group(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_multicast
    except ValueError:
        return False
