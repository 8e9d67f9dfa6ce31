"""Run a scenario with each peer in turn: `python -m benchmarks.run mysql_to_postgres --rows 2000000`.

Servers are private and the data is generated. A peer that is not installed is listed as such. Every run is
checked against the source; a wrong one ends the benchmark with exit code 1. The table goes to stdout and,
with `--out DIR`, to DIR as Markdown and JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import CommandFailed, cpu_seconds
from benchmarks.peers import PEERS
from benchmarks.peers.base import Peer, PeerMissing
from benchmarks.peers.ours import Ours
from benchmarks.report import Result, Sample, as_json, markdown
from benchmarks.servers import ServerMissing

SCENARIOS = sorted(path.stem for path in (Path(__file__).parent / "scenarios").glob("[a-z]*.py"))


USUAL = ["ours", "duckdb", "pgloader", "sling", "pipe", "floor"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--warmup", type=int, default=1, help="rounds before those that count")
    parser.add_argument("--peers", help=f"all of the scenario's; for mysql_to_postgres {', '.join(PEERS)}")
    parser.add_argument("--out", type=Path, help="folder for the report")
    options = parser.parse_args()
    scenario = importlib.import_module(f"benchmarks.scenarios.{options.scenario}")
    peers = getattr(scenario, "PEERS", PEERS)
    usual = list(peers) if peers is not PEERS else USUAL
    names = options.peers.split(",") if options.peers else usual
    unknown = [name for name in names if name not in peers]
    if unknown or options.rows < 1 or options.repeat < 1:
        parser.error(f"unknown peers: {', '.join(unknown)}" if unknown else "rows and repeat are at least 1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report(scenario, options, [peer for name in names for peer in peers[name]])
    except (ServerMissing, CommandFailed, scenario.WrongRows) as error:
        sys.exit(f"benchmark: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def report(scenario: Any, options: argparse.Namespace, peers: list[Peer]) -> None:
    """Measure, print, write."""
    with tempfile.TemporaryDirectory(prefix="dbstreams-bench-") as scratch:
        say(f"making {options.rows:,} rows")
        with scenario.scenario(options.rows, Path(scratch)) as stage:
            results = measure(stage, peers, options.warmup, options.repeat)
            settings = stage.settings()
    facts = (f"{scenario.TITLE}", options.rows, results, scenario.BASELINE, settings)
    text = markdown(*facts)
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        name = f"{options.scenario}-{options.rows}"
        (options.out / f"{name}.md").write_text(text)
        (options.out / f"{name}.json").write_text(json.dumps(as_json(*facts), indent=1, ensure_ascii=False))


def measure(stage: Any, peers: list[Peer], warmup: int, repeat: int) -> list[Result]:
    """Rounds in which every peer runs once; the first `warmup` are not counted."""
    results = [installed(peer) for peer in peers]
    able = [(peer, result) for peer, result in zip(peers, results, strict=True) if not result.missing]
    for peer, _ in able:
        peer.prepare(stage.fresh())
    for turn in range(warmup + repeat):
        for peer, result in able:
            sample = once(stage, peer)
            counted = turn >= warmup
            kind = "run" if counted else "warm-up"
            say(f"{kind} {peer.name}: {sample.data:.2f} s, {sample.total:.2f} with key")
            if counted:
                result.samples.append(sample)
    for peer, result in able:
        if isinstance(peer, Ours):
            result.gil_share = peer.gil_share(stage.fresh())
    return results


def installed(peer: Peer) -> Result:
    try:
        return Result(peer.name, version=peer.version())
    except PeerMissing as missing:
        say(f"{peer.name}: {missing}")
        return Result(peer.name, missing=str(missing))


def once(stage: Any, peer: Peer) -> Sample:
    """One run on an empty target, checked. Raises CommandFailed, and WrongRows of the scenario."""
    work = stage.fresh()
    before = [_cpu(pid) for pid in work.pids]
    run = peer.run(work)
    total = run.usage.seconds
    if peer.moves_rows and not run.keyed:
        began = time.monotonic()
        work.target.execute(work.add_key, database=work.target_database)
        total += time.monotonic() - began
    source, target = (_cpu(pid) - start for pid, start in zip(work.pids, before, strict=True))
    if peer.moves_rows:
        stage.check(work)
    return Sample(
        data=run.data_seconds,
        total=total,
        peer_cpu=run.usage.cpu_seconds,
        source_cpu=source,
        target_cpu=target,
        peak_rss_mb=run.usage.peak_rss_mb,
        notes=run.notes,
    )


def _cpu(pid: int | None) -> float:
    """Of a server, where the scenario has one there."""
    return 0.0 if pid is None else cpu_seconds(pid)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
