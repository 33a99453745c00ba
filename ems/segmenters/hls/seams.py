"""Where encryption and low latency come in: what they are asked, and when.

Segments pass through an output one after another, in this order::

    part listener: began, frames, …, ended                 as the frames come
    protection.segment(number)                            the key of the segment, perhaps awaited
    key.finish(bytes)                                     in a thread
    key.files, the segment, the playlist                  on the disk, in this order

The container makes the bytes on the reactor, each access unit as it comes where it can (`Container.unit`): a whole segment at
once would hold up everybody else, and so would a thread that works in Python. With a protection it makes them with `finish`, in
a thread, as it may have to wait for the key.

A protection works inside the container (SAMPLE-AES: `Protection.container`), or on the finished bytes (AES-128:
`SegmentKey.finish`), or both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ems.formats.m3u8 import Key, MediaPlaylist
from ems.media.frame import Frame
from ems.media.track import Track
from ems.segmenters.cutting import Segment


class Container(Protocol):
    """Makes the bytes of segments that all have the same tracks, one after another.

    A segment is its `header` and one `piece` or several, joined; pieces follow each other in time.
    """

    tracks: tuple[Track, ...]
    """The tracks of the source that are in it."""

    extension: str
    """The file extension, without a dot: ts, aac, m4s."""

    init: bytes
    """The initialisation segment (``EXT-X-MAP``); empty where the format has none."""

    unit: Callable[[Frame], bytes] | None
    """Makes the bytes of one access unit when it comes; None where only whole pieces can be made. With it `header` needs no
    frames, and a `piece` of none is what ends a segment."""

    def header(self, segment: Segment) -> bytes:
        """What every segment begins with: program tables, a timestamp; perhaps nothing."""

    def piece(self, frames: Sequence[Frame], end: int) -> bytes:
        """These access units of all tracks, in decoding order; `end` is when the next piece begins, in nanoseconds."""


class SegmentKey(Protocol):
    """How one segment is protected."""

    key: Key
    """What the playlist says of it."""

    files: Mapping[str, bytes]
    """Key files by name: written beside the segments before the playlist names them, and removed with the last segment
    that `key.uri` belongs to."""

    def finish(self, data: bytes) -> bytes:
        """The bytes of a whole segment (or byte range) as they are stored. Runs in a thread."""


class Protection(Protocol):
    """The encryption of one output, for as long as it lives: made by the factory of its ``drmType``."""

    def able(self, tracks: Sequence[Track]) -> Sequence[Track]:
        """Those of the tracks that it can protect: the others are left out."""

    def container(self, tracks: tuple[Track, ...]) -> Container | None:
        """A container that protects access units of these tracks, which it is `able` to, from inside; None where the ordinary one
        will do."""

    async def segment(self, number: int) -> SegmentKey:
        """The protection of segment `number` (they count from 1). Raises `ProtectionError` when there is no key.

        The segment is then left out, as if the disk had been full: it is never written unprotected.
        """

    def close(self) -> None:
        """The output is over, but for segments that are being written: for them no key is waited for any more."""


class ProtectionError(Exception):
    """A segment cannot be protected now; the text says why."""


class PartListener(Protocol):
    """Follows the unfinished segment, frame by frame, for low-latency parts.

    It may make bytes of frames early: what it has made of `segment.frames` with the container belongs into `segment.pieces`,
    in order and behind the container's header, and `segment.muxed` counts those frames. A container keeps count of what it
    has made, so who makes pieces makes all of them: after `ended` no frame may be left over.
    """

    def began(self, segment: Segment, number: int, container: Container, map_name: str) -> None:
        """Segment `number` begins; its first frame is to come. `map_name` is the file of its initialisation segment, which
        players can fetch already; empty where the format has none."""

    def frames(self, segment: Segment, frames: Sequence[Frame]) -> None:
        """They have just been added to `segment.frames`."""

    def ended(self, segment: Segment) -> None:
        """The segment is complete and has its `duration`; it is written next."""

    def left_out(self, segment: Segment) -> None:
        """The segment that has just ended is not written, as the disk is too slow: its parts must not fill the memory."""

    def playlist(self, playlist: MediaPlaylist) -> MediaPlaylist:
        """The playlist as it is to be written: here tags of low latency are added.

        Asked for when the output opens, too, before there is anything: a new list is then without segments.
        """

    def close(self) -> None:
        """The output is over: nobody may wait any longer."""
