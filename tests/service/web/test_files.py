"""Files over HTTP, as RFC 9110 has it."""

import gzip
import os

import pytest
import pytest_twisted
import treq

from ems.config.web import Redirect, ResponseHeader
from tests.service.web.browsing import OpenWeb, Web, parse_answer, until

PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + b"#EXTINF:2,\nsegment.ts\n" * 50


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
@pytest.mark.parametrize("place", ["memory", "disk"])
async def test_a_file_arrives_whole(web: Web, size: int, place: str) -> None:
    """From memory and from the disk, empty, small and large."""
    data = os.urandom(size)
    (web.publish if place == "memory" else web.write)("show/segment_1.ts", data)
    answer = await web.ask("/show/segment_1.ts")
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-type"] == "video/mp2t"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "immutable" in answer.headers["cache-control"]


@pytest_twisted.ensureDeferred
async def test_any_http_library_can_fetch(web: Web) -> None:
    """treq is Twisted's own client."""
    web.write("a b/ü.txt", b"hello")
    response = await treq.get(f"http://127.0.0.1:{web.port}/a%20b/%C3%BC.txt", persistent=False)
    assert response.code == 200
    assert await response.content() == b"hello"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("size", [1000, 1_000_000])
async def test_a_file_that_grows_is_asked_for_again(web: Web, size: int) -> None:
    """The segments of one file come one behind the other: a cache that kept the file would have no later ones."""
    path = web.write("show/segment_1.ts", bytes(size))
    web.server.published.grows(path)
    for headers in ({}, {"Range": "bytes=0-99"}):
        assert (await web.ask("/show/segment_1.ts", **headers)).headers["cache-control"] == "no-cache"
    web.server.published.complete(path)
    assert "immutable" in (await web.ask("/show/segment_1.ts")).headers["cache-control"]


@pytest_twisted.ensureDeferred
async def test_head_is_get_without_the_body(web: Web) -> None:
    """With the same headers; players look at the length."""
    web.write("film.mp4", b"x" * 100_000)
    got, head = await web.ask("/film.mp4"), await web.ask("/film.mp4", "HEAD")
    for headers in (got.headers, head.headers):
        headers.pop("date")
    assert (head.status, head.headers) == (200, got.headers)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("place", ["memory", "disk"])
async def test_ranges(web: Web, place: str) -> None:
    """One part, several parts, the end, beyond the end; small parts of a large file."""
    data = os.urandom(500_000)
    (web.publish if place == "memory" else web.write)("film.mp4", data)
    one = await web.ask("/film.mp4", Range="bytes=100000-299999")
    assert (one.status, one.headers["content-range"], one.body) == (206, "bytes 100000-299999/500000", data[100_000:300_000])
    last = await web.ask("/film.mp4", Range="bytes=-5")
    assert last.body == data[-5:]
    several = await web.ask("/film.mp4", Range="bytes=0-1,10-11")
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    boundary = several.headers["content-type"].partition("=")[2].encode()
    parts = several.body.split(b"\r\n--" + boundary)
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:3]] == [data[:2], data[10:12]]
    assert parts[3] == b"--\r\n"
    beyond = await web.ask("/film.mp4", Range="bytes=500000-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */500000")
    stale = await web.ask("/film.mp4", Range="bytes=0-1", If_Range='"old"')
    assert (stale.status, len(stale.body)) == (200, len(data))


@pytest_twisted.ensureDeferred
async def test_ranges_can_be_switched_off(open_web: OpenWeb) -> None:
    """enableRangeRequests=false: everybody gets the whole file."""
    web = open_web(enable_range_requests=False)
    web.write("film.mp4", b"0123456789")
    answer = await web.ask("/film.mp4", Range="bytes=0-1")
    assert (answer.status, answer.body) == (200, b"0123456789")
    assert "accept-ranges" not in answer.headers


