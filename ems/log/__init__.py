"""The log: Twisted's log events, written where ``logAppenders`` of the configuration says, by level.

Everything that has something to say uses ``twisted.logger.Logger`` and knows nothing of this package; see
`ems.log.outputs` for what becomes of it.
"""

from ems.log.levels import DEBUG, ERROR, FATAL, FINE, FINEST, INFO, OFF, WARNING, level_of
from ems.log.outputs import LogOutputs

__all__ = ["DEBUG", "ERROR", "FATAL", "FINE", "FINEST", "INFO", "OFF", "WARNING", "LogOutputs", "level_of"]
