"""Media for RTSP sources in tests: frames of a made-up camera as RTP packets, and the SDP that goes with them."""

from collections.abc import Iterable, Iterator

from ems.formats import rtcp
from ems.formats.rtp.packetise import Packetiser, make_packetiser
from ems.formats.rtp.sync import ntp_timestamp
from ems.formats.sdp import SessionDescription, media_of
from ems.media import aac, h264
from ems.media.frame import SECOND, Frame
from ems.media.track import Track
from tests.unit.media.vectors import ASC_STEREO, AVCC_HIGH

PICTURE = 40_000_000
"""Nanoseconds between two pictures."""


def video_track() -> Track:
    """H.264."""
    return h264.make_track(1, AVCC_HIGH)


def audio_track() -> Track:
    """AAC, stereo."""
    return aac.make_track(2, ASC_STEREO)


class Camera:
    """Sends pictures and sound, each a few bytes, from a wall clock that begins at `wall` (nanoseconds since 1970).

    `start` are the first timestamps, and `sequence` the first number, so that wraps can be had.
    """

    def __init__(
        self,
        *,
        sound: bool = True,
        wall: int = 1_700_000_000 * SECOND,
        start: tuple[int, int] = (1000, 2000),
        sequence: int = 10,
        group: int = 5,
    ) -> None:
        self.tracks = (video_track(), audio_track()) if sound else (video_track(),)
        self.wall = wall
        self._start = start
        self._group = group
        self._number = 0
        self._senders: list[Packetiser] = []
        for index, track in enumerate(self.tracks):
            sender = make_packetiser(track, payload_type=96 + index, ssrc=0x1000 + index, sequence=sequence)
            assert sender is not None
            self._senders.append(sender)

    @property
    def sdp(self) -> str:
        """Its description; its media are ``trackID=0`` and ``trackID=1``."""
        description = SessionDescription(name="camera", attributes=[("control", "*")])
        for index, track in enumerate(self.tracks):
            media = media_of(track, 96 + index, control=f"trackID={index}")
            assert media is not None
            description.medias.append(media)
        return str(description)

    def timestamp(self, index: int, time: int) -> int:
        """The RTP timestamp of a medium at a time of the camera, in nanoseconds."""
        return (self._start[index] + time * self._senders[index].clock_rate // SECOND) & 0xFFFFFFFF

    def report(self, index: int) -> bytes:
        """A sender report of a medium, as of the next picture."""
        time = self._number * PICTURE
        sent = rtcp.SenderReport(0x1000 + index, ntp_timestamp(self.wall + time), self.timestamp(index, time), 1, 1)
        return rtcp.build([sent, rtcp.cname(0x1000 + index, "camera")])

    def reports(self) -> Iterator[tuple[int, bytes]]:
        """One of each medium, with its index."""
        for index in range(len(self.tracks)):
            yield index, self.report(index)

    def goodbye(self, index: int) -> bytes:
        """The end of a medium."""
        return rtcp.build([rtcp.ReceiverReport(0x1000 + index), rtcp.Goodbye((0x1000 + index,))])

    def picture(self, size: int = 200) -> Iterator[tuple[int, bytes]]:
        """The packets of the next picture and the sound that goes with it, each with the index of its medium."""
        number, time = self._number, self._number * PICTURE
        self._number += 1
        key = number % self._group == 0
        unit = bytes((0x65 if key else 0x41, 0x88)) + number.to_bytes(2, "big") + bytes(size)
        frames = [Frame(self.tracks[0], time, time, key, len(unit).to_bytes(4, "big") + unit)]
        if len(self.tracks) > 1:
            frames.append(Frame(self.tracks[1], time, time, True, b"\x21sound" + number.to_bytes(2, "big")))
        for index, frame in enumerate(frames):
            for packet in self._senders[index].packets(frame, self.timestamp(index, time)):
                yield index, packet

    def pictures(self, count: int, size: int = 200) -> list[tuple[int, bytes]]:
        """The packets of several."""
        return [packet for _ in range(count) for packet in self.picture(size)]


def numbers(frames: Iterable[Frame]) -> list[int]:
    """The numbers of the pictures in these frames."""
    found = []
    for frame in frames:
        if frame.track.id == 1:
            data = frame.data
            while data:
                size = int.from_bytes(data[:4], "big")
                unit, data = data[4 : 4 + size], data[4 + size :]
                if unit[0] & 31 in (1, 5):
                    found.append(int.from_bytes(unit[2:4], "big"))
    return found
