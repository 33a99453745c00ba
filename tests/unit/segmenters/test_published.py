"""Fresh files in memory, for the web server."""

from pathlib import Path

from ems.published import PublishedFiles

A, B, C = Path("/out/a.ts"), Path("/out/b.ts"), Path("/out/c.ts")


def test_pieces_are_one_file() -> None:
    """A segment that was put in pieces is given whole, to everybody the same object."""
    files = PublishedFiles()
    files.put(A, b"one", b"", b"two")
    files.put(B)
    first, second = files.get(A), files.get(A)
    assert first is not None and second is not None
    assert first == second and first.data == b"onetwo" and first.data is second.data
    assert (empty := files.get(B)) is not None and empty.data == b""
    assert files.get(C) is None


def test_memory_is_bounded() -> None:
    """What is put beyond the limit has the oldest go, however many pieces it is in and whether it was asked for or not."""
    files = PublishedFiles()
    files.MAX_BYTES = 10
    files.put(A, b"123", b"45")
    assert files.get(A) is not None
    files.put(B, b"12345")
    files.put(B, b"1", b"2345")
    assert files.get(A) is not None
    files.put(C, b"1")
    assert (files.get(A), files.get(B) is None) == (None, False)


def test_what_is_nowhere_else_stays() -> None:
    """A file that is on no disk is there until it is removed, whatever else comes."""
    files = PublishedFiles()
    files.MAX_BYTES = 10
    files.keep(A, b"part")
    files.put(B, b"123456")
    files.put(C, b"123456")
    assert files.get(B) is None
    kept = files.get(A)
    assert kept is not None and kept.data == b"part"
    files.remove(A)
    assert files.get(A) is None
