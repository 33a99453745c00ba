"""Ingest points: secret names to publish under, so that nobody can take the place of a stream by knowing its name.

An ingest point maps the *private* name, which the publisher uses, to the *public* one, which the stream gets. With
``hasIngestPoints`` nothing else can be published. They are kept in ``ingestpoints.xml``.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.logger import Logger

from ems.config.store import Store
from ems.config.variant import VariantError
from ems.config.variant_xml import read_variant, write_variant
from ems.errors import CommandError
from ems.streams.names import checked_name, short_name

if TYPE_CHECKING:
    from ems.server import Server
    from ems.streams.inbound import InboundStream

MAX_POINTS = 10_000
"""Ingest points: the file of so many has a megabyte."""


class UnknownIngestPoint(CommandError):
    """A publisher's name that is not the private name of an ingest point."""


class IngestPoints(Service):
    """The ingest points by private name; any name can be published, as itself, unless it is `enabled`."""

    name = "ingest-points"
    log = Logger()

    def __init__(self, store: Store, *, enabled: bool) -> None:
        self.enabled = enabled
        self._store = store
        self._public_names: dict[str, str] = {}
        self._names: set[str] = set()

    def startService(self) -> None:
        """Read what was created before the restart; entries that cannot be used are left out, and the log says so."""
        super().startService()
        for number, (private, public) in enumerate((self._store.load(_read_points) or {}).items(), 1):
            try:
                self._add(private, public)
            except CommandError as error:
                self.log.error("{path}: entry {number}: {reason}", path=str(self._store.path), number=number, reason=error)

    async def stopService(self) -> None:
        super().stopService()
        await self._store.flush()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Private and public name of each."""
        return iter([*self._public_names.items()])

    def __contains__(self, private: object) -> bool:
        return self.enabled and private in self._public_names

    async def create(self, private: str, public: str) -> None:
        """Add an ingest point; returns when it is on the disk, or the log tells why it cannot be kept over a restart.

        Raises `CommandError`: the feature is off, a name is no stream name or is in use by any point, or both are the same.
        """
        if not self.enabled:
            raise CommandError("ingest points are off in the configuration")
        self._add(private, public)
        await self._save()

    async def remove(self, private: str) -> str:
        """Take an ingest point back and return its public name; a stream that runs goes on.

        Returns when that is on the disk, or the log tells why it is not. Raises `CommandError` for an unknown name.
        """
        public = self._public_names.pop(private, None)
        if public is None:
            raise CommandError(f"there is no ingest point {private}")
        self._names -= {private, public}
        await self._save()
        return public

    def public_name(self, published: str) -> str:
        """The name under which a publisher's stream appears. Raises `UnknownIngestPoint`, which does not repeat the name."""
        if not self.enabled:
            return published
        try:
            return self._public_names[checked_name(published)]
        except (CommandError, KeyError):
            raise UnknownIngestPoint("there is no ingest point of that name") from None

    def _add(self, private: str, public: str) -> None:
        private, public = checked_name(private), checked_name(public)
        if private == public:
            raise CommandError("private and public name are the same")
        for name in (private, public):
            if name in self._names:
                raise CommandError("one of the names is in use by another ingest point")
            if short_name(name) != name:
                raise CommandError("one of the names has a query, which no stream name keeps")
        if len(self._public_names) >= MAX_POINTS:
            raise CommandError(f"there are {MAX_POINTS} ingest points already")
        self._public_names[private] = public
        self._names |= {private, public}

    async def _save(self) -> None:
        await self._store.save(write_variant(self._public_names))


def publish(server: "Server", name: str, *, type_tag: str, source: Any) -> "InboundStream":
    """The stream of somebody who publishes under this name; one that came through an ingest point keeps that in its details.

    Raises `CommandError`: there is no such ingest point, or the stream cannot have its name (`StreamManager.register`).
    """
    public_name = server.ingest_points.public_name(name)
    stream = server.streams.register(public_name, type_tag=type_tag, source=source)
    if public_name != name:
        stream.details["ingestPoint"] = name
    return stream


def _read_points(content: bytes) -> dict[str, str]:
    value = read_variant(content)
    if not isinstance(value, Mapping):
        raise VariantError(f"expected a MAP, got a {type(value).__name__}")
    return {private: public if isinstance(public, str) else "" for private, public in value.items()}
