"""What is kept of metadata, and who is told of it.

Metadata belongs to a stream by its name; the stream need not be there. That of the name `ALL` belongs to every stream: everybody
is told of it. Who listens for `ALL` is told of all metadata.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.application.service import MultiService
from twisted.logger import Logger

from ems.errors import LocalProtocolError
from ems.media.frame import MILLISECOND, Frame
from ems.media.track import Codec, Kind, Track
from ems.metadata.amf import from_message, to_message
from ems.metadata.envelope import wrap
from ems.metadata.json_text import MAX_TEXT, read_json, write_json
from ems.metadata.push import MetadataPushes
from ems.streams.names import checked_name

if TYPE_CHECKING:
    from ems.net.registry import ConnectionRegistry
    from ems.streams.inbound import InboundStream
    from ems.streams.manager import StreamManager

ALL = "~0~0~0~"
"""The name that stands for every stream: in ``streamname`` of an acceptor, and in an address."""

_SPELLINGS_OF_ALL = frozenset(("", ALL, "0~0~0"))

DATA = Track(768, Kind.DATA, Codec.AMF0)
"""The track by which metadata goes to the players of a stream; no source has one of this id."""


class Metadata(NamedTuple):
    """One metadata text in its envelope, and the name of the stream that it belongs to. A later one has a higher `number`."""

    name: str
    text: str
    number: int


Listener = Callable[[Metadata], None]


class MetadataService(MultiService):
    """The newest metadata of each name, and the listeners; `pushes` are those to other servers.

    What RTMP publishers send as data messages is metadata of their streams; what comes by `publish` goes into the streams as
    data messages, for RTMP players.
    """

    log = Logger()

    MAX_NAMES = 1000
    """Names that something is kept of; names are free to choose for whoever connects. The oldest are forgotten."""

    MAX_BYTES = 16 << 20
    """Characters of all texts that are kept."""

    def __init__(self, reactor: Any, streams: "StreamManager", connections: "ConnectionRegistry") -> None:
        super().__init__()
        self.setName("metadata")
        self.pushes = MetadataPushes(reactor, self, connections)
        self.pushes.setServiceParent(self)
        self._streams = streams
        self._kept: OrderedDict[str, Metadata] = OrderedDict()
        self._size = 0
        self._number = 0
        self._listeners: dict[str, dict[Listener, None]] = {}

    def startService(self) -> None:
        super().startService()
        self._streams.data_observers.append(self._data_came)

    def stopService(self) -> Any:
        self._streams.data_observers.remove(self._data_came)
        return super().stopService()

    @staticmethod
    def name_of(text: str) -> str:
        """The stream that somebody means who writes this, or `ALL`. Raises `CommandError` for what no stream can be called."""
        return ALL if text in _SPELLINGS_OF_ALL else checked_name(text)

    def publish(self, name: str, text: str) -> Metadata:
        """New metadata of a stream, or of `ALL`: keep it, and tell everybody. Raises `MalformedData` when it is no JSON."""
        value = read_json(text)
        stream = self._streams.inbound.get(name)
        timestamp = stream.newest // MILLISECOND if stream is not None else int(time() * 1000)
        metadata = self._keep(name, wrap(text, value, timestamp))
        streams = [*self._streams.inbound.values()] if name == ALL else [stream] if stream is not None else []
        self._insert(metadata, streams)
        return metadata

    def newest(self, name: str) -> Metadata | None:
        """The newest metadata of a stream; what belongs to `ALL` belongs to it, too."""
        found = [self._kept[key] for key in (name, ALL) if key in self._kept]
        return max(found, key=lambda metadata: metadata.number, default=None)

    def newest_of_any(self) -> Metadata | None:
        """The newest metadata of all."""
        return next(reversed(self._kept.values()), None)

    def listen(self, name: str, listener: Listener) -> None:
        """Tell `listener` of each new metadata of a stream, from now on; of `ALL`: of each new metadata of any."""
        self._listeners.setdefault(name, {})[listener] = None

    def unlisten(self, name: str, listener: Listener) -> None:
        """Tell it no more."""
        listeners = self._listeners.get(name, {})
        listeners.pop(listener, None)
        if not listeners:
            self._listeners.pop(name, None)

    def _data_came(self, stream: "InboundStream", frame: Frame) -> None:
        """A data message of a source; ours come back here, too."""
        if frame.track is DATA or frame.track.codec is not Codec.AMF0:
            return
        value = from_message(frame.data)
        text = write_json(value)
        if value is not None and len(text) <= MAX_TEXT:
            self._keep(stream.name, wrap(text, value, frame.pts // MILLISECOND))

    def _keep(self, name: str, text: str) -> Metadata:
        self._number += 1
        metadata = Metadata(name, text, self._number)
        before = self._kept.pop(name, None)
        self._size += len(text) - (len(before.text) if before is not None else 0)
        self._kept[name] = metadata
        while len(self._kept) > self.MAX_NAMES or self._size > self.MAX_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest.text)
        self._tell(metadata)
        return metadata

    def _tell(self, metadata: Metadata) -> None:
        if metadata.name == ALL:
            listeners = [listener for group in self._listeners.values() for listener in group]
        else:
            listeners = [*self._listeners.get(metadata.name, ()), *self._listeners.get(ALL, ())]
        for listener in listeners:
            try:
                listener(metadata)
            except Exception:
                self.log.failure("a listener for metadata of {name!r} failed", name=metadata.name)

    def _insert(self, metadata: Metadata, streams: "list[InboundStream]") -> None:
        """Have the RTMP players of these streams get it."""
        if not streams:
            return
        try:
            message = to_message(json.loads(metadata.text))
        except LocalProtocolError as error:
            self.log.debug("metadata of {name!r} does not go to RTMP players: {error}", name=metadata.name, error=error)
            return
        for stream in streams:
            stream.insert(DATA, message)
