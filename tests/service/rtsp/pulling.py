"""What tests of pulls begin with."""

from typing import Any

from ems.media.frame import Frame
from ems.testing import RecordingSink
from tests.service.rtsp.far_rtsp import FarRtsp, FarRtspWorld
from tests.service.rtsp.sources import Camera


async def play_begun(world: FarRtspWorld, camera: Camera, uri: str = "rtsp://192.0.2.1/cam", **settings: Any) -> FarRtsp:
    """The far end of a pull whose PLAY is answered, media inside the connection."""
    world.pull(uri, **settings)
    far = await world.far()
    await accept(far, camera)
    return far


async def accept(far: FarRtsp, camera: Camera, **headers: str) -> None:
    """Let a client play; `headers` are those of PLAY's answer."""
    await far.open(camera.sdp)
    for _ in camera.tracks:
        await far.set_up()
    await far.play(**headers)


def send(far: FarRtsp, packets: Any) -> None:
    """Send packets inside the connection, on the channels that clients ask for."""
    for index, packet in packets:
        far.frame(2 * index, packet)


def report(far: FarRtsp, camera: Camera) -> None:
    """Send a sender report of each medium."""
    for index, packet in camera.reports():
        far.frame(2 * index + 1, packet)


async def streaming(world: FarRtspWorld, far: FarRtsp, camera: Camera, pictures: int = 5) -> RecordingSink:
    """A sink that has the frames of the first pictures, and gets what follows."""
    report(far, camera)
    send(far, camera.pictures(pictures))
    await world.until(lambda: "mine" in world.server.streams.inbound)
    sink = RecordingSink()
    world.server.streams.inbound["mine"].add_sink(sink)
    return sink


def of_track(frames: list[Frame], track_id: int) -> list[Frame]:
    """The frames of one track."""
    return [frame for frame in frames if frame.track.id == track_id]
