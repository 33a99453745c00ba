"""The programs that people use with a media server, each as a function that starts it the way they would.

A publisher sends a clip in real time; a player receives for some seconds and leaves what came in a file. All are started
through `tests.processes.Children`, so none outlives its test.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.processes import Child, Children

START_TIME = 15
"""Seconds that a player gets on top of its playing time, on a busy machine."""

NOBODY = 65534


@dataclass(frozen=True)
class Playback:
    """What a player leaves: the file of what it received (None when it only decodes), what is wrong, pictures it decoded."""

    recording: Path | None
    complaints: str
    pictures: int = 0


Publisher = Callable[[Children, Path, str], Child]
"""Starts to send a clip to an address."""

Player = Callable[[Children, str, Path, int], Callable[[], Playback]]
"""Starts to play an address for some seconds, with a folder for its files; the result waits for the end."""


def publish_with_ffmpeg(children: Children, clip: Path, url: str, *, endless: bool = False) -> Child:
    """ffmpeg's own RTMP client, from the MP4 file without encoding; `endless` begins again at its end."""
    again = ("-stream_loop", "-1") if endless else ()
    return children.start("ffmpeg", "-nostdin", "-v", "error", "-re", *again, "-i", clip, "-c", "copy", "-f", "flv", url)


def publish_with_rtmp2sink(children: Children, clip: Path, url: str) -> Child:
    """GStreamer's RTMP client."""
    return _publish_with_gstreamer(children, clip, f"rtmp2sink {_trust(url)}", url)


def publish_with_rtmpsink(children: Children, clip: Path, url: str) -> Child:
    """GStreamer with librtmp."""
    return _publish_with_gstreamer(children, clip, "rtmpsink", f"{url} live=1")


def _publish_with_gstreamer(children: Children, clip: Path, sink: str, location: str) -> Child:
    pipeline = (
        f"filesrc location={clip} ! qtdemux name=file  flvmux name=mux streamable=true ! {sink} sync=true location=@ "
        "file.video_0 ! queue ! h264parse ! video/x-h264,stream-format=avc ! mux.video "
        "file.audio_0 ! queue ! aacparse ! mux.audio"
    )
    words = [f"location={location}" if word == "location=@" else word for word in pipeline.split()]
    return children.start("gst-launch-1.0", "-q", *words)


def play_with_ffmpeg(children: Children, url: str, folder: Path, seconds: int) -> Callable[[], Playback]:
    """ffmpeg's own RTMP client, into a file."""
    recording = folder / "ffmpeg.flv"
    child = children.start(
        *("ffmpeg", "-nostdin", "-v", "error", "-rtmp_live", "live", "-i", url, "-t", str(seconds), "-c", "copy", recording)
    )

    def finish() -> Playback:
        child.wait(seconds + START_TIME)
        return Playback(recording, child.output)

    return finish


def play_with_rtmpdump(children: Children, url: str, folder: Path, seconds: int) -> Callable[[], Playback]:
    """rtmpdump, which is librtmp. It writes what it receives byte for byte."""
    recording = folder / "rtmpdump.flv"
    # Its own --stop pauses the stream and then waits for ever; it ends in order on SIGINT only.
    child = children.start(*interrupted_after(seconds), "rtmpdump", "--quiet", "--live", "-r", url, "-o", recording)

    def finish() -> Playback:
        child.wait(seconds + START_TIME)
        return Playback(recording, child.output.strip())

    return finish


def play_with_rtmp2src(children: Children, url: str, folder: Path, seconds: int) -> Callable[[], Playback]:
    """GStreamer's RTMP client, which also writes what it receives byte for byte."""
    recording = folder / "rtmp2src.flv"
    child = children.start(
        *interrupted_after(seconds),
        *("gst-launch-1.0", "-e", "rtmp2src", *_trust(url).split(), f"location={url}"),
        *("!", "filesink", f"location={recording}"),
    )

    def finish() -> Playback:
        child.wait(seconds + START_TIME)
        return Playback(recording, _lines_with(child.output, "ERROR", "WARN"))

    return finish


