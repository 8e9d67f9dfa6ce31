"""Running one stream from the command line: where its store is, how it is watched, stopped and reported."""

from __future__ import annotations

import datetime as dt
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import orjson
import typer

from engine import Code, EngineError, worker_ahead
from server.terminal import Terminal

if TYPE_CHECKING:
    from engine.api import Engine

PLACES = 64  # copies that may run at once from one account
_INTERRUPTED = 130


class Output(Protocol):
    """How a job speaks: to a person or to a program."""

    def plan(self, plan: Mapping[str, Any], source: str, target: str, workers: int) -> None: ...
    def whole_plan(self, plan: Mapping[str, Any]) -> None: ...
    def notes(self, notes: list[dict[str, Any]]) -> None: ...
    def progress(self, stats: Mapping[str, Any]) -> None: ...
    def done(self) -> None: ...
    def result(self, result: Mapping[str, Any], verdicts: Mapping[str, Any] | None) -> None: ...
    def verdict(self, compared: Mapping[str, Any]) -> None: ...
    def say(self, text: str) -> None: ...
    def error(self, error: EngineError) -> None: ...


class JsonLines:
    """One object a line on stdout, the summary last; what is for people goes to stderr."""

    def plan(self, plan: Mapping[str, Any], source: str, target: str, workers: int) -> None:
        print_json({"event": "plan", "source": source, "target": target, **_brief(plan)})

    def whole_plan(self, plan: Mapping[str, Any]) -> None:
        print_json({"event": "plan", **plan})

    def notes(self, notes: list[dict[str, Any]]) -> None:
        pass  # they are in the plan and in the summary

    def progress(self, stats: Mapping[str, Any]) -> None:
        print_json({"event": "progress", **stats})

    def done(self) -> None:
        pass

    def result(self, result: Mapping[str, Any], verdicts: Mapping[str, Any] | None) -> None:
        print_json({**result, **({"verify": verdicts} if verdicts is not None else {})})

    def verdict(self, compared: Mapping[str, Any]) -> None:
        print_json({"event": "verify", **compared})

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)

    def error(self, error: EngineError) -> None:
        print_json({"event": "error", **error.as_dict()})


def output(as_json: bool, quiet: bool) -> Output:
    return JsonLines() if as_json else Terminal(quiet)


def print_json(value: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def _brief(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: plan[name] for name in ("executable", "estimatedRows", "estimatedBytes", "chunks", "notes")},
        "tables": [table["target"]["table"] for table in plan["tables"]],
    }


# ---------------------------------------------------------------- options


def names(given: list[str] | None) -> list[str] | None:
    """`a,b` and repetition; a name with a comma in it is given as JSON text: `"a,b"`."""
    found: list[str] = []
    for item in given or []:
        if item.startswith('"') and item.endswith('"') and len(item) > 2:
            found.append(orjson.loads(item))
        else:
            found += [name for name in item.split(",") if name]
    return found or None


def policies(given: list[str] | None) -> dict[str, str]:
    found = {}
    for item in given or []:
        name, equals, value = item.partition("=")
        if not equals:
            raise _invalid("--policy", f"{item!r} is not NAME=VALUE")
        found[name] = value
    return found


def queries(given: list[str] | None) -> dict[str, str] | None:
    """NAME=SELECT …, each name once."""
    found: dict[str, str] = {}
    for item in given or []:
        name, equals, query = item.partition("=")
        if not equals or not name.strip() or not query.strip():
            raise _invalid("--query", "NAME=SELECT …")
        if name.strip() in found:
            raise _invalid("--query", f"the name {name.strip()} comes twice")
        found[name.strip()] = query.strip()
    return found or None


def moment(text: str | None) -> float | None:
    """Seconds since 1970 of an ISO date or time, UTC unless it says otherwise."""
    if text is None:
        return None
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _invalid("--until", f"{text!r} is not a date such as 2027-01-31") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)).timestamp()


def with_password(url: str, variable: str) -> str:
    """The URL, completed from the environment when it names a user but no password."""
    password = os.environ.get(variable)
    parts = urlsplit(url)
    if password is None or "@" not in parts.netloc:
        return url
    login, _, host = parts.netloc.rpartition("@")
    if ":" in login:
        return url
    return urlunsplit(parts._replace(netloc=f"{login}:{quote(password, safe='')}@{host}"))


def _invalid(field: str, problem: str) -> EngineError:
    return EngineError(
        Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
    )


# ---------------------------------------------------------------- stores


