"""Viewers over HTTP: sessions, downloads, secret names of groups, and the commands about them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from ems.api.commands import load_commands
from ems.api.reply import Reply
from ems.api.request import parse_request
from ems.jobs.job import Job
from ems.published import PublishedFile, Unavailable
from ems.web import live as live_module
from ems.web.conditions import entity_tag
from ems.web.downloads import Downloads
from tests.service.web.browsing import OpenWeb, Web, until

MASTER = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhi/playlist.m3u8\n"
CHILD = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsegment_1.ts\n"

Tell = Callable[[Web, str], Awaitable[Reply]]


async def tell(web: Web, line: str) -> Reply:
    """Have a command carried out."""
    return await load_commands().execute(web.server, parse_request(line))


def show(web: Web, group: str = "show") -> None:
    """A group with one stream, on the disk as a segmenter leaves it."""
    web.write(f"{group}/playlist.m3u8", MASTER)
    web.write(f"{group}/hi/playlist.m3u8", CHILD)
    web.write(f"{group}/hi/segment_1.ts", b"x" * 1000)


@pytest_twisted.ensureDeferred
async def test_a_viewer_is_one_session_with_all_its_bytes(web: Web) -> None:
    """Master, child and segments belong together; the commands tell of it, and the events."""
    show(web)
    for path in ("/show/playlist.m3u8", "/show/hi/playlist.m3u8", "/show/hi/segment_1.ts"):
        assert (await web.ask(path, User_Agent="player")).status == 200
    await web.ask("/show/hi/segment_1.ts", "HEAD")
    reply = await tell(web, "listHttpStreamingSessions")
    assert reply.description == "Currently open HTTP streaming sessions"
    ((session),) = reply.data  # type: ignore[misc]
    assert session["clientIP"] == "127.0.0.1"
    assert session["targetFolder"] == str(web.root / "show")
    assert session["bytesSent"] == len(MASTER) + len(CHILD) + 1000
    (started,) = web.told("streamingSessionStarted")
    assert started["playlist"] == str(web.root / "show/playlist.m3u8")
    assert [one.chunk_length for one in web.service.sessions] == [2.0]
    assert web.told("mediaFileDownloaded") == [], "segments of a session are no downloads"
    counted = await tell(web, "httpClientsConnected groupName=show")
    assert counted.data == {"groupName": "show", "httpStreamingSessionsCount": 1}
    assert counted.description == "Number of clients connected to Evostream Web Server under groupname: show"
    everybody = await tell(web, "httpClientsConnected")
    assert everybody.description == "Number of clients connected to Evostream Web Server"
    web.service.sessions.end_all()
    assert len(web.told("streamingSessionEnded")) == 1


@pytest_twisted.ensureDeferred
async def test_the_viewers_of_each_stream_of_a_group(web: Web) -> None:
    """Who watches which stream is known from what is fetched, as far as a command has had the stream written there."""
    show(web)
    web.server.jobs.makers["hls"] = lambda service, config_id, settings: Job(config_id, settings, 0.0)
    await web.server.jobs.add("hls", [{"localStreamName": "cam", "targetFolder": str(web.root / "show/hi"), "keepAlive": False}])
    for agent, paths in (("one", ("", "hi/")), ("two", ("", "hi/")), ("three", ("",))):
        for path in paths:
            await web.ask(f"/show/{path}playlist.m3u8", User_Agent=agent)
    counted = await tell(web, "httpClientsConnected groupName=show")
    assert counted.data == {"groupName": "show", "httpStreamingSessionsCount": 3, "streams": {"cam": 2}}
    assert (await tell(web, "httpClientsConnected groupName=other")).data == {
        "groupName": "other",
        "httpStreamingSessionsCount": 0,
    }


@pytest_twisted.ensureDeferred
async def test_polling_with_conditions_is_watching(web: Web) -> None:
    """A player that is told "not modified" is still there."""
    web.publish("show/playlist.m3u8", CHILD)
    tag = (await web.ask("/show/playlist.m3u8")).headers["etag"]
    (session,) = web.service.sessions
    session.last_seen -= 100
    assert (await web.ask("/show/playlist.m3u8", If_None_Match=tag)).status == 304
    assert not session.is_over(web.service.factory.now())


@pytest_twisted.ensureDeferred
async def test_a_film_that_a_client_has_already_is_no_download(open_web: OpenWeb) -> None:
    """Nothing is sent, so no event tells of it, and its alias is not used up."""
    web = open_web(has_group_name_aliases=True)
    tag = entity_tag(web.write("film.mp4", b"film").stat().st_mtime, 4)
    await tell(web, "addGroupNameAlias groupName=film.mp4 aliasName=ticket")
    assert (await web.ask("/ticket", If_None_Match=tag)).status == 304
    web.service._downloads.end_all()
    assert web.told("mediaFileDownloaded") == []
    assert (await web.ask("/ticket")).body == b"film"


@pytest_twisted.ensureDeferred
async def test_a_playlist_that_a_client_has_already_is_watched(open_web: OpenWeb) -> None:
    """A browser has kept the master playlist from the last time: the session begins, and the rest is found."""
    web = open_web(has_group_name_aliases=True)
    show(web)
    tag = entity_tag((web.root / "show/playlist.m3u8").stat().st_mtime, len(MASTER))
    await tell(web, "addGroupNameAlias groupName=show aliasName=tonight")
    assert (await web.ask("/tonight", If_None_Match=tag)).status == 304
    assert (await web.ask("/hi/segment_1.ts")).status == 200
    assert len(web.told("streamingSessionStarted")) == 1


@pytest_twisted.ensureDeferred
async def test_a_whole_file_is_a_download(web: Web) -> None:
    """One event when its last byte has gone; none for pages, playlists or half a file."""
    web.write("film.mp4", b"x" * 1_000_000)
    await web.ask("/film.mp4")
    (payload,) = web.told("mediaFileDownloaded")
    assert (payload["mediaFile"], payload["clientIP"]) == (str(web.root / "film.mp4"), "127.0.0.1")
    await web.ask("/")
    await web.ask("/film.mp4", Range="bytes=0-99")
    assert len(web.told("mediaFileDownloaded")) == 1
    downloads: Downloads = web.service._downloads
    assert len(downloads) == 1
    downloads.end_all()
    assert len(web.told("mediaFileDownloaded")) == 2


@pytest_twisted.ensureDeferred
async def test_an_alias_is_for_one_viewer(open_web: OpenWeb) -> None:
    """With aliases on, nothing of a stream is found by its real path; the first viewer owns the alias until it leaves."""
    web = open_web(has_group_name_aliases=True)
    show(web)
    web.write("page.html", b"page")
    for path in ("/show/playlist.m3u8", "/show/hi/segment_1.ts", "/hi/segment_1.ts"):
        assert (await web.ask(path)).status == 404
    assert (await web.ask("/page.html")).status == 200
    assert (await tell(web, "addGroupNameAlias groupName=show aliasName=tonight")).data == {
        "aliasName": "tonight",
        "groupName": "show",
    }
    web.write("show/other/playlist.m3u8", CHILD)
    assert (await web.ask("/show/playlist.m3u8")).status == 404
    master = await web.ask("/tonight")
    assert (master.body, master.headers["content-type"]) == (MASTER, "application/vnd.apple.mpegurl")
    assert (await web.ask("/hi/playlist.m3u8")).body == CHILD
    segment = await web.ask("/hi/segment_1.ts")
    assert segment.status == 200
    assert segment.headers["cache-control"].startswith("private, "), "a shared cache would give it to everybody"
    assert (await web.ask("/show/hi/segment_1.ts")).status == 404
    (session,) = web.service.sessions
    assert (session.alias, session.bytes_sent) == ("tonight", len(MASTER) + len(CHILD) + 1000)
    alias = web.service.aliases.get("tonight")
    assert alias is not None
    alias.owner = "192.0.2.1"
    assert (await web.ask("/tonight")).status == 404, "another address"
    web.service.sessions.end_all()
    assert len(web.service.aliases) == 0
    assert (await web.ask("/hi/segment_1.ts")).status == 404


@pytest_twisted.ensureDeferred
async def test_a_group_with_one_playlist_and_a_film(open_web: OpenWeb) -> None:
    """Without a master playlist the only child is served; a film is hidden behind its alias, which serves once."""
    web = open_web(has_group_name_aliases=True)
    web.write("solo/only/playlist.m3u8", CHILD)
    web.write("solo/only/segment_1.ts", b"x")
    web.write("film.mp4", b"film")
    await tell(web, "addGroupNameAlias groupName=solo aliasName=one")
    assert (await web.ask("/one")).body == CHILD
    assert (await web.ask("/segment_1.ts")).body == b"x"
    assert (await web.ask("/film.mp4")).status == 200
    await tell(web, "addGroupNameAlias groupName=film.mp4 aliasName=ticket")
    assert (await web.ask("/film.mp4")).status == 404
    film = await web.ask("/ticket")
    assert (film.body, film.headers["cache-control"]) == (b"film", "private, max-age=3600")
    assert (await web.ask("/ticket")).status == 404
    assert len(web.told("mediaFileDownloaded")) == 2


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/tonight", "/ticket", "/hi/long.ts"])
async def test_who_leaves_while_his_file_is_looked_for_leaves_nothing(
    open_web: OpenWeb, monkeypatch: pytest.MonkeyPatch, log_events: list[Any], path: str
) -> None:
    """Neither an open file nor a viewer who is counted for ever, nor a traceback."""
    web = open_web(has_group_name_aliases=True)
    show(web)
    for name in ("film.mp4", "show/hi/long.ts"):
        web.write(name, bytes(300_000))
    await tell(web, "addGroupNameAlias groupName=film.mp4 aliasName=ticket")
    await tell(web, "addGroupNameAlias groupName=show aliasName=tonight")
    if path == "/hi/long.ts":
        await web.ask("/tonight")
    viewers = len(web.service.sessions)
    find, found, left = web.service._files.find, [], Deferred[None]()

    async def slowly(wanted: str) -> Any:
        found.append(await find(wanted))
        await left
        return found[-1]

    monkeypatch.setattr(web.service._files, "find", slowly)
    client = await web.connect()
    client.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode())
    await until(lambda: found, "the file to be looked for")
    client.transport.abortConnection()
    await until(lambda: not len(web.service.factory), "the client to be gone")
    left.callback(None)
    assert found[0].descriptor == -1
    assert (len(web.service.sessions), len(web.service._downloads)) == (viewers, 0)
    assert not any(session.active for session in web.service.sessions)
    assert not any("log_failure" in event for event in log_events)


@pytest_twisted.ensureDeferred
async def test_the_commands_about_aliases(open_web: OpenWeb) -> None:
    """All five, and what they say when something is wrong."""
    web = open_web(has_group_name_aliases=True)
    assert (await tell(web, "addGroupNameAlias")).description == "Syntax error. No parameters provided"
    await tell(web, "addGroupNameAlias groupName=a aliasName=x")
    again = await tell(web, "addGroupNameAlias groupName=b aliasName=x")
    assert (again.status.value, again.description) == ("FAIL", "Unable to set group name alias. x is in use")
    assert (await tell(web, "getGroupNameByAlias aliasName=x")).data == {"aliasName": "x", "groupName": "a"}
    assert (await tell(web, "getGroupNameByAlias aliasName=y")).status.value == "FAIL"
    assert (await tell(web, "listGroupNameAliases")).data == [{"aliasName": "x", "groupName": "a"}]
    assert (await tell(web, "removeGroupNameAliases aliasName=x")).data == {"aliasName": "x", "groupName": "a"}
    assert (await tell(web, "removeGroupNameAlias aliasName=x")).status.value == "FAIL"
    flushed = await tell(web, "flushGroupNameAliases")
    assert (flushed.data, flushed.description) == (None, "All group name aliases are flushed")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "line",
    [
        "addGroupNameAlias groupName=a aliasName=x",
        "getGroupNameByAlias aliasName=x",
        "removeGroupNameAlias aliasName=x",
        "listGroupNameAliases",
        "flushGroupNameAliases",
    ],
)
async def test_aliases_that_are_off(web: Web, line: str) -> None:
    """Every command about them fails and says where to look."""
    reply = await tell(web, line)
    assert reply.status.value == "FAIL"
    assert reply.description.endswith("Check if group name aliasing is enabled.")


class LowLatency:
    """A playlist whose next part is there when the test says so."""

    def __init__(self) -> None:
        self.next: Deferred[PublishedFile] = Deferred()
        self.cancelled = 0

    async def answer(self, query: Any) -> PublishedFile:
        if int(query.get("_HLS_part", 0)) < 0 or int(query.get("_HLS_msn", 0)) > 1000:
            raise Unavailable(400, "no such part")
        if query:
            mine: Deferred[PublishedFile] = Deferred()
            self.next.addCallback(lambda file: (mine.called or mine.callback(file), file)[1])
            try:
                return await mine
            except CancelledError:
                self.cancelled += 1
                raise
        return PublishedFile(CHILD, 1.0)


@pytest_twisted.ensureDeferred
async def test_low_latency_players_wait_for_the_next_part(web: Web) -> None:
    """They are answered the moment it exists; questions that make no sense are refused at once."""
    live = LowLatency()
    web.server.published.put_live(web.root / "show/playlist.m3u8", live)
    assert (await web.ask("/show/playlist.m3u8")).body == CHILD
    for question in ("_HLS_msn=1000000000000", "_HLS_msn=1&_HLS_part=-1", "_HLS_msn=" + "9" * 1000, "_HLS_msn=1&_HLS_msn=2"):
        assert (await web.ask(f"/show/playlist.m3u8?{question}")).status == 400
    client = await web.connect()
    client.write(f"GET /show/playlist.m3u8?_HLS_msn=2 HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode())
    await until(lambda: len(web.service.site.live) == 1, "the request to wait")
    live.next.callback(PublishedFile(CHILD + b"#EXT-X-PART\n", 2.0))
    await until(lambda: b"#EXT-X-PART" in client.received, "the answer")
    assert len(web.service.site.live) == 0


@pytest_twisted.ensureDeferred
async def test_attack_of_blocking_reloads_is_bounded(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many may wait, of one address and in all; who comes after them is sent away, and who leaves is forgotten."""
    monkeypatch.setattr(live_module, "MAX_WAITING_OF_ONE", 20)
    live = LowLatency()
    web.server.published.put_live(web.root / "p.m3u8", live)
    clients = [await web.connect() for _ in range(25)]
    for client in clients:
        client.write(f"GET /p.m3u8?_HLS_msn=2 HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode())
    await until(lambda: sum(b" 503 " in client.received for client in clients) == 5, "five refusals")
    assert len(web.service.site.live) == 20
    for client in clients:
        client.transport.abortConnection()
    await until(lambda: len(web.service.site.live) == 0, "the waiting requests to be forgotten")
    assert live.cancelled == 20
