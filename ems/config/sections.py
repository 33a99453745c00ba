"""The sections of ``config.lua`` as frozen dataclasses: each field declares one key (see `ems.config.keys`).

Top down: `Root` is the table ``configuration`` as it is written, `Application` the one application it runs, with its
acceptors, storages and feature blocks. What the rest of the server works with is `Config`, made from a `Root` by
`ems.config.load`. Every section can be built in Python with nothing but the values that matter, which is how tests and
plugin authors do it: ``AcceptorConfig(ip="127.0.0.1", protocol="inboundRtmp")``.
"""

# ruff: noqa: RUF009 -- `key` is `dataclasses.field`, and the sections that are defaults are frozen.

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ems.config.features import Authentication, AutoHls, AutoOutput, Drm, Manhole, Transcoder, WebRtc
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
    Number,
    Section,
    SectionList,
    Text,
    TextList,
    extra,
    key,
)
from ems.config.logs import EventLogger, LogAppender

UNLIMITED_BUFFER = 0xFFFFFFFF
"""The value of ``clientSideBuffer`` that means: send as fast as the viewer takes it."""

CLIENT_SIDE_BUFFER = Integer(0, 3600, also=(UNLIMITED_BUFFER,))
OUT_BUFFER = Integer(1)
DEFAULT_OUT_BUFFER = 512 * 1024
DEFAULT_CLIENT_SIDE_BUFFER = 15


@dataclass(frozen=True)
class Multicast:
    """A multicast group over which clients of an RTSP acceptor may play."""

    ip: str = key("ip", Address(), "", "the group's address", required=True)
    ttl: int = key("ttl", Integer(1, 255), 127, "how many routers a packet may pass")


@dataclass(frozen=True)
class AcceptorConfig(Checked):
    """One listening address and the protocol that is spoken there.

    An acceptor listens on `ip` and `port`. Keys that are not listed here are kept in `extra`, by the name that the file gives
    them: a plugin's protocol finds its own settings there.
    """

    ip: str = key("ip", Address(), "", "the interface, which is needed: `0.0.0.0` is every IPv4 one, `::` every IPv6 one")
    port: int = key("port", Integer(1, 65535), 0, "the TCP or UDP port, which is needed")
    protocol: str = key(
        "protocol", Text(filled=True), "", "what is spoken there; an unknown name is skipped with a warning", required=True
    )
    path: str = key("path", FilePath(), "", "refused: there are no Unix sockets in this version")
    ssl_key: str = key(
        "sslKey",
        FilePath(),
        "",
        "PEM file of the private key; with `sslCert` the acceptor speaks TLS, and `inboundRtmp` becomes `inboundRtmps`",
    )
    ssl_cert: str = key("sslCert", FilePath(), "", "PEM file of the certificate and its chain")
    cipher_suite: str = key("cipherSuite", Text(), "", "OpenSSL cipher list; empty is Twisted's own choice")
    optional: bool = key(
        "optional", Boolean(), False, "skip this acceptor, and say so, when its key or certificate file does not exist"
    )
    whitelist: str = key(
        "whitelist", FilePath(), "", "a file of addresses and networks, one a line: nobody else is let in, unless it is empty"
    )
    blacklist: str = key("blacklist", FilePath(), "", "a file of addresses and networks that are turned away")
    clustering: bool = key("clustering", Boolean(), False, "for the server's own processes only", absent=True)
    use_length_padding: bool = key(
        "useLengthPadding", Boolean(), False, "JSON doors: each answer follows its length in 4 bytes, big-endian"
    )
    wait_for_metadata: bool = key(
        "waitForMetadata", Boolean(), False, "liveFLV: the stream appears, named by it, when onMetaData arrives"
    )
    local_stream_name: str = key("localStreamName", Text(), "", "MPEG-TS: the name of the stream that is created")
    stream_name: str = key("streamname", Text(), "", "metadata: the stream that a listener is bound to when it names none")
    multicast: Multicast | None = key("multicast", Section(Multicast), None, "RTSP: the group over which clients may play")
    witness_file: None = key("witnessFile", Ignored(), None, "of older servers")
    extra: Mapping[str, Any] = extra()

    @property
    def tls(self) -> bool:
        """True when connections are encrypted, which a key and a certificate ask for."""
        return bool(self.ssl_key)

    def contradictions(self) -> Iterable[tuple[str, str]]:
        """An acceptor needs an address, and for TLS both files. A Unix socket is refused later, if its protocol is known."""
        if not self.path:
            if not self.ip:
                yield "ip", "is missing, expected an IP address or a host name"
            if not self.port:
                yield "port", "is missing, expected 1–65535"
        if bool(self.ssl_key) != bool(self.ssl_cert):
            missing, present = ("sslCert", "sslKey") if self.ssl_key else ("sslKey", "sslCert")
            yield missing, f"is missing: TLS takes both files, and there is only {present}"


