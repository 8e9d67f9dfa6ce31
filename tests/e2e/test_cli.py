"""The command as a user types it: real processes, real servers, exit codes and what is printed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.endpoints import MysqlEndpoint, PostgresEndpoint
from tests.faults import shop

pytestmark = pytest.mark.integration
COMMAND = [str(Path(sys.executable).with_name("dbstreams"))]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment in which the command's default store is a folder of the test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DBSTREAMS_")}
    return {**kept, "HOME": str(tmp_path), "DBSTREAMS_DATA_DIR": str(tmp_path / "data")}


def dbstreams(env: dict[str, str], *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=env, capture_output=True, text=True, timeout=timeout)


def lines(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def ends(
    mariadb: MysqlEndpoint, mariadb_database: str, postgres: PostgresEndpoint, postgres_database: str
) -> tuple[str, str]:
    shop.build(mariadb, mariadb_database)
    return mariadb.url(mariadb_database), postgres.url(postgres_database)


def test_help_teaches_every_command(home: dict[str, str]) -> None:
    shown = dbstreams(home, "--help")
    assert shown.returncode == 0
    for command in ("serve", "keys", "copy", "run", "resume", "verify", "openapi"):
        assert command in shown.stdout
        assert dbstreams(home, command, "--help").returncode == 0


def test_copy_prints_plan_table_and_verdict(home: dict[str, str], ends: tuple[str, str]) -> None:
    result = dbstreams(home, "copy", *ends, "--verify")
    assert result.returncode == 0, result.stderr
    first, last = result.stdout.splitlines()[0], result.stdout.splitlines()[-1]
    assert "3 tables" in first
    assert "→" in first
    assert "parent" in result.stdout
    assert "equal" in result.stdout
    assert last.startswith("finished: 61,000 rows")
    for text in (result.stdout, result.stderr):
        assert password_of(ends[0]) not in text
        assert password_of(ends[1]) not in text


def test_copy_json_ends_with_the_summary(home: dict[str, str], ends: tuple[str, str]) -> None:
    result = dbstreams(home, "copy", *ends, "--json", "--verify")
    assert result.returncode == 0, result.stderr
    last = lines(result)[-1]
    assert last["status"] == "FINISHED"
    assert last["rows"] == 2 * shop.ROWS + 1000
    assert last["bytes"] > 0
    assert last["peakRssMb"] > 0
    assert set(last["phases"]) == {"plan", "structure", "data", "indexes", "verify"}
    assert {table["table"] for table in last["tables"]} == {"parent", "child", "keyless"}
    assert last["streamId"].startswith("stream_")
    assert last["verify"]["equal"] is True


def test_plan_changes_nothing(
    home: dict[str, str], ends: tuple[str, str], postgres: PostgresEndpoint, postgres_database: str
) -> None:
    result = dbstreams(home, "copy", *ends, "--plan")
    assert result.returncode == 0, result.stderr
    assert "CREATE TABLE" in result.stdout
    assert (
        postgres.scalar(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=postgres_database
        )
        == 0
    )


@pytest.mark.parametrize(
    ("options", "tables"),
    [
        (["--tables", "parent"], {"parent"}),
        (["--tables", "parent,child"], {"parent", "child"}),
        (["--exclude", "keyless"], {"parent", "child"}),
    ],
)
def test_tables_and_exclude(
    home: dict[str, str], ends: tuple[str, str], options: list[str], tables: set[str]
) -> None:
    result = dbstreams(home, "copy", *ends, "--json", *options)
    assert result.returncode == 0, result.stderr
    assert {table["table"] for table in lines(result)[-1]["tables"]} == tables


def test_skip_data_makes_structure_only(
    home: dict[str, str], ends: tuple[str, str], postgres: PostgresEndpoint, postgres_database: str
) -> None:
    assert dbstreams(home, "copy", *ends, "--skip-data").returncode == 0
    assert postgres.scalar("SELECT count(*) FROM public.parent", database=postgres_database) == 0


def test_a_second_copy_by_each_policy(home: dict[str, str], ends: tuple[str, str]) -> None:
    assert dbstreams(home, "copy", *ends).returncode == 0
    for options, code in (
        (["--schema-policy", "fail_if_exists"], 1),
        (["--write-mode", "fail_if_not_empty"], 1),
        (["--write-mode", "truncate_and_load", "--verify"], 0),
        (["--schema-policy", "drop_and_recreate", "--verify"], 0),
        (["--schema-policy", "no_such_policy"], 2),
    ):
        result = dbstreams(home, "copy", *ends, *options)
        assert result.returncode == code, (options, result.stdout, result.stderr)


def test_verify_finds_a_changed_value_and_exits_4(
    home: dict[str, str], ends: tuple[str, str], postgres: PostgresEndpoint, postgres_database: str
) -> None:
    copied = dbstreams(home, "copy", *ends, "--json")
    stream = lines(copied)[-1]["streamId"]
    assert dbstreams(home, "verify", stream).returncode == 0
    postgres.execute("UPDATE public.child SET body = body || 'y' WHERE id = 777", database=postgres_database)
    result = dbstreams(home, "verify", stream)
    assert result.returncode == 4, result.stderr
    assert "777" in result.stderr
    assert "DIFFERENT" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["copy"], 2, "Missing argument"),
        (["copy", "http://x/y", "postgresql://u@h/d"], 2, "starts with mysql://"),
        (["copy", "mysql://u@127.0.0.1/d", "postgresql://u@127.0.0.1/d?sslmode=maybe"], 2, "sslmode"),
        (["copy", "mysql://u:hidden@127.0.0.1:1/d", "postgresql://u@127.0.0.1:1/d"], 1, "nothing listens"),
        (["resume", "stream_unknown"], 1, "STREAM_NOT_FOUND"),
        (["run", "/nonexistent.json"], 2, "cannot be read"),
        (["serve", "--port", "99999"], 2, "65535"),
    ],
)
def test_mistakes_are_explained(home: dict[str, str], arguments: list[str], code: int, said: str) -> None:
    result = dbstreams(home, *arguments)
    assert result.returncode == code, result.stderr
    assert said in result.stdout + result.stderr
    assert "hidden" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_run_takes_a_file_with_passwords_from_the_environment(
    home: dict[str, str],
    ends: tuple[str, str],
    tmp_path: Path,
    mariadb: MysqlEndpoint,
    postgres: PostgresEndpoint,
) -> None:
    def body(name: str, server: MysqlEndpoint | PostgresEndpoint) -> dict[str, Any]:
        return {
            "name": name,
            "type": server.kind,
            "host": server.host,
            "port": server.port,
            "username": server.user,
            "password": "${THE_PASSWORD}" if name == "from" else server.password,
        }

    file = tmp_path / "job.json"
    file.write_text(
        json.dumps(
            {
                "connections": [body("from", mariadb), body("to", postgres)],
                "streamConfig": {
                    "name": "nightly",
                    "mode": "convert",
                    "source": {
                        "connections": [{"connectionId": "from", "database": ends[0].rsplit("/", 1)[1]}]
                    },
                    "target": {"id": "to", "spec": {"db": {"database": ends[1].rsplit("/", 1)[1]}}},
                },
            }
        )
    )
    without = dbstreams(home, "run", str(file))
    assert (without.returncode, "THE_PASSWORD" in without.stderr) == (2, True)
    result = dbstreams({**home, "THE_PASSWORD": mariadb.password}, "run", str(file), "--json", "--verify")
    assert result.returncode == 0, result.stderr
    assert lines(result)[-1]["verify"]["equal"]


def interrupted_copy(
    home: dict[str, str], source: str, postgres: PostgresEndpoint, database: str
) -> tuple[int, str, str]:
    """A copy that gets SIGINT once it has begun: its exit code and what it printed."""
    target = postgres.url(database)
    process = subprocess.Popen(
        [*COMMAND, "copy", source, target, "--workers", "1", "--write-mode", "truncate_and_load"],
        env=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    began = "SELECT to_regclass('public._dbstreams_checkpoint') IS NOT NULL"
    deadline = time.monotonic() + 60
    while process.poll() is None and not postgres.scalar(began, database=database):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_ctrl_c_stops_cleanly_and_names_the_command_that_goes_on(
    home: dict[str, str],
    mariadb: MysqlEndpoint,
    mariadb_database: str,
    postgres: PostgresEndpoint,
    postgres_database: str,
) -> None:
    shop.build(mariadb, mariadb_database, rows=400_000)
    for _ in range(10):  # a copy may have come to its end before the signal reaches it
        code, out, err = interrupted_copy(home, mariadb.url(mariadb_database), postgres, postgres_database)
        if code != 0:
            break
    assert code == 130, (out, err)
    command = re.search(r"dbstreams (resume stream_\w+)", err)
    assert command is not None, err
    result = dbstreams(home, *command[1].split(), "--verify")
    assert result.returncode == 0, result.stderr
    assert "equal" in result.stdout


def test_keys_are_made_listed_and_revoked(home: dict[str, str]) -> None:
    made = dbstreams(home, "keys", "create", "ci")
    key = made.stdout.strip()
    assert key.startswith("dbs_")
    listed = json.loads(dbstreams(home, "keys", "list", "--json").stdout.splitlines()[0])
    assert listed["name"] == "ci"
    assert key not in json.dumps(listed)
    assert dbstreams(home, "keys", "revoke", listed["id"]).returncode == 0
    assert dbstreams(home, "keys", "revoke", "key_unknown").returncode == 1


def test_openapi_prints_the_document(home: dict[str, str]) -> None:
    document = json.loads(dbstreams(home, "openapi").stdout)
    assert document["openapi"].startswith("3.0")
    assert dbstreams(home, "openapi", "--yaml").stdout.startswith("openapi:")


def password_of(url: str) -> str:
    match = re.search(r"//[^:]+:([^@]+)@", url)
    assert match is not None
    return match[1] if len(match[1]) > 5 else "no such text"
