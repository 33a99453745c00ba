"""Lua files become Python values, and no Lua program can harm or hold up the server."""

import os
from pathlib import Path

import pytest

from ems.config.errors import ConfigError
from ems.config.lua import MAX_FILE, Value, load_global, read_source, run_global


def run(source: str | bytes) -> Value:
    """Return the global ``c`` that the program sets."""
    return run_global(source if isinstance(source, bytes) else source.encode(), "c", "config.lua")


def refusal(source: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        run(source)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("c = 512 * 1024", 524288),
        ("c = 4 / 2", 2),
        ("c = 0.1", 0.1),
        ("c = -1", -1),
        ("c = true", True),
        ('c = "ä\\n"', "ä\n"),
        ('c = { a = "__null__value__" }', {"a": None}),
        ("c = { 1, 2, { 3 } }", [1, 2, [3]]),
        ("c = { [7] = 'b', [3] = 'a' }", ["a", "b"]),
        ("c = { a = 1, 'x', 'y' }", {"0x00000001": "x", "0x00000002": "y", "a": 1}),
        ("c = {}", {}),
        ("local shared = { 1 } c = { shared, shared }", [[1], [1]]),
        ("--[==[ a comment ]==] c = { 1, 2, }", [1, 2]),
        ("c = {} for i = 1, 3 do table.insert(c, i * i) end table.insert(c, 1, 0) table.remove(c)", [0, 1, 4]),
        ("c = ('ab'):rep(2, '-') .. table.concat({ 1, 2 }, ',')", "ab-ab1,2"),
        ("c = math.floor(2.7) + math.max(1, 2)", 4),
        ("c = tonumber(os.date('!%Y', 0))", 1970),
    ],
)
def test_values_arrive_as_the_original_converts_them(source: str, value: Value) -> None:
    """Numbers, text, lists, tables with names and mixed tables become what the server's own readers expect."""
    assert run(source) == value


def test_the_environment_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container sets a port by an environment variable."""
    monkeypatch.setenv("EMS_TEST_PORT", "1935")
    assert run("c = tonumber(os.getenv('EMS_TEST_PORT'))") == 1935


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = = 1", "config.lua:1: unexpected symbol near '='"),
        ("\n\nc = nil + 1", "config.lua:3: attempt to perform arithmetic on a nil value"),
        ("error('schön')", "config.lua:1: schön"),
        ("error({})", "config.lua: error() was called with something that is not text"),
        ("d = 1", 'config.lua: sets no global "c"'),
        (
            "c = { a = { print = string.format } }",
            "config.lua: c.a.print: a function is not a value that a configuration can hold",
        ),
        ("c = { 1 / 0 }", "config.lua: c[1]: inf is not a finite number"),
        ("c = { 0 / 0 }", "config.lua: c[1]: nan is not a finite number"),
        ("c = { [true] = 1 }", "config.lua: c: true cannot be the name of an entry"),
        ("c = { [1.5] = 1, a = 1 }", "config.lua: c: 1.5 cannot be the name of an entry"),
        ("c = { a = '\\xff' }", "config.lua: c.a: is not UTF-8 text"),
        ("\x1bLuaT", "config.lua: attempt to load a binary chunk (mode is 't')"),
    ],
)
def test_a_mistake_is_told_with_its_place(source: str, problem: str) -> None:
    """The message names the file and the line, or the table's entry."""
    assert refusal(source).replace("-nan", "nan") == problem


@pytest.mark.parametrize(
    "source",
    [
        "while true do end",
        "local function f() return f() end f()",
        "for i = 1, math.huge do end",
        "::again:: goto again",
        "local t = {} for i = 0, 62 do t[1 << i] = 1 end table.insert(t, 1, 1) while true do end",
    ],
)
def test_a_program_that_never_ends_is_ended(source: str) -> None:
    """No loop, protected or not, keeps the server from saying what is wrong."""
    assert refusal(source).startswith(("config.lua:1: runs too long", "config.lua: needs more", "config.lua:1: stack overflow"))


@pytest.mark.parametrize(
    "source",
    [
        "while true do pcall(function() while true do end end) end",
        "local function f() pcall(f) f() end f()",
        "xpcall(function() while true do end end, function() while true do end end)",
        "coroutine.wrap(function() while true do end end)()",
        "setmetatable({}, { __gc = function() while true do end end })",
    ],
)
def test_nothing_that_escapes_counting_can_be_called(source: str) -> None:
    """Caught errors, coroutines and finalizers would outlive the limits, so programs have none of them."""
    assert "attempt to" in refusal(source)


