"""Sends a clip in real time as FLV to an RTMP or TCP address, without encoding::

    python republish.py CLIP.mp4 URL

It is what ``ffmpeg -re -i CLIP.mp4 -c copy -f flv URL`` does, with the newer libraries of PyAV, which know Enhanced RTMP.
"""

import sys
import time

import av


def main(clip: str, url: str) -> None:
    """Send the whole clip."""
    with av.open(clip) as source, av.open(url, "w", format="flv") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        began = time.monotonic()
        for packet in source.demux():
            if packet.dts is None or packet.time_base is None:
                continue
            time.sleep(max(0.0, began + float(packet.dts * packet.time_base) - time.monotonic()))
            packet.stream = streams[packet.stream.index]
            target.mux(packet)


main(*sys.argv[1:])
