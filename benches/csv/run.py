#!/usr/bin/env python3
"""One large CSV file, read by Windrow, DuckDB and polars in turns: see benches/README.md.

Needs the `windrow` binary; duckdb and polars are asked if this Python has them. Exit code 0: all answers agree and the
cluster has read the file with all of its slots at once.
"""

import argparse
import csv
import decimal
import io
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time

# A lineitem of scale 1 is so large as CSV.
BYTES_OF_SCALE = 0.77e9
COLUMNS = {
    "l_orderkey": "BIGINT", "l_partkey": "BIGINT", "l_suppkey": "BIGINT", "l_linenumber": "INTEGER",
    "l_quantity": "DECIMAL(15,2)", "l_extendedprice": "DECIMAL(15,2)", "l_discount": "DECIMAL(15,2)",
    "l_tax": "DECIMAL(15,2)", "l_returnflag": "VARCHAR", "l_linestatus": "VARCHAR", "l_shipdate": "DATE",
    "l_commitdate": "DATE", "l_receiptdate": "DATE", "l_shipinstruct": "VARCHAR", "l_shipmode": "VARCHAR",
    "l_comment": "VARCHAR",
}  # fmt: skip
QUERIES = {
    # Two columns of numbers under two short texts: what the file costs is finding its fields.
    "narrow": "SELECT l_returnflag, l_linestatus, sum(l_quantity) AS quantity, sum(l_extendedprice) AS price, "
    "count(*) AS rows FROM lineitem GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus",
    # Every column is parsed.
    "wide": "SELECT l_returnflag, l_linestatus, sum(l_orderkey) AS o, sum(l_partkey) AS p, sum(l_suppkey) AS s, "
    "sum(l_linenumber) AS n, sum(l_quantity) AS q, sum(l_extendedprice) AS e, sum(l_discount) AS d, sum(l_tax) AS t, "
    "min(l_shipdate) AS sd, max(l_commitdate) AS cd, max(l_receiptdate) AS rd, min(l_shipinstruct) AS si, "
    "max(l_shipmode) AS sm, max(l_comment) AS c, count(*) AS rows FROM lineitem "
    "GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus",
}

DUCKDB = """
import duckdb, json, sys, time
request = json.load(sys.stdin)
connection = duckdb.connect(config={"threads": request["cores"]})
connection.execute("SET enable_progress_bar = false")
columns = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in request["columns"].items()) + "}"
begin = time.perf_counter()
path = request["file"].replace("'", "''")
source = f"read_csv('{path}', header = true, auto_detect = false, delim = ',', quote = '\\"', columns = {columns})"
connection.execute(f"CREATE TEMP VIEW lineitem AS SELECT * FROM {source}")
rows = connection.execute(request["query"]).fetchall()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "rows": [[str(value) for value in row] for row in rows]}))
"""

POLARS = """
import json, os, sys, time
request = json.load(sys.stdin)
os.environ["POLARS_MAX_THREADS"] = str(request["cores"])
import polars as pl
kinds = {"BIGINT": pl.Int64, "INTEGER": pl.Int32, "VARCHAR": pl.String, "DATE": pl.Date, "DECIMAL(15,2)": pl.Decimal(15, 2)}
schema = {name: kinds[kind] for name, kind in request["columns"].items()}
begin = time.perf_counter()
lines = pl.scan_csv(request["file"], schema=schema)
context = pl.SQLContext({"lineitem": lines}, eager=False)
rows = context.execute(request["query"]).collect(engine="streaming").rows()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "rows": [[str(value) for value in row] for row in rows]}))
"""


class Failed(Exception):
    """Something that ends the benchmark; its text is for people."""


