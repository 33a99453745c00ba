"""Commands that write files from which streams are made, and change playlists that are playing."""

from ems.api.command import CommandGroup, flag, integer, integers, text, texts
from ems.api.commands.pull_push import URI_SCHEMES, source_parameters

PLAYLISTS = CommandGroup(
    "playlists", "Playlists and lazy pulls", "Files from which streams are made when somebody asks for them."
)

DAY_MS = 86_400_000

PLAYLISTS.command(
    "generateLazyPullFile",
    "Writes a .vod file: a pull that begins when somebody plays it. The file's name is the stream's.",
    text("uri", f"Address of the source. Schemes: {URI_SCHEMES}. May hold user:password@.", mandatory=True),
    text("pathToFile", "The file; .vod is added when missing.", mandatory=True),
    *source_parameters(keep_alive=False, force_tcp=True),
    answer="Stream parameters written to {pathToFile}",
    data="the pull's configuration; `uri` is an object",
    example="generateLazyPullFile uri=rtsp://192.0.2.41/door pathToFile=media/door",
    ascii_fields="forceTcp keepAlive pathToFile uri fullUri",
    rejects_empty_parameter_list=True,
    user_variables=True,
)

PLAYLISTS.command(
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

PLAYLISTS.command(
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
    text("playlistInstanceName", "One of several viewers' instances of the playlist."),
    answer="Playlist item inserted",
    data="the parameters as they were understood",
    example="insertPlaylistItem playlistName=evening.lst localStreamName=news.mp4",
    ascii_fields="localStreamName playlistName insertPoint sourceOffset duration",
    rejects_empty_parameter_list=True,
)
