"""A folder as a storage: small files are replaced at once, and what dead writers left goes."""

from __future__ import annotations

from pathlib import Path

from engine.formats.storage_local import LocalStorage


def test_what_a_dead_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """slug: file-crash"""
    storage = LocalStorage(tmp_path)
    storage.put("a/journal.json", b"1")
    for name in (".journal.json.0badf00d.tmp", ".other.json.0badf00d.tmp"):
        (tmp_path / "a" / name).write_bytes(b"half")
    storage.put("a/journal.json", b"2")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        ".other.json.0badf00d.tmp",
        "journal.json",
    ]
    assert storage.get("a/journal.json") is not None
