"""Commands about what the server has been told to do and keeps doing."""

from typing import TYPE_CHECKING

from ems.api.arguments import Arguments
from ems.api.command import UINT32_MAX, CommandGroup, Json, flag, integer, text
from ems.errors import CommandError
from ems.jobs.job import DormantJob
from ems.jobs.setup_file import KINDS

if TYPE_CHECKING:
    from ems.jobs.job import Job
    from ems.server import Server

CONFIGURATIONS = CommandGroup(
    "configurations", "Configurations", "What pulls, pushes, recordings and the like there are, and how to end them."
)


@CONFIGURATIONS.command(
    "listConfig",
    "Lists everything that commands have set going and its state.",
    answer="Run-time configuration",
    data="an object with a list for each kind: `dash`, `hds`, `hls`, `mss`, `process`, `pull`, `push`, `record`, "
    "`webrtc`, and `metalistener` when there are any",
    also_accept=("listPullPushConfig",),
    ascii_fields="dash hds hls mss process pull push record webrtc metalistener configId localStreamName port targetFolder "
    "streamNames groupName status current description uniqueStreamId uri targetUri targetStreamName pathToFile fullBinaryPath "
    "rrsip rrsport roomid",
)
async def list_config(server: "Server", arguments: Arguments) -> Json:
    lists: dict[str, list[Json]] = {kind: [] for kind in KINDS}
    for job in server.jobs:
        lists.setdefault(job.kind, []).append(job.described)
    return {**lists}


@CONFIGURATIONS.command(
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
async def get_config_info(server: "Server", arguments: Arguments) -> Json:
    job = server.jobs.by_id(arguments.integer("id"))
    if job is None:
        raise CommandError("Config ID not found")
    return job.described


@CONFIGURATIONS.command(
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
    data="the configuration, of a group the first one, that had a stream; null when none had",
    example="removeConfig id=7",
    also_accept=("removePullPushConfig",),
    ascii_fields="configId localStreamName targetFolder uri",
    rejects_empty_parameter_list=True,
)
async def remove_config(server: "Server", arguments: Arguments) -> Json:
    jobs = _chosen(server, arguments)
    remove_files = arguments.flag("removeHlsHdsFiles")
    if remove_files and any(isinstance(job, DormantJob) for job in jobs):
        raise CommandError("This version cannot delete files of HTTP streaming")
    running = next((job.configuration for job in jobs if job.stream is not None), None)
    await server.jobs.remove(jobs, "removeConfig")
    for job in jobs:
        await (job.remove_files() if remove_files else job.finished())
    return running


def _chosen(server: "Server", arguments: Arguments) -> "list[Job]":
    # Ids count from 1; clients of the original send 0 for none.
    config_id = arguments.values["id"]
    if config_id:
        job = server.jobs.by_id(arguments.integer("id"))
        if job is None:
            raise CommandError("Config ID not found")
        return [job]
    group = arguments.text("groupName")
    if not group:
        raise CommandError("No id nor group name provided")
    jobs = server.jobs.of_group(group)
    if not jobs:
        raise CommandError(f"Group {group} not found")
    return jobs
