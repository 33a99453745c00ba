"""Secret names of groups (``hasGroupNameAliases``): a viewer gets a name that works once, for one address, and no other.

A *group* is the folder of a stream's playlists under the web root. Whoever asks first for ``/<alias>`` owns the alias: other
addresses do not find it any more, and when the owner's session ends it is gone. Aliases live in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ems.errors import CommandError
from ems.security.paths import split_path

MAX_ALIASES = 100_000
"""About 30 MB: more sold-and-unused tickets than one server has viewers."""


@dataclass(slots=True)
class GroupAlias:
    """One alias; `owner` is the address that used it first, empty until then."""

    name: str
    group: str
    owner: str = ""


class GroupAliases:
    """All aliases by name, in the order in which they were given out."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self._aliases: dict[str, GroupAlias] = {}
        self._hidden: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._aliases)

    def __iter__(self) -> Iterator[GroupAlias]:
        return iter(self._aliases.values())

    def add(self, name: str, group: str) -> None:
        """Give a group another name. Raises `CommandError`: the name is taken, is no path, or there are too many."""
        name, group = "/".join(split_path(name)), "/".join(split_path(group))
        if not name or not group:
            raise CommandError("a name is empty")
        if name in self._aliases:
            raise CommandError(f"{name} is in use")
        if len(self._aliases) >= MAX_ALIASES:
            raise CommandError(f"there are {MAX_ALIASES} aliases")
        self._aliases[name] = GroupAlias(name, group)
        self._hidden[group] = self._hidden.get(group, 0) + 1

    def get(self, name: str) -> GroupAlias | None:
        """The alias of that name."""
        return self._aliases.get(name)

    def remove(self, name: str) -> GroupAlias:
        """Take one alias back. Raises `CommandError` for an unknown one."""
        alias = self._aliases.pop(name, None)
        if alias is None:
            raise CommandError(f"{name} is not an alias")
        self._hidden[alias.group] -= 1
        if not self._hidden[alias.group]:
            del self._hidden[alias.group]
        return alias

    def clear(self) -> None:
        """Take all aliases back."""
        self._aliases.clear()
        self._hidden.clear()

    def hides(self, path: str) -> bool:
        """Whether a file can be had by its alias only."""
        return path in self._hidden
