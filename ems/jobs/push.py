"""Pushes: local streams that are sent to other servers."""

from typing import TYPE_CHECKING

from ems.jobs.network import JobAttempt, NetworkJob
from ems.jobs.pauses import FIRST
from ems.jobs.status import State

if TYPE_CHECKING:
    from ems.interfaces import IAttempt
    from ems.streams.inbound import InboundStream


class PushJob(NetworkJob):
    """Keeps sending the stream ``localStreamName`` to `uri`. While there is no such stream it waits, without any attempt."""

    kind = "push"

    def launch(self, attempt: JobAttempt) -> "IAttempt":
        server = self._service.server
        under_way: IAttempt = self._service.pushers[self.uri.scheme].push(server, self.uri, self.settings, attempt)
        return under_way

    def stream_came(self) -> None:
        """Some stream is here: begin if it is the one, at the earliest a second after the last attempt began."""
        if self.status.current.state is State.WAITING and self._source is not None:
            self._pauses.reset()
            self._begin_in(max(0.0, self._began + FIRST - self._service.now))

    def stream_left(self) -> None:
        """Some stream has ended: if it was the one, wait for the next. An attempt that is under way ends by itself."""
        if self._attempt is None and self._source is None:
            self._wait()

    @property
    def _source(self) -> "InboundStream | None":
        return self._service.server.streams.by_name(self.name)

    def _begin(self) -> None:
        if self._source is None:
            self._wait()
        else:
            super()._begin()

    def _go_on(self) -> None:
        if self._source is None:
            self._wait()
        else:
            super()._go_on()

    def _wait(self) -> None:
        self._cancel_next()
        if self.status.current.state is not State.WAITING:
            self._enter(State.WAITING)
