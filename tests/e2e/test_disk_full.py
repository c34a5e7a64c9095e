"""A disk that fills up: refused before anything is acknowledged, nothing lost, well again by itself once there is room."""
import collections
import json
import os
import pathlib
import subprocess
import threading
import time
import unittest

from harness import TestCase, exchange

records = "/v1/streams/retail/records"


class DiskFull(TestCase):
    size = 60  # MiB

    def setUp(self):
        super().setUp()
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}m", "tmpfs", str(self.disk)],
                              capture_output=True)
        if done.returncode:
            raise unittest.SkipTest("mounting a small tmpfs is not allowed here: " + done.stderr.decode().strip())
        # Cleanups run last in, first out: the server is stopped by then only if this comes before the harness's own.
        self._cleanups.insert(0, (subprocess.run, (["umount", "-l", str(self.disk)],), {"check": False}))

    def test_full_disk_answers_507_and_recovers(self):
        server = self.server(data=self.disk / "data").start()
        filler = self.disk / "filler"
        acked = {}
        n = 0

        def send():
            nonlocal n
            lines = [json.dumps({"InvoiceNo": f"F{n}", "StockCode": str(i), "Quantity": 1, "UnitPrice": 0.5,
                                 "Description": os.urandom(400).hex()}, separators=(",", ":")) for i in range(200)]
            answer = server.post(records, "\n".join(lines).encode(), {"Content-Type": "application/x-ndjson"})
            if answer.status == 200:
                first = answer.json()["first_sequence"]
                for i, line in enumerate(lines):
                    acked[first + i] = json.loads(line)
            n += 1
            return answer

        self.assertEqual(send().status, 200)
        with open(filler, "wb") as out:
            try:
                while True:
                    out.write(b"x" * 65536)
                    out.flush()
            except OSError:
                pass
        answer = None
        for _ in range(400):
            answer = send()
            if answer.status != 200:
                break
        problem = self.check_problem(answer, 507)
        self.assertEqual(send().status, 507)
        self.assertEqual(server.get("/healthz").status, 200)
        # Reading goes on.
        found = {r["sequence"]: r["data"] for r in server.records()}
        self.assertEqual(found, acked)

        filler.unlink()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            answer = send()
            if answer.status == 200:
                break
            time.sleep(0.2)
        self.assertEqual(answer.status, 200, f"{answer}\n{problem}")
        token = server.token()
        server.kill()
        server.start()
        found = {r["sequence"]: r["data"] for r in server.records()}
        self.assertEqual(found, acked)
        lines = server.sql("SELECT sum(lines) AS n FROM invoices", token)[0]["n"]
        self.assertEqual(lines, len(acked))

    def test_starts_on_a_full_disk(self):
        """kill -9 while it is full: the next start serves what is there, and takes and files again once there is room."""
        server = self.server(data=self.disk / "data").start()
        lines = [{"InvoiceNo": str(i % 50), "StockCode": str(i), "Quantity": 1, "UnitPrice": 0.5, "CustomerID": "1",
                  "Description": os.urandom(100).hex()} for i in range(20_000)]
        body = "\n".join(json.dumps(line) for line in lines).encode()
        answer = server.post(records, body, {"Content-Type": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer)
        # A start copies the last commit: a small one, so that hardly any room is enough for it.
        last = {"InvoiceNo": "last", "StockCode": "last", "Quantity": 1, "UnitPrice": 0.5, "CustomerID": "1"}
        self.assertEqual(server.post(records, last).status, 200)
        filler = self.disk / "filler"
        with open(filler, "wb", buffering=0) as out:
            try:
                while out.write(b"x" * 4096) == 4096:
                    pass
            except OSError:
                pass
        server.kill()
        with open(filler, "ab", buffering=0) as out:
            try:
                while out.write(b"x" * 512):
                    pass
            except OSError:
                pass
        # Not a byte: it cannot begin a segment of its own, and says what to do.
        self.assertEqual(server.spawn().process.wait(60), 3, server.log_tail())
        self.assertIn("is full: make room and start again", server.log_tail(1))
        # Hardly any room.
        os.truncate(filler, filler.stat().st_size - (256 << 10))
        server.start("/healthz")
        self.assertEqual([r["data"] for r in server.records()], [*lines, last])
        times = 1
        for _ in range(20):  # what the last start left aside went, and may have made some
            answer = server.post(records, body, {"Content-Type": "application/x-ndjson"})
            times += answer.status == 200
            if answer.status != 200:
                break
        self.check_problem(answer, 507)
        self.assertTrue(server.running(), server.log_tail())

        filler.unlink()
        self.grow(300)
        end = time.monotonic() + 60
        while server.post(records, lines[0]).status != 200:
            self.assertLess(time.monotonic(), end, server.log_tail())
            time.sleep(0.2)
        rows = server.sql("SELECT sum(lines) AS n FROM customers", server.token())
        self.assertEqual(rows[0]["n"], len(lines) * times + 2)
        while server.get("/v1/groups/retail:archive").json()["last_error"] is not None:
            self.assertLess(time.monotonic(), end, server.log_tail())
            time.sleep(0.2)
        self.assertEqual(server.stop(), 0, server.log_tail())
        archived = collections.Counter()
        for path in pathlib.Path(server.data, "archive", "retail").rglob("*.txt"):
            archived.update(json.loads(line)["StockCode"] for line in path.read_text().splitlines())
        self.assertEqual(archived, collections.Counter([str(i) for i in range(20_000)] * times + ["0", "last"]))

    def grow(self, mebibytes):
        self.size += mebibytes
        subprocess.run(["mount", "-o", f"remount,size={self.size}m", str(self.disk)], check=True)

    def test_fills_under_load_and_is_freed_again_and_again(self):
        """Log, archive, views and their compactions meet the full disk wherever it finds them."""
        rounds = int(os.environ.get("TIDEMILL_E2E_FILLS", "4"))
        server = self.server(data=self.disk / "data").start()
        acked, unknown, other = {}, set(), []
        statuses = collections.Counter()
        lock = threading.Lock()
        refused = threading.Event()
        stop = threading.Event()

        def client(name):
            connection, n = server.connect(), 0
            while not stop.is_set():
                batch = f"{name}.{n}"
                n += 1
                lines = [{"InvoiceNo": f"{batch}.{i // 4}", "StockCode": f"{batch}/{i}", "Quantity": 1,
                          "UnitPrice": 0.5, "CustomerID": str(n % 900), "Description": os.urandom(400).hex()}
                         for i in range(100)]
                body = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines).encode()
                answer = exchange(connection, "POST", records, body, {"Content-Type": "application/x-ndjson"})
                with lock:
                    statuses[answer.status] += 1
                    if answer.status == 200:
                        first = answer.json()["first_sequence"]
                        acked.update((first + i, line["StockCode"]) for i, line in enumerate(lines))
                    elif answer.status == 503 and answer.json().get("outcome") == "unknown":
                        unknown.add(batch)
                    elif answer.status not in (429, 507):
                        other.append(answer)
                if answer.status == 507:
                    refused.set()
                    time.sleep(0.02)

        clients = [threading.Thread(target=client, args=(f"c{i}",)) for i in range(3)]
        for thread in clients:
            thread.start()
        try:
            for _ in range(rounds):
                refused.clear()
                self.assertTrue(refused.wait(60), f"the disk did not fill up: {statuses}")
                time.sleep(0.5)
                self.assertTrue(server.running(), server.log_tail())
                self.assertEqual(server.get("/healthz").status, 200)
                self.assertEqual(server.get("/v1/views/invoices/rows?limit=5").status, 200)
                page = server.get(f"{records}?from=earliest&limit=5").json()["records"]
                self.assertEqual([r["sequence"] for r in page], [1, 2, 3, 4, 5])
                before = len(acked)
                self.grow(40)
                end = time.monotonic() + 60
                while len(acked) == before and time.monotonic() < end:
                    time.sleep(0.05)
                self.assertGreater(len(acked), before, "it did not recover by itself")
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        self.assertEqual(other, [])
        self.grow(1200 + 100 * rounds)  # for the views' and the archive's copies of it all
        if server.post(records, []).status != 200:  # still full when the clients stopped
            time.sleep(2)
        server.sql("SELECT 1", server.token())  # everything is applied, without a restart
        self.assertEqual(server.stop(), 0)
        server.start()
        found = {r["sequence"]: r["data"]["StockCode"] for r in server.records()}
        for sequence, stock in acked.items():
            self.assertEqual(found.pop(sequence, None), stock)
        for stock in found.values():  # only what nobody could know
            self.assertIn(stock.split("/")[0], unknown)
        total = len(acked) + len(found)
        self.assertEqual(server.sql("SELECT sum(lines) AS n FROM invoices", server.token())[0]["n"], total)
        self.assertEqual(server.sql("SELECT sum(lines) AS n FROM customers")[0]["n"], total)
        verified = server.post("/v1/views/invoices/verify", b"")
        self.assertEqual(verified.status, 200, verified)
        self.assertEqual(verified.json()["differences"], [])
        self.assertEqual(server.stop(), 0)
        archived = collections.Counter()
        for path in pathlib.Path(server.data, "archive", "retail").rglob("*.txt"):
            archived.update(json.loads(line)["StockCode"] for line in path.read_text().splitlines())
        self.assertEqual(sum(archived.values()), total)
        self.assertEqual(len(archived), total, "a record stands in two text files")
        print(f"    {rounds} fills: {dict(statuses)}; {len(acked)} acknowledged, none lost")
