"""`dbstreams`: serve the API, manage its keys, and run single copies from the shell."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import Code, EngineError
from server import copying
from server.terminal import Terminal

EXIT_FAILED, EXIT_USAGE, EXIT_MISMATCH, EXIT_INTERRUPTED = 1, 2, 4, 130

app = typer.Typer(
    name="dbstreams",
    help="Move data between MySQL/MariaDB and PostgreSQL: nothing lost, nothing silently changed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
keys_app = typer.Typer(help="API keys of a data directory.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where connections, streams and keys are kept.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
Verify = Annotated[bool, typer.Option("--verify", help="Compare both sides afterwards, row by row.")]


def main() -> None:
    """The console script: one place where failures become exit codes."""
    try:
        app(standalone_mode=True)
    except EngineError as error:
        Terminal().error(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # `dbstreams openapi | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    finally:
        gc.freeze()  # what is left of a large program is not worth the search for cycles at its exit


def exit_code(error: EngineError) -> int:
    if error.code is Code.VERIFY_MISMATCH:
        return EXIT_MISMATCH
    return EXIT_USAGE if error.code is Code.VALIDATION_FAILED else EXIT_FAILED


# ---------------------------------------------------------------- serve, openapi


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8020,
    data_dir: DataDir = None,
    files_root: Annotated[
        list[Path] | None, typer.Option("--files-root", help="Folder open to file calls; repeatable.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate: speak HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key of the certificate.")] = None,
) -> None:
    """Serve the REST API until Ctrl-C.

    The first start makes an install id and an API key with an active subscription and prints both once;
    DBSTREAMS_API_KEY in the environment provisions that key instead.
    """
    from server.serve import serve as run_server

    run_server(host, port, data_dir, files_root or (), tls_cert, tls_key)


@app.command()
def openapi(
    yaml: Annotated[bool, typer.Option("--yaml", help="YAML instead of JSON.")] = False,
) -> None:
    """Print the OpenAPI 3.0 document of the API."""
    from server.openapi import as_json, as_yaml, build_document
    from server.routes import all_operations

    document = build_document(all_operations())
    text = as_yaml(document) if yaml else as_json(document)
    sys.stdout.buffer.write(text if text.endswith(b"\n") else text + b"\n")


# ---------------------------------------------------------------- keys


@contextmanager
def _keys(data_dir: Path | None) -> Iterator[Any]:
    from engine.api import Engine

    with Engine(data_dir, supervise=False) as engine:
        yield engine.keys


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    subscription: Annotated[str, typer.Option(help="active, trial, expired or none.")] = "active",
    until: Annotated[str | None, typer.Option(help="End of the subscription, e.g. 2027-01-31.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, this once."""
    with _keys(data_dir) as keys:
        made = keys.create(name, subscription=subscription, until=copying.moment(until))
    print(made["key"])
    Terminal().say(f"{made['id']} ({subscription}); the key is shown only now")


