from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine import secrets
from engine.errors import Code, EngineError


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(secrets.KEY_VARIABLE, raising=False)
    monkeypatch.delenv(secrets.FILE_VARIABLE, raising=False)


def test_a_sealed_value_opens_under_its_label_only(tmp_path: Path) -> None:
    """slug: secrets-at-rest"""
    ring = secrets.load(tmp_path / "data", may_create=True)
    sealed = ring.seal(b"hunter2", "conn_1")
    assert b"hunter2" not in sealed
    assert ring.open(sealed, "conn_1") == b"hunter2"
    assert ring.seal(b"hunter2", "conn_1") != sealed
    with pytest.raises(EngineError) as caught:
        ring.open(sealed, "conn_2")
    assert caught.value.code is Code.SECRET_UNREADABLE


@pytest.mark.parametrize("position", [0, 1, 9, 21, -1])
def test_an_altered_byte_is_noticed(tmp_path: Path, position: int) -> None:
    """slug: secrets-at-rest"""
    ring = secrets.load(tmp_path / "data", may_create=True)
    sealed = bytearray(ring.seal(b"hunter2", "conn_1"))
    sealed[position] ^= 1
    with pytest.raises(EngineError) as caught:
        ring.open(bytes(sealed), "conn_1")
    assert caught.value.code is Code.SECRET_UNREADABLE


def test_the_key_file_lies_beside_the_data_directory_and_is_private(tmp_path: Path) -> None:
    """slug: secret-key-file"""
    secrets.load(tmp_path / "data", may_create=True)
    file = tmp_path / "data.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """slug: secret-key-file"""
    secrets.load(tmp_path / "data", may_create=True)
    (tmp_path / "data.key").chmod(mode)
    with pytest.raises(EngineError, match="chmod 600") as caught:
        secrets.load(tmp_path / "data", may_create=False)
    assert caught.value.code is Code.SECRET_UNREADABLE


def test_a_lost_key_file_is_not_replaced_in_silence(tmp_path: Path) -> None:
    """slug: secret-key-file"""
    with pytest.raises(EngineError, match="is missing") as caught:
        secrets.load(tmp_path / "data", may_create=False)
    assert caught.value.code is Code.SECRET_UNREADABLE
    assert not (tmp_path / "data.key").exists()


@pytest.mark.parametrize("bad", ["", "short", "AAAA", "é" * 44, "A" * 43])
def test_a_malformed_key_is_refused_without_being_echoed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.setenv(secrets.KEY_VARIABLE, f"{secrets.new_key()},{bad or '!'}")
    with pytest.raises(EngineError) as caught:
        secrets.load(tmp_path / "data", may_create=True)
    assert caught.value.code is Code.SECRET_UNREADABLE
    assert not bad or bad not in caught.value.message


def test_of_several_keys_the_first_encrypts_and_all_decrypt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: secret-rotation"""
    old, new = secrets.new_key(), secrets.new_key()
    monkeypatch.setenv(secrets.KEY_VARIABLE, old)
    before = secrets.load(tmp_path, may_create=True)
    sealed = before.seal(b"x", "conn_1")
    monkeypatch.setenv(secrets.KEY_VARIABLE, f"{new},{old}")
    both = secrets.load(tmp_path, may_create=True)
    assert both.open(sealed, "conn_1") == b"x"
    assert not both.is_newest(sealed)
    monkeypatch.setenv(secrets.KEY_VARIABLE, new)
    only_new = secrets.load(tmp_path, may_create=True)
    assert only_new.open(both.seal(b"x", "conn_1"), "conn_1") == b"x"
    with pytest.raises(EngineError):
        only_new.open(sealed, "conn_1")


def test_a_rotated_key_file_holds_both_keys_until_the_old_one_is_dropped(tmp_path: Path) -> None:
    """slug: secret-rotation"""
    ring = secrets.load(tmp_path / "data", may_create=True)
    sealed = ring.seal(b"x", "conn_1")
    rotated = ring.with_new_key()
    reread = secrets.load(tmp_path / "data", may_create=False)
    assert reread.open(sealed, "conn_1") == b"x"
    again = rotated.seal(b"x", "conn_1")
    rotated.only_newest()
    last = secrets.load(tmp_path / "data", may_create=False)
    assert last.open(again, "conn_1") == b"x"
    with pytest.raises(EngineError):
        last.open(sealed, "conn_1")
    assert stat.S_IMODE((tmp_path / "data.key").stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.key"]


def test_no_key_shows_in_repr(tmp_path: Path) -> None:
    ring = secrets.load(tmp_path / "data", may_create=True)
    text = (tmp_path / "data.key").read_text()
    assert not any(line in repr(ring) for line in text.splitlines() if line)


def test_the_file_of_the_variable_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "elsewhere" / "key"
    monkeypatch.setenv(secrets.FILE_VARIABLE, os.fspath(file))
    secrets.load(tmp_path / "data", may_create=True)
    assert file.exists()
    assert not (tmp_path / "data.key").exists()
