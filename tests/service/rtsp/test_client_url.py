"""The addresses of media, in all the ways in which servers write them."""

import pytest

from ems.protocols.rtsp.client_url import base_url, control_url, presentation_url
from ems.uri import Uri

CONTROLS = [
    ("rtsp://h/cam", "trackID=1", "rtsp://h/cam/trackID=1"),
    ("rtsp://h/cam/", "trackID=1", "rtsp://h/cam/trackID=1"),
    ("rtsp://h/cam/", "/trackID=1", "rtsp://h/cam/trackID=1"),
    ("rtsp://h/a/cam", "/a/cam/trackID=1", "rtsp://h/a/cam/trackID=1"),
    ("rtsp://h:8554/cam", "rtsp://h:8554/cam/video", "rtsp://h:8554/cam/video"),
    ("rtsp://h/cam", "RTSP://h/other", "RTSP://h/other"),
    ("rtsp://h/cam?channel=1&subtype=0", "trackID=4", "rtsp://h/cam?channel=1&subtype=0/trackID=4"),
    ("rtsp://h/cam?channel=1/", "trackID=4", "rtsp://h/cam?channel=1/trackID=4"),
    ("rtsp://h/cam", "*", "rtsp://h/cam"),
    ("rtsp://h/cam", "", "rtsp://h/cam"),
    ("rtsp://h", "/track1", "rtsp://h/track1"),
    ("rtsp://h/cam", " streamid=0 ", "rtsp://h/cam/streamid=0"),
]


@pytest.mark.parametrize(("base", "control", "expected"), CONTROLS)
def test_control_attributes(base: str, control: str, expected: str) -> None:
    """SETUP asks for what the session description means, however the camera puts it."""
    assert control_url(base, control) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "rtsp://h/cam"),
        ({"Content-Base": "rtsp://10.0.0.1/x/"}, "rtsp://10.0.0.1/x/"),
        ({"Content-Location": "rtsp://h/y"}, "rtsp://h/y"),
        ({"Content-Base": "rtsp://h/1", "Content-Location": "rtsp://h/2"}, "rtsp://h/1"),
        ({"Content-Base": "cam/"}, "rtsp://h/cam"),
    ],
)
def test_the_base(headers: dict[str, str], expected: str) -> None:
    """Content-Base counts before Content-Location, and that before what was asked for."""
    assert base_url("rtsp://h/cam", lambda name: headers.get(name, "")) == expected


def test_passwords_stay_here() -> None:
    """Neither user nor password is part of what is asked for."""
    assert presentation_url(Uri.parse("rtsp://u:p%40@h:5554/a/b.sdp?x=1")) == "rtsp://h:5554/a/b.sdp?x=1"
