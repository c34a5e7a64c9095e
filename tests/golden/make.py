#!/usr/bin/env python3
"""Makes a golden data directory with the program in build/release.

    tests/golden/make.py LAYOUT             tests/golden/LAYOUT/, of a whole log
    tests/golden/make.py LAYOUT-shortened   of a log whose beginning retention has removed
    tests/golden/make.py LAYOUT-derived     with streams derived from it
"""
import io
import json
import lzma
import pathlib
import random
import re
import sys
import tarfile
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "e2e"))
from harness import Server, request  # noqa: E402
from test_golden import answers  # noqa: E402

CONFIG = """
[storage]
segment = "1MiB"
[streams.retail]
shards = 4
partition_key = "InvoiceNo"
[streams.retail.fields]
Quantity = "integer"
UnitPrice = "number"
[streams.retail.archive]
size = "2MiB"
age = "1h"
[views.customers]
sql = "builtin:customers"
[views.invoices]
sql = "builtin:invoices"
[views.notes]
sql = "SELECT Country AS country, count(*) AS lines, count(DISTINCT CustomerID) AS customers, min(Quantity) AS least, last(StockCode) AS latest, length(max(Note)) AS longest FROM retail GROUP BY Country"
"""
# For NAME-expiring: what goes with time, and what is late.
EXPIRING = """
[views.recent]
sql = "CREATE MATERIALIZED VIEW recent WITH (ttl = '2 seconds') AS SELECT StockCode, count(*) AS lines, collect(Quantity) AS quantities, count(DISTINCT CustomerID) AS customers FROM retail GROUP BY StockCode"
[views.minutes]
sql = "CREATE MATERIALIZED VIEW minutes WITH (window = begins, size = '1 minute', retention = '5 minutes') AS SELECT coalesce(at, strftime('%Y-%m-%d %H:%M', _time)) AS begins, count(*) AS lines FROM retail GROUP BY begins"
"""


