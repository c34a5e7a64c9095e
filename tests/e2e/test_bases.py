"""Views of a stream whose old records retention removes: the same rows after the records are gone, after a restart, after
the views' directory is lost, and from a backup."""
import hashlib
import json
import shutil
import time

from harness import TestCase, request


class Bases(TestCase):
    def put(self, server, first, requests):
        for i in range(first, first + requests):
            rows = [{"InvoiceNo": str(i), "StockCode": f"s{j % 50}", "Description": hashlib.sha256(b"%d %d" % (i, j)).hexdigest(), "Quantity": j % 7 + 1,
                     "InvoiceDate": "2011-12-09T12:50:00", "UnitPrice": 1.25, "CustomerID": str(i * 31 % 97),
                     "Country": "France"} for j in range(500)]
            answer = server.post("/v1/streams/retail/records", rows)
            self.assertEqual(answer.status, 200, answer)
        self.token = answer.json()["token"]

    def rows(self, server):
        out = {}
        for view in ("customers", "invoices"):
            path = f"/v1/views/{view}/rows?limit=10000&after={self.token}&wait=30000"
            answer = server.get(path)
            self.assertEqual(answer.status, 200, answer)
            out[view] = answer.json()["rows"]
            self.assertEqual(server.get(f"/v1/views/{view}").json()["since"], 1)
        return out

    def shortened(self, server):
        """Waits until retention has removed records; where the log begins then."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            stream = server.get("/v1/streams/retail").json()
            if stream["first_sequence"] > 1 and stream["bytes"] <= 4 << 20:
                return stream["first_sequence"]
            time.sleep(0.2)
        raise AssertionError(f"nothing was removed: {json.dumps(stream)}\n{server.log_tail()}")

    def check_why(self, server, first):
        """Which records made a row is known of all, what they were of those that the log has."""
        listed = server.get("/v1/views/invoices/rows/0/why?limit=1000").json()
        self.assertEqual((listed["count"], listed["next"], listed["lineage_from"]), (500, None, 1))
        self.assertEqual([record["sequence"] for record in listed["records"]], list(range(1, 501)))
        for record in listed["records"]:
            self.assertEqual((record["data"], "Retention" in record["reason"]), (None, True))
        listed = server.get("/v1/views/customers/rows/0/why?order=desc&limit=1").json()
        self.assertGreaterEqual(listed["records"][0]["sequence"], first)
        self.assertEqual(listed["records"][0]["data"]["CustomerID"], "0")

    def test_rows_outlive_their_records(self):
        server = self.server(env={"TIDEMILL_STORAGE_SEGMENT": "1MiB"}).start()
        self.put(server, 0, 120)
        before = self.rows(server)
        self.assertEqual(len(before["customers"]), 97)
        answer = request(server.port, "PUT", "/v1/streams/retail", {"retention": {"size_bytes": 4 << 20}})
        self.assertEqual(answer.status, 200, answer)
        first = self.shortened(server)
        self.assertEqual(self.rows(server), before)
        self.check_why(server, first)

        # Behind the base, and a backup of the running server.
        self.put(server, 120, 3)
        before = self.rows(server)
        to = self.directory / "backup"
        done = self.tidemill("backup", str(to), "--data", str(server.data), "--url", server.url)
        self.assertEqual(done.returncode, 0, done)
        self.assertTrue(list(to.glob("views.bases/*/CURRENT-*")), list(to.rglob("*")))
        again = self.tidemill("backup", str(to), "--data", str(server.data), "--url", server.url)
        self.assertEqual(again.returncode, 0, again)
        online = self.tidemill("verify", "--data", str(server.data), "--url", server.url)
        self.assertEqual(online.returncode, 0, online)
        self.assertNotIn("Not compared", online.stdout)

        server.kill()
        server.start()
        self.assertEqual(self.rows(server), before)
        self.assertGreaterEqual(server.get("/v1/streams/retail").json()["first_sequence"], first)
        self.assertEqual(server.stop(), 0)
        whole = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(whole.returncode, 0, whole)
        self.assertIn("view customers: rows 97", whole.stdout)
        self.assertNotIn("Not compared", whole.stdout)

        # The store of the views is damaged, then gone.
        for manifest in (server.data / "views").glob("MANIFEST-*"):
            manifest.write_bytes(manifest.read_bytes()[:10])
        server.start()
        self.assertEqual(self.rows(server), before)
        self.assertEqual(server.stop(), 0)
        shutil.rmtree(server.data / "views")
        server.start()
        self.assertEqual(self.rows(server), before)
        self.assertEqual(server.stop(), 0)

        # Its files are not the views' any more, so what rots in one of them is said of the base alone.
        table = next((server.data / "views.bases").glob("*/*.sst"))
        whole = table.read_bytes()
        table.write_bytes(whole[:20] + bytes([whole[20] ^ 8]) + whole[21:])
        rotten = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(rotten.returncode, 1, rotten)
        self.assertIn(f"damage base views.bases/{table.parent.name}/{table.name}", rotten.stdout)
        self.assertNotIn("damage store", rotten.stdout)
        table.write_bytes(whole)

        # The backup alone.
        self.assertEqual(self.tidemill("restore", str(to), "--check").returncode, 0)
        shutil.rmtree(server.data)
        restored = self.tidemill("restore", str(to), "--data", str(server.data))
        self.assertEqual(restored.returncode, 0, restored)
        server.start()
        self.token = server.token()
        self.assertEqual(self.rows(server), before)
        answer = request(server.port, "PUT", "/v1/streams/retail", {"retention": {"size_bytes": None}})
        self.assertEqual(answer.status, 200, answer)  # or a base is made when it starts
        self.assertEqual(server.stop(), 0)

        # Without views and base there is only what the log holds, and that is said.
        shutil.rmtree(server.data / "views.bases")
        server.start()
        self.check_problem(server.post("/v1/views/customers/verify", b""), 410, "records_gone")
        online = self.tidemill("verify", "--data", str(server.data), "--url", server.url)
        self.assertEqual(online.returncode, 0, online)
        self.assertIn("View customers: Not compared", online.stdout)
        self.assertEqual(server.stop(), 0)
        offline = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(offline.returncode, 0, offline)
        self.assertIn("View customers: Not compared", offline.stdout)
        shutil.rmtree(server.data / "views")
        server.start()
        first = server.get("/v1/streams/retail").json()["first_sequence"]
        for view in ("customers", "invoices"):
            self.assertEqual(server.get(f"/v1/views/{view}").json()["since"], first)
        answer = server.get(f"/v1/views/invoices/rows?limit=10000&after={server.token()}&wait=30000")
        self.assertLess(len(answer.json()["rows"]), len(before["invoices"]))
        self.assertEqual(server.stop(), 0)
