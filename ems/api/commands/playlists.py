"""Commands that write files from which streams are made, and change playlists that are playing."""

from typing import TYPE_CHECKING

from twisted.internet.threads import deferToThread

from ems.api.arguments import Arguments, invalid
from ems.api.command import Answer, CommandGroup, Json, flag, integer, integers, text, texts
from ems.api.commands.pull_push import PULL_SCHEMES, source_parameters
from ems.errors import CommandError
from ems.media.frame import MILLISECOND
from ems.segmenters.files import write_file
from ems.vod.playlist import Item, write_playlist

if TYPE_CHECKING:
    from ems.server import Server

PLAYLISTS = CommandGroup(
    "playlists", "Playlists and lazy pulls", "Files from which streams are made when somebody asks for them."
)

DAY_MS = 86_400_000

PLAYLISTS.command(
    "generateLazyPullFile",
    "Writes a .vod file: a pull that begins when somebody plays it. The file's name is the stream's.",
    text("uri", f"Address of the source. Schemes: {PULL_SCHEMES}. May hold user:password@.", mandatory=True),
    text("pathToFile", "The file; .vod is added when missing.", mandatory=True),
    *source_parameters(keep_alive=False, force_tcp=True),
    answer="Stream parameters written to {pathToFile}",
    data="the pull's configuration; `uri` is an object",
    example="generateLazyPullFile uri=rtsp://192.0.2.41/door pathToFile=media/door",
    ascii_fields="forceTcp keepAlive pathToFile uri fullUri",
    rejects_empty_parameter_list=True,
    user_variables=True,
)


@PLAYLISTS.command(
    "generateServerPlaylist",
    "Writes an .lst file: streams and files that play one after the other.",
    texts("sources", "Streams or media files in their order.", mandatory=True),
    text("pathToFile", "The file; .lst is added when missing.", mandatory=True),
    integers(
        "sourceOffsets",
        "Second at which each begins: -2 is live if there, else the file; -1 is live only.",
        default_text="0 for each source",
    ),
    integers(
        "durations",
        "Seconds that each plays: -1 is to its end, -2 is to its end or until it is lost, 0 is one frame.",
        default_text="0 for each source",
    ),
    flag("repeat", False, "Begin again at the end."),
    answer="Server playlist written to {pathToFile}",
    data="the parameters as they were understood",
    example="generateServerPlaylist sources=intro.mp4,lobby pathToFile=media/evening",
    ascii_fields="sources pathToFile sourceOffsets durations",
    rejects_empty_parameter_list=True,
)
async def generate_server_playlist(server: "Server", arguments: Arguments) -> Answer:
    sources = _sources(arguments)
    starts, lengths = (_numbers(arguments, name, len(sources)) for name in ("sourceOffsets", "durations"))
    path = arguments.text("pathToFile")
    shown = path if ".lst" in path else f"{path}.lst"
    content = write_playlist(sources, starts, lengths, repeat=arguments.flag("repeat"))
    try:
        await deferToThread(write_file, server.runtime.resolve(shown), content)
    except (OSError, ValueError) as error:
        raise CommandError(f"Unable to create server playlist '{shown}'") from error
    data: Json = {
        "sources": [*sources],
        "pathToFile": path,
        "sourceOffsets": [*starts],
        "durations": [*lengths],
        "repeat": str(int(arguments.flag("repeat"))),
    }
    return Answer(data, f"Server playlist written to {shown}")


@PLAYLISTS.command(
    "insertPlaylistItem",
    "Puts an item into a playlist that is playing. The file stays as it is.",
    text("playlistName", "The playlist.", mandatory=True),
    text("localStreamName", "The stream or media file to put in.", mandatory=True),
    integer(
        "insertPoint",
        "Milliseconds from the playlist's beginning; negative is now.",
        default=-1000,
        minimum=-3000,
        maximum=DAY_MS,
    ),
    integer(
        "sourceOffset",
        "Milliseconds at which the item begins: -2000 is live if there, else the file; -1000 is live only.",
        default=-2000,
        minimum=-3000,
        maximum=DAY_MS,
    ),
    integer(
        "duration",
        "Milliseconds that it plays: -1000 is to its end, 0 is one frame.",
        default=-1000,
        minimum=-3000,
        maximum=DAY_MS,
    ),
    text("playlistInstanceName", "One viewer's instance of the playlist. It changes nothing: the item comes into all of them."),
    answer="Playlist item inserted",
    data="the parameters as they were understood",
    example="insertPlaylistItem playlistName=evening.lst localStreamName=news.mp4",
    ascii_fields="localStreamName playlistName insertPoint sourceOffset duration",
    rejects_empty_parameter_list=True,
)
async def insert_playlist_item(server: "Server", arguments: Arguments) -> Json:
    name, playlist = arguments.text("localStreamName"), arguments.text("playlistName")
    start, length = arguments.integer("sourceOffset"), arguments.integer("duration")
    at = max(arguments.integer("insertPoint"), -1)
    if server.vod is None:
        raise CommandError("there is no video on demand here")
    server.vod.insert(playlist, Item.of_milliseconds(name, start, length), at * MILLISECOND)
    return {
        "playlistName": playlist,
        "localStreamName": name,
        "insertPoint": at if at >= 0 else -1000,
        "sourceOffset": start if start >= 0 or start == -1000 else -2000,
        "duration": length if length >= 0 or length == -2000 else -1000,
    }


def _sources(arguments: Arguments) -> list[str]:
    """The items' names, each of which fits on a line."""
    sources = [str(source) for source in _list(arguments, "sources")]
    if any(not source.isprintable() for source in sources):
        raise invalid("sources")
    return sources


def _numbers(arguments: Arguments, name: str, count: int) -> list[int]:
    """A list of seconds, one for each source: zeros when it was not given. -2 is the smallest, for a single one."""
    if name not in arguments.given:
        return [0] * count
    numbers = [int(number) for number in _list(arguments, name)]
    if len(numbers) != count:
        raise CommandError(f"Syntax error. Parameters sources and {name} have different number of elements")
    return numbers


def _list(arguments: Arguments, name: str) -> list[str] | list[int]:
    value = arguments.values[name]
    return value if isinstance(value, list) else []
