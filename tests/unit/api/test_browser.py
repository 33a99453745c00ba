"""Who may speak to the HTTP door."""

import socket

import pytest

from ems.api.browser import BrowserPolicy

POLICY = BrowserPolicy(frozenset({"media.example"}), frozenset({"https://console.example"}))


@pytest.mark.parametrize(
    "host",
    [
        None,
        "127.0.0.1:7777",
        "127.0.0.1",
        "localhost:7777",
        "LOCALHOST",
        "[::1]:7777",
        "192.0.2.5:7777",
        "ems.localhost",
        "media.example",
    ],
)
def test_programs_may(host: str | None) -> None:
    """A program that names the server by address or local name is served."""
    assert POLICY.refusal(host, None, None, None) == ""


def test_the_machines_own_name_may() -> None:
    """The server answers to the name of its machine."""
    assert POLICY.refusal(f"{socket.gethostname()}:7777", None, None, None) == ""


@pytest.mark.parametrize("host", ["evil.example:7777", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "x" * 9000])
def test_a_name_that_somebody_else_controls_may_not(host: str) -> None:
    """DNS rebinding: a page whose own name resolves to 127.0.0.1 is refused."""
    assert POLICY.refusal(host, None, None, None)


@pytest.mark.parametrize(
    ("origin", "referer", "site"),
    [
        ("https://evil.example", None, None),
        ("null", None, None),
        ("http://127.0.0.1:8888", None, None),
        ("http://[", None, None),
        (None, "https://evil.example/page", None),
        (None, None, "cross-site"),
        (None, None, "same-site"),
        (None, "http://localhost:7777/", "cross-site"),
    ],
)
def test_pages_of_other_sites_may_not(origin: str | None, referer: str | None, site: str | None) -> None:
    """Cross-site request forgery: a page from elsewhere cannot send commands through my browser."""
    assert POLICY.refusal("localhost:7777", origin, referer, site)


@pytest.mark.parametrize(
    ("origin", "referer", "site"),
    [
        ("http://localhost:7777", None, "same-origin"),
        (None, "http://LOCALHOST:7777/x", "same-origin"),
        (None, None, "none"),
        ("https://console.example", None, "cross-site"),
        (None, "https://console.example/page?x=1", "cross-site"),
    ],
)
def test_own_pages_and_listed_ones_may(origin: str | None, referer: str | None, site: str | None) -> None:
    """What I type into the address bar, and pages that the configuration lists, are served."""
    assert POLICY.refusal("localhost:7777", origin, referer, site) == ""
