"""One stream as HLS: a subscription that writes a playlist whenever its source is there."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from twisted.internet.defer import Deferred

from ems.errors import CommandError
from ems.media.frame import SECOND
from ems.segmenters.cutting import Segment
from ems.segmenters.hls.extensions import make_part_listener, make_protection
from ems.segmenters.hls.master import Group
from ems.segmenters.hls.measuring import Measure
from ems.segmenters.hls.seams import Container
from ems.segmenters.hls.settings import HlsSettings
from ems.segmenters.hls.store import Store
from ems.segmenters.hls.writer import HlsWriter, WriterParts
from ems.streams.outbound import OutboundStream
from ems.streams.statistics import StreamStatistics

if TYPE_CHECKING:
    from ems.server import Server


OPEN_AGAIN = 10
"""Seconds after which a folder that could not be used is tried again."""


class OutputObserver(Protocol):
    """Whoever keeps an output, and is told how it fares."""

    def streaming(self) -> None:
        """Its source is there, and its folder ready."""

    def failed(self, reason: str) -> None:
        """Its source is there, but nothing can be written."""

    def source_lost(self, reason: str) -> None:
        """Its source has gone."""

    def closed(self, reason: str) -> None:
        """Somebody has closed it."""


class HlsOutput(OutboundStream):
    """Writes the stream that `settings` name. Raises `CommandError` when its encryption cannot be.

    `group` keeps the master playlist; None when there is to be none.
    """

    __slots__ = ("_ended", "_group", "_in_thread", "_measure", "_observer", "_parts", "_settings", "_writer")

    type_tag = "OFHLS"

    def __init__(
        self,
        server: "Server",
        settings: HlsSettings,
        group: Group | None,
        observer: OutputObserver,
        in_thread: "Callable[..., Deferred[Any]]",
    ) -> None:
        super().__init__(server.streams, settings.stream, None)
        self._settings = settings
        self._group = group
        self._observer = observer
        self._in_thread = in_thread
        self._measure = Measure(settings.bandwidth, settings.chunk_length * SECOND)
        self._writer: HlsWriter | None = None
        self._ended = False
        listener = make_part_listener(server, settings)
        self._parts = WriterParts(
            server,
            Store(server, settings, in_thread, listener, self._files_lost),
            in_thread=in_thread,
            protection=make_protection(server, settings),
            listener=listener,
            stored=self._stored,
            closed=self._closed,
        )

    @property
    def statistics(self) -> StreamStatistics:
        """Frames that are in segments, and those of segments that were lost."""
        return self._parts.statistics

    @property
    def details(self) -> dict[str, str]:
        """``leftOut``: the tracks that segments of this type cannot carry."""
        if self.inbound is None:
            return {}
        tracks = self.inbound.tracks
        fit = self._parts.chosen(tracks)
        left_out = [f"{track.kind.value} ({track.codec.value})" for track in tracks if track not in fit]
        return {"leftOut": ", ".join(left_out) + ": not in these segments"} if left_out else {}

    def source_came(self) -> None:
        assert self.inbound is not None
        writer = self._writer = HlsWriter(self._parts)
        self._parts.order.put(lambda: self._begin(writer))
        self.inbound.add_sink(writer)
        writer.primed()

    def source_left(self, reason: str) -> None:
        self._writer = None
        self._observer.source_lost(reason)

    def close(self, reason: str) -> None:
        """End what is being written; with ``keepAlive`` it begins anew at once, else it is over for its keeper, too."""
        if not self._settings.keep_alive:
            self._observer.closed(reason)
        elif self.inbound is not None and self._writer is not None:
            self.inbound.remove_sink(self._writer)
            self._writer.ended(reason)
            self.source_came()

    def stop(self, *, complete: bool) -> None:
        """Write what there is, for good. With `complete` the playlist is over; without, a restart goes on with it."""
        if self._ended:
            return
        self._ended = True
        inbound, writer, self._writer = self.inbound, self._writer, None
        if inbound is not None and writer is not None:
            inbound.remove_sink(writer)
            writer.finish(complete)
        if self._parts.protection is not None:
            # Segments that wait for a key would keep all the rest waiting.
            self._parts.protection.close()
        # Again, perhaps: a writer that has never begun closes nothing.
        self._parts.order.put(lambda: self._parts.store.close(ended=complete))
        self._parts.order.put(self._release)
        self.unsubscribe()

    async def finished(self) -> None:
        """Return when everything is on the disk."""
        await self._parts.order.done()
        if self._group is not None:
            await self._group.done()

    def leave_group(self, *, even_last: bool = False) -> None:
        """Take its entry out of the master playlist, when all before is written; the last entry stays unless `even_last`."""
        self._parts.order.put(lambda: self._leave(even_last))

    async def remove_files(self) -> None:
        """Delete what it has written, and the folder of the group when nothing else is in it."""
        self.leave_group(even_last=True)
        self._parts.order.put(self._parts.store.remove_all)
        await self.finished()
        await self._in_thread(_remove_empty, self._settings.group_folder)

    @property
    def _uri(self) -> str:
        return f"{quote(self._settings.folder.name)}/{quote(self._settings.playlist_name)}"

    async def _leave(self, even_last: bool) -> None:
        if self._group is not None:
            self._group.remove(self._uri, even_last=even_last)

    async def _closed(self) -> None:
        """The files of a source are complete, or with ``cleanupOnClose`` gone."""
        if self._settings.cleanup_on_close:
            await self._leave(even_last=True)

    def _files_lost(self) -> None:
        if self._group is not None:
            self._group.files_lost()

    async def _begin(self, writer: HlsWriter) -> None:
        try:
            await self._parts.store.open()
        except CommandError as error:
            if self.inbound is not None and writer is self._writer:
                self.inbound.remove_sink(writer)
                self._observer.failed(str(error))
                self._parts.server.clock.callLater(OPEN_AGAIN, self._begin_again, writer)
            return
        if writer is self._writer:
            self._observer.streaming()
        await writer.begin()

    def _begin_again(self, writer: HlsWriter) -> None:
        """Perhaps the folder can be used now, if that source is still there."""
        if writer is self._writer and self.inbound is not None:
            self.source_came()

    def _stored(self, segment: Segment, container: Container, size: int) -> None:
        self._measure.add(size, segment.duration, segment.frames)
        if self._group is not None:
            self._group.put(self._measure.variant(self._uri, container.tracks), self._settings.version)

    async def _release(self) -> None:
        if self._parts.listener is not None:
            self._parts.listener.close()


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
