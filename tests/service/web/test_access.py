"""Who gets in: by address, by password, and to the API."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
import pytest_twisted

from ems.config.web import ApiProxy, FolderAuth
from ems.errors import CommandError
from tests.service.web.browsing import OpenWeb, Web, until


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest_twisted.ensureDeferred
async def test_a_folder_with_a_password(open_web: OpenWeb, tmp_path: Path) -> None:
    """Asked for by Basic; a Referer opens nothing, nor does another spelling of the path."""
    (tmp_path / "passwords").write_text(f"ann:{hashlib.md5(b'secret').hexdigest()}\n")
    web = open_web(auth=(FolderAuth("private", "passwords", True), FolderAuth("off", "passwords", False)))
    for folder in ("private", "off", "open"):
        web.write(f"{folder}/a.txt", b"inside")
    asked = await web.ask("/private/a.txt")
    assert asked.status == 401
    assert asked.headers["www-authenticate"].startswith('Basic realm="EMS Web Server"')
    assert b"Access Denied" in asked.body
    for path in ("/private/a.txt", "//private/a.txt", "/%70rivate/a.txt", "/private%2Fa.txt"):
        assert (await web.ask(path, Referer="http://x/")).status == 401
    assert (await web.ask("/private/a.txt", Authorization=basic("ann", "secret"))).body == b"inside"
    assert (await web.ask("/private/a.txt", Authorization=basic("ann", "wrong"))).status == 401
    assert (await web.ask("/private/a.txt", Authorization=basic("bob", ""))).status == 401
    assert (await web.ask("/off/a.txt")).status == (await web.ask("/open/a.txt")).status == 200
    (tmp_path / "passwords").write_text(f"ann:{hashlib.md5(b'newer secret').hexdigest()}\n")
    assert (await web.ask("/private/a.txt", Authorization=basic("ann", "secret"))).status == 401


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("domain", ["films/private", "/films//private/"])
async def test_a_folder_inside_a_folder_has_a_password(open_web: OpenWeb, tmp_path: Path, domain: str) -> None:
    """With all that is in it, and with nothing beside it; a folder further inside has passwords of its own."""
    for name in ("ann", "bob"):
        (tmp_path / name).write_text(f"{name}:{hashlib.md5(b'secret').hexdigest()}\n")
    web = open_web(auth=(FolderAuth(domain, "ann", True), FolderAuth("films/private/bob", "bob", True)))
    expected = {"films/private": 401, "films/private/new": 401, "films/private/bob": 200, "films": 200, "private": 200}
    for folder, status in expected.items():
        web.write(f"{folder}/a.txt", b"inside")
        assert (await web.ask(f"/{folder}/a.txt", Authorization=basic("bob", "secret"))).status == status
    assert (await web.ask("/films/private/new/a.txt", Authorization=basic("ann", "secret"))).body == b"inside"
    assert (await web.ask("/films/private/bob/a.txt", Authorization=basic("ann", "secret"))).status == 401


@pytest_twisted.ensureDeferred
async def test_the_whole_web_root_has_a_password(open_web: OpenWeb) -> None:
    """The pages that come with the server are in it."""
    web = open_web(auth=(FolderAuth("/", "passwords", True),))
    web.write("a.txt", b"inside")
    for path in ("/", "/a.txt", "/js/api.js"):
        assert (await web.ask(path)).status == 401


def test_a_password_for_a_folder_that_cannot_be_is_an_error_at_start(tmp_path: Path) -> None:
    """The files would be open where they really are."""
    with pytest.raises(CommandError, match=r"auth: domain: .* leads out of its folder"):
        Web(tmp_path, auth=(FolderAuth("films/../private", "passwords", True),))


@pytest_twisted.ensureDeferred
async def test_a_shared_cache_does_not_keep_what_has_a_password(open_web: OpenWeb, tmp_path: Path) -> None:
    """From memory and from the disk, whole and in part; the same names in an open folder may be kept as ever."""
    (tmp_path / "passwords").write_text(f"ann:{hashlib.md5(b'secret').hexdigest()}\n")
    web = open_web(auth=(FolderAuth("private", "passwords", True),))
    for folder in ("private", "open"):
        web.publish(f"{folder}/fresh.ts", b"segment")
        web.write(f"{folder}/old.ts", b"segment")
        web.write(f"{folder}/a.key", b"k" * 16)

    async def kept(path: str, **headers: str) -> str:
        return (await web.ask(path, Authorization=basic("ann", "secret"), **headers)).headers["cache-control"]

    for name in ("fresh.ts", "old.ts"):
        assert (await kept(f"/open/{name}")).startswith("public, max-age=")
        assert (await kept(f"/private/{name}")).startswith("private, max-age=")
        assert (await kept(f"/private/{name}", Range="bytes=0-1")).startswith("private, max-age=")
    assert await kept("/private/a.key") == "no-store"


@pytest_twisted.ensureDeferred
async def test_attack_on_passwords_is_slowed_down(open_web: OpenWeb) -> None:
    """After some wrong ones an address is not heard for a while, not even with the right one."""
    web = open_web(api_proxy=ApiProxy("basic", "user", "secret", "ems"))
    for n in range(12):
        assert (await web.ask("/ems/version", Authorization=basic("user", str(n)))).status == 401
    assert (await web.ask("/ems/version", Authorization=basic("user", "secret"))).status == 401


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("white", "black", "status"),
    [
        ("", "", 200),
        (None, "192.0.2.1", 200),
        ("", "127.0.0.0/8", 403),
        ("127.0.0.1", None, 200),
        ("192.0.2.1", "", 403),
        ("127.0.0.1", "127.0.0.1", 403),
    ],
)
async def test_lists_of_addresses(open_web: OpenWeb, tmp_path: Path, white: str | None, black: str | None, status: int) -> None:
    """Who is on the black one gets 403, and so does, if there is a white one, who is not on it. An empty one counts as none."""
    for name, content in (("white", white), ("black", black)):
        if content is not None:
            (tmp_path / name).write_text(content + "\n")
    web = open_web(enable_ip_filter=True, whitelist_file="white", blacklist_file="black")
    web.write("a.txt", b"x")
    assert (await web.ask("/a.txt")).status == status


def test_a_filter_without_lists_is_an_error_at_start(tmp_path: Path) -> None:
    """Somebody has named the wrong files."""
    with pytest.raises(CommandError, match="enableIPFilter"):
        Web(tmp_path, enable_ip_filter=True)


@pytest_twisted.ensureDeferred
async def test_the_api_is_open_to_this_machine(web: Web) -> None:
    """In both forms of the HTTP door; the list of commands is there, too."""
    text = await web.ask("/api/version")
    assert json.loads(text.body)["status"] == "SUCCESS"
    modern = await web.ask("/api/isStreamRunning", "POST", b'{"localStreamName": "x"}')
    assert (modern.status, modern.headers["content-type"]) == (200, "application/json")
    assert json.loads(modern.body)["data"] is not None
    assert (await web.ask("/api/isStreamRunning?params=" + base64.b64encode(b"localStreamName=x").decode())).status == 200
    assert "/version" in json.loads((await web.ask("/api/", Origin=f"http://127.0.0.1:{web.port}")).body)["paths"]
    assert (await web.ask("/api")).headers["location"] == "api/"
    assert (await web.ask("/api/version", Host=f"localhost:{web.port}")).status == 200


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "127.0.0.1.rebound.example:8888"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Referer": "http://evil.example/page"},
        {"Sec_Fetch_Site": "cross-site"},
        {"X_Forwarded_For": "192.0.2.1"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_attack_on_the_api_by_pages_and_proxies(web: Web, headers: dict[str, str]) -> None:
    """DNS rebinding, requests of other sites' pages, strangers behind a reverse proxy: 403, and a word how to open it."""
    answer = await web.ask("/api/version", **headers)
    assert answer.status == 403
    assert json.loads(answer.body)["status"] == "FAIL"
    assert b"access-control-allow-origin" not in str(answer.headers).encode()


