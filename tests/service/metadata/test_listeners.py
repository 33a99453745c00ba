"""Ports that addMetadataListener has opened: they outlive the server that they were opened in."""

from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory

from ems.config.store import Store
from ems.config.variant import UInt64
from ems.jobs.service import JobService
from ems.jobs.setup_file import METADATA_KIND
from ems.metadata.listener import MetadataListenerJob, listener_job
from ems.server import Server
from ems.testing import testing_server


class Life:
    """One life of a server: from a start to a stop. `folder` has its file of jobs."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.server: Server = testing_server(reactor, runtime=folder)
        store = Store(folder / "pushPullSetup.xml", in_thread=maybeDeferred)
        self.server.jobs = JobService(self.server, pullers={}, pushers={}, store=store, in_thread=maybeDeferred)
        self.server.jobs.makers[METADATA_KIND] = listener_job
        self.server.jobs.startService()

    @property
    def listeners(self) -> list[MetadataListenerJob]:
        """What has been told to listen."""
        return [job for job in self.server.jobs if isinstance(job, MetadataListenerJob)]

    async def stop(self) -> None:
        """The server stops, its parts in the order in which it stops them."""
        await self.server.jobs.stopService()
        await self.server.acceptors.stopService()
        await self.server.metadata.stopService()
        self.server.connections.stopService()
        self.server.streams.stopService()


async def free_port(reactor: Any) -> int:
    """A port where nobody listens."""
    reserved = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    number = int(reserved.getHost().port)
    await reserved.stopListening()
    return number


@pytest_twisted.ensureDeferred
async def test_a_listener_is_there_again_after_a_restart(tmp_path: Path) -> None:
    """What a command has opened is open again, on the same port and for the same stream, under the same configId."""
    from twisted.internet import reactor

    port = await free_port(reactor)
    first = Life(tmp_path, reactor)
    settings = {"ip": "127.0.0.1", "port": UInt64(port), "localStreamName": "lobby"}
    (job,) = await first.server.jobs.add(METADATA_KIND, [settings])
    await first.stop()
    second = Life(tmp_path, reactor)
    (again,) = second.listeners
    assert again.id == job.id
    assert again.acceptor is not None
    assert (again.acceptor.port, again.acceptor.config.stream_name) == (port, "lobby")
    second.server.acceptors.remove(again.acceptor.id)
    assert second.listeners == []
    await second.stop()
    third = Life(tmp_path, reactor)
    assert third.listeners == []
    await third.stop()


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_after_a_restart(tmp_path: Path) -> None:
    """A listener whose port somebody else has by now is kept, and listConfig says what is wrong."""
    from twisted.internet import reactor

    port = await free_port(reactor)
    first = Life(tmp_path, reactor)
    settings = {"ip": "127.0.0.1", "port": UInt64(port), "localStreamName": ""}
    await first.server.jobs.add(METADATA_KIND, [settings])
    await first.stop()
    somebody: Any = reactor.listenTCP(port, Factory(), interface="127.0.0.1")  # type: ignore[attr-defined]
    second = Life(tmp_path, reactor)
    (job,) = second.listeners
    assert job.acceptor is None
    assert "cannot listen" in job.described["status"]["current"]["reason"]
    await second.stop()
    await somebody.stopListening()
    third = Life(tmp_path, reactor)
    assert third.listeners[0].acceptor is not None
    await third.server.jobs.remove(third.listeners, "the test is over")
    assert third.server.acceptors.services == {}
    await third.stop()
