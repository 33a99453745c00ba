"""users.lua: who may log in; what is wrong with the file is told without quoting a password."""

import os
from pathlib import Path

import pytest
from twisted.logger import LogEvent, formatEvent

from ems.config import ConfigError
from ems.security import adobe
from ems.security.users import Realm, UsersFile, hashed_password, read_users, users_line

HASHED = hashed_password("bob", "hunter3")


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_names_passwords_and_realms(tmp_path: Path) -> None:
    """Passwords in clear and hashed ones, and the realms in alphabetical order, whatever order they stand in."""
    users = read_users(
        written(
            tmp_path / "users.lua",
            f'users = {{ alice = "s3cret", bob = "{HASHED}", ["o\'neil"] = "x" }}\n'
            'realms = { { name = "z", method = "Basic", users = { "bob" } },'
            ' { name = "a", method = "Digest", users = { "alice" } } }',
        )
    )
    assert set(users.passwords) == {"alice", "bob", "o'neil"}
    assert users.realms == (Realm("a", "Digest", ("alice",)), Realm("z", "Basic", ("bob",)))


@pytest.mark.parametrize("text", ["s3cret", hashed_password("alice", "s3cret")], ids=["clear", "hashed"])
def test_a_password_is_checked_in_either_form(tmp_path: Path, text: str) -> None:
    """A hashed password lets in who knows it, and the Adobe scheme works with it, without the server knowing it."""
    password = read_users(written(tmp_path / "users.lua", f'users = {{ alice = "{text}" }}')).passwords["alice"]
    assert password.matches("s3cret")
    assert not password.matches("s3cret ")
    assert not password.matches("")
    salt = password.salt or "any"
    assert password.salted_with(salt) == adobe.salted_hash("alice", salt, "s3cret")


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    """Printing a user, as logs and debuggers do, shows the name only."""
    users = read_users(written(tmp_path / "users.lua", f'users = {{ alice = "s3cret", bob = "{HASHED}" }}'))
    assert "s3cret" not in repr(users)
    assert HASHED[-24:] not in repr(users)


@pytest.mark.parametrize("user", ["alice", "end", "a b", 'quo"te', "back\\slash", "ünicode"])
def test_the_printed_line_can_be_pasted(tmp_path: Path, user: str) -> None:
    """What `ems --hash-password` prints is Lua, whatever the name."""
    line = users_line(user, "pässword")
    users = read_users(written(tmp_path / "users.lua", f"users = {{\n{line}\n}}"))
    assert users.passwords[user].matches("pässword")
    assert "pässword" not in line


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("users = { alice = 's3cret", "users.lua:1: unfinished string"),
        ("users = { alice = 's3cret\\q' }", "users.lua:1: invalid escape sequence"),
        ("users = { alice = 's3cret' bob = 1 }", "users.lua:1:"),
        ("while true do end", "runs too long"),
        ("realms = {}", "users: expected a table"),
        ("users = 's3cret'", "users: expected a table"),
        ("users = { alice = 1 }", "users.alice: expected a password"),
        ("users = { alice = '' }", "users.alice: expected a password"),
        ("users = { [''] = 's3cret' }", "cannot be a user's name"),
        ("users = { alice = 'adobe:s3cret' }", "users.alice: a password that begins with adobe:"),
        ("users = {} realms = { { name = 'r', method = 'Digest', users = { 'eve' } } }", "'eve' is not in users"),
        ("users = {} realms = { { name = 'r', method = 'NTLM', users = {'a'} } }", "realms[1].method"),
        ("users = {} realms = { { method = 'Basic', users = {'a'} } }", "realms[1].name"),
        ("users = {} realms = 's3cret'", "realms: expected a list"),
        pytest.param(
            f"users = {{ bob = '{HASHED}' }} realms = {{ {{ name = 'r', method = 'Digest', users = {{'bob'}} }} }}",
            "Digest cannot",
            id="hashed",
        ),
    ],
)
def test_a_mistake_is_told_without_the_password(tmp_path: Path, text: str, problem: str) -> None:
    """The message names the place; nothing of what could be a password is in it."""
    with pytest.raises(ConfigError) as caught:
        read_users(written(tmp_path / "users.lua", text))
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_change_counts_at_once(tmp_path: Path) -> None:
    """Who is put in can log in, and who is taken out cannot, without a restart."""
    path = written(tmp_path / "users.lua", 'users = { alice = "one" }')
    users = UsersFile(path)
    assert set(users.current().passwords) == {"alice"}
    assert users.current() is users.current()
    written(path, 'users = { bob = "two, a longer one" }')
    assert set(users.current().passwords) == {"bob"}
    other = written(tmp_path / "other.lua", 'users = { eve = "x" }')
    path.unlink()
    path.symlink_to(other)
    assert set(users.current().passwords) == {"eve"}


def test_a_broken_file_lets_nobody_in(tmp_path: Path, log_events: list[LogEvent]) -> None:
    """The users of before do not count on: one of them may have been the reason for the change. The log says it once."""
    path = written(tmp_path / "users.lua", 'users = { alice = "one" }')
    users = UsersFile(path)
    users.current()
    log_events.clear()
    written(path, 'users = { alice = "hunter3')
    for _ in range(3):
        with pytest.raises(ConfigError):
            users.current()
    (line,) = [formatEvent(event) for event in log_events]
    assert "nobody can log in: users.lua:1" in line
    assert "hunter3" not in line
    os.unlink(path)
    with pytest.raises(ConfigError, match="No such file"):
        users.current()