@dataclass(frozen=True)
class Storage:
    """A folder of media files that can be played."""

    media_folder: str = key(
        "mediaFolder", FilePath(), "", "the folder; without it, or when it does not exist, the storage is skipped"
    )
    name: str = key("name", Text(), "", "what `listStorage` calls it; the table's own name or position when missing")
    description: str = key("description", Text(), "", "free text")
    meta_folder: str = key(
        "metaFolder", FilePath(), "", "where `.seek` and `.meta` files go; empty is beside the media", absent=True
    )
    enable_stats: bool = key("enableStats", Boolean(), False, "count what is served in `.stats` files", absent=True)
    client_side_buffer: int = key(
        "clientSideBuffer",
        CLIENT_SIDE_BUFFER,
        DEFAULT_CLIENT_SIDE_BUFFER,
        "seconds sent ahead of the viewer's clock; 0 is 15, 4294967295 is without limit",
    )
    keyframe_seek: bool = key("keyframeSeek", Boolean(), True, "seek to key frames only")
    seek_granularity: float = key(
        "seekGranularity", Number(0, 300), 1.0, "seconds between seek points; less than 0.1 is 1", absent=True
    )
    external_seek_generator: bool = key(
        "externalSeekGenerator", Boolean(), False, "another program writes `.seek` and `.meta`", absent=True
    )
    max_playlist_file_size: int = key("maxPlaylistFileSize", Clamped(4096, 409600), 4096, "bytes that a `.lst` file may have")


@dataclass(frozen=True)
class MediaStorage:
    """The folders of recordings and of files to play. Storages stand in the table with or without a name of their own."""

    recorded_streams_storage: str = key(
        "recordedStreamsStorage",
        FilePath(),
        "",
        "the folder for streams that are published as `record`; empty: they are not recorded",
        absent=True,
    )
    storages: tuple[Storage, ...] = key("[…]", Entries(Storage, named=True), (), "one table for each storage")


