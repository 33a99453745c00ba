"""What every room is handed: the server's parts by name."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ems.events.bus import EventBus
from ems.net.intake import Intake
from ems.published import PublishedFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ems.config import Config, Runtime
    from ems.interfaces import IAcceptorProtocol
    from ems.jobs.service import JobService
    from ems.log import LogOutputs
    from ems.metadata.service import MetadataService
    from ems.net.acceptor import Acceptors
    from ems.net.limits import LimitKeeper
    from ems.net.registry import ConnectionRegistry
    from ems.security.rtmp import RtmpGate
    from ems.streams.aliases import StreamAliases
    from ems.streams.ingest import IngestPoints
    from ems.streams.manager import StreamManager
    from ems.version import Version
    from ems.vod.service import VodService
    from ems.web.service import WebServer


@dataclass(eq=False)
class Server:
    """One running server. `clock` is the reactor, or a test's stand-in for it; `shut_down` stops the process, with a reason."""

    clock: Any
    config: "Config"
    runtime: "Runtime"
    version: "Version"
    log: "LogOutputs"
    streams: "StreamManager"
    connections: "ConnectionRegistry"
    acceptor_protocols: "Mapping[str, IAcceptorProtocol]"
    shut_down: Callable[[str], None]
    events: EventBus = field(default_factory=EventBus)
    published: PublishedFiles = field(default_factory=PublishedFiles)
    intake: Intake = field(init=False)
    acceptors: "Acceptors" = field(init=False)
    aliases: "StreamAliases" = field(init=False)
    ingest_points: "IngestPoints" = field(init=False)
    limits: "LimitKeeper" = field(init=False)
    rtmp_gate: "RtmpGate" = field(init=False)
    jobs: "JobService" = field(init=False)
    metadata: "MetadataService" = field(init=False)
    vod: "VodService | None" = field(init=False, default=None)
    web: "WebServer | None" = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.intake = Intake(self.clock)