def play_with_rtmpsrc(children: Children, url: str, folder: Path, seconds: int) -> Callable[[], Playback]:
    """GStreamer with librtmp. When it is interrupted it leaves the last tag in its middle."""
    recording = folder / "rtmpsrc.flv"
    child = children.start(
        *interrupted_after(seconds),
        *("gst-launch-1.0", "-e", "rtmpsrc", f"location={url} live=1", "!", "filesink", f"location={recording}"),
    )

    def finish() -> Playback:
        child.wait(seconds + START_TIME)
        recording.write_bytes(_whole_tags(recording.read_bytes()))
        return Playback(recording, _lines_with(child.output, "ERROR", "WARN"))

    return finish


def _whole_tags(flv: bytes) -> bytes:
    """An FLV file up to its last complete tag (FLV 10.1 §E.3: 13 bytes, then tags of 11 bytes, a body and 4 bytes)."""
    end = 13
    while (after := end + 15 + int.from_bytes(flv[end + 1 : end + 4], "big")) <= len(flv):
        end = after
    return flv[:end]


def play_with_vlc(children: Children, url: str, folder: Path, seconds: int) -> Callable[[], Playback]:
    """VLC without a screen: it decodes, and writes one picture of each second to a file as the proof."""
    # Not in pytest's own folders: another run of pytest closes them to nobody while VLC is still writing.
    pictures = Path(tempfile.mkdtemp(prefix="ems-vlc-"))
    child = children.start(
        *_as_nobody(pictures),
        *("vlc", "-I", "dummy", "--ignore-config", "--no-metadata-network-access", "--vout=vdummy", "--aout=adummy"),
        *("--video-filter=scene", "--scene-format=png", "--scene-ratio=25", f"--scene-path={pictures}", "--scene-prefix=f"),
        *("-v", f"--run-time={seconds}", "--play-and-exit", url, "vlc://quit"),
        HOME=str(pictures),
        DBUS_SESSION_BUS_ADDRESS="none",
    )

    def finish() -> Playback:
        child.wait(seconds + START_TIME)
        # Without a screen its interface complains a lot; only what reads and decodes the stream counts.
        complaints = _lines_with(child.output, "avcodec", "decoder error", "demux error", "access error", "stream error")
        shown = len(list(pictures.glob("f*.png")))
        shutil.rmtree(pictures)
        return Playback(None, complaints, shown)

    return finish


def interrupted_after(seconds: int) -> list[str]:
    """A prefix for programs that record until they are interrupted; connecting gets a second more.

    They are interrupted once: without ``--foreground`` the whole process group is as well, and GStreamer takes the second signal
    for impatience and ends without finishing.
    """
    return ["timeout", "--foreground", "--signal=INT", "--kill-after=3", str(seconds + 1)]


def _as_nobody(folder: Path) -> list[str]:
    """VLC refuses to be run by root, which tests in a container are."""
    if os.getuid() != 0:
        return []
    shutil.chown(folder, NOBODY, NOBODY)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def _trust(url: str) -> str:
    """GStreamer wants to know who has signed a certificate, unless it is told not to."""
    return "tls-validation-flags=0" if url.startswith("rtmps:") else ""


def _lines_with(output: str, *words: str) -> str:
    return "\n".join(line for line in output.splitlines() if any(word in line for word in words))


PUBLISHERS: dict[str, Publisher] = {
    "ffmpeg": publish_with_ffmpeg,
    "rtmp2sink": publish_with_rtmp2sink,
    "rtmpsink": publish_with_rtmpsink,
}

PLAYERS: dict[str, Player] = {
    "ffmpeg": play_with_ffmpeg,
    "rtmpdump": play_with_rtmpdump,
    "rtmp2src": play_with_rtmp2src,
    "vlc": play_with_vlc,
}
