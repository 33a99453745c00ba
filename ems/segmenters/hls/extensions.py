"""Encryption and low latency by name. Each is imported when an output asks for it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ems.segmenters.hls.seams import PartListener, Protection
from ems.segmenters.hls.settings import NO_DRM, HlsSettings

if TYPE_CHECKING:
    from ems.server import Server

PROTECTIONS = {
    "evo": "ems.segmenters.hls.encryption:AesProtection",
    "sample-aes": "ems.segmenters.hls.sample_aes:SampleAesProtection",
    "verimatrix": "ems.segmenters.hls.verimatrix:VerimatrixProtection",
}
"""What makes a `Protection` of a server and settings, by ``drmType``. Raises `CommandError` when that cannot be."""

LOW_LATENCY = "ems.segmenters.hls.lowlatency:LowLatency"
"""What makes a `PartListener`, likewise."""


def make_protection(server: "Server", settings: HlsSettings) -> Protection | None:
    """The encryption that these settings ask for. Raises `CommandError`."""
    if settings.drm_type == NO_DRM:
        return None
    return cast(Protection, _make(PROTECTIONS[settings.drm_type], server, settings))


def make_part_listener(server: "Server", settings: HlsSettings) -> PartListener | None:
    """Low latency, if these settings ask for it. Raises `CommandError`."""
    if not settings.part_length:
        return None
    return cast(PartListener, _make(LOW_LATENCY, server, settings))


def _make(name: str, server: "Server", settings: HlsSettings) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)(server, settings)
