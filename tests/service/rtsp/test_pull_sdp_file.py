"""Descriptions in files as sources."""

from pathlib import Path

import pytest

from ems.jobs.settings import PULL
from ems.protocols.rtsp.sdp_file import SdpPuller
from ems.testing import testing_server
from ems.uri import Uri
from tests.service.rtmp.far import Observer
from tests.service.rtsp.far_rtsp import FarRtspNetwork

SECRET = "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("inside/../../outside.sdp", SECRET, "leads out of"),
        ("link.sdp", SECRET, "leads out of"),
        ("inside/passwd", SECRET, "only files .sdp are read"),
        ("inside/none.sdp", None, "No such file"),
        ("inside/large.sdp", "v=0\n" * 9000, "has more than"),
        ("inside/empty.sdp", "", "none of the media"),
        ("inside/nowhere.sdp", SECRET, "does not say to where"),
        ("inside/name.sdp", f"c=IN IP4 host.example\n{SECRET}", "names no IP address"),
    ],
)
def test_files_that_are_no_source(tmp_path: Path, name: str, content: str | None, expected: str) -> None:
    """Only a description in the runtime directory is read, and what is wrong with it is told."""
    runtime = tmp_path / "runtime"
    (runtime / "inside").mkdir(parents=True)
    outside = tmp_path / "outside.sdp"
    outside.write_text(SECRET)
    (runtime / "link.sdp").symlink_to(outside)
    path = runtime / name
    if content is not None and not path.exists():
        path.write_text(content)
    clock, observer = FarRtspNetwork(), Observer()
    server = testing_server(clock, runtime=runtime)
    SdpPuller().pull(server, Uri.parse(f"file://{path}"), {**PULL, "localStreamName": "mine"}, observer)
    clock.advance(0.1)
    assert observer.told == ["ended"]
    assert expected in (observer.reason or "")
    assert clock.readers == []
