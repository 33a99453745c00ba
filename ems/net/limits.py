"""How many connections may be open, and how fast they may be together, before new ones are turned away.

The limits are set by commands and outlive a restart. They bind new connections only: who is there stays. Control doors are not
bound by them, so that an operator can always come in and raise them.
"""

from collections.abc import Mapping
from typing import Protocol

from twisted.application.service import Service

from ems.config.store import Store
from ems.config.variant import UInt32, VariantError
from ems.config.variant_xml import read_variant, write_variant


class Load(Protocol):
    """What is limited: the open media connections, and the bytes a second that come in and go out."""

    @property
    def media_count(self) -> int:
        """Open media connections, whoever opened them."""

    @property
    def speed(self) -> tuple[float, float]:
        """Bytes a second in and out."""


class Limits:
    """The limits of now; 0 is none. Bandwidths are in bytes a second."""

    def __init__(self) -> None:
        self.connections = 0
        self.bandwidth_in = 0.0
        self.bandwidth_out = 0.0

    def refusal(self, load: Load) -> str:
        """Why one more connection would be too many, empty when it would not."""
        if self.connections and load.media_count >= self.connections:
            return f"the limit is {self.connections} connections"
        received, sent = load.speed
        if self.bandwidth_in and received > self.bandwidth_in:
            return f"the limit is {self.bandwidth_in:.0f} bytes a second in"
        if self.bandwidth_out and sent > self.bandwidth_out:
            return f"the limit is {self.bandwidth_out:.0f} bytes a second out"
        return ""


class LimitKeeper(Service):
    """Keeps `limits` in connlimits.xml and bandwidthlimits.xml."""

    name = "limits"

    def __init__(self, limits: Limits, connections: Store, bandwidth: Store) -> None:
        self.limits = limits
        self._connections = connections
        self._bandwidth = bandwidth

    def startService(self) -> None:
        """Read what was set before the restart; a file of a wrong form counts as none, and the log says so."""
        super().startService()
        self.limits.connections = self._connections.load(_read_count) or 0
        self.limits.bandwidth_in, self.limits.bandwidth_out = self._bandwidth.load(_read_bandwidth) or (0.0, 0.0)

    async def stopService(self) -> None:
        super().stopService()
        await self._connections.flush()
        await self._bandwidth.flush()

    async def limit_connections(self, count: int) -> None:
        """Let in at most so many media connections, 0 any number; returns when that is on the disk, or the log tells why not."""
        self.limits.connections = count
        await self._connections.save(write_variant(UInt32(count)))

    async def limit_bandwidth(self, received: float, sent: float) -> None:
        """Let nobody in while more than so many bytes a second come in or go out, 0 is any.

        Returns when that is on the disk, or the log tells why it is not.
        """
        self.limits.bandwidth_in, self.limits.bandwidth_out = received, sent
        await self._bandwidth.save(write_variant({"in": float(received), "out": float(sent)}))


def _read_count(content: bytes) -> int:
    value = read_variant(content)
    if not isinstance(value, UInt32):
        raise VariantError(f"expected a UINT32, got a {type(value).__name__}")
    return int(value)


def _read_bandwidth(content: bytes) -> tuple[float, float]:
    value = read_variant(content)
    if not isinstance(value, Mapping):
        raise VariantError(f"expected a MAP, got a {type(value).__name__}")
    received, sent = value.get("in"), value.get("out")
    if not isinstance(received, float) or not isinstance(sent, float) or min(received, sent) < 0:
        raise VariantError("expected the DOUBLE values in and out, not below 0")
    return received, sent
