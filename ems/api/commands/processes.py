"""The command that starts other programs."""

from ems.api.command import CommandGroup, flag, text

PROCESSES = CommandGroup("processes", "Processes", "Other programs that run beside the server.")

PROCESSES.command(
    "launchProcess",
    "Starts a program and, if wanted, keeps it running. No shell is involved. A parameter `$NAME=value` is put into the "
    "program's environment.",
    text("fullBinaryPath", "The program.", mandatory=True),
    text("arguments", "Its arguments in one text; on a request line each space between them needs a backslash."),
    flag("keepAlive", True, "Start it again when it ends."),
    text("groupName", "Name by which removeConfig ends it.", default_text="process_group_ and 8 random characters"),
    answer="Process enqueued for start",
    data="the configuration, with `configId`",
    example="launchProcess fullBinaryPath=/bin/echo arguments=one\\ two $TZ=UTC keepAlive=0",
    ascii_fields="configId fullBinaryPath arguments groupName",
    rejects_empty_parameter_list=True,
    user_variables=True,
    environment=True,
)
