"""RTP as ffmpeg sends and receives it: every access unit arrives, in both directions, byte for byte."""

import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av
import pytest

from ems.formats import rtcp, sdp
from ems.formats.mpegts.demux import TsDemuxer
from ems.formats.mpegts.events import Sample
from ems.formats.rtp.depacketise import make_depacketiser
from ems.formats.rtp.packet import parse
from ems.formats.rtp.packetise import make_packetiser
from ems.formats.rtp.payload import AccessUnit
from ems.formats.rtp.reception import Reception
from ems.formats.rtp.sync import SyncMode
from ems.media import aac, ac3, h264, h265, mp3, nal, opus
from ems.media.frame import SECOND, Frame
from ems.media.track import Codec, Kind, Track

VIDEO = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1"]
AUDIO = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1"]
H264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "10", "-bf", "2", "-b:v", "2M"]
H265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params", "keyint=10:log-level=error"]
COPY = ["-c", "copy", "-copyinkf"]
"""Frames as they are; ffmpeg does not mark key frames of VP9 that it receives, and would leave all out."""

SAMPLES = ["-af", "asetnsamples=800:p=0"]
"""Samples, decoded, in frames of a size that does not depend on how they were packed."""

SEND_TIMEOUT = 30
"""Seconds after which ffmpeg is believed to hang."""


class Datagram(NamedTuple):
    """What came to a port: RTP of the medium `index`, or its RTCP."""

    index: int
    is_rtcp: bool
    data: bytes
    arrival: int


def ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run ffmpeg to its end; its errors fail the test."""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done


@contextmanager
def port_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets on an even port of loopback and the one above it."""
    for _ in range(100):
        with ExitStack() as stack:
            pair = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
            pair[0].bind(("127.0.0.1", 0))
            port = pair[0].getsockname()[1]
            try:
                pair[1].bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            if port % 2 == 0:
                for each in pair:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
                yield pair[0], pair[1]
                return
    raise AssertionError("no pair of ports is free")


def sent_by_ffmpeg(tmp_path: Path, *outputs: list[str]) -> tuple[sdp.SessionDescription, list[Datagram]]:
    """What ffmpeg sends, in real time, to as many media as there are `outputs`: arguments up to the address."""
    with ExitStack() as stack:
        pairs = [stack.enter_context(port_pair()) for _ in outputs]
        arguments: list[str] = []
        for output, pair in zip(outputs, pairs, strict=True):
            address = f"rtp://127.0.0.1:{pair[0].getsockname()[1]}?pkt_size=1200"
            arguments += [*output, "-f", "rtp", address]
        sdp_path = tmp_path / "ffmpeg.sdp"
        command = ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", *arguments, "-sdp_file", str(sdp_path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)
        where = {each: (index, each is pair[1]) for index, pair in enumerate(pairs) for each in pair}
        datagrams = []
        end = time.monotonic() + SEND_TIMEOUT
        while process.poll() is None or select.select([*where], [], [], 0)[0]:
            assert time.monotonic() < end, "ffmpeg does not end"
            for each in select.select([*where], [], [], 0.1)[0]:
                index, is_rtcp = where[each]
                datagrams.append(Datagram(index, is_rtcp, each.recv(65536), time.monotonic_ns()))
        assert process.returncode == 0
        return sdp.parse(sdp_path.read_bytes()), datagrams


def units_of(description: sdp.SessionDescription, datagrams: list[Datagram]) -> list[AccessUnit]:
    """The access units of the first medium."""
    depacketiser = make_depacketiser(description.medias[0])
    assert depacketiser is not None
    units = [unit for got in datagrams if not got.is_rtcp for unit in depacketiser.receive(parse(got.data))]
    assert (depacketiser.losses, depacketiser.malformed, depacketiser.dropped) == (0, 0, 0)
    return units + depacketiser.flush()


def packets_of(path: Path) -> list[tuple[bytes, bool]]:
    """The packets of a file with one stream, and whether they are key frames."""
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.is_keyframe) for packet in container.demux(container.streams[0]) if packet.size]


def slices(data: bytes, codec: Codec) -> list[bytes]:
    """The slices of an access unit with 4-byte lengths."""
    first, last = (1, 5) if codec is Codec.H264 else (0, 31)
    kind = h264.nal_type if codec is Codec.H264 else h265.nal_type
    return [unit for unit in nal.split_lengths(data) if first <= kind(unit) <= last]


