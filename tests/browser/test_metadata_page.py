"""The demonstration page of metadata over WebSocket, and the minimal page that people write after the documentation."""

import json
from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.chromium import screenshot, wait_for
from tests.browser.site import Site


def subscribe(page: Page, site: Site, stream: str) -> None:
    """Open the page, which subscribes by itself."""
    page.goto(site.metadata_page(stream), wait_until="domcontentloaded")
    wait_for(page, lambda: "subscribed" in page.inner_text("#state"), "the subscription")


def test_what_one_sends_all_receive(new_page: Callable[..., Page], site: Site) -> None:
    """JSON that one page sends for a stream appears on every page that has subscribed to it, and on no other."""
    sender, receiver, other = new_page(), new_page(), new_page()
    subscribe(sender, site, "race")
    subscribe(receiver, site, "race")
    subscribe(other, site, "another")
    sender.fill("#text", '{"speed": "<b>20</b>"}')
    sender.click("#send")
    for page in (sender, receiver):
        wait_for(page, lambda page=page: page.inner_text("#count") == "1", "the message")
    message = json.loads(receiver.inner_text("#received pre"))
    assert message["data"] == {"speed": "<b>20</b>"}
    assert receiver.locator("#received b").count() == 0, "texts are shown, never interpreted"
    screenshot(receiver, "metadata")
    assert other.inner_text("#count") == "0"


def test_what_is_no_json_is_not_sent(page: Page, site: Site) -> None:
    """A slip of the pen is told, and nobody gets it."""
    subscribe(page, site, "race")
    page.fill("#text", '{"speed": }')
    page.click("#send")
    assert "not JSON" in page.inner_text("#verdict")
    assert page.inner_text("#count") == "0"


def test_the_old_addresses_lead_here(page: Page, site: Site) -> None:
    """Bookmarks of the two pages of former times still work."""
    for name in ("jsonMetaTest", "jsonMetaWriteTest"):
        page.goto(f"{site.address}demo/{name}.html")
        page.wait_for_url("**/demo/evowsmeta.html")


MINIMAL_PAGE = """<!doctype html>
<html><head><script>
var WS = new WebSocket("@");
WS.onopen = function () { console.log("open"); };
WS.onmessage = function (event) { console.log(event.data); };
function send() { WS.send('{"lat": "32.8", "speed": "20"}'); }
</script></head>
<body><button onclick="send()">SEND</button></body></html>
"""


def test_the_minimal_page_of_the_documentation_works(page: Page, site: Site) -> None:
    """A page of ten lines, put into the web root, sends metadata and sees it come back on its console."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    (site.folder / "webroot" / "minimal.html").write_text(MINIMAL_PAGE.replace("@", site.metadata("myStream")))
    page.goto(f"{site.address}minimal.html")
    wait_for(page, lambda: "open" in said, "the connection")
    page.click("text=SEND")
    # Chromium writes there, too: that the page has no icon.
    wait_for(page, lambda: any("speed" in text for text in said), "the message on the console")
    message = next(text for text in said if "speed" in text)
    assert json.loads(message)["data"] == {"lat": "32.8", "speed": "20"}
    assert json.loads(site.api("getMetadata", localStreamName="myStream"))["data"]["speed"] == "20"
