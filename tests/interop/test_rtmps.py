"""RTMP inside TLS as people meet it: ffmpeg and GStreamer both ways, openssl, and other people's servers behind TLS."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import clips
from tests.certificates import make_certificate
from tests.interop.broadcast import Broadcast, subfolder
from tests.interop.clients import PUBLISHERS, play_with_ffmpeg, play_with_rtmp2src, play_with_rtmpdump
from tests.interop.gates import TlsGate
from tests.interop.packets import assert_arrived, read_packets
from tests.interop.peers import Nginx, publish
from tests.processes import Children, wait_until
from tests.server import DOORS, EmsServer

SECONDS = 6
"""How long each player plays."""

PLAYERS = {"ffmpeg": play_with_ffmpeg, "rtmp2src": play_with_rtmp2src}

CLIPS = {"ffmpeg": "h264_bframes_aac", "rtmp2sink": "h264_aac"}


@pytest.fixture(scope="module", params=CLIPS)
def broadcast(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Broadcast:
    """R-028: the broadcast of one publisher, everybody through TLS."""
    name = request.param
    return Broadcast(PUBLISHERS[name], CLIPS[name], PLAYERS, tmp_path_factory.mktemp(name), SECONDS, "rtmps")


def test_publisher_is_content(broadcast: Broadcast) -> None:
    """Whoever publishes through TLS is neither cut off nor told of an error."""
    broadcast.assert_publisher_was_content()


@pytest.mark.parametrize("player", PLAYERS)
def test_player_receives_what_was_sent(broadcast: Broadcast, player: str) -> None:
    """A player gets through TLS an unbroken run of the very frames that were published, without complaint."""
    broadcast.assert_received(player)


@pytest.mark.parametrize("player", PLAYERS)
def test_sound_stays_with_the_picture(broadcast: Broadcast, player: str) -> None:
    """Picture and sound arrive in step as they were sent."""
    broadcast.assert_in_step(player)


@pytest.fixture
def server(children: Children, tmp_path: Path) -> Iterator[EmsServer]:
    """A server with an RTMPS door, whose key and certificate have relative names (R-031, R-032)."""
    started = EmsServer(children, subfolder(tmp_path, "server"), doors=(*DOORS, "inboundRtmps"))
    yield started
    started.stop()


def shown_certificate(server: EmsServer) -> str:
    """What openssl sees at the RTMPS door: the PEM of the certificates, in order."""
    address = f"127.0.0.1:{server.ports['inboundRtmps']}"
    command = ["openssl", "s_client", "-connect", address, "-showcerts", "-servername", "localhost"]
    answer = subprocess.run(command, input="", capture_output=True, text=True, timeout=10, check=False).stdout
    parts = answer.split("-----BEGIN CERTIFICATE-----")[1:]
    # The own certificate is shown once more behind the chain.
    bodies = dict.fromkeys(part.partition("-----END")[0].strip() for part in parts)
    return "\n".join(bodies)


def body(pem: bytes) -> str:
    """The certificates of a PEM file, as `shown_certificate` gives them."""
    parts = pem.decode().split("-----BEGIN CERTIFICATE-----")[1:]
    return "\n".join(part.partition("-----END")[0].strip() for part in parts)


def test_openssl_sees_exactly_the_configured_certificate(server: EmsServer) -> None:
    """R-030, R-032: the certificate of the file that the configuration names is the one that is shown."""
    assert shown_certificate(server) == body((server.folder / "server.cert").read_bytes())


def test_a_client_that_names_its_protocols_is_let_in(server: EmsServer) -> None:
    """Browsers and curl offer application protocols (ALPN); that the server knows none of them is no reason to hang up."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.ports['inboundRtmps']}", "-alpn", "h2,http/1.1"]
    seen = subprocess.run(command, input="", capture_output=True, text=True, timeout=10, check=False)
    assert "No ALPN negotiated" in seen.stdout
    assert "TLSv1.3" in seen.stdout
    assert "alert" not in seen.stderr