def run(command, **more):
    """Runs a command to its end; its output."""
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise Failed(f"{command[0]} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def quoted(path):
    return str(path).replace("'", "''")


def table(path):
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    kind = f"STORED AS CSV LOCATION '{quoted(path)}' OPTIONS (header 'true')"
    return f"CREATE OR REPLACE EXTERNAL TABLE lineitem ({columns}) {kind}"


def make(windrow, gigabytes, directory):
    """The file of this size, made by Windrow's own generator unless it is there."""
    directory.mkdir(parents=True, exist_ok=True)
    path = (directory / f"lineitem-{gigabytes:g}GB.csv").resolve()
    if path.exists():
        return path
    scale = gigabytes * 1e9 / BYTES_OF_SCALE
    parquet = directory / f"tpch-{scale:.3f}"
    print(f"making {path} (TPC-H of scale {scale:.2f}) …", flush=True)
    run([windrow, "tpch", "generate", "--scale", f"{scale:.3f}", "--output", parquet])
    copy = f"COPY (SELECT * FROM '{quoted(parquet.resolve())}/lineitem.parquet') TO '{quoted(path)}' STORED AS CSV"
    run([windrow, "sql", "-c", copy])
    shutil.rmtree(parquet)
    return path


def ticks(pid):
    """Processor time of a process in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bytes_read(pid):
    """Bytes that a process has got from reading, files and sockets."""
    lines = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(lines["rchar"])


def ask(windrow, query, path, *arguments):
    """Runs the query by the binary; the wall time of the whole process, its rows."""
    settings = ["SET windrow.fast_path = 'off'"] if "--connect" in arguments else []
    statements = [part for text in [*settings, table(path), query] for part in ("-c", text)]
    begin = time.perf_counter()
    printed = run([windrow, "sql", *arguments, "--format", "csv", *statements])
    seconds = time.perf_counter() - begin
    return seconds, list(csv.reader(io.StringIO(printed)))[1:]


class Embedded:
    """Windrow in one process."""

    def __init__(self, windrow, cores):
        self.name, self.windrow, self.cores = f"windrow, one process of {cores} cores", windrow, cores
        self.busy = []

    def measure(self, query, path):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, rows = ask(self.windrow, query, path, "--cores", str(self.cores))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.busy.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds)
        return seconds, rows

    def prove(self):
        """What is to be said of how the file was read."""
        return f"the one process: {statistics.median(self.busy):.0%} of a core busy, its start included (median)"

    def close(self):
        pass


class Cluster:
    """Windrow on worker processes of one slot each; every exchange goes between processes."""

    def __init__(self, windrow, workers):
        self.name, self.windrow = f"windrow, {workers} workers of one slot", windrow
        self.reads = []
        arguments = ["up", "--json", "--listen", "127.0.0.1:0", "--workers", str(workers), "--cores", "1"]
        self.up = subprocess.Popen([windrow, *arguments], stdout=subprocess.PIPE, text=True)
        line = json.loads(self.up.stdout.readline())
        self.url, self.pids = line["flight_sql"], [worker["pid"] for worker in line["workers"]]

    def measure(self, query, path):
        before = [(bytes_read(pid), ticks(pid)) for pid in self.pids]
        seconds, rows = ask(self.windrow, query, path, "--connect", self.url)
        after = [(bytes_read(pid), ticks(pid)) for pid in self.pids]
        self.reads.append([(a[0] - b[0], (a[1] - b[1]) / seconds) for b, a in zip(before, after)])
        return seconds, rows

    def prove(self, query, path):
        """What is to be said of how the file was read, and whether all slots read it at once."""
        _, rows = ask(self.windrow, f"EXPLAIN ANALYZE {query}", path, "--connect", self.url)
        stages = re.split(r"\n(?=stage-\d+:)", next(text for name, text in rows if name == "stages"))
        scan = next(stage for stage in stages if "file_type=csv" in stage)
        tasks = int(re.search(r"stage-\d+: (\d+) tasks?", scan)[1])
        attempts, workers = map(int, re.search(r"(\d+) attempts?.* on (\d+) workers?", scan).groups())
        size = path.stat().st_size
        lines = [f"the scan: {tasks} tasks, {attempts} attempts on {workers} workers"]
        for index, pid in enumerate(self.pids):
            read = statistics.median(round_[index][0] for round_ in self.reads)
            busy = statistics.median(round_[index][1] for round_ in self.reads)
            lines.append(f"worker {pid}: read {read / size:.1%} of the file, {busy:.0%} of a core busy (medians)")
        # A worker that reads alone would have read all of it; one that waits for others would not be busy.
        shares = [read / size for round_ in self.reads for read, _ in round_]
        together = tasks >= len(self.pids) and workers == len(self.pids)
        return lines, together and min(shares) > 0.5 / len(self.pids) and max(shares) < 2 / len(self.pids)

    def close(self):
        self.up.send_signal(signal.SIGTERM)
        self.up.wait()


class Peer:
    """A library of this Python, in a process of its own for each measurement; its start is not measured."""

    def __init__(self, name, script, cores, version):
        self.name, self.script, self.cores = f"{name} {version}, {cores} threads", script, cores

    def measure(self, query, path):
        request = json.dumps({"file": str(path), "query": query, "columns": COLUMNS, "cores": self.cores})
        answer = json.loads(run([sys.executable, "-c", self.script], input=request))
        return answer["seconds"], answer["rows"]

    def close(self):
        pass


def peers(cores):
    for name, script in [("duckdb", DUCKDB), ("polars", POLARS)]:
        probe = f"import {name}; print({name}.__version__)"
        found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
        if found.returncode == 0:
            yield Peer(name, script, cores, found.stdout.strip())
        else:
            print(f"absent: {name} ({sys.executable} cannot import it)")


def canonical(rows):
    """Rows whose numbers are equal if their values are."""

    def value(text):
        try:
            return str(decimal.Decimal(text).quantize(decimal.Decimal("0.01")))
        except decimal.InvalidOperation:
            return text

    return [[value(text) for text in row] for row in rows]


def in_turns(contestants, query, path, rounds):
    """Seconds of each contestant in each round, after one that is not counted; who begins changes with each."""
    times, expected = {contestant.name: [] for contestant in contestants}, None
    for number in range(rounds + 1):
        first = number % len(contestants)
        for contestant in contestants[first:] + contestants[:first]:
            seconds, rows = contestant.measure(query, path)
            answer = canonical(rows)
            expected = expected or (contestant.name, answer)
            if answer != expected[1]:
                raise Failed(f"{contestant.name} says {answer}, {expected[0]} says {expected[1]}")
            if number > 0:
                times[contestant.name].append(seconds)
    return times, expected[1]


def report(name, times, size):
    medians = {contestant: statistics.median(seconds) for contestant, seconds in times.items()}
    bases = [contestant for contestant in medians if not contestant.startswith("windrow")]
    print(f"\n{name}: {QUERIES[name]}\n")
    print("| | median s | GB/s | " + "".join(f"time / {base.split()[0]} | " for base in bases) + "rounds |")
    print("|---|---|---|" + "---|" * (len(bases) + 1))
    for contestant, median in medians.items():
        ratios = "".join(f"{median / medians[base]:.2f} | " for base in bases)
        rounds = " ".join(f"{seconds:.2f}" for seconds in times[contestant])
        print(f"| {contestant} | {median:.2f} | {size / 1e9 / median:.2f} | {ratios}{rounds} |")
    return medians


def warm(path):
    """Reads the file once, so that all find it in memory; whether it fits."""
    with open(path, "rb") as file:
        while file.read(1 << 24):
            pass
    memory = pathlib.Path("/proc/meminfo").read_text()
    available = int(re.search(r"MemAvailable:\s+(\d+) kB", memory)[1]) * 1024
    return path.stat().st_size < available


def arguments():
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windrow", default=target / "release/windrow", help="the binary [%(default)s]")
    parser.add_argument("--gigabytes", type=float, default=5, help="size of the file that is made [%(default)s]")
    parser.add_argument("--file", type=pathlib.Path, help="a lineitem as CSV with a header, in place of one that is made")
    parser.add_argument("--data", type=pathlib.Path, default=target / "csv-bench", help="where it is made [%(default)s]")
    parser.add_argument("--cores", type=int, default=2, help="threads, or workers of one slot [%(default)s]")
    parser.add_argument("--rounds", type=int, default=5, help="that are counted [%(default)s]")
    parser.add_argument("--queries", default="narrow,wide", help="[%(default)s]")
    parser.add_argument("--json", type=pathlib.Path, help="file that the measurements are written to")
    return parser.parse_args()


def main():
    wanted = arguments()
    windrow = str(wanted.windrow)
    if shutil.which(windrow) is None:
        raise Failed(f"there is no '{windrow}'; build it with 'cargo build --release', or name it with --windrow")
    path = wanted.file.resolve() if wanted.file else make(windrow, wanted.gigabytes, wanted.data)
    size = path.stat().st_size
    contestants = [Embedded(windrow, wanted.cores), Cluster(windrow, wanted.cores), *peers(wanted.cores)]
    failures, outcome = [], {"bytes": size, "cores": wanted.cores, "machine": platform.processor(), "queries": {}}
    try:
        state = "in the page cache" if warm(path) else "larger than free memory: NOT in the page cache"
        print(f"{path}: {size / 1e9:.2f} GB, {state}; {wanted.rounds} rounds after one that is not counted")
        for name in wanted.queries.split(","):
            embedded, cluster = contestants[:2]
            embedded.busy.clear()
            cluster.reads.clear()
            times, rows = in_turns(contestants, QUERIES[name], path, wanted.rounds)
            medians = report(name, times, size)
            lines, together = cluster.prove(QUERIES[name], path)
            count = sum(int(decimal.Decimal(row[-1])) for row in rows)
            lines.append(embedded.prove())
            print(f"\nall agree on {len(rows)} groups of {count} rows", *lines, sep="\n")
            if not together:
                failures.append(f"{name}: the file was not read by all slots at once")
            outcome["queries"][name] = {"seconds": times, "medians": medians, "read": lines, "at_once": together}
    finally:
        for contestant in contestants:
            contestant.close()
    if wanted.json:
        wanted.json.write_text(json.dumps(outcome, indent=2) + "\n")
    if failures:
        raise Failed("\n".join(failures))
    print("\nread by all slots at once: yes")


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"error: {failed}")
