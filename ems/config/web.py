"""The web server's configuration: ``webconfig.lua`` → checked, typed sections.

It is a file like ``config.lua`` and read in the same way: a Lua program that sets the table ``configuration``, keys in any case,
unknown ones reported with the nearest known name, all mistakes told together in one `ConfigError`. Whoever has no such file
gets the defaults. The path of the file is ``webconfig.lua`` beside ``config.lua``.
"""

# ruff: noqa: RUF009 -- `key` is `dataclasses.field`, and the sections that are defaults are frozen.

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ems.config import lua
from ems.config.errors import ConfigError
from ems.config.keys import (
    Address,
    Boolean,
    Checked,
    Choice,
    Clamped,
    Entries,
    FilePath,
    Ignored,
    Integer,
    Pattern,
    Section,
    SectionList,
    Text,
    key,
)
from ems.config.logs import LogAppender
from ems.config.reader import Finding, Findings, read_section

GLOBAL = "configuration"

IDLE_TIMEOUT = 60
"""Seconds: players ask again after a few, and browsers open a connection in no time."""

WEB_ROOT = "webroot"
"""The document root of a fresh runtime directory."""

CUSTOMARY_ROOT = "evo-webroot"
"""What the original's files and examples call it, in one place or another."""


class OptionalAddress(Address):
    """The address of an interface, or the empty text."""

    expected = "an IP address, a host name or nothing"

    def convert(self, value: object) -> str:
        """Accept what `Address` does, and nothing."""
        return "" if value == "" else super().convert(value)


HEADER_NAME = Pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", "the name of a header")
HEADER_VALUE = Pattern(r"[\t\x20-\x7e]{0,1024}", "a line of ASCII")


@dataclass(frozen=True)
class MimeType:
    """What files with these extensions are. Entries of the file go before the server's own table."""

    extensions: str = key("extensions", Text(filled=True), "", "one or several, comma-separated: `m3u,m3u8`", required=True)
    mime_type: str = key("mimeType", HEADER_VALUE, "", "the value of Content-Type", required=True)
    stream_type: str = key(
        "streamType", Choice(("", "hls", "hds", "mss", "dash")), "", "of files that belong to a stream: which format"
    )
    is_manifest: bool = key("isManifest", Boolean(), False, "it is a playlist or manifest: fetching one begins a session")


@dataclass(frozen=True)
class ResponseHeader:
    """A header that file responses get."""

    header: str = key("header", HEADER_NAME, "", "its name", required=True)
    content: str = key("content", HEADER_VALUE, "", "its value")
    override: bool = key("override", Boolean(), False, "replace the server's own header of that name")


@dataclass(frozen=True)
class Redirect:
    """An address that has moved."""

    source: str = key("from", Pattern(r"/[\x21-\x7e]{0,1024}", "a path that begins with /"), "", "the old path", required=True)
    target: str = key("to", Pattern(r"[\x21-\x7e]{1,1024}", "an address"), "", "the new path or address", required=True)
    permanent: bool = key("permanent", Boolean(), False, "301, which browsers remember for ever, instead of 302")


@dataclass(frozen=True)
class FolderAuth:
    """A folder for which names and passwords are asked (HTTP Basic)."""

    domain: str = key("domain", Text(filled=True), "", "the folder below the web root; `/` is all", required=True)
    digest_file: str = key("digestFile", FilePath(), "", "lines of `user:` and the MD5 of the password in hex", required=True)
    enable: bool = key("enable", Boolean(), False, "ask")


@dataclass(frozen=True)
class ApiProxy(Checked):
    """The runtime API through the web server, for those who know a name and a password (HTTP Basic)."""

    authentication: str = key("authentication", Choice(("none", "basic")), "none", "`basic` opens it; `none` leaves it shut")
    user_name: str = key("userName", Text(), "", "who may use it")
    password: str = key("password", Text(), "", "and with which password")
    pseudo_domain: str = key(
        "pseudoDomain", Pattern(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,63}", "one part of a path"), "pseudoDomain", "where it is"
    )
    address: None = key("address", Ignored(), None, "the commands are carried out in the same process")
    port: None = key("port", Ignored(), None, "the commands are carried out in the same process")

    def contradictions(self) -> Iterable[tuple[str, str]]:
        """Basic authentication needs somebody to authenticate."""
        if self.authentication == "basic":
            for name, value in (("userName", self.user_name), ("password", self.password)):
                if not value:
                    yield name, 'is missing, and authentication = "basic" needs it'


