"""The sink that posts: receivers may be slow, dead or broken, and nobody but they notice."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent

from ems.errors import CommandError
from ems.events.rpc import FIRST_PAUSE, LAST_WORDS, LONGEST_PAUSE, MAX_BACKLOG, PATIENCE, TIMEOUT, Address, RpcSink
from tests.service.events.receivers import DEAD, SILENT, FakeAgent, signature
from tests.unit.events.samples import event


class Bench:
    """A sink on a clock, and the receiver that the test plays."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.agent = FakeAgent(self.clock)
        address = Address.parse("http://192.0.2.5/hook?key=secret")
        given: dict[str, Any] = {"close": self.agent.close, "user_agent": "EMS/1", **options}
        self.sink = RpcSink(self.clock, self.agent, address, given.pop("serializer", "JSON"), **given)

    def emit(self, *numbers: int) -> None:
        for number in numbers:
            self.sink(event("timerTriggered", number, timerId=number))

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds * 4))


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.sink.start()
    return made


def lines(log_events: list[LogEvent]) -> list[str]:
    return [formatEvent(event) for event in log_events if event["log_namespace"].startswith("ems.events")]


def test_events_go_out_one_after_another(bench: Bench) -> None:
    """The next event is sent when the one before it has been taken."""
    bench.agent.answer = SILENT
    bench.emit(1)
    bench.agent.answer = 200
    bench.emit(2, 3)
    assert bench.agent.ids() == [1]
    bench.pass_time(TIMEOUT)
    assert bench.agent.ids() == [1, 1, 2, 3]


def test_a_receiver_that_dies_and_comes_back_gets_everything_in_order(bench: Bench, log_events: list[LogEvent]) -> None:
    """Nothing is lost, nothing overtakes; the log has a line when it dies and one when it is back."""
    bench.emit(1)
    bench.agent.answer = DEAD
    bench.emit(2, 3, 4)
    bench.pass_time(30)
    assert set(bench.agent.ids()[1:]) == {2}
    bench.agent.answer = 200
    bench.pass_time(LONGEST_PAUSE)
    taken = bench.agent.ids()
    assert taken[-3:] == [2, 3, 4]
    told = lines(log_events)
    assert [line.split(" ", 1)[1] for line in told] == [
        "does not take events: Connection was refused by other side; it is tried again",
        "takes events again; 0 were lost meanwhile",
    ]
    assert all(line.startswith("http://192.0.2.5/hook ") for line in told), "the address without what its query keeps secret"


@pytest.mark.parametrize("answer", [DEAD, 500, 503, 429, 408])
def test_pauses_grow(bench: Bench, answer: int) -> None:
    """One attempt at once, in case an idle connection was closed; then pauses twice as long each, up to a minute."""
    bench.agent.answer = answer
    bench.emit(1)
    bench.pass_time(400)
    pauses = [after - before for before, after in zip(bench.agent.times, bench.agent.times[1:], strict=False)]
    assert pauses[0] == 0
    for index, pause in enumerate(pauses[1:]):
        whole = min(LONGEST_PAUSE, FIRST_PAUSE * 2**index)
        assert whole * 0.75 <= pause <= whole + 0.25
    assert len(pauses) >= 10


def test_a_receiver_that_never_answers_is_given_up_and_tried_again(bench: Bench, log_events: list[LogEvent]) -> None:
    """A request is over after ten seconds."""
    bench.agent.answer = SILENT
    bench.emit(1)
    bench.pass_time(TIMEOUT * 2 + 5)
    assert bench.agent.ids() == [1, 1, 1]
    assert "no answer within 10 s" in lines(log_events)[0]


def test_what_a_receiver_refuses_is_not_sent_again(bench: Bench, log_events: list[LogEvent]) -> None:
    """A status such as 404 is an answer: the log says so, and the next event is sent. Redirections are not followed."""
    for answer in (404, 302):
        bench.agent.answer = answer
        bench.emit(answer)
    assert bench.agent.ids() == [404, 302]
    assert "http://192.0.2.5/hook refuses timerTriggered 404: status 404" in lines(log_events)


