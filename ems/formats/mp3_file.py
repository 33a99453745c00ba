"""MP3 files: frames of MPEG audio, one behind the other, usually behind an ID3v2 tag with title and pictures.

Every frame tells its own size (`ems.media.mp3`), so the whole file is gone through. What lies between frames (an ID3v1 or APE tag
at the end, damage) is passed over to where two frames follow each other again. The first frame may be silence that carries
tables for players (``Xing``, ``Info``, ``VBRI``): it is left out. Not read is the free format, whose frames do not tell their
size.
"""

import re
from array import array
from functools import lru_cache
from itertools import accumulate, repeat

from ems.errors import MalformedData
from ems.formats.index import MAX_SAMPLES, MediaIndex, Read, TrackSamples
from ems.media import mp3
from ems.media.frame import SECOND

ID3 = b"ID3"

MAX_TAGS = 16
"""ID3v2 tags at the beginning: there is one, or a few where editors put theirs before another."""

MAX_FALSE_HEADERS = 1_000_000
"""Places that look like a header but that no second frame follows. By chance it is one in five thousand bytes: so many are in
gigabytes of junk, or in a file made to cost time. The file is read up to there."""

WINDOW = 1 << 20
"""Bytes that are read at once."""

_ID3_HEADER_SIZE = 10
_ID3_FOOTER = 0x10
_TABLES = (b"Xing", b"Info", b"VBRI")
_TABLE_REACH = 4 + 32 + 4
"""Bytes of a frame in which the name of a table stands: header, side information, name."""

_HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]")
"""How the headers begin that tell a version, a layer and a bit rate."""

_NOT_CODING = 0xFFFE0C80
"""The bits of a header by which frames of one file are alike: all but protection, bit rate, padding and the like; of the mode
only the upper bit, as coders switch between stereo and joint stereo."""


def read_index(read: Read, size: int) -> MediaIndex:
    """The index of an MP3 file of `size` bytes. It blocks as long as `read` does. Raises `MalformedData`."""
    frames = _Frames(read, size)
    offsets, sizes, first_frame = frames.collect(_behind_tags(read))
    if not first_frame:
        raise MalformedData(f"no MPEG audio frame in the file of {size} bytes")
    header = mp3.parse_frame_header(first_frame)
    count = len(sizes)
    ticks = accumulate(repeat(header.samples, count), initial=0)
    times = array("q", [tick * SECOND // header.sample_rate for tick in ticks])
    end = times.pop()
    track = TrackSamples(mp3.make_track(1, first_frame), times, times, b"\1" * count, offsets, sizes, end)
    return MediaIndex.of([track], size, frames.left_out)


def _behind_tags(read: Read) -> int:
    """Where the ID3v2 tags end (ID3v2.4 §3.1: sizes in four groups of 7 bits, without header and footer)."""
    at = 0
    for _ in range(MAX_TAGS):
        header = read(at, _ID3_HEADER_SIZE)
        if len(header) < _ID3_HEADER_SIZE or not header.startswith(ID3):
            break
        size = 0
        for byte in header[6:]:
            size = size << 7 | byte & 0x7F
        at += _ID3_HEADER_SIZE + size + (_ID3_HEADER_SIZE if header[5] & _ID3_FOOTER else 0)
    return at


class _Frames:
    """Goes through the frames of a file, a window at a time. `left_out` tells what is not read."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._window = b""
        self._start = 0
        self._false_headers = 0
        self.left_out: list[str] = []

    def collect(self, at: int) -> tuple["array[int]", "array[int]", bytes]:
        """Offsets and sizes of the frames from this byte on, and the first frame; empty when there is none."""
        offsets, sizes = array("q"), array("I")
        kind, first_frame = 0, b""
        while len(sizes) < MAX_SAMPLES:
            header = self._bytes(at, mp3.HEADER_SIZE)
            word = int.from_bytes(header, "big")
            length = _frame_size(word) if word & _NOT_CODING == kind else 0
            if not length:
                at = self._next_frame(at, kind)
                if at >= self._size:
                    break
                kind = kind or int.from_bytes(self._bytes(at, mp3.HEADER_SIZE), "big") & _NOT_CODING
                continue
            if at + length > self._size:
                break
            if first_frame or not self._is_table(at):
                first_frame = first_frame or self._bytes(at, length)
                offsets.append(at)
                sizes.append(length)
            at += length
        else:
            self.left_out.append(f"what follows {MAX_SAMPLES} frames")
        return offsets, sizes, first_frame

    def _is_table(self, at: int) -> bool:
        head = self._bytes(at, _TABLE_REACH)
        return any(name in head for name in _TABLES)

    def _next_frame(self, at: int, kind: int) -> int:
        """Where the next frame of this kind (0: of any) begins that another one or the end of the file follows; else the end."""
        while (found := self._find_header(at)) < self._size:
            word = int.from_bytes(self._bytes(found, mp3.HEADER_SIZE), "big")
            length = _frame_size(word) if kind in (0, word & _NOT_CODING) else 0
            if length:
                behind = int.from_bytes(self._bytes(found + length, mp3.HEADER_SIZE), "big")
                if found + length == self._size or behind & _NOT_CODING == word & _NOT_CODING:
                    return found
            self._false_headers += 1
            if self._false_headers > MAX_FALSE_HEADERS:
                self.left_out.append(f"what follows byte {found}: there is too much between the frames")
                break
            at = found + 1
        return self._size

    def _find_header(self, at: int) -> int:
        """The next place from here on that looks like a header, or the end of the file."""
        while len(self._bytes(at, mp3.HEADER_SIZE)) == mp3.HEADER_SIZE:
            found = _HEADER.search(self._window, at - self._start)
            if found:
                return self._start + found.start()
            # One that lies across the end of the window is found in the next.
            at = self._start + len(self._window) - 2
        return self._size

    def _bytes(self, at: int, length: int) -> bytes:
        """These bytes of the file, fewer at its end."""
        begin = at - self._start
        if begin < 0 or begin + length > len(self._window):
            self._window = self._read(at, WINDOW)
            self._start, begin = at, 0
        return self._window[begin : begin + length]


@lru_cache(4096)
def _frame_size(word: int) -> int:
    """The size that a frame header tells; 0 when it is none, or one of the free format, which does not tell."""
    try:
        return mp3.parse_frame_header(word.to_bytes(mp3.HEADER_SIZE, "big")).frame_size
    except MalformedData:
        return 0
