"""AES-128 encryption of HLS segments (RFC 8216 §4.3.2.4 and §5.2), and the order in which keys follow each other.

A segment is encrypted whole: AES-128 in CBC mode, the end padded as PKCS#7 has it (RFC 5652 §6.3: 1 to 16 bytes, each of them
the number of them). The playlist says before the first segment of a key where that key is and which IV goes with it::

    #EXT-X-KEY:METHOD=AES-128,URI="2024-03-01T10-00-00.key",IV=0x000102030405060708090a0b0c0d0e0f

The key is a file of 16 raw bytes beside the segments, readable like them: the web server that hands it to players often runs as
another user than this one. Whoever may fetch it may watch, so the web server has to decide who may, or a key server
(`ems.segmenters.hls.verimatrix`). A key and its IV serve ``AESKeyCount`` segments; then come a new key, a new IV and a new
file. A file goes with the last segment that needs it.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain, count
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ems.errors import CommandError
from ems.formats.m3u8 import Key
from ems.media.track import Track
from ems.segmenters.hls.seams import Container, ProtectionError
from ems.segmenters.hls.settings import HlsSettings

if TYPE_CHECKING:
    from ems.server import Server

BLOCK = 16
"""Bytes of an AES block, and of a key and an IV."""


class MediaKey(NamedTuple):
    """A key of 16 bytes, its IV of 16 bytes, and where players get the key: `uri`, relative to the playlist or absolute.

    `file` is the name under which the key has to be written beside the segments; empty when somebody else serves it.
    """

    key: bytes
    iv: bytes
    uri: str
    file: str = ""

    @property
    def files(self) -> Mapping[str, bytes]:
        """The key file by its name; empty when somebody else serves it."""
        return {self.file: self.key} if self.file else {}


class KeySource(Protocol):
    """Where keys come from."""

    def next_key(self) -> MediaKey:
        """A key that was never given before. Raises `ProtectionError` when there is none."""

    def close(self) -> None:
        """No key is wanted any more."""


def encrypt_segment(data: bytes, key: MediaKey) -> bytes:
    """A whole segment (or a whole byte range of a file) as players fetch it: AES-128-CBC with PKCS#7 padding."""
    padding = BLOCK - len(data) % BLOCK
    encryptor = Cipher(AES128(key.key), CBC(key.iv)).encryptor()
    return encryptor.update(data) + encryptor.update(bytes([padding]) * padding) + encryptor.finalize()


class OwnKeys:
    """Makes keys of random bytes, each for a file ``YYYY-MM-DDTHH-MM-SS.key`` in local time.

    `now` is in seconds since 1970; `taken` says whether a file of that name is there. A second key within a second (or within
    the hour that comes twice a year) is called ``…-2.key``, and so on.
    """

    def __init__(self, now: Callable[[], float], taken: Callable[[str], bool] = lambda name: False) -> None:
        self._now = now
        self._taken = taken
        self._newest: set[str] = set()
        self._stem = ""

    def next_key(self) -> MediaKey:
        """A key that was never given before."""
        name = self._free_name()
        return MediaKey(secrets.token_bytes(BLOCK), secrets.token_bytes(BLOCK), name, name)

    def close(self) -> None:
        """No key is wanted any more."""

    def _free_name(self) -> str:
        stem = datetime.fromtimestamp(self._now()).strftime("%Y-%m-%dT%H-%M-%S")
        if stem != self._stem:
            self._stem, self._newest = stem, set()
        names = chain([f"{stem}.key"], (f"{stem}-{number}.key" for number in count(2)))
        name = next(name for name in names if name not in self._newest and not self._taken(name))
        self._newest.add(name)
        return name


class KeySchedule:
    """Which key each segment gets: a new one for the first and then after every `segments_per_key` segments.

    When the source has run dry, the last key goes on being used, for as long as it takes: still encrypted, and playing.
    """

    def __init__(self, source: KeySource, segments_per_key: int) -> None:
        self._source = source
        self._segments_per_key = segments_per_key
        self._key: MediaKey | None = None
        self._segments = 0

    def next_segment(self) -> MediaKey:
        """The key of the segment that begins now. Raises `ProtectionError` when there has not been one yet."""
        if self._key is None or self._segments >= self._segments_per_key:
            self._rotate()
        assert self._key is not None
        self._segments += 1
        return self._key

    def close(self) -> None:
        """No key is wanted any more."""
        self._source.close()

    def _rotate(self) -> None:
        try:
            self._key = self._source.next_key()
        except ProtectionError:
            if self._key is None:
                raise
        else:
            self._segments = 0


class WholeSegment:
    """One segment under AES-128 (a `SegmentKey` of the seams)."""

    def __init__(self, key: MediaKey) -> None:
        self.key = Key("AES-128", key.uri, key.iv)
        self.files = key.files
        self._key = key

    def finish(self, data: bytes) -> bytes:
        return encrypt_segment(data, self._key)


class WholeSegments:
    """AES-128 of whole segments (a `Protection` of the seams)."""

    def __init__(self, schedule: KeySchedule) -> None:
        self._schedule = schedule

    def able(self, tracks: Sequence[Track]) -> Sequence[Track]:
        return tracks

    def container(self, tracks: tuple[Track, ...]) -> Container | None:
        return None

    async def segment(self, number: int) -> WholeSegment:
        return WholeSegment(self._schedule.next_segment())

    def close(self) -> None:
        self._schedule.close()


class AesProtection(WholeSegments):
    """``drmType=evo``: AES-128 with keys of our own. Raises `CommandError` for settings that do not go with it."""

    def __init__(self, server: "Server", settings: HlsSettings) -> None:
        super().__init__(own_schedule(server, settings))


def own_schedule(server: "Server", settings: HlsSettings) -> KeySchedule:
    """Keys of our own, beside the segments. Raises `CommandError` for fragmented MP4."""
    refuse_fragments(settings)
    return KeySchedule(OwnKeys(server.clock.seconds, lambda name: (settings.folder / name).exists()), settings.key_count)


def refuse_fragments(settings: HlsSettings) -> None:
    """Raise `CommandError` for fragmented MP4, which is encrypted in another way (ISO/IEC 23001-7), not implemented here."""
    if settings.segment_type == "fmp4":
        raise CommandError(f"drmType={settings.drm_type} needs segmentType=ts: fragmented MP4 cannot be encrypted here")
