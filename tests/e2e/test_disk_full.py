"""A disk that fills up: refused before anything is acknowledged, nothing lost, well again by itself once there is room."""
import json
import os
import subprocess
import time
import unittest

from harness import TestCase

records = "/v1/streams/retail/records"


class DiskFull(TestCase):
    def setUp(self):
        super().setUp()
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(self.disk)], capture_output=True)
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
