"""Stream names: everything harmless is one, nothing that could lead elsewhere is."""

import random
import unicodedata

import pytest

from ems.errors import CommandError
from ems.streams.names import MAX_LENGTH, checked_name, short_name


@pytest.mark.parametrize(
    "name",
    [
        "cam",
        "room/cam",
        "cam?token=../../x",
        "%2e%2e",
        "a b",
        "caf\u00e9",
        "камера",
        "カメラ",
        "🎥",
        "a.b",
        "a..b",
        "x" * MAX_LENGTH,
    ],
)
def test_names_that_people_use(name: str) -> None:
    """Letters of any script, folders, queries and dots inside are all right."""
    assert checked_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("..", "dot"),
        ("../../x", "dot"),
        ("a/../b", "dot"),
        ("a\\..\\b", "dot"),
        (".hidden", "dot"),
        ("a/.hidden", "dot"),
        ("/absolute", "empty parts"),
        ("a//b", "empty parts"),
        ("a/", "empty parts"),
        ("?query=only", "empty parts"),
        ("a\0b", r"U\+0000"),
        ("a\nb", r"U\+000A"),
        ("a\x7fb", r"U\+007F"),
        ("\u202egpj.mac", r"U\+202E"),
        ("a\u200bb", r"U\+200B"),
        ("a\u2028b", r"U\+2028"),
        ("\udc80", r"U\+DC80"),
        ("\ue000", r"U\+E000"),
        ("x" * (MAX_LENGTH + 1), "at most 200 characters, this one has 201"),
        ("x" * 1_000_000, "at most 200"),
    ],
)
def test_names_that_could_do_harm(name: str, reason: str) -> None:
    """Paths out of the folder, control and look-alike characters and endless names are refused with the reason."""
    with pytest.raises(CommandError, match=reason):
        checked_name(name)


def test_one_name_for_both_forms_of_unicode() -> None:
    """A name typed with combining accents is the same stream as one with whole letters."""
    assert checked_name(unicodedata.normalize("NFD", "caf\u00e9")) == "caf\u00e9"


def test_the_short_name_has_no_query() -> None:
    """What stands behind the first question mark is for access checks and players, not part of the name."""
    assert [short_name(name) for name in ("cam", "cam?a=b", "cam?a=b?c", "?x")] == ["cam", "cam", "cam", ""]


def test_whatever_is_accepted_stays_below_its_folder() -> None:
    """20,000 random names: each is refused, or, used as a path, leads nowhere but down."""
    chance = random.Random(3)
    alphabet = "ab./\\?%2e\0\n \u202e\u00e9~$;|&'\""
    for _ in range(20_000):
        name = "".join(chance.choice(alphabet) for _ in range(chance.randrange(12)))
        try:
            good = short_name(checked_name(name))
        except CommandError:
            continue
        parts = good.replace("\\", "/").split("/")
        assert all(part and not part.startswith(".") for part in parts)
        assert "\0" not in good
