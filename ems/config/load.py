"""From the file ``config.lua`` to a `Config`: run it, read its table, check what single keys cannot tell.

What is wrong with a file, and what follows:

========================================================== ==========================================
a value of a wrong type or range, a missing mandatory key  error
no application, two of them, a name given twice            error
an acceptor without address, or with half a TLS pair       error
a users file that does not exist                           error
a key or certificate that does not exist                   warning, left out; a note for an ``optional`` acceptor
an unknown protocol, log appender or event sink            warning, left out
a storage without a folder, or with the same as another    warning, left out
an unknown key                                             warning, with the nearest known name
a value that asks for what this version does not have      note; an error for a Unix socket and ``verifierUri``
========================================================== ==========================================

All errors of a file are told together, in one `ConfigError`.
"""

import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from ems.config import lua
from ems.config.checks import check_application, check_server
from ems.config.errors import ConfigError
from ems.config.reader import Finding, Findings, read_section
from ems.config.sections import Config, Root

GLOBAL = "configuration"
"""The Lua global that holds the configuration."""


def load_config(path: Path, *, known_protocols: Collection[str] | None = None, directory: Path | None = None) -> Config:
    """Read the file at `path`; raises `ConfigError`.

    `known_protocols` are the names that acceptors may use (None: any). Files and folders that the configuration names are
    looked for in `directory`, the runtime directory, which is the working directory when None.
    """
    if path.suffix.lower() != ".lua":
        raise ConfigError(f"{path}: expected a file that ends in .lua")
    values = lua.load_global(path, GLOBAL)
    if not isinstance(values, dict):
        raise ConfigError(f"{path.name}: {GLOBAL}: expected a table with names")
    config = parse_config(values, path.name, known_protocols=known_protocols, directory=directory)
    return replace(config, source=path, warnings=_file_warnings(path) + config.warnings)


def parse_config(
    values: Mapping[str, object],
    source: str,
    *,
    known_protocols: Collection[str] | None = None,
    directory: Path | None = None,
) -> Config:
    """Make a `Config` of the table `values`, called `source` in messages; otherwise like `load_config`."""
    findings = Findings()
    root = check_server(read_section(Root, values, "", findings), findings)
    application = check_application(root.applications, known_protocols, directory or Path(), findings)
    if application is None or findings.errors:
        raise ConfigError(_lines(source, findings.errors))
    return Config(
        application=application,
        daemon=root.daemon,
        instances_count=root.instances_count,
        path_separator=root.path_separator,
        log_appenders=root.log_appenders,
        event_logger=root.event_logger,
        warnings=_lines(source, findings.warnings),
        notes=_lines(source, findings.notes),
        source=Path(source),
    )


def _lines(source: str, findings: list[Finding]) -> tuple[str, ...]:
    return tuple(f"{source}: {place}: {text}" if place else f"{source}: {text}" for place, text in findings)


def _file_warnings(path: Path) -> tuple[str, ...]:
    """Warn about a configuration that anyone may change: it says which doors are open, and which programs are started."""
    if os.name == "posix" and path.stat().st_mode & stat.S_IWOTH:
        return (f"{path.name}: every user of this machine may write it",)
    return ()