@pytest_twisted.ensureDeferred
async def test_an_unchanged_file_is_not_sent_again(web: Web) -> None:
    """By its entity tag or its date; a changed one is."""
    web.publish("p.m3u8", PLAYLIST)
    first = await web.ask("/p.m3u8")
    for condition in ({"If_None_Match": first.headers["etag"]}, {"If_Modified_Since": first.headers["last-modified"]}):
        again = await web.ask("/p.m3u8", **condition)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    web.publish("p.m3u8", PLAYLIST + b"#")
    assert (await web.ask("/p.m3u8", If_None_Match=first.headers["etag"])).status == 200


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("place", ["memory", "disk"])
async def test_playlists_are_compressed_for_those_who_accept_it(web: Web, place: str) -> None:
    """The compressed form is another representation with another tag; segments are sent as they are."""
    (web.publish if place == "memory" else web.write)("p.m3u8", PLAYLIST)
    plain, packed = await web.ask("/p.m3u8"), await web.ask("/p.m3u8", Accept_Encoding="gzip, br")
    assert (plain.body, gzip.decompress(packed.body)) == (PLAYLIST, PLAYLIST)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] != plain.headers["etag"]
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert (await web.ask("/p.m3u8", Accept_Encoding="gzip", If_None_Match=packed.headers["etag"])).status == 304
    web.write("segment_1.ts", b"\0" * 10_000)
    assert "content-encoding" not in (await web.ask("/segment_1.ts", Accept_Encoding="gzip")).headers


