"""TLS on every path of a stream: catalog, readers, loader and verify, in all five modes on both servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.certificates import Certificates
from benchmarks.servers import MariaDB, Postgres
from engine.streams.job import StreamJob
from tests import running

pytestmark = pytest.mark.integration

MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"]


def tls(mode: str, authority: Path | None) -> dict[str, Any]:
    return {"mode": mode, **({"ca": authority.read_text()} if authority is not None else {})}


def stream(
    source: MariaDB, target: Postgres, ssl: dict[str, Any], reader: str = "native"
) -> tuple[StreamJob, str]:
    source_database, target_database = source.database(), target.database()
    source.execute("CREATE TABLE t (id int PRIMARY KEY, f double, s text)", database=source_database)
    source.execute("INSERT INTO t VALUES (1, 0.1, 'é'), (2, NULL, NULL)", database=source_database)
    job = running.job(source, source_database, target, target_database, options={"reader": reader})
    ends = {
        "source": running.connection(source, ssl=ssl),
        "target": running.connection(target, ssl=ssl),
    }
    return StreamJob(job.stream_id, job.config, ends), target_database


@pytest.mark.parametrize("reader", ["native", "connectorx"])
@pytest.mark.parametrize("mode", MODES)
def test_a_stream_runs_in_every_mode(
    tls_mariadb: MariaDB, tls_postgres: Postgres, certificates: Certificates, mode: str, reader: str
) -> None:
    authority = certificates.ca if mode.startswith("verify") else None
    job, database = stream(tls_mariadb, tls_postgres, tls(mode, authority), reader)
    running.finish(job)
    assert tls_postgres.scalar("SELECT count(*) FROM public.t", database=database) == 2
    assert running.verify(job)["equal"]


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_server_without_tls_is_refused_where_it_is_asked_for(
    mariadb: Any, tls_postgres: Postgres, certificates: Certificates, mode: str
) -> None:
    authority = certificates.ca if mode.startswith("verify") else None
    job, _ = stream(mariadb, tls_postgres, tls(mode, authority))
    outcome, _ = running.run(job)
    assert outcome.error is not None
    assert (outcome.error["code"], outcome.error["details"]["reason"]) == ("CONNECTION_FAILED", "tls")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_certificate_of_another_authority_is_refused(
    tls_mariadb: MariaDB, tls_postgres: Postgres, certificates: Certificates, mode: str, side: str
) -> None:
    job, _ = stream(tls_mariadb, tls_postgres, tls(mode, certificates.ca))
    server = tls_mariadb if side == "source" else tls_postgres
    foreign = running.connection(server, ssl=tls(mode, certificates.foreign_ca))
    outcome, _ = running.run(StreamJob(job.stream_id, job.config, {**job.connections, side: foreign}))
    assert outcome.error is not None
    assert (outcome.error["code"], outcome.error["details"]["reason"]) == ("CONNECTION_FAILED", "tls")


def test_a_certificate_of_another_host_passes_verify_ca_and_fails_verify_full(
    certificates: Certificates,
) -> None:
    with MariaDB(tls=certificates.misnamed) as source, Postgres(tls=certificates.misnamed) as target:
        for mode, status in (("verify-ca", "FINISHED"), ("verify-full", "FAILED")):
            job, _ = stream(source, target, tls(mode, certificates.ca))
            outcome, _ = running.run(job)
            assert outcome.status == status, outcome.error
        for side, server in (("source", source), ("target", target)):
            job, _ = stream(source, target, tls("verify-ca", certificates.ca))
            strict = running.connection(server, ssl=tls("verify-full", certificates.ca))
            outcome, _ = running.run(StreamJob(job.stream_id, job.config, {**job.connections, side: strict}))
            assert outcome.error is not None
            assert outcome.error["details"]["reason"] == "tls", outcome.error
