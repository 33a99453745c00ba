"""Streams that come in over bad networks: what the server hands on is whole, and what was lost is told."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import clips
from tests.interop.broadcast import subfolder
from tests.interop.clients import play_with_ffmpeg
from tests.interop.lossy_relay import LossyRelay
from tests.interop.lossy_rtsp import LossyRtsp
from tests.interop.packets import decoder_complaints, read_packets
from tests.interop.transport import send_with_ffmpeg
from tests.processes import Children, free_port
from tests.server import EmsServer

SECONDS = int(os.environ.get("EMS_PLAY_SECONDS", "6"))
LOSSES = (0.01, 0.05)
DUPLICATES = 0.02
JITTER = 0.04
"""Seconds by which a datagram is late at most; by chance, so that they overtake each other."""

OVERTAKING = 0.01
"""The share of a transport stream's datagrams that overtake others: nothing in it tells a receiver their order."""

KIND = "h264_aac"
PROTOCOLS = ("rtsp", "ts", "rtpts")
DOORS = ("inboundRtmp", "inboundHttpJsonCli", "inboundRtsp")


@dataclass
class Outcome:
    """What a player of a stream received over RTMP, what the server says of the stream, and how many datagrams were lost."""

    recording: Path
    information: dict[str, Any]
    lost: int


class Networks:
    """One server, to which a clip comes by all protocols, over all the bad networks at once."""

    def __init__(self, children: Children, folder: Path, networks: contextlib.ExitStack) -> None:
        self._children, self._folder, self._networks = children, folder, networks
        self._clip = clips.clip(KIND)
        self._server = EmsServer(
            children, subfolder(folder, "server"), doors=("inboundRtmp", "inboundHttpJsonCli", "inboundRtsp")
        )
        self._lossy: dict[str, list[LossyRelay]] = {}

    def run(self) -> dict[tuple[str, float], Outcome]:
        """What became of each stream, by protocol and loss."""
        for loss in LOSSES:
            self._publish_rtsp(loss)
            self._send_ts("ts", loss, free=OVERTAKING)
            self._send_ts("rtpts", loss, free=1.0)
        playing = {}
        for name in self._lossy:
            self._server.wait_for_stream(name)
            playing[name] = play_with_ffmpeg(self._children, self._server.rtmp(name), subfolder(self._folder, name), SECONDS)
        found = {}
        for name, finish in playing.items():
            recording = finish().recording
            assert recording is not None
            protocol, _, loss_text = name.partition("-")
            information = self._server.api("getStreamInfo", localStreamName=name)
            found[protocol, float(loss_text)] = Outcome(recording, information, sum(relay.lost for relay in self._lossy[name]))
        self._server.stop()
        return found

    def _publish_rtsp(self, loss: float) -> None:
        network = LossyRtsp(self._server.ports["inboundRtsp"], loss=loss, duplicates=DUPLICATES, jitter=JITTER)
        self._networks.enter_context(network)
        self._lossy[f"rtsp-{loss}"] = network.media
        url = f"rtsp://127.0.0.1:{network.port}/rtsp-{loss}"
        send_with_ffmpeg(self._children, self._clip, url, "-rtsp_transport", "udp", form="rtsp")

    def _send_ts(self, protocol: str, loss: float, free: float) -> None:
        """MPEG-TS bare in datagrams (``ts``), or in RTP (``rtpts``), whose numbers tell the order."""
        name, port = f"{protocol}-{loss}", free_port()
        self._server.api("pullStream", uri=f"dmpegtsudp://127.0.0.1:{port}", localStreamName=name)
        network = self._networks.enter_context(LossyRelay(port, loss=loss, duplicates=DUPLICATES, jitter=JITTER, free=free))
        self._lossy[name] = [network]
        scheme, form, size = ("udp", "mpegts", 1316) if protocol == "ts" else ("rtp", "rtp_mpegts", 1328)
        send_with_ffmpeg(self._children, self._clip, f"{scheme}://127.0.0.1:{network.port}?pkt_size={size}", form=form)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, float], Outcome]]:
    """What became of all streams."""
    folder = tmp_path_factory.mktemp("lossy")
    children = Children(folder)
    try:
        with contextlib.ExitStack() as networks:
            yield Networks(children, folder, networks).run()
    finally:
        children.stop_all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_damaged_is_handed_on(outcomes: dict[tuple[str, float], Outcome], protocol: str, loss: float) -> None:
    """Datagrams are lost, come twice, late and in another order: what a player gets over RTMP decodes without an error."""
    recording = outcomes[protocol, loss].recording
    received, sent = read_packets(recording), read_packets(clips.clip(KIND))
    assert received["video"] and received["audio"]
    assert {packet.md5 for packet in received["video"]} <= {packet.md5 for packet in sent["video"]}
    assert not decoder_complaints(recording)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_losses_are_told(outcomes: dict[tuple[str, float], Outcome], protocol: str, loss: float) -> None:
    """getStreamInfo says how much was lost on the way."""
    outcome = outcomes[protocol, loss]
    assert outcome.lost
    if protocol == "rtsp":
        # On a busy machine some packets come so late that they count as lost, too.
        assert outcome.lost / 2 <= int(outcome.information["lostPackets"]) <= 2 * outcome.lost
    else:
        assert outcome.information["transportStream"]["continuityErrors"] >= outcome.lost / 2
