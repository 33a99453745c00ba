"""A client that has a file already is not sent it again."""

import pytest

from ems.web.conditions import Verdict, allows_range, entity_tag, evaluate, http_date

MODIFIED = 1_700_000_000.5
TAG = entity_tag(MODIFIED, 10)


def verdict(**headers: str) -> Verdict:
    return evaluate(lambda name: headers.get(name.replace("-", "_")), TAG, MODIFIED)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Verdict.SEND),
        ({"if_none_match": TAG}, Verdict.NOT_MODIFIED),
        ({"if_none_match": f'"x", W/{TAG}'}, Verdict.NOT_MODIFIED),
        ({"if_none_match": TAG[:-1] + '-gz"'}, Verdict.NOT_MODIFIED),
        ({"if_none_match": "*"}, Verdict.NOT_MODIFIED),
        ({"if_none_match": '"x"'}, Verdict.SEND),
        ({"if_none_match": '"x"', "if_modified_since": http_date(MODIFIED)}, Verdict.SEND),
        ({"if_modified_since": http_date(MODIFIED)}, Verdict.NOT_MODIFIED),
        ({"if_modified_since": http_date(MODIFIED - 1)}, Verdict.SEND),
        ({"if_modified_since": "yesterday"}, Verdict.SEND),
        ({"if_modified_since": "Mon, 99 Jan 99999 99:99:99 GMT"}, Verdict.SEND),
        ({"if_match": TAG}, Verdict.SEND),
        ({"if_match": '"x"'}, Verdict.FAILED),
        ({"if_unmodified_since": http_date(MODIFIED - 1)}, Verdict.FAILED),
        ({"if_unmodified_since": http_date(MODIFIED)}, Verdict.SEND),
    ],
)
def test_conditions_are_those_of_the_standard(headers: dict[str, str], expected: Verdict) -> None:
    """In the order of RFC 9110 §13.2.2; a date that is none does not count."""
    assert verdict(**headers) is expected


@pytest.mark.parametrize(
    ("header", "allowed"),
    [(None, True), (TAG, True), ('"x"', False), (f"W/{TAG}", False), (http_date(MODIFIED), True), ("yesterday", False)],
)
def test_a_resumed_download_gets_the_rest_of_the_same_file_only(header: str | None, allowed: bool) -> None:
    """When the file has changed meanwhile the whole new one is sent (If-Range)."""
    assert allows_range(header, TAG, MODIFIED) is allowed
