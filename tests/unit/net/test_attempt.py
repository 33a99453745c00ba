"""Attempts: one end for each, whatever happens, and another connection when one is planned."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent

from ems.errors import CommandError
from ems.net.attempt import Attempt, ReconnectingAttempt, referred
from ems.net.dialing import ip_fields
from ems.uri import Uri

URI = Uri.parse("rtmp://192.0.2.1/live/cam")


class Observer:
    """Remembers the reasons that it is told."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)


class FakeConnection:
    """Remembers why it was closed."""

    def __init__(self) -> None:
        self.reason = ""

    def close(self, reason: str) -> None:
        self.reason = reason


class Trial(ReconnectingAttempt):
    """An attempt whose connections are the test's; `started` has one Deferred for each."""

    def __init__(self, observer: Observer) -> None:
        any_server: Any = None
        any_observer: Any = observer
        super().__init__(any_server, URI, {}, any_observer)
        self.started: list[Deferred[Any]] = []
        self.released = 0

    def start(self) -> "Deferred[Any]":
        self.started.append(Deferred())
        return self.started[-1]

    def release(self) -> None:
        self.released += 1


def connected(trial: Trial) -> FakeConnection:
    """The trial's newest connection, just made."""
    connection = FakeConnection()
    trial.started[-1].callback(connection)
    return connection


@pytest.fixture
def observer() -> Observer:
    """Who is told of the end."""
    return Observer()


@pytest.fixture
def trial(observer: Observer) -> Trial:
    """An attempt that has begun."""
    return Trial(observer).begin()


def test_the_end_is_told_once(trial: Trial, observer: Observer) -> None:
    """However many ways an attempt ends at the same time, whoever made it hears of one."""
    connected(trial)
    trial.lost("the connection is lost")
    trial.stop("the server stops")
    trial.lost("again")
    assert observer.reasons == ["the connection is lost"]
    assert trial.released == 1


def test_stopping_while_it_connects(trial: Trial, observer: Observer) -> None:
    """A pull that is removed before the other server has answered ends at once, and connects to nobody any more."""
    trial.stop("it is removed")
    assert observer.reasons == ["it is removed"]
    assert trial.started[0].called
    assert len(trial.started) == 1


def test_stopping_a_connection_waits_for_its_end(trial: Trial, observer: Observer) -> None:
    """A connection gets the time to say goodbye."""
    connection = connected(trial)
    trial.stop("it is removed")
    assert (connection.reason, observer.reasons) == ("it is removed", [])
    trial.lost("it is removed")
    assert observer.reasons == ["it is removed"]


def test_a_connection_that_is_gone_before_it_is_told_of(trial: Trial, observer: Observer) -> None:
    """What is left at once, for its address, is not taken for a connection afterwards."""
    trial.lost("out of bounds")
    connection = connected(trial)
    trial.stop("it is removed")
    assert (connection.reason, observer.reasons) == ("", ["out of bounds"])


def test_a_failure_names_the_other_server(trial: Trial, observer: Observer) -> None:
    """Whoever reads why a pull does not come about sees to where it should have connected."""
    trial.started[0].errback(OSError("no route"))
    assert observer.reasons == ["cannot connect to 192.0.2.1:1935: no route"]


def test_a_mistake_of_ours_is_logged(trial: Trial, observer: Observer, log_events: list[LogEvent]) -> None:
    """The job goes on with its next try, and the log says where the fault is."""
    trial.started[0].errback(KeyError("tcUrl"))
    assert len(observer.reasons) == 1
    assert [event["log_failure"].type for event in log_events if "log_failure" in event] == [KeyError]


def test_what_is_raised_at_once_is_an_end(observer: Observer) -> None:
    """Settings that make no sense are told as any other reason."""

    class Impossible(Attempt):
        def start(self) -> None:
            raise CommandError("there is no such thing")

    nobody: Any = None
    told: Any = observer
    Impossible(nobody, URI, {}, told).begin()
    assert observer.reasons == ["there is no such thing"]


def test_another_connection_follows(trial: Trial, observer: Observer) -> None:
    """A redirect is followed, within one attempt; one that is stopped is not."""
    connected(trial)
    trial.connect_again()
    trial.lost("redirected")
    assert (len(trial.started), observer.reasons) == (2, [])
    connected(trial)
    trial.connect_again()
    trial.stop("it is removed")
    trial.lost("it is removed")
    assert (len(trial.started), observer.reasons) == (2, ["it is removed"])


def test_redirects_in_a_circle_end(trial: Trial, observer: Observer) -> None:
    """Servers that send us to each other are left after some rounds."""
    for _ in range(Trial.MAX_CONNECTIONS):
        connected(trial)
        trial.connect_again()
        trial.lost("redirected")
    assert (len(trial.started), observer.reasons) == (Trial.MAX_CONNECTIONS, ["redirected"])


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("rtsp://192.0.2.9:8554/other", "rtsp://192.0.2.9:8554/other"),
        ("/other", "rtsp://192.0.2.1:554/other"),
        ("other", "rtsp://192.0.2.1:554/a/other"),
        ("../other?q=1", "rtsp://192.0.2.1:554/other?q=1"),
        ("//192.0.2.9/b", "rtsp://192.0.2.9/b"),
    ],
)
def test_references(reference: str, meant: str) -> None:
    """A redirect may be relative to the address that it comes from."""
    assert referred("rtsp://192.0.2.1:554/a/cam", reference).text == meant


@pytest.mark.parametrize("reference", ["rtsp://", "//[x", "http://["])
def test_a_reference_to_nothing(reference: str) -> None:
    """What is no address is refused in words."""
    with pytest.raises(CommandError, match="Invalid URI"):
        referred("rtsp://192.0.2.1/a", reference)


def test_fields_that_nobody_has_asked_for() -> None:
    """256 is the value of ``ttl`` and ``tos`` that leaves them to the operating system."""
    assert ip_fields({}) == ip_fields({"ttl": 256, "tos": 256}) == (None, None)
    assert ip_fields({"ttl": 8, "tos": 0}) == (8, 0)
