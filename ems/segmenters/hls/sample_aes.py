"""SAMPLE-AES: encryption inside the pictures and sounds of an MPEG transport stream (RFC 8216 §4.3.2.4).

What is not media stays readable: headers, parameter sets, time stamps. The format is Apple's "MPEG-2 Stream Encryption Format
for HTTP Live Streaming". Every protected piece is AES-128 in CBC mode that begins with the IV of the playlist, has no padding,
and chains only the blocks that are encrypted:

========= ======================================================================================================
H.264     NAL units of types 1 and 5 above 48 bytes. The first 32 bytes are clear (type byte included); then one block of 16
          is encrypted and up to 144 bytes are clear, and so on, as long as more than 16 bytes remain. The result may look
          like a start code, so emulation prevention is put over the whole unit once more (§2.2)
AAC       each ADTS frame: its header and 16 bytes are clear, then all whole blocks are encrypted (§2.3.2)
========= ======================================================================================================

The program map table announces the tracks with stream types and descriptors of their own (`ems.formats.mpegts.sample_aes`).
Other codecs are left out: HEVC has no such form in a transport stream, and nearly no player knows the one of AC-3.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ems.formats.m3u8 import Key
from ems.formats.mpegts import mux
from ems.formats.mpegts.sample_aes import encryption_of
from ems.media.nal import START_CODE, split_annexb
from ems.media.track import Codec, Track
from ems.segmenters.hls.containers import AUDIO_FRAMES_TOGETHER, TransportStream
from ems.segmenters.hls.encryption import BLOCK, KeySchedule, MediaKey, own_schedule
from ems.segmenters.hls.seams import Container
from ems.segmenters.hls.settings import HlsSettings

if TYPE_CHECKING:
    from ems.server import Server

CODECS = frozenset((Codec.H264, Codec.AAC))
"""Those that we can encrypt."""

_SLICES = (1, 5)
_CLEAR_NAL = 48
"""A NAL unit up to this size stays clear."""

_NAL_LEADER = 32
_NAL_PERIOD = 10 * BLOCK
_AUDIO_LEADER = 16
_CRC_ABSENT = 1

_NEEDS_PREVENTION = re.compile(rb"\0\0(?=[\0-\3])")


def encrypt_picture(cipher: Cipher[CBC], annexb: bytes) -> bytes:
    """An H.264 access unit in Annex B with its slices encrypted; start codes become 4 bytes long."""
    return START_CODE.join([b"", *[_encrypt_nal(cipher, nal) for nal in split_annexb(annexb)]])


def encrypt_adts(cipher: Cipher[CBC], frame: bytes) -> bytes:
    """One ADTS frame, encrypted behind its header of 7 or 9 bytes."""
    header = 7 if frame[1] & _CRC_ABSENT else 9
    return _encrypt_whole_blocks(cipher, frame, header + _AUDIO_LEADER)


def _encrypt_nal(cipher: Cipher[CBC], nal: bytes) -> bytes:
    if len(nal) <= _CLEAR_NAL or nal[0] & 0x1F not in _SLICES:
        return nal
    starts = range(_NAL_LEADER, len(nal) - BLOCK, _NAL_PERIOD)
    # All the blocks of the unit in one call: the cipher works through a picture without coming back to Python.
    secret = cipher.encryptor().update(b"".join([nal[start : start + BLOCK] for start in starts]))
    encrypted = bytearray(nal)
    for start, position in zip(starts, range(0, len(secret), BLOCK), strict=True):
        encrypted[start : start + BLOCK] = secret[position : position + BLOCK]
    return _NEEDS_PREVENTION.sub(b"\0\0\3", encrypted)


def _encrypt_whole_blocks(cipher: Cipher[CBC], frame: bytes, clear: int) -> bytes:
    end = len(frame) - (len(frame) - clear) % BLOCK
    if end <= clear:
        return frame
    return frame[:clear] + cipher.encryptor().update(frame[clear:end]) + frame[end:]


class SampleSegment:
    """One segment under SAMPLE-AES (a `SegmentKey` of the seams): all is done when the container has made it."""

    def __init__(self, key: MediaKey) -> None:
        self.key = Key("SAMPLE-AES", key.uri, key.iv)
        self.files = key.files

    def finish(self, data: bytes) -> bytes:
        return data


class EncryptingMuxer(mux.TsMuxer):
    """A muxer whose tracks are all encrypted, also after their configuration has changed."""

    def __init__(self, tracks: Sequence[Track], transform: Callable[[Codec], Callable[[bytes], bytes]]) -> None:
        self._transform = transform
        super().__init__(tracks, encryption=self._encrypted(tracks), group_audio=AUDIO_FRAMES_TOGETHER)

    def set_tracks(self, tracks: Sequence[Track], encryption: Mapping[int, mux.Encryption] | None = None) -> bytes:
        return super().set_tracks(tracks, encryption or self._encrypted(tracks))

    def _encrypted(self, tracks: Sequence[Track]) -> dict[int, mux.Encryption]:
        return {track.id: encryption_of(track, self._transform(track.codec)) for track in tracks}


class Samples:
    """SAMPLE-AES (a `Protection` of the seams). Its container encrypts with the key of the segment that was asked for last."""

    def __init__(self, schedule: KeySchedule) -> None:
        self._schedule = schedule
        self._cipher: Cipher[CBC] | None = None

    def able(self, tracks: Sequence[Track]) -> Sequence[Track]:
        return [track for track in tracks if track.codec in CODECS]

    def container(self, tracks: tuple[Track, ...]) -> Container | None:
        return TransportStream(tracks, EncryptingMuxer(tracks, self._transform))

    async def segment(self, number: int) -> SampleSegment:
        key = self._schedule.next_segment()
        self._cipher = Cipher(AES128(key.key), CBC(key.iv))
        return SampleSegment(key)

    def close(self) -> None:
        self._schedule.close()

    def _transform(self, codec: Codec) -> Callable[[bytes], bytes]:
        encrypt = {Codec.H264: encrypt_picture, Codec.AAC: encrypt_adts}[codec]

        def transform(access_unit: bytes) -> bytes:
            assert self._cipher is not None, "a segment without a key"
            return encrypt(self._cipher, access_unit)

        return transform


class SampleAesProtection(Samples):
    """``drmType=SAMPLE-AES`` with keys of our own. Raises `CommandError` for settings that do not go with it."""

    def __init__(self, server: "Server", settings: HlsSettings) -> None:
        super().__init__(own_schedule(server, settings))
