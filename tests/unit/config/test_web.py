"""webconfig.lua is read like config.lua: everything it says counts, or every mistake in it is told at once."""

from pathlib import Path

import pytest

from ems.config import ConfigError
from ems.config.web import WebApplication, WebConfig, load_web_config, parse_web_config

CHECKOUT = Path(__file__).parents[3]

ORIGINAL = """
configuration = {
    logAppenders = { { name = "f", type = "delayedFile", level = 4, fileName = "../logs/web" } },
    applications = {
        rootDirectory = "./",
        { name = "webserver", description = "Built-In Web Server", port = 8888, emsPort = 1113, bindToIP = "",
          sslMode = "automatic", sslKeyFile = "../config/server.key", sslCertFile = "../config/server.cert",
          maxMemSizePerConnection = 32 * 1024, maxConcurrentConnections = 5000, connectionTimeout = 0,
          maxConcurrentConnectionsSameIP = 1000, threadPoolSize = 8, useIPV6 = false, enableIPFilter = false,
          whitelistFile = "../config/whitelist.txt", blacklistFile = "../config/blacklist.txt",
          hasGroupNameAliases = false, webRootFolder = "../evo-webroot", enableRangeRequests = true,
          mediaFileDownloadTimeout = 5, enableCache = false, cacheSize = 1 * 1024 * 1024 * 1024,
          supportedMimeTypes = {
              { extensions = "m3u,m3u8", mimeType = "audio/x-mpegurl", streamType = "hls", isManifest = true },
              { extensions = "xml", mimeType = "application/xml", streamType = "", isManifest = false } },
          includeResponseHeaders = { { header = "Access-Control-Allow-Origin", content = "*", override = true } },
          apiProxy = { authentication = "basic", userName = "u", password = "p", pseudoDomain = "ems",
                       address = "127.0.0.1", port = 7777 },
          auth = { { domain = "EMS_Web_UI", digestFile = "x", enable = false } },
        },
    },
}
"""


def parse(**keys: object) -> WebConfig:
    return parse_web_config({"applications": [keys]}, "webconfig.lua", Path("/srv"))


def test_a_configuration_of_the_original_loads_unchanged(tmp_path: Path) -> None:
    """Someone who comes from the original keeps the file; its web root, where missing, is ours."""
    file = tmp_path / "webconfig.lua"
    file.write_text(ORIGINAL)
    config = load_web_config(file, tmp_path / "run")
    assert config.warnings == ()
    application = config.application
    assert (application.tls, application.thread_pool_size, application.media_file_download_timeout) == ("auto", 8, 30)
    assert application.idle_timeout == 60
    assert application.api_proxy.pseudo_domain == "ems"
    assert config.web_root == tmp_path / "run/webroot"


def test_who_has_no_file_gets_the_defaults(tmp_path: Path) -> None:
    """And the defaults are what the shipped file says."""
    missing = load_web_config(tmp_path / "webconfig.lua", tmp_path)
    shipped = load_web_config(CHECKOUT / "config/webconfig.lua", tmp_path)
    assert missing.application == shipped.application == WebApplication()
    assert missing.web_root == shipped.web_root == tmp_path / "webroot"


def test_the_two_copies_of_the_shipped_file_are_one() -> None:
    """What is in config/ of a checkout is what a fresh runtime directory gets."""
    packaged = CHECKOUT / "ems/config/defaults/webconfig.lua"
    assert packaged.read_bytes() == (CHECKOUT / "config/webconfig.lua").read_bytes()


@pytest.mark.parametrize(
    ("spelling", "meaning"),
    [("enabled", "always"), ("always", "always"), ("automatic", "auto"), ("auto", "auto"), ("disabled", "disabled")],
)
def test_five_ways_to_write_ssl_mode(spelling: str, meaning: str) -> None:
    """Those of both generations of the original."""
    assert parse(sslMode=spelling).application.tls == meaning


def test_every_mistake_is_told_with_its_place() -> None:
    """One start shows all of them."""
    with pytest.raises(ConfigError) as caught:
        parse(port="x", sslMode=1, webRootFolder="", apiProxy={"authentication": "basic"}, redirects=[{"from": "a"}])
    assert caught.value.problems == (
        'webconfig.lua: applications[1].port: expected 1–65535, got "x"',
        'webconfig.lua: applications[1].sslMode: expected "always" or "auto" or "disabled" or "enabled" or "automatic", got 1',
        'webconfig.lua: applications[1].webRootFolder: expected a string that is not empty, got ""',
        'webconfig.lua: applications[1].redirects[1].from: expected a path that begins with /, got "a"',
        "webconfig.lua: applications[1].redirects[1].to: is missing, expected an address",
        'webconfig.lua: applications[1].apiProxy.userName: is missing, and authentication = "basic" needs it',
        'webconfig.lua: applications[1].apiProxy.password: is missing, and authentication = "basic" needs it',
    )


def test_an_unknown_key_is_a_warning_with_the_nearest_known_one() -> None:
    """A slip of the pen does not go unnoticed."""
    (warning,) = parse(webRotFolder="x").warnings
    assert "webRotFolder" in warning and "webRootFolder" in warning


def test_headers_and_redirects_cannot_split_an_answer() -> None:
    """A value with a line break is refused when the file is read."""
    with pytest.raises(ConfigError):
        parse(includeResponseHeaders=[{"header": "X-A", "content": "a\r\nSet-Cookie: b"}])
    with pytest.raises(ConfigError):
        parse(redirects=[{"from": "/a", "to": "/b\r\nX: y"}])


def test_two_applications_are_an_error() -> None:
    """There is one web server."""
    with pytest.raises(ConfigError):
        parse_web_config({"applications": [{}, {}]}, "webconfig.lua", Path("/srv"))


def test_every_key_is_in_the_documentation() -> None:
    """docs/web_server.md knows them all."""
    from ems.config.keys import declarations

    page = (CHECKOUT / "docs/web_server.md").read_text()
    assert [key.name for key in declarations(WebApplication).keys.values() if f"`{key.name}`" not in page] == []
