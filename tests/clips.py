"""Clips for tests, made by ffmpeg when they are first wanted and kept in ``.cache/clips``.

All show ffmpeg's `testsrc2` with its running time code, and a white box that flashes each second while a tone beeps. Below the
beep a second tone glides, so that no two frames of sound are alike and a run of frames is found at one place only.
"""

import hashlib
import os
import subprocess
from pathlib import Path

from ems.demo_clip import make_clip

CACHE = Path(__file__).parent.parent / ".cache" / "clips"

PLAY_SECONDS = int(os.environ.get("EMS_PLAY_SECONDS", "6"))
"""How long players play in the RTMP tests: set to 600, they are the ten-minute check."""

SECONDS = max(PLAY_SECONDS + 20, 30)
FRAME_RATE = 25

_PICTURE = (
    f"testsrc2=s=640x360:r={FRAME_RATE}:d={SECONDS},drawbox=280:300:80:40:white:fill:enable='lt(mod(t,1),0.1)',format=yuv420p"
)
_SOUND = f"aevalsrc='0.3*sin(2*PI*1000*t)*lt(mod(t,1),0.1)+0.05*sin(2*PI*(200+9*t)*t)':s=48000:c=stereo:d={SECONDS}"
_H264 = "-c:v libx264 -preset ultrafast -b:v 800k -g 25 -keyint_min 25 -sc_threshold 0"

KINDS = {
    "h264_aac": ("mp4", f"{_H264} -bf 0 -c:a aac -b:a 96k"),
    "h264_bframes_aac": ("mp4", f"{_H264} -g 50 -bf 2 -c:a aac -b:a 96k"),
    "h264_only": ("mp4", f"{_H264} -bf 0 -an"),
    "aac_only": ("mp4", "-vn -c:a aac -b:a 96k"),
    "h264_mp3": ("mp4", f"{_H264} -bf 0 -c:a libmp3lame -b:a 96k"),
    "h264_ac3": ("mp4", f"{_H264} -bf 0 -c:a ac3 -b:a 128k"),
    "hevc_aac": ("mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25:bframes=0 -tag:v hvc1 -c:a aac"),
    "vp9_opus": ("mp4", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 800k -g 25 -c:a libopus -b:a 64k"),
    "av1_opus": ("mp4", "-c:v libsvtav1 -preset 12 -g 25 -b:v 800k -c:a libopus -b:a 64k"),
    "h264_flac": ("mp4", f"{_H264} -bf 0 -strict -2 -c:a flac"),
}
"""Container and encoder options by the name of the clip. The key frames come each second; with B-frames each 2 s."""


def clip(kind: str) -> Path:
    """The path of a clip of `SECONDS`, one of `KINDS`; made now when it is not there yet."""
    container, options = KINDS[kind]
    # A change of any option above makes a new file.
    version = hashlib.sha256(f"{_PICTURE} {_SOUND} {options}".encode()).hexdigest()[:8]
    path = CACHE / f"{kind}-{version}.{container}"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{os.getpid()}-{path.name}")
        command = f"ffmpeg -nostdin -v error -y -f lavfi -i @ -f lavfi -i @ {options} @".split()
        names = iter((_PICTURE, _SOUND, str(unfinished)))
        words = [next(names) if word == "@" else word for word in command]
        subprocess.run(words, check=True, timeout=900, env={**os.environ, "SVT_LOG": "1"})
        unfinished.replace(path)
    return path


def demo_clip() -> Path:
    """The path of the clip that the server plays as ``demo``; made now when it is not there yet."""
    path = CACHE / "demo.mp4"
    if not path.exists():
        unfinished = path.with_name(f"{os.getpid()}-{path.name}")
        make_clip(unfinished)
        unfinished.replace(path)
    return path