def _base() -> Path:
    named = os.environ.get("DBSTREAMS_DATA_DIR")
    return Path(named) if named else Path.home() / ".local" / "share" / "dbstreams"


def _places() -> list[Path]:
    return [_base() / "copies" / str(number) for number in range(1, PLACES + 1)]


@contextmanager
def free_engine(data_dir: Path | None, ends: tuple[str, str] | None = None) -> Iterator[Engine]:
    """An engine over `data_dir`, or over the first place of ours that no other copy holds: a server that runs
    on the default directory and other copies are left alone. `ends`: the two URLs of the copy that is run
    on it at once; its worker loads while the engine does."""
    if ends is not None:
        worker_ahead(*ends)
    from engine.api import Engine

    if data_dir is not None:
        with Engine(data_dir) as engine:
            yield engine
        return
    for place in _places():
        try:
            engine = Engine(place)
        except EngineError as error:
            if "pid" in error.details:
                continue
            raise
        with engine:
            yield engine
        return
    raise EngineError(Code.STORE_UNAVAILABLE, f"{PLACES} copies are running: give --data-dir")


@contextmanager
def engine_of(stream_id: str, data_dir: Path | None) -> Iterator[Engine]:
    """The engine that knows the stream. STREAM_NOT_FOUND when none of our places does."""
    from engine.api import Engine

    for place in [data_dir] if data_dir is not None else [*_places(), _base()]:
        if not (place / "store.sqlite").exists():
            continue
        with Engine(place, supervise=False) as looking:
            known = any(item["id"] == stream_id for item in looking.streams.list(limit=1 << 30)["items"])
        if known:
            with Engine(place) as engine:
                yield engine
            return
    raise EngineError(Code.STREAM_NOT_FOUND, f"no stream {stream_id} ran here", streamId=stream_id)


