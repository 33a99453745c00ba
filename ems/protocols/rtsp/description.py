"""The SDP of a stream: what DESCRIBE answers, and which media a viewer may set up.

The first audio and the first video track that RTP has a standard way for, numbered as they stand there; or one medium that has
all of it as MPEG-TS, which is the only way for a transport stream that came in untouched.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ems.formats.mpegts.mux import carried
from ems.formats.rtp.packetise import TS_PAYLOAD_TYPE, make_packetiser
from ems.formats.sdp import Connection, SessionDescription, media_of, payload_type_of, transport_stream_media
from ems.media.track import Codec, Kind, Track
from ems.protocols.rtsp.address import CONTROL

if TYPE_CHECKING:
    from ems.config import Multicast

FIRST_PAYLOAD_TYPE = 96


class Medium(NamedTuple):
    """One medium of a presentation: its number in addresses, its payload type, and its track, None for MPEG-TS of all tracks."""

    number: int
    payload_type: int
    track: Track | None

    @property
    def kind(self) -> tuple[object, ...]:
        """What must not change while somebody plays: what the SDP cannot be told again."""
        track = self.track
        return (track.id, track.codec, track.sample_rate, track.channels) if track is not None else ()


def offered_media(tracks: Sequence[Track], *, ts: bool) -> tuple[Medium, ...]:
    """The media of a stream with these tracks, audio first; empty when there is nothing that can be sent.

    With `ts` it is one medium, and so it is for a transport stream that came in untouched.
    """
    untouched = any(track.codec is Codec.TS for track in tracks)
    if ts or untouched:
        return (Medium(1, TS_PAYLOAD_TYPE, None),) if untouched or carried(tracks) else ()
    media: list[Medium] = []
    for kind in (Kind.AUDIO, Kind.VIDEO):
        track = next((track for track in tracks if track.kind is kind and _can_be_sent(track)), None)
        if track is not None:
            number = len(media) + 1
            media.append(Medium(number, payload_type_of(track, FIRST_PAYLOAD_TYPE + (kind is Kind.VIDEO)), track))
    return tuple(media)


def left_out(tracks: Sequence[Track], media: Sequence[Medium]) -> str:
    """Why viewers do not get the other tracks, in words; empty when they get all."""
    if any(medium.track is None for medium in media):
        chosen, able, form = carried(tracks), carried(tracks), "MPEG-TS"
    else:
        chosen, form = tuple(medium.track for medium in media if medium.track is not None), "RTP"
        able = tuple(track for track in tracks if _can_be_sent(track))
    return "; ".join(
        f"{track.kind.value} track {track.id} ({track.codec.value}): "
        + ("one track of a kind is sent" if track in able else f"{form} cannot carry it")
        for track in tracks
        if track.kind is not Kind.DATA and track not in chosen
    )


def describe(name: str, media: Sequence[Medium], near: str, session: tuple[int, int], multicast: "Multicast | None") -> bytes:
    """The SDP of these media of a live stream.

    `near` is our address, `session` the id and the version of the description; with a `multicast` group that is where media come
    from (RFC 2326 §C.1.6), otherwise SETUP says it.
    """
    address_type = "IP6" if ":" in near else "IP4"
    nowhere = Connection(address_type, "::" if ":" in near else "0.0.0.0")
    if multicast is not None:
        group_type = "IP6" if ":" in multicast.ip else "IP4"
        connection = Connection(group_type, multicast.ip, None if group_type == "IP6" else multicast.ttl)
    else:
        connection = nowhere
    description = SessionDescription(
        name="".join(character for character in name if character.isprintable()) or "-",
        origin=f"- {session[0]} {session[1]} IN {address_type} {near.partition('%')[0]}",
        connection=connection,
        attributes=[("tool", "EMS"), ("recvonly", ""), ("control", "*"), ("range", "npt=now-")],
    )
    for medium in media:
        control = f"{CONTROL}{medium.number}"
        track = medium.track
        one = transport_stream_media(control=control) if track is None else media_of(track, medium.payload_type, control=control)
        if one is not None:
            description.medias.append(one)
    return bytes(description)


def _can_be_sent(track: Track) -> bool:
    return media_of(track, FIRST_PAYLOAD_TYPE) is not None and make_packetiser(track, payload_type=96, ssrc=0) is not None
