"""`ems --hash-password`: a password for users.lua that cannot be read there."""

import subprocess
import sys

import pytest

from ems.security.users import read_users


def run(user: str, typed: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ems", "--hash-password", user]
    return subprocess.run(command, input=typed, capture_output=True, text=True, check=False, timeout=30)


def test_the_line_can_be_put_into_users_lua(tmp_path_factory: pytest.TempPathFactory) -> None:
    """I type a password and get the line for users.lua, in which it is not to be found; each time another one."""
    done = run("alice", "hunter3\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('alice = "adobe:')
    assert "hunter3" not in done.stdout + done.stderr
    assert run("alice", "hunter3\n").stdout != done.stdout
    path = tmp_path_factory.mktemp("config") / "users.lua"
    path.write_text(f"users = {{ {done.stdout} }}")
    assert read_users(path).passwords["alice"].matches("hunter3")


@pytest.mark.parametrize(("user", "typed"), [("alice", ""), ("alice", "\n"), ("", "x\n"), ("a\nb", "x\n")])
def test_mistakes_are_one_line(user: str, typed: str) -> None:
    """Without a password, or for a name that nobody can log in with, it says so and ends with status 1."""
    done = run(user, typed)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("ems: ")
    assert "Traceback" not in done.stderr
