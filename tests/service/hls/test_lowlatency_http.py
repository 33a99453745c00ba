"""Low-latency HLS through the web server: a player on a real connection that asks for the next part each time."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred, gatherResults

from tests.service.hls.low_latency_world import AUDIO, VIDEO, frames
from tests.service.web.browsing import Answer, Web, until
from tests.unit.segmenters.lowlatency_rules import Parsed, check

PLAYLIST = "/group/cam/playlist.m3u8"


@pytest_twisted.async_yield_fixture
async def web(tmp_path: Path) -> AsyncIterator[Web]:
    """A web server that has a low-latency stream of 4 s; `web.stream` goes on with `web.frames`."""
    web: Any = Web(tmp_path)
    settings = {"groupTargetFolder": f"{web.root}/group/", "targetFolder": f"{web.root}/group/cam", "chunkLength": 1}
    more = {"localStreamName": "cam", "playlistType": "rolling", "segmentType": "fmp4", "partLength": 200}
    (job,) = await web.server.jobs.add("hls", [settings | more])
    web.stream = web.server.streams.register("cam", type_tag="INEXT", source=None)
    web.stream.set_tracks((VIDEO, AUDIO))
    web.frames = frames(60)
    push_until(web, 4)
    await until((web.root / "group/cam/playlist.m3u8").exists, "the first playlist")
    yield web
    await web.server.jobs.remove([job], "the test is over")
    await job.finished()
    await web.close()


def push_until(web: Any, seconds: float) -> None:
    """Have frames come until the media is so long."""
    for frame in web.frames:
        web.stream.push(frame)
        if frame.dts >= seconds * 1_000_000_000:
            return


def asked(web: Web, playlist: Parsed) -> "Deferred[Answer]":
    """A request for the playlist that has the next part."""
    msn, part = playlist.following
    return Deferred.fromCoroutine(web.ask(f"{PLAYLIST}?_HLS_msn={msn}&_HLS_part={part}"))


def is_waiting(web: Web, requests: "list[Deferred[Answer]]") -> bool:
    """Whether every request waits in the server or has been answered."""
    return len(web.service.site.live) + sum(request.called for request in requests) >= len(requests)


@ensureDeferred
async def test_the_first_answer_tells_of_low_latency(web: Any) -> None:
    """A player that knows nothing yet learns from its first request that it may wait for parts."""
    await until(lambda: web.server.published.live(web.root / PLAYLIST[1:]) is not None, "the playlist")
    parsed = check((await web.ask(PLAYLIST)).body.decode())
    assert parsed.part_target == 0.2
    assert parsed.hint


@ensureDeferred
async def test_a_player_follows_part_by_part(web: Any) -> None:
    """Each request is answered with the part that it asked for, and every part that is listed can be fetched at once."""
    parsed = check((await web.ask(f"{PLAYLIST}?_HLS_msn=1")).body.decode())
    positions, seconds = [parsed.following], 4.0
    while seconds < 9:
        waiting = [asked(web, parsed), Deferred.fromCoroutine(web.ask(f"/group/cam/{parsed.hint}"))]
        # A segment that is being written to the disk may answer the first request at once.
        await until(partial(is_waiting, web, waiting), "the requests to wait")
        seconds += 0.2
        push_until(web, seconds)
        answer, part = await gatherResults(waiting)
        parsed = check(answer.body.decode())
        assert part.status == 200
        assert part.body[4:8] in (b"styp", b"moof")
        positions.append(parsed.following)
    assert positions == sorted(set(positions))
    assert positions[-1][0] - positions[0][0] >= 4


@ensureDeferred
async def test_many_players_get_the_same_playlist(web: Any) -> None:
    """Players that wait for the same part are all answered when it is there."""
    parsed = check((await web.ask(f"{PLAYLIST}?_HLS_msn=1")).body.decode())
    waiting = [asked(web, parsed) for _ in range(200)]
    await until(partial(is_waiting, web, waiting), "the requests to wait")
    push_until(web, 6)
    answers = await gatherResults(waiting)
    assert {answer.status for answer in answers} == {200}
    assert all(check(answer.body.decode()).following > parsed.following for answer in answers)


@ensureDeferred
async def test_nonsense_is_refused(web: Any) -> None:
    """What makes no sense is answered with 400 at once."""
    for question in ("_HLS_msn=1000000000000", "_HLS_msn=1&_HLS_part=-1", "_HLS_part=1"):
        assert (await web.ask(f"{PLAYLIST}?{question}")).status == 400
