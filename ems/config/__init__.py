"""The configuration: ``config.lua`` → checked, typed sections; and the runtime directory in which it lies."""

from ems.config.errors import ConfigError
from ems.config.features import (
    Authentication,
    AutoHls,
    AutoOutput,
    Drm,
    Manhole,
    RtmpAuthentication,
    RtspAuthentication,
    Transcoder,
    WebRtc,
    WsAuthentication,
)
from ems.config.load import load_config, parse_config
from ems.config.logs import EventLogger, EventSink, LogAppender
from ems.config.runtime import Runtime, prepare_runtime
from ems.config.sections import AcceptorConfig, Application, Config, MediaStorage, Multicast, Storage

__all__ = [
    "AcceptorConfig",
    "Application",
    "Authentication",
    "AutoHls",
    "AutoOutput",
    "Config",
    "ConfigError",
    "Drm",
    "EventLogger",
    "EventSink",
    "LogAppender",
    "Manhole",
    "MediaStorage",
    "Multicast",
    "RtmpAuthentication",
    "RtspAuthentication",
    "Runtime",
    "Storage",
    "Transcoder",
    "WebRtc",
    "WsAuthentication",
    "load_config",
    "parse_config",
    "prepare_runtime",
]
