"""Run DuckDB statements with its scanners loaded; the last is timed: `python -m … '["…", "…"]'`."""

from __future__ import annotations

import json
import sys
import time


def main(statements: list[str]) -> None:
    import duckdb
    import duckdb_extensions

    connection = duckdb.connect()
    for extension in ("mysql_scanner", "postgres_scanner"):
        duckdb_extensions.import_extension(extension)
        connection.execute(f"LOAD {extension}")
    for statement in statements[:-1]:
        connection.execute(statement)
    began = time.monotonic()
    connection.execute(statements[-1])
    print(json.dumps({"data": time.monotonic() - began}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
