"""What ``twistd ems`` runs: its options, and the service made from them.

``twistd`` brings what a daemon needs (``--pidfile``, ``--uid``, ``--gid``, ``--logfile``, ``--reactor``); see docs/running.md.
"""

from pathlib import Path
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from ems.process import raise_file_limit, spare_collector


class Options(UsageOptions):
    """``twistd ems --config FILE --runtime DIR``; both are optional."""

    synopsis = "[--config FILE] [--runtime DIR]"
    longdesc = "EMS, a live media server."
    optParameters = (
        ["config", "c", None, "Configuration file; by default config/config.lua in the runtime directory."],
        ["runtime", "r", ".", "Runtime directory: holds config/, media/, webroot/ and logs/, and is made when missing."],
    )


def makeService(options: dict[str, Any]) -> IService:
    """The server as a service for ``twistd``. Raises UsageError for a configuration that does not hold."""
    from twisted.internet import reactor

    from ems.config import ConfigError
    from ems.service import make_service

    raise_file_limit()
    config = Path(options["config"]) if options["config"] else None
    try:
        service: MultiService = make_service(config, Path(options["runtime"]), reactor)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    reactor.addSystemEventTrigger("after", "startup", spare_collector)
    return service
