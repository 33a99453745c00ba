"""The sections of single features: segmented output of every stream, authentication, WebRTC, the Python console, …"""

# ruff: noqa: RUF009 -- `key` is `dataclasses.field`, and the sections that are defaults are frozen.

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ems.config.keys import Address, Boolean, Choice, FilePath, Integer, Section, Text, TextList, extra, key

COMMAND_PARAMETERS = (
    *("bandwidths", "playlistType", "keepAlive", "overwriteDestination", "cleanupDestination", "playlistName"),
    *("manifestName", "chunkBaseName", "createMasterPlaylist", "maxChunkLength", "useSystemTime", "offsetTime", "audioOnly"),
    *("encryptStream", "hlsResume", "cleanupOnClose", "useByteRange", "fileLength", "startOffset", "ismType", "isLive"),
    *("publishingPoint", "ingestMode", "audioBitrates", "videoBitrates", "dynamicProfile"),
)
"""Further parameters of the commands create…Stream, which an automatic output takes, too."""


@dataclass(frozen=True)
class AutoOutput:
    """Segmented output of every new network stream. The block counts only when it has a `target_folder`.

    `group_name` is empty when the file names none: each format has its own default, the name of the block. Other parameters
    of the command create…Stream are in `extra`, as the file has them.
    """

    target_folder: str = key("targetFolder", FilePath(), "", "the folder for playlists and segments; without it the block is off")
    group_name: str = key("groupName", Text(), "", "the folder in it; the name of the block when missing")
    chunk_length: int = key("chunkLength", Integer(1, 3600), 10, "seconds of a segment")
    chunk_on_idr: bool = key("chunkOnIDR", Boolean(), False, "begin segments at key frames only")
    playlist_length: int = key("playlistLength", Integer(5, 999_999), 10, "segments in the playlist")
    stale_retention_count: int | None = key(
        "staleRetentionCount", Integer(0), None, "older segments that stay on disk; as many as in the playlist when missing"
    )
    extra: Mapping[str, Any] = extra(COMMAND_PARAMETERS)


@dataclass(frozen=True)
class AutoHls(AutoOutput):
    """`AutoOutput` as HLS, which can be encrypted."""

    drm_type: str = key("drmType", Choice(("none", "evo", "verimatrix", "SAMPLE-AES")), "none", "how segments are encrypted")
    aes_key_count: int = key("AESKeyCount", Integer(1, 20), 5, "segments after which the key changes")


@dataclass(frozen=True)
class Drm:
    """The server from which the keys of encrypted HLS come."""

    type: str = key("type", Choice(("none", "evo", "verimatrix", "rms")), "none", "what kind of key server")
    request_timer: int = key("requestTimer", Integer(1), 1, "seconds between two looks at the reserve")
    reserve_keys: int = key("reserveKeys", Integer(5), 10, "keys held in reserve")
    reserve_ids: int = key("reserveIds", Integer(5), 10, "key ids held in reserve")
    url_prefix: str = key("urlPrefix", Text(), "", "where keys are asked for")


@dataclass(frozen=True)
class RtmpAuthentication:
    """RTMP publishers must log in (the Adobe scheme) while ``auth.xml`` says so."""

    type: str = key("type", Choice(("adobe",)), "adobe", "the scheme", required=True)
    users_file: str = key("usersFile", FilePath(), "", "users.lua, the names and passwords", required=True)
    authenticate_play: bool = key("authenticatePlay", Boolean(), False, "players must log in, too")
    encoder_agents: tuple[str, ...] = key("encoderAgents", TextList(), (), "accepted, but every publisher is challenged")
    verifier_uri: str = key("verifierUri", Text(), "", "refused: nobody is asked about publishers in this version")
    token: str = key("token", Text(), "", "a shared secret that lets a publisher in")


@dataclass(frozen=True)
class RtspAuthentication:
    """RTSP publishers must log in (Basic or Digest); players, too, if asked."""

    users_file: str = key("usersFile", FilePath(), "", "users.lua, with its realms", required=True)
    authenticate_play: bool = key("authenticatePlay", Boolean(), False, "players must log in, too")


@dataclass(frozen=True)
class WsAuthentication:
    """A secret that WebSocket addresses must carry."""

    token: str = key("token", Text(), "", "the value of `?token=`; empty is off")


@dataclass(frozen=True)
class Authentication:
    """Who may publish and play: one block for each family of protocols; a missing one asks nobody."""

    rtmp: RtmpAuthentication | None = key("rtmp", Section(RtmpAuthentication), None, "RTMP publishers")
    rtsp: RtspAuthentication | None = key("rtsp", Section(RtspAuthentication), None, "RTSP publishers and players")
    ws: WsAuthentication | None = key("ws", Section(WsAuthentication), None, "WebSocket players")


@dataclass(frozen=True)
class Transcoder:
    """What the command ``transcode`` starts, and how it names local streams to it."""

    script_path: str = key("scriptPath", FilePath(), "emsTranscoder.sh", "the program")
    src_uri_prefix: str = key("srcUriPrefix", Text(), "rtsp://localhost:5544/", "put before the name of a local source")
    dst_uri_prefix: str = key(
        "dstUriPrefix", Text(), "-f flv tcp://localhost:6666/", "put before the name of a local destination"
    )


@dataclass(frozen=True)
class WebRtc:
    """Certificates of WebRTC. (STUN and TURN servers are told by the rendezvous server.)"""

    ssl_key: str = key("sslKey", FilePath(), "", "PEM file of the private key")
    ssl_cert: str = key("sslCert", FilePath(), "", "PEM file of the certificate")
    use_prebuilt_ssl_cert: bool = key("useprebuiltsslcert", Boolean(), False, "use them for DTLS instead of a fresh certificate")
    trusted_certs: str = key("trustedCerts", FilePath(), "", "PEM file of authorities by which the rendezvous server is checked")
    ers_over_ssl: bool = key(
        "ersOverSsl", Boolean(), False, "`startWebRTC` speaks TLS to the rendezvous server by default", aliases=("rrsOverSsl",)
    )


@dataclass(frozen=True)
class Manhole:
    """A Python console into the running server, over SSH. Off unless it has a `port`."""

    port: int = key("port", Integer(0, 65535), 0, "its port; 0 is off")
    ip: str = key("ip", Address(), "127.0.0.1", "its interface")
    authorized_keys: str = key("authorizedKeys", FilePath(), "", "an OpenSSH authorized_keys file: who may come in by key")
    password_file: str = key("passwordFile", FilePath(), "", "lines `name:password`: who may come in by password")
    host_key: str = key("hostKey", FilePath(), "", "the server's private SSH key; made at first start when missing")
