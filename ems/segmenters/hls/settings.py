"""The settings of one HLS output, in words of its own, and what must not go together.

`HlsSettings.of` reads the runtime API's words (`ems.jobs.settings.HLS`), be they from a command, from ``config.lua`` or from
pushPullSetup.xml.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ems.errors import CommandError
from ems.jobs.settings import Settings
from ems.media.frame import SECOND
from ems.segmenters.cutting import SHORTEST, Rules

NO_DRM = "none"

DRM_TYPES = {"none": NO_DRM, "evo": "evo", "ems": "evo", "rms": "evo", "verimatrix": "verimatrix", "sample-aes": "sample-aes"}
"""Every spelling of ``drmType`` in lower case, and what it means."""

LEAST_VERSIONS = {"useByteRange": 4, "sample-aes": 5, "startOffset": 6}
"""``hlsVersion`` that a feature needs. EXT-X-START is of version 1, but the original asks for 6."""

FMP4_VERSION = 7
"""EXT-X-VERSION with fragmented MP4: EXT-X-MAP beside media segments needs 6, and CMAF players expect 7."""

DEFAULT_FILE_LENGTH = 120
"""Seconds in one file with byte ranges."""


@dataclass(frozen=True, slots=True)
class HlsSettings:
    """What to write, and where. Lengths of time are in seconds. `folder` is the stream's, `group_folder` the one above it.

    `part_length` is in milliseconds, 0 without low latency.
    """

    stream: str
    folder: Path
    group_folder: Path
    bandwidth: int
    playlist_name: str
    base_name: str
    rolling: bool
    playlist_length: int
    retention: int
    chunk_length: int
    max_chunk_length: int
    chunk_on_idr: bool
    overwrite: bool
    cleanup_destination: bool
    cleanup_on_close: bool
    create_master: bool
    resume: bool
    keep_alive: bool
    audio_only: bool
    drm_type: str
    key_count: int
    file_length: int
    utc: bool
    offset_time: int
    start_offset: int
    segment_type: str
    part_length: int
    version: int

    @classmethod
    def of(cls, settings: Settings) -> "HlsSettings":
        """Read the settings of a job. Raises `CommandError` when they make no sense."""
        values: dict[str, Any] = dict(settings)
        drm_type = DRM_TYPES.get(str(values["drmType"]).lower())
        if drm_type is None:
            raise CommandError(f"drmType {values['drmType']!r} is unknown")
        segment_type = str(values.get("segmentType", "ts"))
        version = int(values["hlsVersion"])
        return cls(
            stream=str(values["localStreamName"]),
            folder=Path(str(values["targetFolder"])),
            group_folder=Path(str(values["groupTargetFolder"])),
            bandwidth=int(values["bandwidth"]),
            playlist_name=str(values["playlistName"]),
            base_name=str(values["chunkBaseName"]),
            rolling=values["playlistType"] == "rolling",
            playlist_length=int(values["playlistLength"]),
            retention=int(values["staleRetentionCount"]),
            chunk_length=int(values["chunkLength"]),
            max_chunk_length=int(values["maxChunkLength"]),
            chunk_on_idr=bool(values["chunkOnIDR"]),
            overwrite=bool(values["overwriteDestination"]),
            cleanup_destination=bool(values["cleanupDestination"]),
            cleanup_on_close=bool(values["cleanupOnClose"]),
            create_master=bool(values["createMasterPlaylist"]),
            resume=bool(values["hlsResume"]),
            keep_alive=bool(values["keepAlive"]),
            audio_only=bool(values["audioOnly"]),
            drm_type=drm_type,
            key_count=int(values["AESKeyCount"]),
            file_length=(int(values["fileLength"]) or DEFAULT_FILE_LENGTH) if values["useByteRange"] else 0,
            utc=bool(values["useSystemTime"]),
            offset_time=int(values["offsetTime"]),
            start_offset=int(values["startOffset"]),
            segment_type=segment_type,
            part_length=int(values.get("partLength", 0)),
            version=max(version, FMP4_VERSION) if segment_type == "fmp4" else version,
        )

    @property
    def rules(self) -> Rules:
        """How the stream is cut. A ``maxChunkLength`` below ``chunkLength`` does not count."""
        maximum = self.max_chunk_length if self.max_chunk_length >= self.chunk_length else 0
        return Rules(
            length=self.chunk_length * SECOND,
            on_key_frame=self.chunk_on_idr,
            maximum=maximum * SECOND,
            # Parts that players have already got cannot change their tracks.
            growing=not self.part_length,
            shortest=0 if self.part_length else SHORTEST,
            exact=self.segment_type == "fmp4",
        )


def check_together(settings: Settings) -> None:
    """Raise `CommandError` for settings that exclude each other, or that ``hlsVersion`` of config.lua does not allow."""
    values: dict[str, Any] = dict(settings)
    version = int(values["hlsVersion"])
    wanted = [name for name in ("useByteRange", "startOffset") if values[name]]
    if str(values["drmType"]).lower() == "sample-aes":
        wanted.append("sample-aes")
    for name in wanted:
        if version < LEAST_VERSIONS[name]:
            raise CommandError(f"{name} needs hlsVersion {LEAST_VERSIONS[name]} or higher in config.lua, which says {version}")
    if values["fileLength"] and not values["useByteRange"]:
        raise CommandError("fileLength needs useByteRange")
    for name in ("cleanupDestination", "cleanupOnClose"):
        if values["hlsResume"] and values[name]:
            raise CommandError(f"hlsResume and {name} must not go together")