@keys_app.command("list")
def keys_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List keys: never the keys themselves."""
    with _keys(data_dir) as keys:
        items = keys.list()["items"]
    for item in items:
        if as_json:
            copying.print_json(item)
        else:
            print(f"{item['id']}  {item['status']:<8}  {item['name']}")


@keys_app.command("revoke")
def keys_revoke(key_id: str, data_dir: DataDir = None) -> None:
    """Make a key useless from now on."""
    with _keys(data_dir) as keys:
        keys.revoke(key_id)


# ---------------------------------------------------------------- copies


@app.command()
def copy(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC_URL",
            help="mysql://user:password@host:port/database, postgresql://…, duckdb:///path, s3://bucket/key,"
            " a file, a folder or a pattern.",
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="DST_URL",
            help="The same kinds: postgresql://user:password@host:port/database?schema=name, ./out.parquet…",
        ),
    ],
    tables: Annotated[list[str] | None, typer.Option(help="Only these tables (a,b or repeated).")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="All tables but these.")] = None,
    schema_policy: Annotated[
        str, typer.Option(help="create_missing_only, fail_if_exists, validate_existing, drop_and_recreate.")
    ] = "create_missing_only",
    write_mode: Annotated[
        str, typer.Option(help="append, fail_if_not_empty, truncate_and_load, upsert.")
    ] = "append",
    skip_data: Annotated[bool, typer.Option("--skip-data", help="Structure only.")] = False,
    workers: Annotated[int, typer.Option(min=0, max=64, help="Parallel workers; 0: one a core.")] = 0,
    policy: Annotated[
        list[str] | None, typer.Option(help="A value policy, e.g. zeroDate=null; repeatable.")
    ] = None,
    reader: Annotated[str, typer.Option(help="auto, native or connectorx.")] = "auto",
    query: Annotated[
        list[str] | None, typer.Option(help="NAME=SELECT …: the result as a table; repeatable.")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="Of files made: parquet, csv, json or jsonl.")
    ] = None,
    compression: Annotated[
        str | None, typer.Option(help="Of files made: none, gzip, zstd or snappy.")
    ] = None,
    verify: Verify = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done and stop.")] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Copy a database, files or a bucket: structure, rows, keys and indexes.

    A password may stay out of the URL: DBSTREAMS_SOURCE_PASSWORD and DBSTREAMS_TARGET_PASSWORD are read
    instead. Ctrl-C stops cleanly and prints the command that goes on from there.

    Exit codes: 0 done, 1 failed, 2 usage, 4 the comparison found a difference, 130 stopped by Ctrl-C.
    """
    output = copying.output(as_json, quiet)
    ends = (
        copying.with_password(source, "DBSTREAMS_SOURCE_PASSWORD"),
        copying.with_password(target, "DBSTREAMS_TARGET_PASSWORD"),
    )
    with copying.reporting(output), copying.free_engine(data_dir, None if plan else ends) as engine:
        config_id = engine.prepare_copy(
            *ends,
            tables=copying.names(tables),
            exclude=copying.names(exclude),
            schema_policy=schema_policy,
            write_mode=write_mode,
            skip_data=skip_data,
            workers=workers,
            policies=copying.policies(policy),
            reader=reader,
            queries=copying.queries(query),
            file_format=file_format,
            compression=compression,
        )
        copying.start(engine, config_id, output, verify=verify, plan_only=plan, data_dir=data_dir)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="A JSON file: {connections: […], streamConfig: {…}}.")],
    verify: Verify = False,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done and stop.")] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Run a stream config from a file.

    `connections` are bodies as POST /connections takes them; `connectionId` and `target.id` in
    `streamConfig` name one of them, or a saved connection, by its name or id. ${NAME} in a connection is read
    from the environment.
    """
    output = copying.output(as_json, quiet)
    with copying.reporting(output), copying.free_engine(data_dir) as engine:
        config_id = copying.save_file(engine, config)
        copying.start(engine, config_id, output, verify=verify, plan_only=plan, data_dir=data_dir)


@app.command()
def resume(
    stream_id: Annotated[str, typer.Argument(help="A stream that was stopped, paused or failed.")],
    verify: Verify = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Go on with a stream from what the target holds."""
    output = copying.output(as_json, quiet)
    with copying.reporting(output), copying.engine_of(stream_id, data_dir) as engine:
        engine.streams.resume(stream_id)
        copying.follow(engine, stream_id, output, verify=verify, data_dir=data_dir)


@app.command("verify")
def verify_command(
    stream_id: Annotated[str, typer.Argument(help="A stream that ran here.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Compare both sides of a stream, row by row. Exit code 4 when they differ."""
    output = copying.output(as_json, quiet=False)
    with copying.reporting(output), copying.engine_of(stream_id, data_dir) as engine:
        copying.compare(engine, stream_id, output)


if __name__ == "__main__":
    main()