def row(n, note=""):
    return {"InvoiceNo": str(500 + n // 3), "StockCode": f"S{n % 11}", "Description": f"thing {n % 11}",
            "Quantity": n % 7 - 1, "InvoiceDate": f"2011-12-0{1 + n % 9} 08:{n % 60:02}:00", "UnitPrice": n / 8,
            "CustomerID": str(17000 + n % 5), "Country": ["France", "Kenya", "Österreich"][n % 3], "Note": note}


def post(server, path, body, key):
    answer = server.post(path, body, {"Idempotency-Key": key})
    assert answer.status == 200, answer


def whole(server, note):
    """Stopped, killed and stopped once more."""
    records = "/v1/streams/retail/records"
    for n in range(20):
        post(server, records, [row(3 * n + i) for i in range(3)], f"small-{n}")
    assert server.stop() == 0
    server.start()
    for n in range(64):
        post(server, records + "?ack=view&wait=20000", row(100 + n, note), f"large-{n}")
    server.kill()
    server.start()
    post(server, records + "?ack=view&wait=20000", [row(300), {"InvoiceNo": "7", "Quantity": 1, "UnitPrice": 1}], "last")


def expiring(server, note):
    """Rows that went and begin anew, rows that went and are still stored, records that are late."""
    records = "/v1/streams/retail/records"
    for n in range(8):
        post(server, records + "?ack=view&wait=20000", [row(11 * n + i) for i in range(n, 11)], f"small-{n}")
        time.sleep(0.3)
    post(server, records + "?ack=view&wait=20000", [{**row(1), "at": "2011-12-01"}], "large-0")
    time.sleep(2.1)
    post(server, records + "?ack=view&wait=20000", [row(1), row(2)], "last")
    assert server.stop() == 0
    server.start()


def change(server, method, path, body):
    answer = request(server.port, method, path, body)
    assert answer.status == 200, answer


def await_that(server, what, condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"{what} did not come\n{server.log_tail()}"
        time.sleep(0.05)


def shortened(server, note):
    """Also split and merged, with records that were lost to the archive, and killed once it is short."""
    stream, records = "/v1/streams/retail", "/v1/streams/retail/records"

    def starts():
        return server.get(stream).json()["first_sequence"]
    for n in range(20):
        post(server, records, [row(3 * n + i) for i in range(3)], f"small-{n}")
    change(server, "POST", stream + "/shards/1/split", {})
    change(server, "POST", stream + "/shards/2/merge", {"with": 3})
    for n in range(32):
        post(server, records + "?ack=view&wait=20000", row(100 + n, note), f"early-{n}")
    await_that(server, "the end of the parents",
               lambda: {1, 2, 3}.isdisjoint(s["shard"] for s in server.get("/v1/groups/retail:archive").json()["shards"]))
    assert server.stop() == 0

    # The archive can make no file, and retention does not wait for it.
    archive, away = server.data / "archive" / "retail", server.directory / "away"
    archive.rename(away)
    archive.write_text("a file where the directory should be")
    server.start()
    for n in range(48):
        post(server, records + "?ack=view&wait=20000", row(200 + n, note), f"large-{n}")
    before = starts()
    change(server, "PUT", stream, {"retention": {"size_bytes": 2 << 20}})
    await_that(server, "the removal of old records", lambda: starts() > before)
    assert server.get(stream).json()["retention"]["lost_records"], server.get(stream).json()
    # Never reached again: who opens it finds what is here.
    change(server, "PUT", stream, {"retention": {"size_bytes": 1 << 40, "age_seconds": 3_153_600_000,
                                                 "wait_for_groups": True}})
    server.kill()
    archive.unlink()
    away.rename(archive)
    server.start()
    post(server, records + "?ack=view&wait=20000", [row(300), {"InvoiceNo": "7", "Quantity": 1, "UnitPrice": 1}], "last")
    await_that(server, "the archive", lambda: server.get("/v1/groups/retail:archive").json()["lag_records"] == 0)


STATEMENTS = [
    "CREATE STREAM lines WITH (shards = 2) AS SELECT InvoiceNo AS invoice, UnitPrice AS price, Quantity * 2 AS twice, "
    "coalesce(Country, 'none') AS _key FROM retail WHERE Quantity > 0",
    "CREATE STREAM kenya AS SELECT * FROM lines WHERE _key = 'Kenya'",
    "CREATE STREAM whole AS SELECT * FROM retail",
    "CREATE STREAM numbers AS SELECT number(Country) AS n FROM retail",  # parks nearly all
]


def derived(server, note):
    for sql in STATEMENTS:
        change(server, "POST", "/v1/sql", {"sql": sql})
    whole(server, note)


def main():
    name = sys.argv[1]
    chance = random.Random(7)
    # What LZ4 cannot make smaller within a commit and xz can, across them: a full log in a small archive.
    note = "".join(chance.choice("0123456789") for _ in range(70_000))
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory) / "tidemill.toml"
        config.write_text(CONFIG + (EXPIRING if name.endswith("-expiring") else ""))
        server = Server(directory, "--config", str(config)).start()
        kinds = {"shortened": shortened, "expiring": expiring, "derived": derived}
        kinds.get(name.rpartition("-")[2], whole)(server, note)
        expected = answers(server)
        assert server.stop() == 0

        into = here / name
        into.mkdir(exist_ok=True)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for path in sorted(p for p in server.data.rglob("*") if p.is_file()):
                entry = tar.gettarinfo(path, "data/" + str(path.relative_to(server.data)))
                entry.uid = entry.gid = entry.mtime = 0
                entry.uname = entry.gname = ""
                with open(path, "rb") as content:
                    tar.addfile(entry, content)
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 64 << 20}]
        (into / "data.tar.xz").write_bytes(lzma.compress(packed.getvalue(), filters=filters))
        (into / "answers.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
        names = [str(p.relative_to(server.data)) for p in server.data.rglob("*")]
        for kind in (".seg", ".idx", "/mark", "/start", "/requests", "/manifest", ".txt", ".sst", "TIDEMILL"):
            print(kind, sum(name.endswith(kind) for name in names))
        print("bases", sum(bool(re.fullmatch(r"views.bases/\d+", name)) for name in names))
        print("bytes", (into / "data.tar.xz").stat().st_size)


if __name__ == "__main__":
    main()