@pytest_twisted.ensureDeferred
async def test_the_packaged_pages_lie_behind_the_web_root(web: Web) -> None:
    """A file of the web root goes before; without any the dashboard is shown."""
    dashboard = await web.ask("/")
    assert (dashboard.status, dashboard.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert dashboard.headers["cache-control"] == "no-cache"
    web.write("index.html", b"mine")
    assert (await web.ask("/")).body == b"mine"


@pytest_twisted.ensureDeferred
async def test_folders(web: Web) -> None:
    """Never a listing; the index page, under an address that ends in a slash."""
    web.write("docs/index.html", b"page")
    web.write("files/secret.txt", b"x")
    moved = await web.ask("/docs")
    assert (moved.status, moved.headers["location"]) == (301, "./docs/")
    assert (await web.ask("/docs/")).body == b"page"
    for path in ("/files", "/files/"):
        listing = await web.ask(path)
        assert listing.status == 404
        assert b"secret" not in listing.body


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/a.php", "/a.PHP", "/a.phtml", "/.htdigest", "/private/.htdigest", "/missing.ts", "/%00"])
async def test_what_is_not_there_for_anybody(web: Web, path: str) -> None:
    """Programs are neither executed nor shown; hidden files stay hidden."""
    for name in ("a.php", "a.PHP", "a.phtml", ".htdigest", "private/.htdigest"):
        web.write(name, b"<?php echo 1 ?>")
    answer = await web.ask(path)
    assert answer.status == 404
    assert b"<title>404 File not found - EMS Web Server</title>" in answer.body
    assert b"php" not in answer.body


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PATCH", "CONNECT"])
async def test_files_can_only_be_read(web: Web, method: str) -> None:
    """And the answer says with what."""
    web.write("a.txt", b"x")
    answer = await web.ask("/a.txt", method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (web.root / "a.txt").read_bytes() == b"x"


@pytest_twisted.ensureDeferred
async def test_players_in_pages_of_other_sites(web: Web, open_web: OpenWeb) -> None:
    """They may ask in parts, and read what they need; pages of ours are not theirs."""
    web.publish("p.m3u8", PLAYLIST)
    preflight = await web.ask("/p.m3u8", "OPTIONS", Origin="https://other.example", Access_Control_Request_Headers="range")
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "Range" in preflight.headers["access-control-allow-headers"]
    assert (await web.ask("/missing.ts")).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await web.ask("/")).headers
    assert (await web.ask("*", "OPTIONS")).status == 204
    closed = open_web(allow_origin="")
    closed.publish("p.m3u8", PLAYLIST)
    assert "access-control-allow-origin" not in (await closed.ask("/p.m3u8")).headers


@pytest_twisted.ensureDeferred
async def test_the_files_that_flash_and_silverlight_ask_for(web: Web, open_web: OpenWeb) -> None:
    """They are there without being made; a file of the web root goes before; a closed server has none."""
    for name in ("crossdomain.xml", "clientaccesspolicy.xml"):
        answer = await web.ask(f"/{name}")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/xml")
    assert (await open_web(allow_origin="https://one.example").ask("/clientaccesspolicy.xml")).status == 404


@pytest_twisted.ensureDeferred
async def test_headers_and_redirects_of_the_configuration(open_web: OpenWeb) -> None:
    """A header is added, and replaces ours only when it is told to."""
    web = open_web(
        include_response_headers=(
            ResponseHeader("X-Frame-Options", "SAMEORIGIN"),
            ResponseHeader("cache-control", "private"),
            ResponseHeader("Access-Control-Allow-Origin", "https://one.example", True),
        ),
        redirects=(Redirect("/old/index.php", "/"), Redirect("/for-ever", "https://other.example/", True)),
    )
    web.publish("p.m3u8", PLAYLIST)
    headers = (await web.ask("/p.m3u8")).headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["cache-control"] == "no-cache"
    assert headers["access-control-allow-origin"] == "https://one.example"
    moved = await web.ask("/old/index.php?x=1")
    assert (moved.status, moved.headers["location"]) == (302, "/")
    assert (await web.ask("/for-ever")).status == 301


@pytest_twisted.ensureDeferred
async def test_one_connection_carries_many_requests_in_their_order(web: Web) -> None:
    """Keep-alive and pipelining: a slow answer from the disk is not overtaken by a fast one from memory."""
    slow, fast = os.urandom(400_000), b"fast"
    web.write("slow.mp4", slow)
    web.publish("fast.ts", fast)
    client = await web.connect()
    host = f"Host: 127.0.0.1:{web.port}\r\n"
    client.write((f"GET /slow.mp4 HTTP/1.1\r\n{host}\r\nGET /fast.ts HTTP/1.1\r\n{host}\r\n" * 3).encode())
    await until(lambda: client.received.count(b"HTTP/1.1 200") == 6 and client.received.endswith(fast), "six answers")
    rest = bytes(client.received)
    for expected in (slow, fast) * 3:
        answer, rest = parse_answer(rest)
        assert answer.body == expected
    assert not client.lost


@pytest_twisted.ensureDeferred
async def test_an_unknown_name_is_looked_for_once_and_found_when_it_is_published(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Players that poll for a stream which has not begun cost the disk nothing, and do not wait when it begins."""
    looked: list[str] = []
    find = web.service._files.find

    async def counting(path: str) -> object:
        looked.append(path)
        return await find(path)

    monkeypatch.setattr(web.service._files, "find", counting)
    for _ in range(3):
        assert (await web.ask("/soon/playlist.m3u8")).status == 404
    assert looked == ["soon/playlist.m3u8"]
    web.publish("soon/playlist.m3u8", PLAYLIST)
    assert (await web.ask("/soon/playlist.m3u8")).status == 200


@pytest_twisted.ensureDeferred
async def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(web: Web) -> None:
    """The client learns that it has not got everything; the server goes on."""
    path = web.write("film.mp4", b"x" * 30_000_000)
    client = await web.connect()
    client.write(f"GET /film.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode())
    await until(lambda: client.received, "the first bytes")
    client.transport.pauseProducing()
    with path.open("r+b") as file:
        file.truncate(300_000)
    client.transport.resumeProducing()
    await until(lambda: client.lost, "the connection to end")
    assert len(client.received) < 30_000_000
    assert (await web.ask("/film.mp4")).status == 200