SSL_SPELLINGS = {"enabled": "always", "automatic": "auto"}
"""The words of generation 2.0 for those of 1.7."""


@dataclass(frozen=True)
class WebApplication:
    """The web server."""

    name: str = key("name", Text(), "webserver", "what the log calls it")
    description: str = key("description", Text(), "Built-In Web Server", "free text")
    port: int = key("port", Integer(1, 65535), 8888, "the TCP port")
    bind_to_ip: str = key("bindToIP", OptionalAddress(), "", "the one interface to listen on; empty is every one")
    use_ipv6: bool = key("useIPV6", Boolean(), True, "with an empty `bindToIP`: listen on IPv6 as well, where the host has it")
    ssl_mode: str = key(
        "sslMode",
        Choice(("always", "auto", "disabled", "enabled", "automatic")),
        "disabled",
        "`always` is HTTPS (`enabled` is the same); `auto` HTTPS if key and certificate can be used and HTTP if not "
        "(`automatic` is the same)",
    )
    ssl_key_file: str = key("sslKeyFile", FilePath(), "config/server.key", "PEM file of the private key")
    ssl_cert_file: str = key("sslCertFile", FilePath(), "config/server.cert", "PEM file of the certificate and its chain")

    web_root_folder: str = key(
        "webRootFolder",
        Text(filled=True),
        WEB_ROOT,
        f"the folder of files; one that is called `{CUSTOMARY_ROOT}` and does not exist means `{WEB_ROOT}`",
    )
    enable_range_requests: bool = key("enableRangeRequests", Boolean(), True, "give parts of files to those who ask for parts")
    supported_mime_types: tuple[MimeType, ...] = key(
        "supportedMimeTypes", SectionList(MimeType, ("extensions", "mimeType")), (), "what files are, by their extension"
    )
    include_response_headers: tuple[ResponseHeader, ...] = key(
        "includeResponseHeaders", SectionList(ResponseHeader), (), "headers added to every file"
    )
    allow_origin: str = key(
        "allowOrigin",
        HEADER_VALUE,
        "*",
        "`Access-Control-Allow-Origin` of media: who may play it in pages of other sites; empty is nobody",
    )
    redirects: tuple[Redirect, ...] = key("redirects", SectionList(Redirect), (), "addresses that have moved")
    compress: bool = key("compress", Boolean(), True, "send playlists, scripts and pages compressed to those who accept gzip")

    has_group_name_aliases: bool = key(
        "hasGroupNameAliases", Boolean(), False, "streams can be fetched by the aliases of their groups only"
    )
    auth: tuple[FolderAuth, ...] = key("auth", SectionList(FolderAuth), (), "folders that ask for a password")
    api_proxy: ApiProxy = key("apiProxy", Section(ApiProxy), ApiProxy(), "the runtime API for those with a password")
    enable_ip_filter: bool = key("enableIPFilter", Boolean(), False, "answer 403 to addresses by the two lists")
    whitelist_file: str = key("whitelistFile", FilePath(), "config/whitelist.txt", "who may come, unless it is empty")
    blacklist_file: str = key("blacklistFile", FilePath(), "config/blacklist.txt", "who may not")

    max_concurrent_connections: int = key("maxConcurrentConnections", Integer(1, 1_000_000), 5000, "connections at a time")
    max_concurrent_connections_same_ip: int = key(
        "maxConcurrentConnectionsSameIP", Integer(0), 1000, "of one address; 0 is any number"
    )
    max_mem_size_per_connection: int = key(
        "maxMemSizePerConnection", Clamped(16_384, 1 << 20), 65_536, "bytes of a file that wait for one slow client"
    )
    connection_timeout: int = key(
        "connectionTimeout", Integer(0, 3600), IDLE_TIMEOUT, "seconds that a connection may be without a request; 0 is 60"
    )
    thread_pool_size: int = key("threadPoolSize", Clamped(1, 64), 4, "threads that read files")
    media_file_download_timeout: int = key(
        "mediaFileDownloadTimeout", Clamped(30, 86_400), 30, "seconds after which a download in parts counts as finished"
    )
    ems_port: None = key("emsPort", Ignored(), None, "the web server is a part of the media server")
    enable_cache: None = key("enableCache", Ignored(), None, "fresh files of streams are always served from memory")
    cache_size: None = key("cacheSize", Ignored(), None, "see enableCache")

    @property
    def tls(self) -> str:
        """``always``, ``auto`` or ``disabled``."""
        return SSL_SPELLINGS.get(self.ssl_mode, self.ssl_mode)

    @property
    def idle_timeout(self) -> int:
        """Seconds that a connection may be without a request."""
        return self.connection_timeout or IDLE_TIMEOUT


