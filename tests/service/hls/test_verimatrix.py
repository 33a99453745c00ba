"""drmType=verimatrix with a stand-in for the key server, which speaks HTTP on this machine."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from ems.config import Application
from ems.config.features import Drm
from ems.errors import CommandError
from ems.formats.m3u8 import read_media_playlist
from tests.service.hls.low_latency_world import World, frames

PUBLIC = "https://public.example/keyfile"


class KeyServer(Resource):
    """Gives a key for each id and position, and remembers who asked for what. While `silent` it fails."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[tuple[bytes, bytes], bytes] = {}
        self.queries: list[dict[bytes, list[bytes]]] = []
        self.silent = False

    def render_GET(self, request: Request) -> bytes:
        query = {name: values for name, values in request.args.items() if name in (b"r", b"t", b"p")}
        self.queries.append(query)
        if self.silent:
            request.setResponseCode(503)
            return b"later"
        request.setHeader(b"Location", PUBLIC.encode())
        key = len(self.queries).to_bytes(16, "big")
        self.keys[query[b"r"][0], query[b"p"][0]] = key
        return key


class Running:
    """A key server that listens, and a world that is configured for it."""

    def __init__(self, folder: Path) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.key_server = KeyServer()
        self.port = self.reactor.listenTCP(0, Site(self.key_server), interface="127.0.0.1")
        prefix = f"http://127.0.0.1:{self.port.getHost().port}/CAB/keyfile"
        drm = Drm(type="verimatrix", request_timer=1, reserve_keys=5, url_prefix=prefix)
        self.world = World(folder, Application(name="ems", drm=drm))

    async def until(self, condition: Any) -> None:
        """Wait for a condition; AssertionError when it does not come."""
        for _ in range(500):
            if condition():
                return
            await deferLater(self.reactor, 0.01)
        raise AssertionError("it did not come")

    async def without_keys(self, seconds: int) -> World:
        """The world with a stream of so many seconds, whose first segment waits for a key that the server does not give."""
        self.key_server.silent = True
        self.world.write("cam", drmType="verimatrix")
        stream = self.world.publish("cam")
        for frame in frames(seconds):
            self.world.push(stream, frame)
        await self.until(lambda: self.key_server.queries)
        return self.world

    async def stop(self) -> None:
        for job in self.world.server.jobs:
            job.stop("the test is over")
        await deferLater(self.reactor, 0.05)
        await self.port.stopListening()


@ensureDeferred
async def test_segments_are_encrypted_with_the_keys_of_the_server(tmp_path: Path) -> None:
    """Each key is asked for once with id and position, the playlist names the public address, and that key opens the segment."""
    running = Running(tmp_path)
    try:
        world, server = running.world, running.key_server
        world.write("cam", drmType="verimatrix", AESKeyCount=2, playlistType="appending")
        stream = world.publish("cam")
        for frame in frames(7):
            world.push(stream, frame)
            if len(server.keys) < 3:
                wanted = min(3, int(world.clock.seconds()) + 1)
                await running.until(lambda count=wanted: len(server.keys) >= count)
        await running.until(lambda: world.path("cam").exists())
        playlist = read_media_playlist(world.path("cam").read_bytes())
        assert len(playlist.segments) == 6
        assert len({segment.key for segment in playlist.segments}) == 3
        for segment in playlist.segments:
            assert segment.key is not None
            assert segment.key.uri.startswith(PUBLIC + "?r=")
            key_id, position = segment.key.uri.rpartition("?r=")[2].split("&t=VOD&p=")
            data = world.path("cam", segment.uri).read_bytes()
            assert segment.key.iv is not None
            cipher = Cipher(AES128(server.keys[key_id.encode(), position.encode()]), CBC(segment.key.iv))
            assert cipher.decryptor().update(data)[:189:188] == b"\x47\x47"
        assert all(query[b"t"] == [b"VOD"] for query in server.queries)
        assert not list(world.path("cam").parent.glob("*.key"))
    finally:
        await running.stop()


@ensureDeferred
async def test_without_keys_nothing_is_written(tmp_path: Path) -> None:
    """While the key server gives no key, segments are missing: none is in the clear, or under a key of our own."""
    running = Running(tmp_path)
    try:
        world = await running.without_keys(6)
        world.clock.advance(60)
        await running.until(lambda: world.path("cam").exists())
        assert not list(world.path("cam").parent.glob("*.ts"))
        assert not list(world.path("cam").parent.glob("*.key"))
        assert all(segment.gap for segment in read_media_playlist(world.path("cam").read_bytes()).segments)
    finally:
        await running.stop()


@ensureDeferred
async def test_removal_does_not_wait_for_a_key(tmp_path: Path) -> None:
    """removeConfig is done at once, also while the first segment waits for a key server that does not answer."""
    running = Running(tmp_path)
    try:
        world = await running.without_keys(3)
        [job] = world.server.jobs
        await world.server.jobs.remove([job], "removeConfig")
        finished = Deferred.fromCoroutine(job.finished())
        await running.until(lambda: finished.called)
        assert all(segment.gap for segment in read_media_playlist(world.path("cam").read_bytes()).segments)
    finally:
        await running.stop()


@pytest.mark.parametrize("drm", [Drm(), Drm(type="evo"), Drm(type="verimatrix")])
def test_without_a_key_server_the_command_fails(tmp_path: Path, drm: Drm) -> None:
    """drmType=verimatrix without a section drm that names a key server is refused with a sentence that says what is missing."""
    with pytest.raises(CommandError, match="drm"):
        World(tmp_path, Application(name="ems", drm=drm)).write("cam", drmType="verimatrix")
