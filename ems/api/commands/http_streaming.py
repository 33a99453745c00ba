"""Commands that have streams written for HTTP players, and count those players."""

from collections import Counter
from typing import TYPE_CHECKING

from twisted.internet.threads import deferToThread

from ems.api.arguments import Arguments
from ems.api.command import Answer, CommandGroup, Json, Parameter, flag, integer, integers, text, texts
from ems.errors import CommandError
from ems.segmenters.hls import request as hls_request

if TYPE_CHECKING:
    from ems.server import Server

HTTP_STREAMING = CommandGroup("http-streaming", "HTTP streaming", "Streams as HLS, HDS, Smooth Streaming and DASH.")

APPENDING_ERROR = "Syntax error for appending parameter. Type help for details"
"""What clients know of a wrong ``playlistType``, under the name that this parameter once had."""

CLIENTS_CONNECTED = "Number of clients connected to Evostream Web Server"

COUNT_MAX = 999_999
HDS_PLAYLIST_MAX = 4000
HOUR = 3600


def stream_set(kind: str, playlist_maximum: int = COUNT_MAX) -> tuple[Parameter, ...]:
    """What the four formats share; `kind` begins the name of a group that gets none."""
    return (
        texts("localStreamNames", "The streams; several are one set of qualities to choose from.", mandatory=True),
        text("targetFolder", "Folder to write to; each group and each stream gets one in it.", mandatory=True),
        integers("bandwidths", "Bits a second to declare for each stream.", default_text="0 for each stream"),
        text(
            "groupName",
            "Name of the set and of its folder.",
            default_text=f"the stream's name; for several streams {kind}_group_ and 8 random characters",
        ),
        text(
            "playlistType",
            "`appending` lists every segment, `rolling` the newest.",
            default="appending",
            values=("appending", "rolling"),
            values_error=APPENDING_ERROR,
        ),
        integer("playlistLength", "Rolling: how many are listed.", default=10, minimum=5, maximum=playlist_maximum),
        integer("chunkLength", "Seconds that a segment is to last.", default=10, minimum=1, maximum=HOUR),
        flag("chunkOnIDR", True, "Begin segments at key frames only, even if they get longer."),
        flag("keepAlive", True, "Go on when the stream comes back."),
        flag("overwriteDestination", True, "Replace files that are there."),
        integer(
            "staleRetentionCount",
            "Rolling: how many segments stay on disk after they have left the list.",
            default_text="playlistLength",
            minimum=0,
            maximum=COUNT_MAX,
        ),
        flag("cleanupDestination", False, "Empty the stream's folder first."),
    )


@HTTP_STREAMING.command(
    "createHLSStream",
    "Writes streams as HLS: MPEG-TS segments and m3u8 playlists.",
    *stream_set("hls"),
    text("playlistName", "File name of each stream's playlist.", default="playlist.m3u8"),
    text("chunkBaseName", "How names of segments begin.", default="segment"),
    flag("createMasterPlaylist", True, "Write the master playlist of the group."),
    integer(
        "maxChunkLength",
        "Seconds after which a segment ends without a key frame; 0 is never.",
        default=0,
        minimum=0,
        maximum=HOUR,
    ),
    flag("useSystemTime", False, "Write date and time of segments in UTC instead of local time."),
    integer("offsetTime", "Seconds to add to them.", default=0, minimum=-HOUR, maximum=HOUR),
    flag("audioOnly", False, "Leave out the video."),
    text(
        "drmType",
        "Encryption; `ems` and `rms` are other words for evo (AES-128).",
        default="none",
        values=("none", "evo", "ems", "rms", "verimatrix", "sample-aes"),
    ),
    flag("encryptStream", False, "The old way to write drmType=evo."),
    integer("AESKeyCount", "After how many segments the key changes.", default=5, minimum=1, maximum=20),
    flag("hlsResume", False, "Go on with the playlist of before a restart."),
    flag("cleanupOnClose", False, "Delete the files when the stream ends."),
    flag("useByteRange", False, "Write many segments into one file (EXT-X-BYTERANGE)."),
    integer(
        "fileLength",
        "With useByteRange: seconds in one file.",
        default_text="120 with useByteRange",
        minimum=1,
        maximum=HOUR,
    ),
    integer("startOffset", "Seconds from the beginning at which players start.", default=0, minimum=1, maximum=HOUR),
    text("segmentType", "`ts` is MPEG-TS, `fmp4` fragmented MP4.", default="ts", values=("ts", "fmp4")),
    integer(
        "partLength", "Low latency: milliseconds of a part of a segment; 0 is off. Needs segmentType=fmp4.", default=0, minimum=0
    ),
    answer="HLS stream created",
    data="the parameters as they were understood, and `configIds`, one for each stream",
    example="createHLSStream localStreamNames=hi,lo bandwidths=900000,300000 targetFolder=webroot groupName=show",
    ascii_fields="localStreamNames groupName playlistName playlistType targetFolder",
    rejects_empty_parameter_list=True,
    user_variables=True,
)
async def create_hls_stream(server: "Server", arguments: Arguments) -> Json:
    values = hls_request.completed(server, arguments.values)
    jobs = [one | arguments.user_variables for one in hls_request.settings_of(server, values)]
    await deferToThread(hls_request.prepare_folders, jobs)
    # Meanwhile somebody else may have asked for the same.
    hls_request.check_free(server, jobs)
    made = await server.jobs.add("hls", jobs)
    return {**values, **arguments.user_variables, "configIds": [job.id for job in made]}


