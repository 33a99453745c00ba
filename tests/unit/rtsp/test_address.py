"""What a URL means: prefixes, flags, media, and names."""

import pytest

from ems.errors import RemoteProtocolError
from ems.protocols.rtsp.address import Address, Origin, parse_address, published_name


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rtsp://h/cam", Address("cam")),
        ("rtsp://h:5544/cam/", Address("cam")),
        ("rtsp://[::1]:5544/live/cam/trackID=2", Address("live/cam", medium=2)),
        ("/cam/trackid=1/", Address("cam", medium=1)),
        ("rtsp://h/TS/cam", Address("cam", ts=True)),
        ("rtsp://h/ts", Address("ts")),
        ("rtsp://h/vod/a/b.mp4", Address("a/b.mp4", Origin.FILE)),
        ("rtsp://h/VodTs/b.mp4", Address("b.mp4", Origin.FILE, ts=True)),
        ("rtsp://h/tsvod/b.mp4", Address("b.mp4", Origin.FILE, ts=True)),
        ("rtsp://h/door.vod", Address("door.vod", Origin.PULL)),
        ("rtsp://h/cam?forceTs&token=1", Address("cam?token=1", ts=True)),
        ("rtsp://h/cam?forceTcp/trackID=1", Address("cam", force_tcp=True, medium=1)),
        ("rtsp://h/cam?waitForIdr", Address("cam", wait_for_key_frame=True)),
        ("rtsp://h/k%C3%BCche", Address("küche")),
        ("rtsp://h", Address("")),
    ],
)
def test_address(url: str, expected: Address) -> None:
    """Each form of URL, in any case of its prefix."""
    assert parse_address(url) == expected


@pytest.mark.parametrize("url", ["http://h/cam", "rtsp://[::1/cam", "rtsp://h/%ff"])
def test_no_address(url: str) -> None:
    """What is no URL of RTSP is refused."""
    with pytest.raises(RemoteProtocolError):
        parse_address(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [("rtsp://h/cam", "cam"), ("rtsp://h/live/cam", "cam"), ("rtsp://h/live/cam?key=1", "cam?key=1"), ("rtsp://h/", "")],
)
def test_published_name(url: str, name: str) -> None:
    """A stream is called as the last part of the path that it is sent to."""
    assert published_name(url) == name
