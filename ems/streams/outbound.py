"""One consumer of a stream as the operator sees it: a viewer, a push, a recording."""

from typing import TYPE_CHECKING

from ems.streams.statistics import StreamStatistics

if TYPE_CHECKING:
    from ems.jobs.job import Job
    from ems.net.connection import Connection
    from ems.streams.inbound import InboundStream
    from ems.streams.manager import StreamManager


class OutboundStream:
    """A subscription to a name. Subclasses say what happens when the source comes and goes.

    `inbound` is the stream that feeds it, None while it waits for one; `job` is the push that it belongs to, if any.
    """

    __slots__ = ("_manager", "connection", "created", "id", "inbound", "job", "name")

    type_tag = "ON"

    def __init__(self, manager: "StreamManager", name: str, connection: "Connection | None") -> None:
        self._manager = manager
        self.name = name
        self.connection = connection
        self.inbound: InboundStream | None = None
        self.job: Job | None = None
        self.id, self.created = manager.new_id()

    @property
    def statistics(self) -> StreamStatistics:
        """What was delivered and what was dropped since it began."""
        return StreamStatistics()

    @property
    def details(self) -> dict[str, str]:
        """What is known of the consumer, in the runtime API's words."""
        return self.connection.details if self.connection is not None else {}

    def subscribe(self) -> None:
        """Begin: with the stream if it is there, else as soon as it comes."""
        self._manager.subscribe(self)

    def unsubscribe(self) -> None:
        """Stop, for good."""
        self._manager.unsubscribe(self)

    def source_came(self) -> None:
        """`inbound` is there now."""

    def source_left(self, reason: str) -> None:
        """`inbound` has ended and is None again; this subscription waits for the next source of that name."""

    def close(self, reason: str) -> None:
        """Have the consumer leave: it is unsubscribed and its connection closes."""
        self.unsubscribe()
        if self.connection is not None:
            self.connection.close(reason)
