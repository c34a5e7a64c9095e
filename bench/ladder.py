"""The ladder of bench/run: durable ingest, rung by rung, each beside nginx storing nothing."""
import itertools
import json
import statistics
import subprocess

import harness

connections = (1, 4, 16, 64, 256)
modes = {"single": (1, 1), "16 pipelined": (16, 1), "batches of 500": (1, 500)}
shards = (1, 16, 1_000, 10_000)
sizes = (250, 4_096)


def drive(program, port, target, clients, mode, seconds, size):
    """Records per second and times; what was refused counts as such, not as done."""
    pipeline, batch = modes[mode]
    done = subprocess.run([str(program), "http", str(port), target, str(clients), str(pipeline), str(batch), str(seconds),
                           str(size)], capture_output=True, text=True, timeout=120)
    if not done.stdout:
        raise SystemExit(f"bench: {target}: {done.stderr}")
    said = json.loads(done.stdout)
    said["why"] = done.stderr.strip()[:300]
    return said


def stored(server, shards):
    """What the commits of a stream have taken on disk so far, and how many records they held."""
    totals = {}
    for line in harness.request(server.port, "GET", "/metrics").body.decode().splitlines():
        for name in ("tidemill_commit_bytes_total", "tidemill_records_total"):
            if line.startswith(f'{name}{{stream="ladder-{shards}"}}'):
                totals[name] = float(line.rsplit(" ", 1)[1])
    return totals["tidemill_commit_bytes_total"], totals["tidemill_records_total"]


def run(args, directory, nginx, server, program, say):
    rounds, seconds = (1, 0.5) if args.quick else (min(args.rounds, 2), 1)
    made, refused = [], {}
    for n in shards:
        answer = harness.request(server.port, "PUT", f"/v1/streams/ladder-{n}",
                                 {"shards": n, "partition_key": "InvoiceNo", "archive": {"enabled": False}})
        if answer.status in (200, 201):
            made.append(n)
        else:
            refused[n] = f"{answer.status} {answer.body[:200].decode(errors='replace')}"
            say(f"bench: ladder: no stream of {n} shards: {refused[n]}")
    rungs = []
    for size, mode, clients in itertools.product(sizes, modes, connections):
        targets = [("nginx", nginx.port, "/")] + [(n, server.port, f"/v1/streams/ladder-{n}/records") for n in made]
        runs = {name: [] for name, _, _ in targets}
        before = {n: stored(server, n) for n in made}
        for turn in range(rounds):
            for name, port, target in targets if turn % 2 == 0 else reversed(targets):
                runs[name].append(drive(program, port, target, clients, mode, seconds, size))
        say(f"bench: ladder: {size} B, {mode}, {clients} connections")
        rung = {"bytes": size, "mode": mode, "connections": clients, "contenders": {}}
        for name, list_ in runs.items():
            rung["contenders"][str(name)] = {
                **{key: statistics.median(r[key] for r in list_) for key in ("records_per_second", "p50_us", "p99_us")},
                "errors": sum(r["errors"] for r in list_), "runs": list_}
        for n in made:
            bytes_, records = (after - b for after, b in zip(stored(server, n), before[n]))
            rung["contenders"][str(n)]["stored_per_record"] = bytes_ / records
        rungs.append(rung)
    return {"rounds": rounds, "seconds": seconds, "shards": made, "refused": refused, "rungs": rungs}


def table(said):
    rows = []
    for rung in said["rungs"]:
        nginx = rung["contenders"]["nginx"]["records_per_second"]
        figures, beside, stored_ = [], [], []
        for n in said["shards"]:
            c = rung["contenders"][str(n)]
            text = f"{c['records_per_second']:,.0f}"
            figures.append(f"{text} ({c['errors']} refused)" if c["errors"] else text)
            beside.append(f"{c['records_per_second'] / nginx:.2f}")
            stored_.append(f"{c['stored_per_record']:,.0f}")
        rows.append((f"ladder: {rung['bytes']} B, {rung['mode']}, {rung['connections']} connections",
                     " / ".join(figures) + f" records/s with {' / '.join(f'{n:,}' for n in said['shards'])} shards",
                     " / ".join(beside) + f" of nginx ({nginx:,.0f}); {' / '.join(stored_)} bytes on disk a record"))
    for n, why in said["refused"].items():
        rows.append((f"ladder: {n:,} shards", "missing", why))
    return rows