@pytest.mark.parametrize(("codec", "coding"), [(Codec.H264, H264), (Codec.H265, H265)])
def test_pictures_that_ffmpeg_sends_arrive(tmp_path: Path, codec: Codec, coding: list[str]) -> None:
    """A camera's H.264 or H.265 comes in picture by picture, nothing missing, nothing added."""
    clip = tmp_path / "clip.mp4"
    ffmpeg(*VIDEO, *coding, str(clip))
    description, datagrams = sent_by_ffmpeg(tmp_path, ["-re", "-i", str(clip), "-c", "copy"])
    units = units_of(description, datagrams)
    sent = packets_of(clip)
    assert [slices(unit.data, codec) for unit in units] == [slices(data, codec) for data, _ in sent]
    assert [unit.keyframe for unit in units] == [key for _, key in sent]
    assert (units[0].track.width, units[0].track.height) == (320, 180)


@pytest.mark.parametrize(
    ("source", "coding", "suffix", "codec"),
    [
        (AUDIO, ["-c:a", "aac"], "mp4", Codec.AAC),
        (AUDIO, ["-c:a", "libopus"], "ogg", Codec.OPUS),
        (AUDIO, ["-c:a", "libmp3lame", "-b:a", "128k", "-write_xing", "0", "-id3v2_version", "0"], "mp3", Codec.MP3),
        (VIDEO, ["-c:v", "libvpx", "-g", "10"], "webm", Codec.VP8),
        (VIDEO, ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-g", "10"], "webm", Codec.VP9),
    ],
)
def test_other_codecs_that_ffmpeg_sends_arrive(
    tmp_path: Path, source: list[str], coding: list[str], suffix: str, codec: Codec
) -> None:
    """Every codec with a payload format comes in frame by frame, nothing missing, nothing added."""
    clip = tmp_path / f"clip.{suffix}"
    ffmpeg(*source, *coding, str(clip))
    extra = ["-strict", "-2"] if codec is Codec.VP9 else []
    description, datagrams = sent_by_ffmpeg(tmp_path, ["-re", "-i", str(clip), "-c", "copy", *extra])
    units = units_of(description, datagrams)
    sent = [data for data, _ in packets_of(clip)]
    # ffmpeg collects frames of AAC and MP3 until a packet is full, and never sends the last ones.
    assert len(sent) - len(units) < 10
    assert [unit.data for unit in units] == sent[: len(units)]
    assert units[0].track.codec is codec


def test_latm_that_ffmpeg_sends_arrives(tmp_path: Path) -> None:
    """AAC in LATM, as some cameras send it, gives the same frames as AAC in its usual form."""
    clip = tmp_path / "clip.mp4"
    ffmpeg(*AUDIO, "-c:a", "aac", str(clip))
    description, datagrams = sent_by_ffmpeg(tmp_path, ["-re", "-i", str(clip), "-c", "copy", "-rtpflags", "latm"])
    units = units_of(description, datagrams)
    assert [unit.data for unit in units] == [data for data, _ in packets_of(clip)]


def test_transport_streams_that_ffmpeg_sends_arrive(tmp_path: Path) -> None:
    """A transport stream in RTP is a transport stream."""
    clip = tmp_path / "clip.mp4"
    ffmpeg(*VIDEO, *H264, str(clip))
    with port_pair() as (rtp, _):
        address = f"rtp://127.0.0.1:{rtp.getsockname()[1]}"
        process = subprocess.Popen(
            ["ffmpeg", "-loglevel", "error", "-nostdin", "-re", "-i", str(clip), "-c", "copy", "-f", "rtp_mpegts", address],
            stdout=subprocess.DEVNULL,
        )
        demuxer, events = TsDemuxer(), []
        try:
            while process.poll() is None or select.select([rtp], [], [], 0)[0]:
                if select.select([rtp], [], [], 0.1)[0]:
                    packet = parse(rtp.recv(65536))
                    assert packet.payload_type == 33
                    events += demuxer.receive(packet.payload)
        finally:
            process.kill()
            process.wait()
    events += demuxer.flush()
    assert len([event for event in events if isinstance(event, Sample)]) == 25


def test_picture_and_sound_of_ffmpeg_are_synchronised_by_its_reports(tmp_path: Path) -> None:
    """Sound and picture that belong together come out with times that belong together, in the order of decoding."""
    clip = tmp_path / "clip.mp4"
    ffmpeg(*VIDEO, *AUDIO, *H264, "-c:a", "aac", str(clip))
    description, datagrams = sent_by_ffmpeg(
        tmp_path, ["-re", "-i", str(clip), "-map", "0:v", "-c", "copy"], ["-map", "0:a", "-c", "copy"]
    )
    medias = []
    for index, media in enumerate(description.medias):
        depacketiser, chosen = make_depacketiser(media, index), sdp.chosen_type(media)
        assert depacketiser is not None
        assert chosen is not None
        medias.append((depacketiser, chosen[0]))
    reception = Reception(medias)
    frames: list[Frame] = []
    for got in datagrams:
        receive = reception.rtcp if got.is_rtcp else reception.rtp
        frames += receive(got.index, got.data, got.arrival)
    assert reception.mode is SyncMode.RTCP
    video = [frame for frame in frames if frame.track.kind is Kind.VIDEO]
    audio = [frame for frame in frames if frame.track.kind is Kind.AUDIO]
    assert len(video) == 25
    assert video[0].keyframe
    assert all(frame.dts <= frame.pts for frame in video)
    assert [frame.dts for frame in video] == sorted({frame.dts for frame in video})
    steps = [later - earlier for earlier, later in zip([f.pts for f in video], sorted(f.pts for f in video), strict=True)]
    assert max(steps) < SECOND
    shown = sorted(frame.pts for frame in video)
    assert all(abs(b - a - SECOND // 25) < 1_000_000 for a, b in pairwise(shown))
    # The clip's sound begins with its picture, but for the encoder's priming of 1024 samples.
    assert abs(audio[0].pts - video[0].pts) < SECOND // 10


def hashes(*arguments: str) -> list[str]:
    """What ffmpeg makes of an input, frame by frame."""
    return listed(ffmpeg(*arguments, "-f", "framemd5", "-").stdout)


def listed(framemd5: bytes) -> list[str]:
    """The hashes in a list of frames; what follows them is side data, such as samples to be skipped."""
    return [line.split(",")[5].strip() for line in framemd5.decode().splitlines() if not line.startswith("#")]


def received_by_ffmpeg(tmp_path: Path, media: sdp.Media, packets: list[bytes], *output: str) -> bytes:
    """What ffmpeg makes of these packets, coded and in the format that `output` says."""
    with port_pair() as pair:
        media.port = pair[0].getsockname()[1]
    description = sdp.SessionDescription(connection=sdp.Connection("IP4", "127.0.0.1"), medias=[media])
    path = tmp_path / "ours.sdp"
    path.write_bytes(bytes(description))
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "fatal", "-protocol_whitelist", "file,udp,rtp"]
    command += ["-i", str(path), *output, "-"]
    written = tmp_path / "received"
    with written.open("wb") as file, subprocess.Popen(command, stdout=file) as process:
        try:
            wait_for_listener(media.port + 1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for packet in packets:
                    sender.sendto(packet, ("127.0.0.1", media.port))
                    time.sleep(0.003)  # its buffer holds no more than a few key frames
                wait_until_read(media.port)  # it looks at RTCP first, and a goodbye ends it
                goodbye = rtcp.build([rtcp.ReceiverReport(1), rtcp.Goodbye((1,))])
                sender.sendto(goodbye, ("127.0.0.1", media.port + 1))
            process.wait(SEND_TIMEOUT)
        finally:
            process.kill()
    return written.read_bytes()


def wait_for_listener(port: int) -> None:
    """Until somebody has bound a UDP port."""
    end = time.monotonic() + SEND_TIMEOUT
    while time.monotonic() < end:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.02)
    raise AssertionError("ffmpeg does not listen")


def wait_until_read(port: int) -> None:
    """Until the receive queue of a UDP port of loopback is empty."""
    end = time.monotonic() + SEND_TIMEOUT
    while time.monotonic() < end:
        sockets = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        queues = [words[4] for words in sockets if words[1].endswith(f":{port:04X}")]
        if all(queue.endswith(":00000000") for queue in queues):
            return
        time.sleep(0.02)
    raise AssertionError("ffmpeg does not read")


def frames_of(path: Path, codec: Codec) -> list[Frame]:
    """The frames of a file with one stream, as they are inside the server."""
    with av.open(str(path)) as container:
        stream = container.streams[0]
        extradata = bytes(stream.codec_context.extradata or b"")
        frames = []
        for packet in container.demux(stream):
            if not packet.size:
                continue
            data, time_base = bytes(packet), packet.time_base or 0
            if not frames:
                track = track_of(codec, extradata, data)
            at = round(packet.pts * time_base * SECOND)
            frames.append(Frame(track, at, at, packet.is_keyframe, data))
        return frames


def track_of(codec: Codec, extradata: bytes, data: bytes) -> Track:
    """The track that goes with what is in a file."""
    match codec:
        case Codec.H264:
            return h264.make_track(0, extradata)
        case Codec.H265:
            return h265.make_track(0, extradata)
        case Codec.AAC:
            return aac.make_track(0, extradata)
        case Codec.OPUS:
            return opus.make_track(0, extradata)
        case Codec.MP3:
            return mp3.make_track(0, data)
        case Codec.AC3:
            return ac3.make_track(0, data)
    return Track(0, Kind.VIDEO if codec in (Codec.VP8, Codec.VP9) else Kind.AUDIO, codec, sample_rate=8000, channels=1)


def packets_for(frames: list[Frame]) -> tuple[sdp.Media, list[bytes]]:
    """A medium, and the packets of its frames; numbers and timestamps wrap on the way."""
    track = frames[0].track
    payload_type = sdp.payload_type_of(track, 96)
    packetiser = make_packetiser(track, payload_type=payload_type, ssrc=1, sequence=65500, max_payload=1000)
    media = sdp.media_of(track, payload_type)
    assert packetiser is not None
    assert media is not None
    rate = packetiser.clock_rate
    return media, [packet for frame in frames for packet in packetiser.packets(frame, frame.pts * rate // SECOND + 0xFFFF0000)]


@pytest.mark.parametrize(("codec", "coding", "name"), [(Codec.H264, H264, "h264"), (Codec.H265, H265, "hevc")])
def test_ffmpeg_receives_the_pictures_that_we_send(tmp_path: Path, codec: Codec, coding: list[str], name: str) -> None:
    """Players get every slice of every picture, byte for byte, and the parameter sets in front of key frames."""
    clip = tmp_path / "clip.mp4"
    ffmpeg(*VIDEO, *coding, str(clip))
    frames = frames_of(clip, codec)
    stream = received_by_ffmpeg(tmp_path, *packets_for(frames), "-c", "copy", "-f", name)
    received = slices(nal.join_lengths(nal.split_annexb(stream)), codec)
    assert received == [each for frame in frames for each in slices(frame.data, codec)]


@pytest.mark.parametrize(
    ("source", "coding", "suffix", "codec", "reading"),
    [
        (VIDEO, ["-c:v", "libvpx", "-g", "10"], "webm", Codec.VP8, COPY),
        (VIDEO, ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-g", "10"], "webm", Codec.VP9, COPY),
        (AUDIO, ["-c:a", "aac"], "mp4", Codec.AAC, COPY),
        (AUDIO, ["-c:a", "libopus"], "ogg", Codec.OPUS, COPY),
        (AUDIO, ["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"], "mp3", Codec.MP3, COPY),
        (AUDIO, ["-c:a", "ac3"], "ac3", Codec.AC3, COPY),
        (AUDIO, ["-ar", "8000", "-c:a", "pcm_alaw"], "wav", Codec.G711A, SAMPLES),
        (AUDIO, ["-ar", "8000", "-c:a", "pcm_mulaw"], "wav", Codec.G711U, SAMPLES),
    ],
)
def test_ffmpeg_receives_what_we_send(
    tmp_path: Path, source: list[str], coding: list[str], suffix: str, codec: Codec, reading: list[str]
) -> None:
    """Players get every frame of every codec, byte for byte."""
    clip = tmp_path / f"clip.{suffix}"
    ffmpeg(*source, *coding, str(clip))
    received = received_by_ffmpeg(tmp_path, *packets_for(frames_of(clip, codec)), *reading, "-f", "framemd5")
    assert listed(received) == hashes("-i", str(clip), *reading)
