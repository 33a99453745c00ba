"""What every job is: an id, settings, a state."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from ems.config.variant import UInt8
from ems.jobs.setup_file import METADATA_KIND, Entry, Piece, make_piece
from ems.jobs.status import Status

if TYPE_CHECKING:
    from ems.jobs.settings import Settings
    from ems.streams.inbound import InboundStream
    from ems.streams.outbound import OutboundStream

OPERATION_TYPES = {
    "pull": 1,
    "push": 2,
    "hls": 3,
    "hds": 4,
    "mss": 5,
    "dash": 6,
    "record": 7,
    "process": 8,
    "webrtc": 9,
    METADATA_KIND: 10,
}
"""``operationType`` of each kind of job, and ``connectionType`` of its streams; 0 is a stream that no job has brought."""


class Job:
    """Something that the server has been told to keep doing.

    `settings` are what the command said, in the runtime API's words, and never change. `attempts` counts how often it has
    tried, `successes` how often that led to a stream; `stream` is the one it has now.
    """

    kind: str

    def __init__(self, config_id: int, settings: "Settings", now: float) -> None:
        self.id = config_id
        self.settings = settings
        self.status = Status(now)
        self.attempts = 0
        self.successes = 0
        self.stream: InboundStream | OutboundStream | None = None

    @property
    def operation_type(self) -> int:
        """``operationType``: the number of its kind."""
        return OPERATION_TYPES[self.kind]

    @property
    def name(self) -> str:
        """The local stream that it is about."""
        return str(self.settings.get("localStreamName", ""))

    @property
    def group(self) -> str:
        """The group that it belongs to; empty when there is none."""
        return str(self.settings.get("groupName", ""))

    @property
    def keep_alive(self) -> bool:
        """Whether it goes on when an attempt has failed."""
        return self.settings.get("keepAlive") is not False

    @property
    def persistent(self) -> bool:
        """Whether it survives a restart."""
        return self.keep_alive and self.settings.get("serializeToConfig") is not False

    @property
    def configuration(self) -> dict[str, Any]:
        """Its configuration object without its state: what a stream object has as ``pullSettings`` and the like."""
        return {**self.settings, "configId": self.id, "operationType": self.operation_type}

    @property
    def described(self) -> dict[str, Any]:
        """Its configuration object with its state; ``attempts`` and ``successes`` are our own keys."""
        status = {
            "current": self.status.current.as_dict(),
            "previous": self.status.previous.as_dict(),
            "attempts": self.attempts,
            "successes": self.successes,
        }
        return {**self.configuration, "status": status}

    @property
    def entry(self) -> Entry:
        """What of it belongs into pushPullSetup.xml."""
        return Entry(self.kind, self.id, {**self.settings, "operationType": UInt8(self.operation_type)})

    @cached_property
    def piece(self) -> Piece:
        """Its `entry` as it lies in the file; made once, because neither ever changes."""
        return make_piece(self.entry)

    def start(self) -> None:
        """Begin."""

    def stop(self, reason: str) -> None:
        """End for good."""

    def removed(self) -> None:
        """A command has removed it, after `stop`: it is not only the server that stops, or the job that is over."""

    async def finished(self) -> None:
        """Return when, after `stop`, nothing of it is under way any more."""

    async def remove_files(self) -> None:
        """Delete what it has written, after `stop`. Jobs that write nothing have nothing to do."""


class DormantJob(Job):
    """A stored job that cannot run here: of a kind that this version does not have, or with settings that make no sense.

    It is listed, can be removed, and stays in the file as it was, for the version that can run it.
    """

    def __init__(self, entry: Entry, config_id: int, now: float, reason: str) -> None:
        super().__init__(config_id, entry.values, now)
        self.kind = entry.kind
        self.status = Status(now, reason)

    @property
    def persistent(self) -> bool:
        return True

    @property
    def entry(self) -> Entry:
        return Entry(self.kind, self.id, self.settings)