# ---------------------------------------------------------------- config files

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def save_file(engine: Engine, path: Path) -> str:
    """Save a file's connections and its stream config; the config's id."""
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise _invalid("config", f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise _invalid("config", f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("streamConfig"), dict):
        raise _invalid("streamConfig", "the file holds {connections: […], streamConfig: {…}}")
    unknown = sorted(set(document) - {"connections", "streamConfig"})
    if unknown:
        raise _invalid(unknown[0], "unknown field")
    for body in document.get("connections", []):
        _save_connection(engine, _from_environment(body))
    ids = {item["name"]: item["id"] for item in engine.connections.list(limit=1 << 30)["items"]}
    config = document["streamConfig"]
    for end in [*config.get("source", {}).get("connections", []), config.get("target", {})]:
        for field in ("connectionId", "id"):
            if isinstance(end, dict) and end.get(field) in ids:
                end[field] = ids[end[field]]
    for item in engine.configs.list(search=config.get("name"), limit=1 << 30)["items"]:
        if item["name"] == config.get("name"):
            engine.configs.update(item["id"], config)
            return str(item["id"])
    return str(engine.configs.create(config)["id"])


def _save_connection(engine: Engine, body: dict[str, Any]) -> None:
    for item in engine.connections.list(limit=1 << 30)["items"]:
        if item["name"] == body.get("name"):
            engine.connections.update(item["id"], body)
            return
    engine.connections.create(body)


def _from_environment(value: Any) -> Any:
    """`${NAME}` anywhere in a connection is the environment's value; one that is not set is an error."""
    if isinstance(value, dict):
        return {key: _from_environment(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_from_environment(item) for item in value]
    if isinstance(value, str):
        return _VARIABLE.sub(_variable, value)
    return value


def _variable(match: re.Match[str]) -> str:
    try:
        return os.environ[match[1]]
    except KeyError:
        raise _invalid("connections", f"the environment variable {match[1]} is not set") from None


# ---------------------------------------------------------------- running


@contextmanager
def reporting(output: Output) -> Iterator[None]:
    """Failures are told in the output's own way, then leave as exit codes."""
    try:
        yield
    except EngineError as error:
        from server.cli import exit_code

        output.error(error)
        raise typer.Exit(exit_code(error)) from None
    finally:
        output.done()


def start(
    engine: Engine, config_id: str, output: Output, *, verify: bool, plan_only: bool, data_dir: Path | None
) -> None:
    """Run and say what the worker has planned; or only plan, when only that was wanted."""
    config = engine.configs.get(config_id)
    source, target = _ends(engine, config)
    workers = config["source"]["options"]["workers"]
    if plan_only:
        plan = engine.configs.plan(config_id)
        output.plan(plan, source, target, workers)
        output.whole_plan(plan)
        if not plan["executable"]:
            raise typer.Exit(1)
        return

    def announce(plan: Mapping[str, Any]) -> None:
        output.plan(plan, source, target, workers)
        output.notes(plan["notes"])

    stream_id = engine.configs.start(config_id)["id"]
    follow(engine, stream_id, output, verify=verify, data_dir=data_dir, announce=announce)


def _ends(engine: Engine, config: Mapping[str, Any]) -> tuple[str, str]:
    """`mysql://user@host:port` and the like of both ends, without any secret."""
    source, target = (
        _label(engine.connections.get(identifier))
        for identifier in (config["source"]["connections"][0]["connectionId"], config["target"]["id"])
    )
    return source, target


def _label(saved: Mapping[str, Any]) -> str:
    spec = saved["spec"]
    if "database" in spec:
        server = spec["database"]
        return f"{saved['type']}://{server['username']}@{server['host']}:{server['port']}"
    if "s3" in spec:
        bucket = spec["s3"].get("scope", {}).get("bucket") or spec["s3"].get("endpoint") or "AWS"
        return f"s3://{bucket}"
    return str(spec["files"]["basePath"] if "files" in spec else spec["duckdb"]["path"])


def follow(
    engine: Engine,
    stream_id: str,
    output: Output,
    *,
    verify: bool,
    data_dir: Path | None,
    announce: Callable[[Mapping[str, Any]], None] | None = None,
) -> None:
    """Watch a stream to its end. Ctrl-C stops it cleanly, a second one kills it; both are safe to resume.
    `announce` is given the plan as soon as there is one."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if announce is not None and (plan := engine.streams.plan(stream_id)) is not None:
            announce(plan)
        result = engine.follow(stream_id, on_progress=output.progress)
        compared = _compare(engine, stream_id) if verify and result.status == "FINISHED" else None
    except KeyboardInterrupt:
        _stop(engine, stream_id, output)
        output.say(f"stopped; go on with: {_again('resume', stream_id, data_dir)}")
        raise typer.Exit(_INTERRUPTED) from None
    except EngineError as error:
        from server.cli import exit_code

        output.error(error)
        if error.code is not Code.VALIDATION_FAILED:
            output.say(f"when that is mended, go on with: {_again('resume', stream_id, data_dir)}")
        raise typer.Exit(exit_code(error)) from None
    output.done()
    phases = dict(result.phases)
    if compared is not None:
        phases["verify"] = compared["seconds"]
        output.verdict(compared)
    summary = {
        "status": result.status,
        "streamId": result.stream_id,
        "phases": {
            name: phases.get(name, 0.0) for name in ("plan", "structure", "data", "indexes", "verify")
        },
        "tables": result.tables,
        "rows": result.rows,
        "bytes": result.bytes,
        "peakRssMb": result.peak_rss_mb,
        "notes": result.notes,
    }
    output.result(summary, compared)
    if compared is not None and not compared["equal"]:
        raise typer.Exit(4)
    if result.status != "FINISHED":
        output.say(f"{result.status.lower()}; go on with: {_again('resume', stream_id, data_dir)}")
        raise typer.Exit(1)
    if compared is None:
        output.say(f"compare both sides with: {_again('verify', stream_id, data_dir)}")


def compare(engine: Engine, stream_id: str, output: Output) -> None:
    compared = _compare(engine, stream_id)
    output.verdict(compared)
    if not compared["equal"]:
        raise typer.Exit(4)


def _compare(engine: Engine, stream_id: str) -> dict[str, Any]:
    engine.streams.verify(stream_id)
    job = engine.streams.wait_verify(stream_id)
    if job["error"]:
        raise EngineError.from_dict(job["error"])
    result: dict[str, Any] = job["result"]
    return result


def _stop(engine: Engine, stream_id: str, output: Output) -> None:
    output.say("stopping: the chunks under way are committed or undone (Ctrl-C again kills)")
    try:
        engine.streams.stop(stream_id)
        engine.streams.wait(stream_id)
    except KeyboardInterrupt:
        engine.streams.stop(stream_id, force=True)
        engine.streams.wait(stream_id)
    except EngineError as error:
        if error.code is not Code.INVALID_STREAM_STATE:  # it ended by itself meanwhile
            raise


def _again(command: str, stream_id: str, data_dir: Path | None) -> str:
    place = f" --data-dir {shlex.quote(str(data_dir))}" if data_dir is not None else ""
    return f"dbstreams {command} {stream_id}{place}"