@dataclass(frozen=True)
class WebApplications:
    """The applications: one table, the web server."""

    root_directory: str = key("rootDirectory", FilePath(), "./", "where relative paths start, in the runtime directory")
    entries: tuple[WebApplication, ...] = key("[…]", Entries(WebApplication), (), "the web server")


@dataclass(frozen=True)
class WebRoot:
    """The global table ``configuration``."""

    log_appenders: tuple[LogAppender, ...] = key(
        "logAppenders",
        SectionList(LogAppender, ("name", "type", "fileName")),
        (),
        "checked, but the web server writes the log of `config.lua`",
    )
    applications: WebApplications = key("applications", Section(WebApplications), WebApplications(), "the web server")


@dataclass(frozen=True)
class WebConfig:
    """The web server's configuration. `web_root` is the document root; whoever loads a configuration logs its `warnings`."""

    application: WebApplication
    web_root: Path
    directory: Path
    warnings: tuple[str, ...] = ()

    def resolve(self, path: str) -> Path:
        """The absolute path of a file that the configuration names."""
        return Path(os.path.normpath(self.directory / path))


def load_web_config(path: Path, runtime: Path) -> WebConfig:
    """Read the file at `path`, or take the defaults when there is none; relative paths start at `runtime`.

    Raises `ConfigError` with everything that is wrong in it.
    """
    if not path.exists():
        return parse_web_config({"applications": [{}]}, path.name, runtime)
    values = lua.load_global(path, GLOBAL)
    if not isinstance(values, dict):
        raise ConfigError(f"{path.name}: {GLOBAL}: expected a table with names")
    return parse_web_config(values, path.name, runtime)


def parse_web_config(values: Mapping[str, object], source: str, runtime: Path) -> WebConfig:
    """Make a `WebConfig` of the table `values`, called `source` in messages. Raises `ConfigError`."""
    findings = Findings()
    root = read_section(WebRoot, values, "", findings)
    entries = root.applications.entries
    if len(entries) != 1 and not findings.errors:
        findings.error("applications", f"holds {len(entries)} applications, expected one: the web server")
    if findings.errors:
        raise ConfigError(_lines(source, findings.errors))
    directory = runtime / root.applications.root_directory
    return WebConfig(
        entries[0], web_root(directory, entries[0].web_root_folder, runtime), directory, _lines(source, findings.warnings)
    )


def default_web_config(runtime: Path, **changes: object) -> WebConfig:
    """The configuration of who has no file, with some fields of `WebApplication` changed."""
    config = parse_web_config({"applications": [{}]}, "webconfig.lua", runtime)
    changed = replace(config.application, **changes)  # type: ignore[arg-type]
    return replace(config, application=changed, web_root=web_root(runtime, changed.web_root_folder, runtime))


def web_root(directory: Path, folder: str, runtime: Path) -> Path:
    """The folder that somebody names as the web root: the customary name means ours where there is no such folder."""
    named = Path(os.path.normpath(directory / folder))
    if named.name == CUSTOMARY_ROOT and not named.exists():
        return Path(os.path.normpath(runtime / WEB_ROOT))
    return named


def _lines(source: str, findings: list[Finding]) -> tuple[str, ...]:
    return tuple(f"{source}: {place}: {text}" if place else f"{source}: {text}" for place, text in findings)
