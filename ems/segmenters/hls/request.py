"""From the parameters of ``createHLSStream`` to the settings of one job for each stream."""

import secrets
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ems.errors import CommandError
from ems.jobs.settings import HLS, HLS_EXTRAS
from ems.security.paths import file_path
from ems.segmenters.folders import file_name, group_folder, stream_folder_name, target_folder
from ems.segmenters.hls.extensions import make_part_listener, make_protection
from ems.segmenters.hls.master import NAME as MASTER_NAME
from ems.segmenters.hls.settings import DRM_TYPES, NO_DRM, HlsSettings, check_together
from ems.streams.names import checked_name

if TYPE_CHECKING:
    from ems.server import Server

DIFFERENT_LENGTHS = "Syntax error. Parameters bandwidths and localStreamNames have different number of elements"

_GROUP_CHARACTERS = string.ascii_letters + string.digits


def completed(server: "Server", given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the defaults that depend on others. Raises `CommandError` when they do not go together."""
    values = {key: value for key, value in given.items() if value is not None}
    names = values["localStreamNames"] = [checked_name(name) for name in values["localStreamNames"]]
    values["bandwidths"] = values.get("bandwidths") or [0] * len(names)
    if len(values["bandwidths"]) != len(names):
        raise CommandError(DIFFERENT_LENGTHS)
    if min(values["bandwidths"]) < 0:
        raise CommandError("Syntax error. Parameter bandwidths is invalid")
    values["groupName"] = values.get("groupName") or (stream_folder_name(names[0]) if len(names) == 1 else _random_group())
    if values.pop("encryptStream", False) and values["drmType"] == NO_DRM:
        values["drmType"] = "evo"
    values["drmType"] = DRM_TYPES[str(values["drmType"]).lower()]
    values.setdefault("staleRetentionCount", values["playlistLength"])
    values.setdefault("fileLength", 120 if values["useByteRange"] else 0)
    values["hlsVersion"] = server.config.application.hls_version
    check_together(values)
    for parameter in ("playlistName", "chunkBaseName"):
        file_name(parameter, values[parameter])
    return values


def settings_of(server: "Server", values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The settings of each stream's job, of `completed` parameters. Raises `CommandError` for folders that cannot be.

    The encryption is tried, so that what it lacks is told to the caller.
    """
    group = group_folder(target_folder(server.runtime, values["targetFolder"]), values["groupName"])
    common = {key: values[key] for key in (*HLS, *HLS_EXTRAS) if key in values} | {
        "groupTargetFolder": f"{group}/",
        "masterPlaylistPath": str(group / MASTER_NAME),
        "timestamp": round(server.clock.seconds() * 1000, 3),
    }
    jobs = []
    for name, bandwidth in zip(values["localStreamNames"], values["bandwidths"], strict=True):
        folder = str(file_path(group, stream_folder_name(name)))
        jobs.append({**common, "localStreamName": name, "bandwidth": bandwidth, "targetFolder": folder})
    check_free(server, jobs)
    _try_extensions(server, jobs[0])
    return jobs


def check_free(server: "Server", jobs: Iterable[Mapping[str, Any]]) -> None:
    """Raise `CommandError` when one of these jobs would write to the folder of another one, or of a job that there is."""
    taken = {job.settings.get("targetFolder") for job in server.jobs}
    for job in jobs:
        folder = job["targetFolder"]
        if folder in taken:
            raise CommandError(f"Stream {job['localStreamName']} is already written to {folder}")
        taken.add(folder)


def prepare_folders(jobs: Iterable[Mapping[str, Any]]) -> None:
    """Make the folders of jobs, and look whether they may be written to. Blocks; raises `CommandError`."""
    for job in jobs:
        folder = Path(job["targetFolder"])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"targetFolder cannot be used: {folder}: {error.strerror or error}") from None
        playlist = folder / job["playlistName"]
        if not job["overwriteDestination"] and not job["hlsResume"] and playlist.exists():
            raise CommandError(f"{playlist} is there already, and overwriteDestination is 0")


def _try_extensions(server: "Server", job: Mapping[str, Any]) -> None:
    own = HlsSettings.of(job)
    protection, listener = make_protection(server, own), make_part_listener(server, own)
    if protection is not None:
        protection.close()
    if listener is not None:
        listener.close()


def _random_group() -> str:
    return "hls_group_" + "".join(secrets.choice(_GROUP_CHARACTERS) for _ in range(8))