@dataclass(frozen=True)
class Application:
    """What the server runs: its names, doors, storages and features.

    Paths are as in the file, but a relative one has been put behind `app_dir`, so that all are relative to the runtime
    directory: pass them to `Runtime.resolve`.
    """

    name: str = key(
        "name", Text(filled=True), "", "the name by which RTMP addresses and the API know the application", required=True
    )
    app_dir: str = key("appDir", FilePath(), "", "where the application's relative paths start; empty is `rootDirectory`")
    description: str = key("description", Text(), "", "free text")
    default: bool = key("default", Boolean(), False, "the application of connections that name none")
    aliases: tuple[str, ...] = key("aliases", TextList(), (), "more names, each different")
    acceptors: tuple[AcceptorConfig, ...] = key(
        "acceptors", SectionList(AcceptorConfig), (), "where the server listens, and for what"
    )
    media_storage: MediaStorage = key("mediaStorage", Section(MediaStorage), MediaStorage(), "the folders of media files")

    demo_stream: str = key("demoStream", Text(), "", "the stream name of the demonstration clip; empty is off")
    max_merge_delay: int = key(
        "maxMergeDelay",
        Integer(0, 10_000),
        100,
        "milliseconds that frames may wait so that a large audience gets several in one write",
    )
    manhole: Manhole = key("manhole", Section(Manhole), Manhole(), "a Python console into the running server, over SSH")

    validate_handshake: bool = key("validateHandshake", Boolean(), True, "refuse RTMP clients whose digest handshake is wrong")
    max_rtmp_out_buffer: int = key("maxRtmpOutBuffer", OUT_BUFFER, DEFAULT_OUT_BUFFER, "bytes that may wait for one RTMP client")
    max_rtsp_out_buffer: int = key(
        "maxRtspOutBuffer",
        OUT_BUFFER,
        DEFAULT_OUT_BUFFER,
        "accepted, but what waits for RTSP clients is kept once for all of them: 4 s and 4 MiB at most",
    )
    force_rtmp_datarate: bool = key(
        "forceRtmpDatarate", Boolean(), False, "write fixed data rates into RTMP metadata", absent=True
    )
    enable_check_bandwidth: bool = key(
        "enableCheckBandwidth", Boolean(), False, "answer RTMP clients that measure their bandwidth"
    )
    send_rtsp_range_headers: bool = key("sendRtspRangeHeaders", Boolean(), False, "send Range in RTSP PLAY: some cameras need it")
    rtcp_detection_interval: int = key(
        "rtcpDetectionInterval", Clamped(0, 60), 10, "seconds to wait for RTCP before a source counts as one that sends none"
    )
    use_source_pts: bool = key("useSourcePts", Boolean(), False, "keep the source's timestamps instead of starting at 0")
    verify_tls: bool = key(
        "verifyTls", Boolean(), False, "check the certificates of servers that streams are pulled from or pushed to"
    )
    streams_expire_timer: int = key(
        "streamsExpireTimer", Integer(0), 0, "seconds after which an inbound stream without frames is closed; 0 is never"
    )
    has_stream_aliases: bool = key("hasStreamAliases", Boolean(), False, "streams can be played by their aliases only")
    has_ingest_points: bool = key("hasIngestPoints", Boolean(), False, "RTMP publishers must use a registered private name")
    server_name_stream_prefix: str = key("serverNameStreamPrefix", Text(), "", "put before the names of streams", absent=True)
    hls_version: int = key("hlsVersion", Integer(3, 6), 6, "EXT-X-VERSION: 4 allows byte ranges, 5 SAMPLE-AES, 6 start offsets")

    vod_redirect_rtmp_ip: str = key(
        "vodRedirectRtmpIp", Text(), "", "a server from which files that are missing here are pulled over RTMP", absent=True
    )
    meta_file_generator: bool = key(
        "metaFileGenerator", Boolean(), False, "prepare `.seek` and `.meta` of all storages in the background", absent=True
    )
    scan_interval: int = key("scanInterval", Integer(1), 1, "seconds between two scans for it", absent=True)

    push_pull_persistence_file: str = key(
        "pushPullPersistenceFile", FilePath(), "./pushPullSetup.xml", "the jobs that survive a restart"
    )
    auth_persistence_file: str = key("authPersistenceFile", FilePath(), "./auth.xml", "the switch of RTMP authentication")
    connections_limit_persistence_file: str = key(
        "connectionsLimitPersistenceFile", FilePath(), "./connlimits.xml", "the limit of connections"
    )
    bandwidth_limit_persistence_file: str = key(
        "bandwidthLimitPersistenceFile", FilePath(), "./bandwidthlimits.xml", "the limits of bandwidth"
    )
    ingest_points_persistence_file: str = key(
        "ingestPointsPersistenceFile", FilePath(), "./ingestpoints.xml", "the ingest points"
    )

    run_web_server: bool = key("runWebServer", Boolean(), True, "start the web server, EWS")
    run_web_ui: bool = key("runWebUI", Boolean(), True, "false: without the pages of the web interface", absent=True)
    auto_hls: AutoHls | None = key("autoHLS", Section(AutoHls), None, "HLS of every new stream")
    auto_hds: AutoOutput | None = key("autoHDS", Section(AutoOutput), None, "HDS of every new stream", absent=True)
    auto_mss: AutoOutput | None = key("autoMSS", Section(AutoOutput), None, "Smooth Streaming of every new stream", absent=True)
    auto_dash: AutoOutput | None = key("autoDASH", Section(AutoOutput), None, "DASH of every new stream", absent=True)
    drm: Drm = key("drm", Section(Drm), Drm(), "the key server for encrypted HLS")
    authentication: Authentication = key("authentication", Section(Authentication), Authentication(), "who may publish and play")
    transcoder: Transcoder = key(
        "transcoder", Section(Transcoder), Transcoder(), "what the command `transcode` starts", absent=True
    )
    webrtc: WebRtc = key("webrtc", Section(WebRtc), WebRtc(), "certificates of WebRTC", absent=True)
    event_logger: EventLogger | None = key("eventLogger", Section(EventLogger), None, "where the application's events go")

    protocol: None = key("protocol", Ignored(), None, "how older servers loaded the application")
    library: None = key("library", Ignored(), None, "of older servers")
    init_application_function: None = key("initApplicationFunction", Ignored(), None, "of older servers")
    init_factory_function: None = key("initFactoryFunction", Ignored(), None, "of older servers")
    mp4_bin_path: None = key("mp4BinPath", Ignored(), None, "the recorder needs no other program")
    rtmp_script: None = key("rtmpScript", Ignored(), None, "of a later server")
    rtsp_script: None = key("rtspScript", Ignored(), None, "of a later server")
    external_streams: None = key("externalStreams", Ignored(), None, "of a later server")
    protocol_modules: None = key("protocolModules", Ignored(), None, "of a later server")
    status_report: None = key("statusReport", Ignored(), None, "of a later server")
    hard_limits: None = key("hardLimits", Ignored(), None, "of a later server")
    videoconfig_persistence_file: None = key("videoconfigPersistenceFile", Ignored(), None, "of a later server")
    rfcvideoconfig_persistence_file: None = key("rfcvideoconfigPersistenceFile", Ignored(), None, "of a later server")


