"""``autoHLS`` of config.lua: every stream that comes in from the network is written as HLS, without any command."""

from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from ems.config import AutoHls
from ems.errors import CommandError
from ems.interfaces import IStreamObserver
from ems.segmenters.folders import stream_folder_name
from ems.segmenters.hls.request import completed, settings_of

if TYPE_CHECKING:
    from ems.server import Server
    from ems.streams.inbound import InboundStream

GROUP = "autoHLS"

NETWORK = "IN"
"""How the type tags of streams from the network begin."""

PASS_THROUGH = "INS"
"""Transport streams that nobody has taken apart."""


@implementer(IStreamObserver)
class AutoHlsService(Service):
    """Makes a job for each stream from the network; it ends with its stream."""

    name = "autoHLS"
    log = Logger(namespace="hls")

    def __init__(self, server: "Server", config: AutoHls) -> None:
        self._server = server
        self._config = config

    def startService(self) -> None:
        super().startService()
        self._server.streams.observers.append(self)

    def stopService(self) -> None:
        super().stopService()
        self._server.streams.observers.remove(self)

    def stream_came(self, stream: "InboundStream") -> None:
        if stream.type_tag.startswith(NETWORK) and stream.type_tag != PASS_THROUGH and not stream.internal:
            ensureDeferred(self._write(stream.name))

    def stream_left(self, stream: "InboundStream", reason: str) -> None:
        """The job notices by itself."""

    async def _write(self, name: str) -> None:
        try:
            values = completed(self._server, parameters(self._config, name))
            await self._server.jobs.add("hls", settings_of(self._server, values))
        except CommandError as error:
            self.log.warn("no automatic HLS of {name!r}: {error}", name=name, error=error)


def parameters(config: AutoHls, stream: str) -> dict[str, Any]:
    """The parameters of ``createHLSStream`` for one stream."""
    base = stream_folder_name(stream)
    return {
        "bandwidths": [],
        "createMasterPlaylist": False,
        "overwriteDestination": True,
        "maxChunkLength": 0,
        "useSystemTime": False,
        "offsetTime": 0,
        "audioOnly": False,
        "hlsResume": False,
        "cleanupOnClose": False,
        "useByteRange": False,
        "startOffset": 0,
        "playlistName": f"{base}.m3u8",
        "chunkBaseName": base,
        "playlistType": "rolling",
        "cleanupDestination": True,
        **config.extra,
        "localStreamNames": [stream],
        "targetFolder": config.target_folder,
        "groupName": config.group_name or GROUP,
        "keepAlive": False,
        "playlistLength": config.playlist_length,
        "chunkLength": config.chunk_length,
        "chunkOnIDR": config.chunk_on_idr,
        "staleRetentionCount": config.stale_retention_count,
        "drmType": config.drm_type,
        "AESKeyCount": config.aes_key_count,
    }
