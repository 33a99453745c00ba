"""Keys from a Verimatrix VCAS key server, instead of our own beside the segments (``drmType=verimatrix``).

Each output has an id of its own, and fetches keys ahead, one each ``requestTimer`` seconds until ``reserveKeys`` are there::

    GET <urlPrefix>?r=<id>&t=VOD&p=<position>       position 0, 1, 2, …
    200, Location: <where players get keys>         the body is the key, 16 bytes

Segments are encrypted as with ``drmType=evo`` (`ems.segmenters.hls.encryption`), and the playlist sends players to
``<Location>?r=<id>&t=VOD&p=<position>``: the key server decides who may watch. No key is ever written to the disk.

When the server does not answer, segments go on with the last key it gave. Before there was one at all, segments are lost: they
are never written in the clear, nor with keys of our own.
"""

import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import treq
from twisted.internet.defer import Deferred, TimeoutError, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from ems.config.features import Drm
from ems.errors import CommandError
from ems.media.track import Track
from ems.segmenters.hls.encryption import BLOCK, KeySchedule, MediaKey, WholeSegment, WholeSegments, refuse_fragments
from ems.segmenters.hls.seams import Container, ProtectionError
from ems.segmenters.hls.settings import HlsSettings

if TYPE_CHECKING:
    from ems.server import Server

REQUEST_TIMEOUT = 10
"""Seconds that one request for a key may take."""

FIRST_KEY_TIMEOUT = 30
"""Seconds that the first segment waits for a key: three requests that time out."""

MAX_LOCATION = 2048
"""Characters of the address of keys: what every player can request."""

_IDS = 1 << 31


class KeyAnswer(NamedTuple):
    """What the key server says: the HTTP status, the header Location, and the body, cut off behind the size of a key."""

    status: int
    location: str
    body: bytes


async def request_key(url: str) -> KeyAnswer:
    """Ask a key server. Raises whatever `treq` does when there is no answer in time."""
    response = await treq.get(url, timeout=REQUEST_TIMEOUT, allow_redirects=False)
    body = bytearray()
    # One byte more than a key tells that it is none; the rest of a longer body is of no interest.
    await treq.collect(response, lambda data: body.extend(data[: BLOCK + 1 - len(body)])).addTimeout(REQUEST_TIMEOUT, _reactor())
    location = response.headers.getRawHeaders("Location", [""])[0]
    return KeyAnswer(response.code, location, bytes(body))


class VcasKeys:
    """Fetches the keys of one output ahead (a `KeySource`). `request` asks the key server: `request_key`, or a test's."""

    log = Logger(namespace="hls")

    def __init__(
        self, clock: IReactorTime, drm: Drm, request: Callable[[str], Awaitable[KeyAnswer]] = request_key, key_id: int = 0
    ) -> None:
        self._drm = drm
        self._clock = clock
        self._request = request
        self._id = key_id or 1 + secrets.randbelow(_IDS - 1)
        self._keys: deque[MediaKey] = deque()
        self._position = 0
        self._asking = False
        self._failing = False
        self._awaited: Deferred[None] | None = None
        self._closed = False
        self._timer = LoopingCall(self._tick)
        self._timer.clock = clock

    def start(self) -> None:
        """Begin to fetch, if that has not begun."""
        if not self._timer.running and not self._closed:
            self._timer.start(self._drm.request_timer)

    def next_key(self) -> MediaKey:
        """The next key. Raises `ProtectionError` when none is there."""
        if not self._keys:
            raise ProtectionError(f"the key server at {self._drm.url_prefix} has given no key")
        return self._keys.popleft()

    async def first(self) -> None:
        """Return when there is a key, or when it is no use waiting any longer."""
        if self._keys or self._closed:
            return
        self._awaited = Deferred()
        self._awaited.addTimeout(FIRST_KEY_TIMEOUT, self._clock)
        try:
            await self._awaited
        except TimeoutError:
            pass
        finally:
            self._awaited = None

    def close(self) -> None:
        """No key is wanted any more, and none is waited for."""
        self._closed = True
        if self._timer.running:
            self._timer.stop()
        self._wake()

    def _tick(self) -> None:
        if not self._asking and len(self._keys) < self._drm.reserve_keys:
            self._asking = True
            ensureDeferred(self._ask())

    async def _ask(self) -> None:
        query = f"?r={self._id}&t=VOD&p={self._position}"
        try:
            key = _checked(await self._request(self._drm.url_prefix + query), query)
        except Exception as error:
            self._note(str(error) or type(error).__name__)
            return
        finally:
            self._asking = False
        self._note("")
        self._position += 1
        self._keys.append(key)
        self._wake()

    def _note(self, failure: str) -> None:
        """Tell that keys do not come, or come again: once each."""
        if failure and not self._failing:
            self.log.error("no key from {url}: {failure}", url=self._drm.url_prefix, failure=failure)
        elif self._failing and not failure:
            self.log.info("{url} gives keys again", url=self._drm.url_prefix)
        self._failing = bool(failure)

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.called:
            self._awaited.callback(None)


class VerimatrixProtection(WholeSegments):
    """``drmType=verimatrix``. Raises `CommandError` without a section ``drm`` that says where the keys come from."""

    def __init__(self, server: "Server", settings: HlsSettings) -> None:
        refuse_fragments(settings)
        drm = server.config.application.drm
        if drm.type != "verimatrix":
            raise CommandError('drmType=verimatrix needs the section drm of config.lua, with type = "verimatrix"')
        if not drm.url_prefix.startswith(("http://", "https://")):
            raise CommandError("drmType=verimatrix needs drm.urlPrefix of config.lua: the http address of the key server")
        self._keys = VcasKeys(server.clock, drm)
        self._waited = False
        super().__init__(KeySchedule(self._keys, settings.key_count))

    def container(self, tracks: tuple[Track, ...]) -> Container | None:
        # The source is there: the first segment takes as long as its length, time enough for a key.
        self._keys.start()
        return super().container(tracks)

    async def segment(self, number: int) -> WholeSegment:
        if not self._waited:
            self._waited = True
            await self._keys.first()
        return await super().segment(number)


def _checked(answer: KeyAnswer, query: str) -> MediaKey:
    """The key in an answer, with an IV of our own. Raises ValueError for what is no key."""
    if answer.status != 200:
        raise ValueError(f"it answers with status {answer.status}")
    if len(answer.body) != BLOCK:
        raise ValueError(f"a key has {BLOCK} bytes, and the answer {'more' if len(answer.body) > BLOCK else len(answer.body)}")
    location = answer.location
    if not location.startswith(("http://", "https://")) or len(location) > MAX_LOCATION or not location.isprintable():
        raise ValueError("its header Location is not the address where players get keys")
    return MediaKey(answer.body, secrets.token_bytes(BLOCK), location + query)


def _reactor() -> Any:
    from twisted.internet import reactor

    return reactor
