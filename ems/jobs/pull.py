"""Pulls: streams that are brought from other servers."""

from typing import TYPE_CHECKING

from ems.errors import CommandError
from ems.jobs.network import JobAttempt, NetworkJob

if TYPE_CHECKING:
    from ems.interfaces import IAttempt


class PullJob(NetworkJob):
    """Keeps bringing the stream at `uri` in under the name ``localStreamName``.

    The name belongs to the job. A publisher who takes it while the source is away is let alone; the job fails until he is gone.
    """

    kind = "pull"

    def ended(self, reason: str) -> None:
        self._service.server.events.emit("pullStreamFailed", lambda: self.configuration)
        super().ended(reason)

    def launch(self, attempt: JobAttempt) -> "IAttempt":
        server = self._service.server
        if self.name in server.streams.inbound:
            raise CommandError(f"Stream name {self.name} already taken")
        under_way: IAttempt = self._service.pullers[self.uri.scheme].pull(server, self.uri, self.settings, attempt)
        return under_way
