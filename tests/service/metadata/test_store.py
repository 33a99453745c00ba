"""What is kept of metadata, and who is told."""

import json

import pytest

from ems.errors import MalformedData
from ems.metadata.service import ALL, Metadata
from tests.conversation import MemoryWorld


def data(metadata: Metadata | None) -> object:
    """What is in an envelope."""
    return None if metadata is None else json.loads(metadata.text)["data"]


def test_the_newest_counts(world: MemoryWorld) -> None:
    """Of each stream the newest text is kept; without a name, the newest of all."""
    store = world.server.metadata
    assert (store.newest("lobby"), store.newest_of_any()) == (None, None)
    for name, text in (("lobby", "1"), ("yard", "2"), ("lobby", "3")):
        store.publish(name, text)
    assert (data(store.newest("lobby")), data(store.newest("yard")), data(store.newest_of_any())) == (3, 2, 3)
    store.publish("yard", "4")
    assert data(store.newest_of_any()) == 4


def test_what_is_for_all_is_for_each(world: MemoryWorld) -> None:
    """Metadata without a stream is the newest of every stream until that has newer."""
    store = world.server.metadata
    store.publish("lobby", "1")
    store.publish(ALL, "2")
    assert (data(store.newest("lobby")), data(store.newest("yard"))) == (2, 2)
    store.publish("lobby", "3")
    assert (data(store.newest("lobby")), data(store.newest("yard"))) == (3, 2)


@pytest.mark.parametrize("spelling", ["", "~0~0~0~", "0~0~0"])
def test_all_has_three_spellings(world: MemoryWorld, spelling: str) -> None:
    """The configuration's, the command's, and none."""
    assert world.server.metadata.name_of(spelling) == ALL


def test_refused_metadata_changes_nothing(world: MemoryWorld) -> None:
    """A text that is no JSON neither replaces what was there nor reaches anybody."""
    store = world.server.metadata
    store.publish("lobby", "1")
    told: list[Metadata] = []
    store.listen("lobby", told.append)
    with pytest.raises(MalformedData):
        store.publish("lobby", "{")
    assert (data(store.newest("lobby")), told) == (1, [])


def test_the_store_is_bounded(world: MemoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names are made up, a thousand are kept, and no more than 16 MiB."""
    store = world.server.metadata
    for index in range(store.MAX_NAMES + 10):
        store.publish(f"s{index}", "1")
    assert store.newest("s9") is None
    assert data(store.newest("s10")) == 1
    monkeypatch.setattr(store, "MAX_BYTES", 200_000)
    for index in range(10):
        store.publish(f"big{index}", '"' + "x" * 60_000 + '"')
    assert store.newest("big6") is None
    assert data(store.newest("big9")) == "x" * 60_000
    assert store._size == sum(len(kept.text) for kept in store._kept.values())


def test_a_listener_that_fails_harms_nobody(world: MemoryWorld) -> None:
    """The others are told, and the sender does not notice."""
    store = world.server.metadata
    told: list[Metadata] = []

    def fail(metadata: Metadata) -> None:
        told.append(metadata)
        store.unlisten("lobby", fail)

    store.listen("lobby", fail)
    store.listen("lobby", told.append)
    store.publish("lobby", "1")
    store.publish("lobby", "2")
    assert [data(one) for one in told] == [1, 1, 2]
