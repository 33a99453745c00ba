"""The built-in commands, one module a group. Plugins add groups of their own (`ems.interfaces.ICommandGroup`)."""

from twisted.plugin import getPlugins

from ems.api.command import CommandGroup
from ems.api.commands.aliases import ALIASES
from ems.api.commands.authentication import AUTHENTICATION
from ems.api.commands.cluster import CLUSTER
from ems.api.commands.configurations import CONFIGURATIONS
from ems.api.commands.connections import CONNECTIONS
from ems.api.commands.http_streaming import HTTP_STREAMING
from ems.api.commands.ingest import INGEST
from ems.api.commands.metadata import METADATA
from ems.api.commands.playlists import PLAYLISTS
from ems.api.commands.processes import PROCESSES
from ems.api.commands.pull_push import PULL_PUSH
from ems.api.commands.recording import RECORDING
from ems.api.commands.services import SERVICES
from ems.api.commands.storage import STORAGE
from ems.api.commands.streams import STREAMS
from ems.api.commands.timers import TIMERS
from ems.api.commands.utility import UTILITY
from ems.api.commands.webrtc import WEBRTC
from ems.api.registry import CommandRegistry
from ems.interfaces import ICommandGroup

BUILT_IN_GROUPS: tuple[CommandGroup, ...] = (
    STREAMS,
    PULL_PUSH,
    RECORDING,
    CONFIGURATIONS,
    HTTP_STREAMING,
    ALIASES,
    INGEST,
    WEBRTC,
    METADATA,
    PLAYLISTS,
    PROCESSES,
    TIMERS,
    STORAGE,
    CONNECTIONS,
    SERVICES,
    AUTHENTICATION,
    UTILITY,
    CLUSTER,
)
"""The groups in the order of ``help`` and of the reference."""


def load_commands() -> CommandRegistry:
    """The registry of the built-in groups and of those that plugins bring. ValueError when two claim one name."""
    plugged = [group for group in getPlugins(ICommandGroup) if group not in BUILT_IN_GROUPS]
    return CommandRegistry([*BUILT_IN_GROUPS, *plugged])