HTTP_STREAMING.command(
    "createHDSStream",
    "Writes streams as Adobe HDS: F4F segments, a bootstrap and an f4m manifest.",
    *stream_set("hds", HDS_PLAYLIST_MAX),
    text("manifestName", "File name of the manifest.", default_text="the stream's name"),
    text("chunkBaseName", "How names of segments begin.", default="f4v"),
    flag("createMasterPlaylist", True, "Write the manifest of the group."),
    answer="HDS stream created",
    data="the parameters as they were understood, and `configIds`, one for each stream",
    example="createHDSStream localStreamNames=lobby targetFolder=webroot",
    ascii_fields="localStreamNames groupName manifestName playlistType targetFolder",
    rejects_empty_parameter_list=True,
    user_variables=True,
)

HTTP_STREAMING.command(
    "createMSSStream",
    "Writes streams as Smooth Streaming, or posts them to a publishing point.",
    *stream_set("mss"),
    text("manifestName", "File name of the manifest.", default="manifest.ismc"),
    text(
        "ismType",
        "`ismc` writes files, `isml` posts fragments to publishingPoint.",
        default="ismc",
        values=("ismc", "isml"),
        values_error="Syntax error for ismType parameter. Values can only be `ismc` or `isml`",
    ),
    flag("isLive", True, "Declare the manifest live."),
    text("publishingPoint", "Address that fragments are posted to; needed for isml."),
    text(
        "ingestMode",
        "isml: stop at the end, or begin again.",
        default="single",
        values=("single", "loop"),
        values_error="Syntax error for ingestMode parameter. Values can only be `single` or `loop`",
    ),
    integers(
        "audioBitrates", "isml, instead of bandwidths: bits a second of each stream's audio.", default_text="0 for each stream"
    ),
    integers(
        "videoBitrates", "isml, instead of bandwidths: bits a second of each stream's video.", default_text="0 for each stream"
    ),
    answer="MSS stream created",
    data="the parameters as they were understood, and `configIds`, one for each stream",
    example="createMSSStream localStreamNames=lobby targetFolder=webroot",
    ascii_fields="localStreamNames groupName manifestName playlistType targetFolder",
    rejects_empty_parameter_list=True,
    user_variables=True,
)

HTTP_STREAMING.command(
    "createDASHStream",
    "Writes streams as MPEG-DASH: fragmented MP4 and an mpd manifest.",
    *stream_set("dash"),
    text("manifestName", "File name of the manifest.", default="manifest.mpd"),
    flag("dynamicProfile", True, "Declare the manifest live (`dynamic`); 0 is on demand (`static`)."),
    answer="DASH stream created",
    data="the parameters as they were understood, and `configIds`, one for each stream",
    example="createDASHStream localStreamNames=lobby targetFolder=webroot",
    ascii_fields="localStreamNames groupName manifestName playlistType targetFolder",
    rejects_empty_parameter_list=True,
    user_variables=True,
)


@HTTP_STREAMING.command(
    "listHttpStreamingSessions",
    "Lists the players that the web server is serving.",
    answer="Currently open HTTP streaming sessions",
    data="a list of objects with `sessionId`, `clientIP`, `startTime`, `elapsedTime` (seconds), `targetFolder` and `bytesSent`",
    ascii_fields="sessionId clientIP elapsedTime targetFolder",
)
async def list_http_streaming_sessions(server: "Server", arguments: Arguments) -> Json:
    if server.web is None:
        raise CommandError("Unable to get all open HTTP streaming sessions. The web server is off.")
    return server.web.sessions.described()


@HTTP_STREAMING.command(
    "httpClientsConnected",
    "Counts the players that the web server is serving: all, or those of one group.",
    text("groupName", "Count the players of this group only."),
    answer=CLIENTS_CONNECTED,
    data="`groupName` and `httpStreamingSessionsCount`, and where it is known which streams are watched, `streams`, an object "
    "with the count of each",
    example="httpClientsConnected groupName=show",
    ascii_fields="httpStreamingSessionsCount groupName",
)
async def http_clients_connected(server: "Server", arguments: Arguments) -> Answer:
    if server.web is None:
        raise CommandError("Unable to get count of all open HTTP streaming sessions. The web server is off.")
    group = arguments.text("groupName")
    names = {str(job.settings["targetFolder"]): job.name for job in server.jobs if "targetFolder" in job.settings}
    streams: Counter[str] = Counter()
    for folder, count in server.web.sessions.by_folder(group).items():
        if folder in names:
            streams[names[folder]] += count
    data: dict[str, Json] = {"groupName": group, "httpStreamingSessionsCount": server.web.sessions.count(group)}
    if streams:
        data["streams"] = {**streams}
    return Answer(data, f"{CLIENTS_CONNECTED} under groupname: {group}" if group else CLIENTS_CONNECTED)