@pytest_twisted.ensureDeferred
async def test_a_stranger_is_told_how_to_open_the_api(web: Web) -> None:
    """The sentence names the key of the configuration."""
    assert b"apiProxy" in (await web.ask("/api/version", Host="ems.example")).body


@pytest_twisted.ensureDeferred
async def test_the_api_for_those_with_a_password(open_web: OpenWeb) -> None:
    """Under its pseudo-domain and at /api/, for every address; then this machine needs the password, too."""
    web = open_web(api_proxy=ApiProxy("basic", "user", "secret", "ems"))
    for path in ("/ems/version", "/api/version"):
        assert (await web.ask(path)).status == 401
        assert (await web.ask(path, Authorization=basic("user", "wrong"))).status == 401
        answer = await web.ask(path, Authorization=basic("user", "secret"), Host="ems.example", X_Forwarded_For="192.0.2.1")
        assert json.loads(answer.body)["status"] == "SUCCESS"
    foreign = await web.ask("/ems/version", Authorization=basic("user", "secret"), Origin="http://evil.example")
    assert foreign.status == 403, "a browser that remembers the password"
    assert (await web.ask("/ems/version", "POST", b"x" * 70_000, Authorization=basic("user", "secret"))).status == 413


@pytest_twisted.ensureDeferred
async def test_events_as_they_happen(web: Web) -> None:
    """A dashboard follows them without asking again; when it leaves it is forgotten."""
    client = await web.connect()
    client.write(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode())
    await until(lambda: b"retry" in client.received, "the stream of events")
    web.server.events.emit("streamExpired", {"name": "lobby"})
    await until(lambda: b'"name":"lobby"' in client.received, "the event")
    assert b"text/event-stream" in client.received
    assert b'"type":"streamExpired"' in client.received
    client.transport.abortConnection()
    await until(lambda: not len(web.service.site.api.events), "the follower to be forgotten")


@pytest_twisted.ensureDeferred
async def test_attack_follower_of_events_that_does_not_read(web: Web) -> None:
    """It misses events; it does not fill the memory."""
    deaf = web.deaf(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode())
    await until(lambda: len(web.service.site.api.events), "the follower")
    (follower,) = web.service.site.api.events._followers
    for _ in range(2000):
        web.server.events.emit("streamExpired", {"name": "x" * 5000})
    assert follower._missed > 1000
    deaf.close()