def test_copying_megabytes_for_ever_is_ended_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of few but slow instructions is ended after seconds, not hours."""
    monkeypatch.setattr("ems.config.lua.MAX_SECONDS", 0.1)
    assert "runs too long" in refusal("local s = ('x'):rep(6000000) while true do local t = s .. 'y' end")


@pytest.mark.parametrize(
    "source",
    [
        "c = string.rep('x', 1 << 30)",
        "c = ('x'):rep(1 << 30)",
        "c = {} for i = 1, 1e9 do c[i] = i end",
        "c = {} while true do c = { c } end",
        "c = 'x' while true do c = c .. c end",
        "local function f() f() end f()",
    ],
)
def test_a_program_that_takes_all_memory_is_ended(source: str) -> None:
    """A gigabyte of anything is refused in words."""
    assert "needs more than 16 MiB of memory" in refusal(source) or "stack overflow" in refusal(source)


def test_a_program_that_leaves_megabytes_behind_is_converted() -> None:
    """Most of the memory may be in use at the end."""
    value = run("c = {} for i = 1, 2000 do c[i] = ('x'):rep(5000) .. i end")
    assert isinstance(value, list)
    assert len(value) == 2000


def test_repeating_nothing_costs_nothing() -> None:
    """The empty string repeated 2^62 times is the empty string, at once."""
    assert run("c = (''):rep(1 << 62) .. string.rep('', 1 << 62, '')") == ""


@pytest.mark.parametrize(
    "source", ["c = {} c.c = c", "c = {} c[1] = c c[2] = c", "c = {} for i = 1, 9 do c = { c, c, c, c } end"]
)
def test_endless_and_exploding_tables_are_refused(source: str) -> None:
    """A table that contains itself, or that unfolds to hundreds of thousands of values, is an error."""
    assert "a table that contains itself?" in refusal(source)


def test_deep_tables_are_refused() -> None:
    """33 tables within each other are more than any configuration needs, and 10 000 do no harm."""
    assert "lies more than 32 tables deep" in refusal("c = 1 for i = 1, 33 do c = { c } end")
    assert "deep" in refusal("c = 1 for i = 1, 10000 do c = { c } end")
    assert "C stack overflow" in refusal("c = " + "{" * 10_000)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "io",
            "package",
            "require",
            "load",
            "loadstring",
            "loadfile",
            "dofile",
            "debug",
            "python",
            "coroutine",
            "collectgarbage",
        ),
        *("setmetatable", "getmetatable", "pcall", "rawset", "rawget", "xpcall", "print", "warn", "utf8"),
        *("os.execute", "os.exit", "os.remove", "os.rename", "os.tmpname", "os.setlocale"),
        *("string.dump", "string.find", "string.match", "string.gmatch", "string.gsub", "table.move", "table.sort"),
        *("('').dump", "('').find", "('').gsub", "_G.io", "_G._G.load", "_ENV.debug"),
    ],
)
def test_what_reaches_the_machine_is_not_there(name: str) -> None:
    """Files, programs, bytecode, the debugger, Python and everything that escapes counting are out of reach."""
    assert run(f"c = {name} == nil") is True


@pytest.mark.parametrize("expression", ["os", "string", "math", "table", "_G"])
def test_no_library_holds_anything_of_python(expression: str) -> None:
    """Every value that a program can reach is Lua's own."""
    kinds = run(f"c = {{}} for _, v in pairs({expression}) do c[#c + 1] = type(v) end")
    assert isinstance(kinds, list)
    assert set(kinds) <= {"function", "table", "string", "number"}  # type: ignore[arg-type]


def test_one_file_cannot_change_the_next() -> None:
    """What a program does to its libraries is gone with it."""
    run("string.rep = nil math.floor = nil c = 1")
    assert run("c = string.rep('x', math.floor(2.5))") == "xx"


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """A file that an editor on Windows saved loads."""
    path = tmp_path / "config.lua"
    path.write_bytes(b"\xef\xbb\xbfc = 1")
    assert load_global(path, "c") == 1


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    """Package managers and containers put links in the place of files."""
    (tmp_path / "real.lua").write_text("c = 2")
    (tmp_path / "config.lua").symlink_to(tmp_path / "real.lua")
    assert load_global(tmp_path / "config.lua", "c") == 2


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A folder, a FIFO, a device, a loop of links, a missing, foreign or huge file is an error and never a wait."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "huge").write_bytes(b" " * (MAX_FILE + 1))
    (tmp_path / "latin").write_bytes(b"-- a\n-- \xfcber\n")
    expected = {
        "none": "No such file",
        "loop": "symbolic links",
        "folder": "Is a directory",
        "link": "Is a directory",
        "fifo": "is not a regular file",
        "huge": "is larger than 256 KiB",
        "latin": "latin:2: is not UTF-8 text",
        "a\0b": "null byte",
    }
    for name, text in expected.items():
        with pytest.raises(ConfigError, match=text):
            read_source(tmp_path / name)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_source(Path("/dev/zero"))
