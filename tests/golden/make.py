#!/usr/bin/env python3
"""Makes tests/golden/LAYOUT/ with the program in build/release: usage: tests/golden/make.py LAYOUT"""
import io
import json
import lzma
import pathlib
import random
import sys
import tarfile
import tempfile

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "e2e"))
from harness import Server  # noqa: E402
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


def row(n, note=""):
    return {"InvoiceNo": str(500 + n // 3), "StockCode": f"S{n % 11}", "Description": f"thing {n % 11}",
            "Quantity": n % 7 - 1, "InvoiceDate": f"2011-12-0{1 + n % 9} 08:{n % 60:02}:00", "UnitPrice": n / 8,
            "CustomerID": str(17000 + n % 5), "Country": ["France", "Kenya", "Österreich"][n % 3], "Note": note}


def post(server, path, body, key):
    answer = server.post(path, body, {"Idempotency-Key": key})
    assert answer.status == 200, answer


def main():
    layout = sys.argv[1]
    chance = random.Random(7)
    # What LZ4 cannot make smaller within a commit and xz can, across them: a full log in a small archive.
    note = "".join(chance.choice("0123456789") for _ in range(70_000))
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory) / "tidemill.toml"
        config.write_text(CONFIG)
        server = Server(directory, "--config", str(config)).start()
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
        expected = answers(server)
        assert server.stop() == 0

        into = here / layout
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
        for kind in (".seg", ".idx", "/mark", "/requests", "/manifest", ".txt", ".sst", "TIDEMILL"):
            print(kind, sum(name.endswith(kind) for name in names))
        print("bytes", (into / "data.tar.xz").stat().st_size)


if __name__ == "__main__":
    main()
