"""The ffmpeg libraries that come with PyAV as a client: they know Enhanced RTMP, which the system's own ffmpeg may not."""

import threading
import time
from fractions import Fraction
from types import TracebackType

import av
from av.filter import Graph

FRAME_RATE = 30
SAMPLE_RATE = 48_000

ALL_FOURCCS = "hvc1,av01,vp09,avc1,Opus,fLaC,ac-3,ec-3,mp4a,.mp3"
"""What a client of Enhanced RTMP announces."""

OPTIONS = {
    "libx264": {"preset": "ultrafast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=error:bframes=2"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12", "svtav1-params": "pred-struct=1"},
}


class Publisher:
    """Publishes a test picture and a tone in real time with these encoders, for as long as its context lasts."""

    def __init__(self, url: str, video: str, audio: str) -> None:
        self._url = url
        self._names = video, audio
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.error: Exception | None = None

    def __enter__(self) -> "Publisher":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(30)
        if self.error is not None and error is None:
            raise self.error

    def _run(self) -> None:
        try:
            self._publish()
        except Exception as error:
            self.error = error

    def _publish(self) -> None:
        with av.open(self._url, "w", format="flv") as out:
            video = out.add_stream(self._names[0], rate=FRAME_RATE, options={"g": "30", **OPTIONS[self._names[0]]})
            video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
            audio = out.add_stream(self._names[1], rate=SAMPLE_RATE, layout="stereo")
            audio.codec_context.open(strict=False)
            pictures, sounds = _pictures(), _sounds(audio.codec_context.format.name, audio.codec_context.frame_size or 1024)
            began = time.monotonic()
            samples = 0
            for number in range(FRAME_RATE * 60):
                if self._stop.is_set():
                    return
                picture = pictures.pull()
                picture.pts, picture.time_base = number, Fraction(1, FRAME_RATE)
                out.mux(video.encode(picture))
                while samples * FRAME_RATE < number * SAMPLE_RATE:
                    sound = sounds.pull()
                    sound.pts, sound.time_base = samples, Fraction(1, SAMPLE_RATE)
                    samples += sound.samples
                    out.mux(audio.encode(sound))
                self._stop.wait(max(0.0, began + number / FRAME_RATE - time.monotonic()))


def play(url: str, fourccs: str = ALL_FOURCCS, pictures: int = 45) -> dict[str, int]:
    """Decode until that many pictures, or as many pieces of sound, have come: how many of each codec there were."""
    options = {"rtmp_enhanced_codecs": fourccs} if fourccs else {}
    counts: dict[str, int] = {}
    with av.open(url, options=options, timeout=15) as source:
        for packet in source.demux():
            if packet.size and packet.stream.type in ("video", "audio"):
                codec = packet.stream.codec_context.name
                counts[codec] = counts.get(codec, 0) + len(packet.decode())
                if counts[codec] >= pictures and (len(counts) > 1 or counts[codec] >= 3 * pictures):
                    break
    return counts


def _pictures() -> Graph:
    graph = Graph()
    source = graph.add("testsrc2", f"size=320x180:rate={FRAME_RATE}")
    form, sink = graph.add("format", "yuv420p"), graph.add("buffersink")
    source.link_to(form)
    form.link_to(sink)
    graph.configure()
    return graph


def _sounds(sample_format: str, samples: int) -> Graph:
    graph = Graph()
    source = graph.add("sine", f"frequency=440:sample_rate={SAMPLE_RATE}:samples_per_frame={samples}")
    form = graph.add("aformat", f"sample_fmts={sample_format}:channel_layouts=stereo")
    sink = graph.add("abuffersink")
    source.link_to(form)
    form.link_to(sink)
    graph.configure()
    return graph
