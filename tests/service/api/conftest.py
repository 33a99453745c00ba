"""The server under test, and every door as one function from a request line to a reply."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_twisted

from tests.service.api.doors import Bench, Reply, ask_ascii, ask_http, ask_json, ask_post, make_bench, until

Ask = Callable[[str], Awaitable[Reply]]


@pytest_twisted.async_yield_fixture
async def bench() -> AsyncIterator[Bench]:
    """A server; when the test is over all its connections must end."""
    made = make_bench()
    yield made
    await made.server.acceptors.stopService()
    opened = [connection for connection in made.server.connections._connections.values() if connection.transport]
    for connection in opened:
        connection.transport.abortConnection()
    await until(lambda: not any(connection.transport.connected for connection in opened), "connections to end")


@pytest.fixture(params=["json", "json without prefix", "ascii", "http", "post"])
def ask(request: pytest.FixtureRequest, bench: Bench) -> Ask:
    """Each door in turn."""
    match request.param:
        case "json":
            port = bench.open("inboundJsonCli", use_length_padding=True)
            return lambda line: ask_json(port, line)
        case "json without prefix":
            port = bench.open("inboundJsonCli")
            return lambda line: ask_json(port, line, prefix=False)
        case "ascii":
            port = bench.open("inboundAsciiCli")
            return lambda line: ask_ascii(port, line)
        case "http":
            port = bench.open("inboundHttpJsonCli")
            return lambda line: ask_http(port, line)
        case _:
            port = bench.open("inboundHttpJsonCli")
            return lambda line: ask_post(port, line)


@pytest.fixture
def tell(bench: Bench) -> Ask:
    """One door, where it does not matter which."""
    port = bench.open("inboundJsonCli", use_length_padding=True)
    return lambda line: ask_json(port, line)