def test_a_renewed_certificate_is_shown_without_a_restart(server: EmsServer) -> None:
    """A new key and certificate with its chain, put in the place of the old ones, count from then on."""
    authority = make_certificate(name="authority", authority=True)
    renewed = make_certificate("rsa", signed_by=authority)
    renewed.write(server.folder)
    wait_until(lambda: shown_certificate(server) == body(renewed.chain_pem), "the new certificate")


def test_http_inside_tls_is_served(server: EmsServer, children: Children, tmp_path: Path) -> None:
    """The RTMPS door also takes RTMP through HTTPS."""
    publish(children, clips.clip("h264_aac"), server.rtmp("mine"))
    server.wait_for_stream("mine")
    playback = play_with_ffmpeg(children, server.rtmp("mine", scheme="rtmpts"), tmp_path, 2)()
    assert not playback.complaints
    assert playback.recording is not None
    assert read_packets(playback.recording)["video"]


@pytest.fixture
def gate(nginx: Nginx, tmp_path: Path) -> Iterator[TlsGate]:
    """A TLS server of somebody else, with nginx-rtmp behind it."""
    with TlsGate(nginx.port, tmp_path) as opened:
        yield opened


def test_pull_through_tls(ems_server: EmsServer, nginx: Nginx, gate: TlsGate, children: Children, tmp_path: Path) -> None:
    """R-029, R-033: ``pullStream uri=rtmps://…`` brings in a stream of another server, by a server that has no key itself."""
    sent = clips.clip("h264_bframes_aac")
    publish(children, sent, nginx.url("source"))
    ems_server.api("pullStream", uri=f"rtmps://localhost:{gate.port}/live/source", localStreamName="mine")
    ems_server.wait_for_stream("mine")
    playback = play_with_rtmpdump(children, ems_server.rtmp("mine"), tmp_path, SECONDS)()
    assert_arrived(playback.recording, sent, SECONDS)
    assert gate.names == ["localhost"]


def test_push_through_tls(ems_server: EmsServer, nginx: Nginx, gate: TlsGate, children: Children, tmp_path: Path) -> None:
    """R-029, R-033: ``pushStream uri=rtmps://…`` sends a local stream to another server, by a server that has no key itself."""
    sent = clips.clip("h264_bframes_aac")
    publish(children, sent, ems_server.rtmp("mine"))
    ems_server.wait_for_stream("mine")
    uri = f"rtmps://127.0.0.1:{gate.port}/live"
    ems_server.api("pushStream", uri=uri, localStreamName="mine", targetStreamName="theirs")
    wait_until(lambda: "Streaming" in str(ems_server.api("listConfig")["push"]), "the push to stream")
    playback = play_with_rtmpdump(children, nginx.url("theirs"), tmp_path, SECONDS)()
    assert_arrived(playback.recording, sent, SECONDS)


def test_verification_refuses_a_stranger(children: Children, gate: TlsGate, tmp_path: Path) -> None:
    """With ``verifyTls`` a server whose certificate no authority has signed is not pulled from, and the log says why."""
    server = EmsServer(children, subfolder(tmp_path, "strict"), "verifyTls = true,")
    server.api("pullStream", uri=f"rtmps://localhost:{gate.port}/live/source", localStreamName="mine")
    wait_until(lambda: "certificate verify failed" in server.output, "the refusal in the log")
    server.stop()


def test_without_its_files_only_the_acceptor_is_missing(children: Children, tmp_path: Path) -> None:
    """R-033: when key and certificate are deleted the server starts without that door, and says so."""
    folder = subfolder(tmp_path, "server")
    first = EmsServer(children, folder, doors=(*DOORS, "inboundRtmps"))
    first.stop()
    for name in ("server.key", "server.cert"):
        (folder / name).unlink()
    again = children.start(
        sys.executable, "-m", "ems", "--config", folder / "server.lua", "--runtime", folder, PYTHONUNBUFFERED="1"
    )
    wait_until(lambda: "Ctrl-C" in again.output or not again.running, "the server to start", 20)
    assert again.running, again.output
    assert 'sslKey: no such file: "server.key"; the acceptor is skipped' in again.output
    assert f"inboundRtmp         127.0.0.1:{first.ports['inboundRtmp']}" in again.output
