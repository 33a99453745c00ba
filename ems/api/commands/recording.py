"""Commands that write streams into files and make new streams of them."""

from ems.api.command import CommandGroup, flag, integer, text, texts

RECORDING = CommandGroup("recording", "Recording and transcoding", "Streams written into files, and streams made of streams.")

RECORDING.command(
    "record",
    "Writes a stream into files. The stream need not be there yet.",
    text("localStreamName", "The stream to write.", mandatory=True),
    text("pathToFile", "The file, or with dateFolderStructure the folder. An extension is added when missing.", mandatory=True),
    text("type", "The container.", default="mp4", values=("mp4", "ts", "flv", "vmf")),
    flag("overwrite", False, "Replace a file that is there; otherwise the new one gets a number."),
    flag("keepAlive", True, "Go on when the stream comes back."),
    integer("chunkLength", "Seconds after which a new file begins; 0 is one file.", default=0, minimum=0, maximum=999_999),
    flag("waitForIDR", True, "Begin a new file at a key frame only."),
    flag("winQtCompat", False, "MP4: write 32-bit header fields, for old players."),
    flag("dateFolderStructure", False, "Write <path>/<stream>/<YYYYMMDD>/<stream>-<YYYYMMDD>-<HHMMSS>.<extension>."),
    flag("hasAudio", True, "Write the audio too."),
    integer("preset", "1 is MP4 in files of half an hour, cut at key frames.", default=0, minimum=0, maximum=99_999),
    answer="Recording Stream",
    data="the recording's configuration, with `configId`",
    example="record localStreamName=lobby pathToFile=media/lobby type=mp4",
    ascii_fields="localStreamName configId type pathToFile chunkLength",
    rejects_empty_parameter_list=True,
    user_variables=True,
)

RECORDING.command(
    "transcode",
    "Starts an external encoder for a source, with one or more outputs. Lists have one value for each destination; an empty "
    "place leaves that destination's value open.",
    text("source", "A stream's name, an address, or file:// and a path.", mandatory=True),
    texts("destinations", "Where each output goes: a stream's name here, an address, or file:// and a path.", mandatory=True),
    texts("targetStreamNames", "The name of each output.", default_text="transcoded_ and the time"),
    text("groupName", "Name by which removeConfig ends all of it.", default_text="transcoded_group_ and 8 random characters"),
    texts("videoBitrates", "Video bit rates, as in 200k; `copy` leaves the video as it is."),
    texts("videoSizes", "Picture sizes, as in 640x360."),
    texts("videoAdvancedParamsProfiles", "Names of encoder presets for video."),
    texts("audioBitrates", "Audio bit rates; `copy` leaves the audio as it is."),
    texts("audioChannelsCounts", "Numbers of audio channels."),
    texts("audioFrequencies", "Audio sample rates in Hz."),
    texts("audioAdvancedParamsProfiles", "Names of encoder presets for audio."),
    texts("overlays", "Picture files to lay over the video."),
    texts("croppings", "Rectangles left:top:width:height, or width:height from the middle."),
    flag("keepAlive", True, "Start the encoder again when it ends."),
    texts("commandFlags", "Further flags of the encoder."),
    answer="Transcoding successfully started.",
    data="the parameters as they were understood",
    example="transcode source=lobby destinations=lobby_low videoBitrates=300k videoSizes=640x360",
    ascii_fields="audioBitrates croppings destinations dstUriPrefix emsTargetStreamName fullBinaryPath groupName keepAlive "
    "localStreamName source srcUriPrefix targetStreamNames videoBitrates videoSizes",
    rejects_empty_parameter_list=True,
    user_variables=True,
    environment=True,
    keeps_empty_elements=True,
)
