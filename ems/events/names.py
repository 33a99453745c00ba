"""The names of all events, which of them a sink gets that names none, and which belong to the server as a whole."""

from collections.abc import Callable, Collection

EVENTS: dict[str, tuple[str, ...]] = {
    "Streams": (
        "inStreamCreated",
        "outStreamCreated",
        "streamCreated",
        "inStreamCodecsUpdated",
        "outStreamCodecsUpdated",
        "streamCodecsUpdated",
        "inStreamClosed",
        "outStreamClosed",
        "streamClosed",
        "audioFeedStopped",
        "videoFeedStopped",
        "outStreamFirstFrameSent",
        "pullStreamFailed",
    ),
    "HTTP streaming": (
        "hlsChunkCreated",
        "hlsChunkClosed",
        "hlsChunkError",
        "hlsChildPlaylistUpdated",
        "hlsMasterPlaylistUpdated",
        "hdsChunkCreated",
        "hdsChunkClosed",
        "hdsChunkError",
        "hdsChildPlaylistUpdated",
        "hdsMasterPlaylistUpdated",
        "mssChunkCreated",
        "mssChunkClosed",
        "mssChunkError",
        "mssPlaylistUpdated",
        "dashChunkCreated",
        "dashChunkClosed",
        "dashChunkError",
        "dashPlaylistUpdated",
    ),
    "Recording": ("recordChunkCreated", "recordChunkClosed", "recordChunkError"),
    "Runtime API": (
        "cliRequest",
        "cliResponse",
        "processStarted",
        "processStopped",
        "timerCreated",
        "timerTriggered",
        "timerClosed",
    ),
    "Connections": ("protocolRegisteredToApp", "protocolUnregisteredFromApp", "carrierCreated", "carrierClosed"),
    "Playlists": ("firstPlaylistItemStart", "playlistItemStart", "lastPlaylistItemStart"),
    "Server": ("applicationStart", "applicationStop", "serverStarted", "serverStopping"),
    "Web server": ("streamingSessionStarted", "streamingSessionEnded", "mediaFileDownloaded"),
    "WebRTC and WebSocket": (
        "webRTCStarted",
        "webRTCStopped",
        "webRTCPeerConnectionCreated",
        "webRTCPeerConnectionClosed",
        "webRTCPeerStreamStarted",
        "webRTCPeerStreamClosed",
        "webRtcServiceStarted",
        "webRtcServiceStopped",
        "webRtcServiceConnected",
        "webRtcCommandReceived",
        "playerJoinedRoom",
        "WSStreamStarted",
        "WSStreamClosed",
    ),
}
"""Every event by the part of the server that it is about. Plugins may have others."""

ONLY_WHEN_NAMED = frozenset(("outStreamFirstFrameSent", *EVENTS["Playlists"], *EVENTS["WebRTC and WebSocket"])) - {
    "webRtcCommandReceived",
    "webRtcServiceConnected",
}
"""What a sink without ``enabledEvents`` does not get."""

OUTSIDE = frozenset(("applicationStart", "applicationStop", "serverStarted", "serverStopping", "carrierCreated", "carrierClosed"))
"""What happens outside the application, and belongs to the outermost ``eventLogger``. (A carrier is made before anybody knows
whose it is.)"""

ONLY_OUTSIDE = frozenset(("applicationStart", "applicationStop", "serverStarted"))
"""Those that a sink of the application gets only when it names them."""


def selection(enabled: Collection[str] | None, *, outermost: bool) -> Callable[[str], bool]:
    """Which events a sink gets: the `enabled` ones, or (None) all but the exceptions above.

    An `outermost` sink gets nothing but `OUTSIDE`.
    """
    if enabled is not None:
        named = OUTSIDE.intersection(enabled) if outermost else frozenset(enabled)
        return named.__contains__
    if outermost:
        return OUTSIDE.__contains__
    exceptions = ONLY_WHEN_NAMED | ONLY_OUTSIDE
    return lambda event_type: event_type not in exceptions
