"""The real server with every door that pages use: the web server, media and metadata over WebSocket, RTMP, the API."""

import shutil
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

from ems.service import DEMO_CLIP
from tests.clips import demo_clip
from tests.processes import Child, Children, free_port, wait_until
from tests.server import EmsServer

DOORS = ("inboundRtmp", "inboundLiveFlv", "inboundHttpJsonCli", "inboundWSFMP4", "wsJsonMeta")

LISTENING = "Ctrl-C"
"""The server prints it when its doors are open."""


class Site(EmsServer):
    """A server whose pages are at `address`. Its ports stay the same when it is started again."""

    def __init__(self, children: Children, folder: Path) -> None:
        self.web_port = free_port()
        (folder / "webconfig.lua").write_text(
            f'configuration = {{ applications = {{ {{ port = {self.web_port}, bindToIP = "127.0.0.1" }} }} }}\n'
        )
        # So that no server spends seconds on making its own.
        (folder / DEMO_CLIP).parent.mkdir()
        shutil.copy(demo_clip(), folder / DEMO_CLIP)
        self._children = children
        super().__init__(children, folder, 'runWebServer = true, demoStream = "demo",', DOORS)

    @property
    def address(self) -> str:
        """The address of the dashboard, with a slash at its end."""
        return f"http://127.0.0.1:{self.web_port}/"

    def media(self, stream: str = "") -> str:
        """The address of a stream's fragmented MP4."""
        return f"ws://127.0.0.1:{self.ports['inboundWSFMP4']}/{quote(stream)}".rstrip("/")

    def metadata(self, stream: str = "") -> str:
        """The address of a stream's metadata."""
        return f"ws://127.0.0.1:{self.ports['wsJsonMeta']}/{quote(stream)}".rstrip("/")

    def video_page(self, stream: str, **query: str) -> str:
        """The address of the demonstration page that plays a stream over WebSocket."""
        return f"{self.address}demo/evowsvideo.html?{urlencode({'uri': self.media(), 'stream': stream, **query})}"

    def metadata_page(self, stream: str) -> str:
        """The address of the demonstration page for a stream's metadata."""
        return f"{self.address}demo/evowsmeta.html?{urlencode({'uri': self.metadata(), 'stream': stream})}"

    def create_hls(self, stream: str, group: str, **parameters: str) -> str:
        """Have HLS made of a stream, 2 s a segment; the address of its master playlist, which is there on return."""
        settings = {"chunkLength": "2", "playlistType": "rolling", **parameters}
        self.api("createHLSStream", localStreamNames=stream, targetFolder="webroot", groupName=group, **settings)
        playlist = self.folder / "webroot" / group / "playlist.m3u8"
        wait_until(playlist.exists, f"{playlist}", 30)
        return f"{self.address}{group}/playlist.m3u8"

    def publish_wall_clock(self, children: Children, name: str, size: str) -> Child:
        """Publish a stream whose picture tells the time, and return when it is there."""
        publisher = children.start(sys.executable, "-m", "tests.browser.wall_clock", self.rtmp(name), size)
        self.wait_for_stream(name)
        return publisher

    def start_again(self) -> None:
        """Start it after `kill`, as it was."""
        self._child = self._children.start(
            *(sys.executable, "-m", "ems", "--config", self.folder / "server.lua", "--runtime", self.folder), PYTHONUNBUFFERED="1"
        )
        wait_until(lambda: LISTENING in self.output or not self._child.running, "the server to start again", 20)
        assert self._child.running, f"the server did not start again:\n{self.output}"
