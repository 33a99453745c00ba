"""Commands about what the server has been told to do and keeps doing."""

from ems.api.command import UINT32_MAX, CommandGroup, flag, integer, text

CONFIGURATIONS = CommandGroup(
    "configurations", "Configurations", "What pulls, pushes, recordings and the like there are, and how to end them."
)

CONFIGURATIONS.command(
    "listConfig",
    "Lists everything that commands have set going and its state.",
    answer="Run-time configuration",
    data="an object with a list for each kind: `dash`, `hds`, `hls`, `metalistener`, `mss`, `process`, `pull`, `push`, "
    "`record`, `webrtc`",
    also_accept=("listPullPushConfig",),
    ascii_fields="dash hds hls mss process pull push record webrtc metalistener configId localStreamName port targetFolder "
    "streamNames groupName status current description uniqueStreamId uri targetUri targetStreamName pathToFile fullBinaryPath "
    "rrsip rrsport roomid",
)

CONFIGURATIONS.command(
    "getConfigInfo",
    "Describes one configuration.",
    integer("id", "Its configId.", mandatory=True, minimum=0, maximum=UINT32_MAX),
    answer="Configuration Info",
    data="the configuration, with its `status`",
    example="getConfigInfo id=7",
    ascii_fields="configId localStreamName targetFolder streamNames groupName operationType status current previous description "
    "uniqueStreamId keepAlive swfUrl tcUrl uri targetUri targetStreamName pathToFile fullBinaryPath chunkLength playlistType",
    rejects_empty_parameter_list=True,
)

CONFIGURATIONS.command(
    "removeConfig",
    "Ends what one configuration, or a whole group, has set going, and forgets it.",
    integer("id", "Its configId; counts when a group is given too.", minimum=0, maximum=UINT32_MAX),
    text(
        "groupName",
        "A group of HTTP streaming, transcoding or processes. Needed unless id is given.",
        also_accept=("hlsHdsMssGroup",),
    ),
    flag("removeHlsHdsFiles", False, "Delete the files that HTTP streaming has written."),
    answer="Configuration terminated",
    data="the configuration",
    example="removeConfig id=7",
    also_accept=("removePullPushConfig",),
    ascii_fields="configId localStreamName targetFolder uri",
    rejects_empty_parameter_list=True,
)
