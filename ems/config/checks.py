"""The checks that need more than one key or the disk: names, files that must exist, folders, known protocols."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from ems.config.errors import at, shown
from ems.config.keys import FilePath, Section, SectionList, declarations
from ems.config.reader import Findings
from ems.config.sections import (
    DEFAULT_CLIENT_SIDE_BUFFER,
    DEFAULT_OUT_BUFFER,
    AcceptorConfig,
    Application,
    Applications,
    MediaStorage,
    Root,
    Storage,
)

T = TypeVar("T")

FINEST_GRANULARITY = 0.1
"""Seconds between seek points below which the default is used."""

PLACE = "applications[1]"
"""The place of the one application."""


def check_server(root: Root, findings: Findings) -> Root:
    """Check what concerns the whole server."""
    if root.instances_count > 1 and not root.daemon:
        findings.warn("instancesCount", "counts in daemon mode only: one process is started")
    return root


def check_application(
    applications: Applications, known_protocols: Collection[str] | None, directory: Path, findings: Findings
) -> Application | None:
    """Return the one application with complete paths and without what is skipped; None when there is none.

    Files are looked for in `directory`, the runtime directory.
    """
    if not applications.entries:
        if not findings.errors:
            findings.error("applications", "holds no application")
        return None
    for index in range(2, len(applications.entries) + 1):
        findings.error(at("applications", index), "one application is all that the server runs: make its name an alias")
    application = applications.entries[0]
    app_dir = application.app_dir or applications.root_directory
    application = replace(_rebased(application, app_dir), app_dir=app_dir)
    _check_names(application, findings)
    _check_authentication(application, directory, findings)
    if application.max_rtsp_out_buffer != DEFAULT_OUT_BUFFER:
        findings.note(
            f"{PLACE}.maxRtspOutBuffer",
            "is not used: what waits for RTSP clients is kept once for all of them, 4 s and 4 MiB at most",
        )
    return replace(
        application,
        acceptors=_usable_acceptors(application.acceptors, known_protocols, directory, findings),
        media_storage=_usable_storages(application.media_storage, directory, findings),
    )


def _rebased(section: T, folder: str) -> T:
    """Return `section` with `folder` before all its relative paths, in inner tables, too."""
    if os.path.normpath(folder) == ".":
        return section
    changes: dict[str, object] = {}
    for name, key in declarations(type(section)).keys.items():
        value = getattr(section, name)
        if isinstance(key.kind, FilePath):
            changes[name] = value and os.path.join(folder, value)
        elif isinstance(key.kind, SectionList):
            changes[name] = tuple(_rebased(item, folder) for item in value)
        elif isinstance(key.kind, Section) and value is not None:
            changes[name] = _rebased(value, folder)
    return cast(T, replace(cast(Any, section), **changes))


def _check_names(application: Application, findings: Findings) -> None:
    taken = {application.name}
    for index, alias in enumerate(application.aliases, 1):
        if alias in taken:
            findings.error(at(f"{PLACE}.aliases", index), f"{shown(alias)} is a name of the application already")
        taken.add(alias)


def _check_authentication(application: Application, directory: Path, findings: Findings) -> None:
    place = f"{PLACE}.authentication"
    rtmp, rtsp = application.authentication.rtmp, application.authentication.rtsp
    if rtmp is not None and rtmp.verifier_uri:
        findings.error(f"{place}.rtmp.verifierUri", "is not in this version, and publishers would not be verified: take it out")
    if rtmp is not None and rtmp.encoder_agents:
        findings.note(f"{place}.rtmp.encoderAgents", "is not used: every publisher is asked to log in, whatever its encoder")
    for scheme, block in (("rtmp", rtmp), ("rtsp", rtsp)):
        if block is not None and block.users_file and not (directory / block.users_file).is_file():
            findings.error(f"{place}.{scheme}.usersFile", f"no such file: {shown(block.users_file)}")


def _usable_acceptors(
    acceptors: tuple[AcceptorConfig, ...], known_protocols: Collection[str] | None, directory: Path, findings: Findings
) -> tuple[AcceptorConfig, ...]:
    """Return the acceptors that can be started; the others have been reported."""
    spellings = None if known_protocols is None else {name.lower(): name for name in known_protocols}
    usable = []
    for index, acceptor in enumerate(acceptors, 1):
        place = at(f"{PLACE}.acceptors", index)
        if acceptor.tls and acceptor.protocol.lower() == "inboundrtmp":
            acceptor = replace(acceptor, protocol="inboundRtmps")
        if spellings is not None:
            protocol = spellings.get(acceptor.protocol.lower())
            if protocol is None:
                findings.warn(f"{place}.protocol", f"{shown(acceptor.protocol)} is not a protocol that the server knows; skipped")
                continue
            acceptor = replace(acceptor, protocol=protocol)
        if acceptor.path:
            findings.error(f"{place}.path", "Unix sockets are not in this version: give ip and port instead")
        elif _has_its_files(acceptor, place, directory, findings):
            usable.append(acceptor)
    return tuple(usable)


def _has_its_files(acceptor: AcceptorConfig, place: str, directory: Path, findings: Findings) -> bool:
    """Return whether key and certificate exist where they are asked for; says so when not."""
    if not acceptor.tls:
        return True
    for name, path in (("sslKey", acceptor.ssl_key), ("sslCert", acceptor.ssl_cert)):
        if not path or (directory / path).is_file():
            continue
        if acceptor.optional:
            findings.note(place, f"{acceptor.protocol} on port {acceptor.port} is off: there is no {shown(path)}")
        else:
            findings.warn(at(place, name), f"no such file: {shown(path)}; the acceptor is skipped")
        return False
    return True


def _usable_storages(media: MediaStorage, directory: Path, findings: Findings) -> MediaStorage:
    """Return the storages whose folders exist, each folder once; the others have been reported."""
    seen: set[Path] = set()
    usable = []
    for storage in media.storages:
        folder = (directory / storage.media_folder).resolve()
        trouble = _storage_trouble(storage, folder, directory)
        if trouble is None and folder in seen:
            trouble = f"{shown(storage.media_folder)} is the folder of another storage"
        if trouble is not None:
            findings.warn(at(f"{PLACE}.mediaStorage", storage.name), f"{trouble}; skipped")
            continue
        seen.add(folder)
        usable.append(_with_limits(storage))
    return replace(media, storages=tuple(usable))


def _storage_trouble(storage: Storage, folder: Path, directory: Path) -> str | None:
    if not storage.media_folder:
        return "mediaFolder is missing"
    if not folder.is_dir():
        return f"no such folder: {shown(storage.media_folder)}"
    if storage.meta_folder and not (directory / storage.meta_folder).is_dir():
        return f"no such folder: {shown(storage.meta_folder)}"
    return None


def _with_limits(storage: Storage) -> Storage:
    """Return `storage` with the values that the documents name for those that make no sense."""
    return replace(
        storage,
        client_side_buffer=storage.client_side_buffer or DEFAULT_CLIENT_SIDE_BUFFER,
        seek_granularity=storage.seek_granularity if storage.seek_granularity >= FINEST_GRANULARITY else 1.0,
    )