@dataclass(frozen=True)
class Applications:
    """The applications: one table, without a name of its own. (The original's files have exactly one, too.)"""

    root_directory: str = key("rootDirectory", FilePath(), "./", "where an application without `appDir` keeps its files")
    entries: tuple[Application, ...] = key("[…]", Entries(Application), (), "the application")


@dataclass(frozen=True)
class Root:
    """The global table ``configuration``."""

    daemon: bool = key("daemon", Boolean(), False, "run in the background; `--daemon` on the command line does the same")
    instances_count: int = key(
        "instancesCount", Integer(None, 64), 0, "processes in daemon mode; 0 and 1 are one, negative is one for each CPU"
    )
    path_separator: str = key("pathSeparator", Choice(("/", "\\")), "/", "how paths of this file are separated")
    log_appenders: tuple[LogAppender, ...] = key(
        "logAppenders", SectionList(LogAppender, ("name", "type", "fileName")), (), "where the log goes"
    )
    client_side_buffer: int | None = key(
        "clientSideBuffer", CLIENT_SIDE_BUFFER, None, "for storages that do not give it themselves", inherited=True
    )
    max_rtmp_out_buffer: int | None = key(
        "maxRtmpOutBuffer", OUT_BUFFER, None, "for an application that does not give it itself", inherited=True
    )
    max_rtsp_out_buffer: int | None = key(
        "maxRtspOutBuffer", OUT_BUFFER, None, "for an application that does not give it itself", inherited=True
    )
    event_logger: EventLogger | None = key("eventLogger", Section(EventLogger), None, "where the server's events go")
    applications: Applications = key("applications", Section(Applications), Applications(), "what the server runs")
    time_probe_file_path_prefix: None = key("timeProbeFilePathPrefix", Ignored(), None, "of a later server")


@dataclass(frozen=True)
class Config:
    """A configuration that has been read and checked: what the server is built from.

    `warnings` are lines about things that were skipped or not understood, `notes` about things that went as the file says
    but that one may wonder about. Whoever loads a configuration logs both.
    """

    application: Application
    daemon: bool = False
    instances_count: int = 0
    path_separator: str = "/"
    log_appenders: tuple[LogAppender, ...] = ()
    event_logger: EventLogger | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: Path = Path("config.lua")
