"""Every way into the server with every way out of it: the very frames arrive, in step.

One clip comes in by one way, and is received by all ways at once. By default each way in has a picture with B-frames and sound,
and a few have the other kinds of clips. ``EMS_MATRIX=full`` plays every kind by every way, ``EMS_PLAY_SECONDS=60`` for longer.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.interop.access_units import AccessUnits, duration, read
from tests.interop.broadcast import MAX_SYNC_ERROR, subfolder
from tests.interop.matrix import KINDS, WAYS_IN, WAYS_OUT, Stage
from tests.interop.packets import run_in, sync_error
from tests.processes import Children

SECONDS = int(os.environ.get("EMS_PLAY_SECONDS", "5"))

CHOSEN = (
    *((way, "h264_bframes_aac") for way in WAYS_IN),
    *(("rtsp-udp", "hevc_aac"), ("rtmp", "h264_only"), ("ts-tcp", "aac_only")),
)
"""What is played by default: each way in with what is hardest to bring through, and each other kind of clip once."""

ALL = tuple((way, kind) for way in WAYS_IN for kind in KINDS)

RUNS = ALL if os.environ.get("EMS_MATRIX") == "full" else CHOSEN


class Run:
    """One clip by one way into a server, and what came out by all ways."""

    def __init__(self, folder: Path, way: str, kind: str) -> None:
        self.kinds = KINDS[kind]
        children = Children(folder)
        try:
            stage = Stage(children, subfolder(folder, "server"), kind, SECONDS)
            stage.send(way)
            self.received: dict[str, Future[AccessUnits]] = stage.receive(tuple(WAYS_OUT))
            stage.server.stop()
            self.sent = read(str(stage.clip), SECONDS + 60, self.kinds, {})
        finally:
            children.stop_all()


@pytest.fixture(scope="module", params=RUNS, ids=["-".join(run) for run in RUNS])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """What the tests below look at."""
    yield Run(tmp_path_factory.mktemp("matrix"), *request.param)


@pytest.mark.parametrize("way", WAYS_OUT)
def test_frames_arrive_as_they_were_sent(run: Run, way: str, record_property: Callable[[str, object], None]) -> None:
    """Whatever comes in by one protocol goes out by another: every coded frame, unchanged and in order, and all in step."""
    received = run.received[way].result()
    for kind in run.kinds:
        run_in(received[kind], run.sent[kind])
        assert duration(received[kind]) >= SECONDS
    if len(run.kinds) > 1:
        error = sync_error(received, run.sent)
        record_property("sync_error", error)
        assert abs(error) < MAX_SYNC_ERROR, f"the sound is {error * 1000:.0f} ms late"