def test_an_event_that_breaks_the_receiver_is_given_up(bench: Bench, log_events: list[LogEvent]) -> None:
    """Ten minutes of errors for one event, and the others get their turn."""
    bench.agent.answer = 500
    bench.emit(1, 2)
    bench.pass_time(PATIENCE + LONGEST_PAUSE)
    bench.agent.answer = 200
    bench.pass_time(LONGEST_PAUSE)
    assert bench.agent.ids()[-2:] == [2, 2]
    assert any("timerTriggered 1 is given up" in line for line in lines(log_events))


def test_a_dead_receiver_costs_a_bounded_amount_of_memory(bench: Bench, log_events: list[LogEvent]) -> None:
    """Beyond a limit the oldest events are dropped; the log says how many when the receiver is back."""
    bench.agent.answer = DEAD
    bench.emit(*range(MAX_BACKLOG + 8))
    bench.agent.answer = 200
    bench.pass_time(LONGEST_PAUSE)
    assert bench.agent.ids()[2:] == [0, *range(8, MAX_BACKLOG + 8)]
    assert lines(log_events)[-1].endswith("takes events again; 7 were lost meanwhile")


def test_headers() -> None:
    """The receiver is told who calls and in what form; with a secret it can tell that it is us, and that nothing was changed."""
    bench = Bench(serializer="XMLRPC", secret="s3cret", custom_data={"site": "lab"})
    bench.emit(1)
    bench.sink.start()
    (headers,), (body,) = bench.agent.headers, bench.agent.bodies
    assert headers.getRawHeaders("user-agent") == ["EMS/1"]
    assert headers.getRawHeaders("content-type") == ["application/xml"]
    assert headers.getRawHeaders("x-ems-signature") == [signature("s3cret", body)]
    assert b"<name>site</name>" in body
    unsigned = Bench()
    unsigned.sink.start()
    unsigned.emit(1)
    assert not unsigned.agent.headers[0].hasHeader("x-ems-signature")


def test_the_end_lets_out_what_waits() -> None:
    """What is emitted while the server stops still goes out, and the connection is closed."""
    bench = Bench()
    bench.sink.start()
    bench.agent.answer = DEAD
    bench.emit(1, 2)
    bench.agent.answer = 200
    stopped = Deferred.fromCoroutine(bench.sink.stop())
    assert stopped.called
    assert bench.agent.ids()[-2:] == [1, 2]
    assert bench.agent.closed


@pytest.mark.parametrize("answer", [DEAD, SILENT])
def test_the_end_does_not_wait_for_the_dead(answer: int, log_events: list[LogEvent]) -> None:
    """Within five seconds the server has stopped, and the log tells how many events were lost."""
    bench = Bench()
    bench.sink.start()
    bench.agent.answer = answer
    bench.emit(1, 2, 3)
    stopped = Deferred.fromCoroutine(bench.sink.stop())
    bench.pass_time(LAST_WORDS)
    assert stopped.called
    assert lines(log_events)[-1] == "3 events have not reached http://192.0.2.5/hook"
    assert not bench.clock.getDelayedCalls()


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("http://10.1.2.3:9000/hook", b"http://10.1.2.3:9000/hook"),
        ("HTTPS://User:pass@Example.COM/a?b=c#d", b"https://example.com/a?b=c"),
        ("http://[::1]:80", b"http://[::1]:80/"),
        ("http://bücher.example/ä/x%20y?q=ü", b"http://xn--bcher-kva.example/%C3%A4/x%20y?q=%C3%BC"),
    ],
)
def test_addresses(url: str, uri: bytes) -> None:
    """Credentials are not sent, and names of any script work."""
    assert Address.parse(url).uri == uri


@pytest.mark.parametrize("url", ["http://host:99999/", "http://[::1/", "http://user@/x", "http://host:x/"])
def test_what_is_no_address(url: str) -> None:
    """A sink that can never work is refused at the start, in words."""
    with pytest.raises(CommandError, match=r"no address|no host"):
        Address.parse(url)
