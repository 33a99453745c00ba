"""How jobs find those who know a scheme."""

import re
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from ems.api.commands.pull_push import PULL_SCHEMES, PUSH_SCHEMES
from ems.interfaces import IPuller, IPusher
from ems.plugins import LazyPuller, LazyPusher, pullers, pushers
from tests.service.jobs.fakes import FakePlugin, World

FAKE = f"{FakePlugin.__module__}:{FakePlugin.__name__}"


def test_the_built_in_schemes() -> None:
    """RTMP and its relatives can be pulled and pushed without any further package."""
    assert {"rtmp", "rtmps", "rtmpt"} <= set(pullers()) & set(pushers())
    assert all(verifyObject(IPuller, plugin) for plugin in pullers().values())
    assert all(verifyObject(IPusher, plugin) for plugin in pushers().values())


def test_help_names_the_built_in_schemes() -> None:
    """What help says of pullStream and pushStream works, and what works is said."""
    words = [set(re.findall(r"[a-z]+", re.sub(r"\(.*?\)", "", text))) - {"and"} for text in (PULL_SCHEMES, PUSH_SCHEMES)]
    assert words == [set(pullers()), set(pushers())]


def test_the_first_of_two_keeps_a_scheme(monkeypatch: pytest.MonkeyPatch, log_events: list[dict[str, Any]]) -> None:
    """When two packages claim a scheme one of them has it, and the log names the other."""
    first, second = LazyPuller(("smoke", "drum"), FAKE), LazyPuller(("smoke",), FAKE)
    monkeypatch.setattr("ems.plugins.getPlugins", lambda interface: [first, second])
    assert pullers() == {"smoke": first, "drum": first}
    assert [event["plugin"] for event in log_events if "plugin" in event] == [second]


def test_a_plugin_is_loaded_when_it_is_used() -> None:
    """A plugin costs nothing before its first pull, and one that cannot be imported fails only its own jobs."""
    world = World()
    world.jobs.pullers = {"rtmp": LazyPuller(("rtmp",), FAKE), "rtsp": LazyPuller(("rtsp",), "no.such.module:Puller")}
    world.jobs.pushers = {"rtmp": LazyPusher(("rtmp",), FAKE)}
    world.publish("stage")
    pull, push = world.add_pull("a"), world.add_push("stage")
    broken = world.add_pull("b", "rtsp://192.0.2.1/b")
    assert [world.states(job.id)[0] for job in (pull, push)] == ["Connecting", "Connecting"]
    assert broken.status.current.reason == "the plugin for rtsp failed: No module named 'no'"
