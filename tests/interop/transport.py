"""Transport streams as others make and read them: senders, receivers, and what is in a recording, frame by frame."""

import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from tests.interop.packets import Packet, run_in
from tests.processes import Child, Children

_COMMAND = "ffmpeg -nostdin -v error -i @ -map 0:v -c copy -bsf:v @ -f framemd5 -"
_SLICES = "filter_units=remove_types=6-9"


def send_with_ffmpeg(children: Children, clip: Path, url: str, *options: str, form: str = "mpegts") -> Child:
    """ffmpeg, from the file without encoding, in real time."""
    return children.start("ffmpeg", "-nostdin", "-v", "error", "-re", "-i", clip, "-c", "copy", *options, "-f", form, url)


def send_with_gstreamer(children: Children, clip: Path, sink: str) -> Child:
    """GStreamer's own multiplexer."""
    pipeline = (
        f"filesrc location={clip} ! qtdemux name=file  mpegtsmux name=mux alignment=7 ! {sink} "
        "file.video_0 ! queue ! h264parse config-interval=-1 ! mux. "
        "file.audio_0 ! queue ! aacparse ! mux."
    )
    return children.start("gst-launch-1.0", "-q", *pipeline.split())


class UdpRecorder:
    """Keeps what comes to a UDP port of 127.0.0.1, as long as its context lasts: `datagrams`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.datagrams: list[bytes] = []
        self.port: int = self._socket.getsockname()[1]

    @property
    def data(self) -> bytes:
        """Everything."""
        return b"".join(self.datagrams)

    def __enter__(self) -> "UdpRecorder":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(5)
        self._socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.datagrams.append(self._socket.recv(65_535))
            except TimeoutError:
                continue


class LossyRelay:
    """Hands datagrams on from one port to another and loses some; as long as its context lasts. `lost` counts them."""

    def __init__(self, target: int, every: int) -> None:
        """Each `every`-th datagram is lost."""
        self._target = target
        self._every = every
        self._recorder = UdpRecorder()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = self._recorder.port
        self.lost = 0
        self.passed = 0
        self._recorder.datagrams = _Passing(self)

    def relay(self, datagram: bytes) -> None:
        """Hand it on, or not."""
        if (self.passed + self.lost) % self._every == self._every - 1:
            self.lost += 1
        else:
            self.passed += 1
            self._socket.sendto(datagram, ("127.0.0.1", self._target))

    def __enter__(self) -> "LossyRelay":
        self._recorder.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._recorder.__exit__(kind, error, trace)
        self._socket.close()


class _Passing(list[bytes]):
    """Takes the place of a recorder's list."""

    def __init__(self, relay: LossyRelay) -> None:
        super().__init__()
        self._relay = relay

    def append(self, datagram: bytes) -> None:
        self._relay.relay(datagram)


def pictures(path: Path) -> list[Packet]:
    """The slices of each picture in a file, whatever tables, delimiters and parameter sets are around them."""
    annexb = f"h264_mp4toannexb,{_SLICES}" if path.suffix in (".mp4", ".flv") else _SLICES
    words = iter((str(path), annexb))
    command = [next(words) if word == "@" else word for word in _COMMAND.split()]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout.splitlines()
    fields = [[part.strip() for part in line.split(",")] for line in lines if line and not line.startswith("#")]
    return [Packet(float(field[2]), field[5]) for field in fields]


def assert_same_pictures(received: Path, sent: Path, *, at_least: int) -> None:
    """AssertionError when the pictures of one file are not an unbroken run of those of the other."""
    there = pictures(received)
    assert len(there) >= at_least, f"{len(there)} pictures"
    run_in(there, pictures(sent))
