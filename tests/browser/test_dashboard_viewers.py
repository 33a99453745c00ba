"""The dashboard counts all who watch: those who are connected, and those who fetch segments."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.chromium import wait_for_moving_picture
from tests.browser.site import Site
from tests.browser.test_hls import play


def test_viewers_of_segments_are_viewers(new_page: Callable[..., Page], site: Site) -> None:
    """Whoever watches by HLS is among the viewers, and counts for the stream that is watched."""
    site.wait_for_stream("demo")
    playlist = site.create_hls("demo", "show")
    watching, dashboard = new_page(), new_page()
    dashboard.goto(site.address)
    expect(dashboard.locator("#total-viewers")).to_have_text("0", timeout=15_000)
    play(watching, site, playlist)
    wait_for_moving_picture(watching, 40)
    expect(dashboard.locator("#total-viewers")).to_have_text("1", timeout=15_000)
    expect(dashboard.get_by_role("button", name="demo")).to_contain_text("2 outputs", timeout=15_000)
