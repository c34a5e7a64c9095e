"""A view that gets another definition while records come in and it is read, with a kill -9 in the middle of the build:
whoever asks gets the old rows or the new ones, whole; in the end those that SQLite makes of the same records."""
import http.client
import json
import sqlite3
import threading
import time

from harness import TestCase

OLD = "SELECT Country, count(*) AS n FROM retail GROUP BY Country"
NEW = ("SELECT Country, StockCode, count(*) AS lines, sum(Quantity) AS units, count(DISTINCT CustomerID) AS customers, "
       "max(InvoiceNo) AS last_invoice FROM retail WHERE Quantity <> 3 OR Country IS NOT NULL GROUP BY Country, StockCode")
BATCH = 1000


def records(first):
    return [{"InvoiceNo": f"{(first + i) % 997:04}", "StockCode": f"s{(first + i) * 7 % 61}",
             "Quantity": (first + i) % 11 - 2, "UnitPrice": 1.25, "CustomerID": str((first + i) * 31 % 1009),
             "Country": f"c{(first + i) * 13 % 23}"} for i in range(BATCH)]


class Alter(TestCase):
    def post(self, first):
        try:
            return self.server_.post("/v1/streams/retail/records", records(first)).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def load(self):
        """Sends until told to stop; what is lost on the way is sent no second time."""
        first = 10_000_000
        while not self.stopped.is_set():
            self.post(first)
            first += BATCH
            time.sleep(0.1)

    def ask(self):
        """All rows of one statement: which definition they are of, how many records they count, as_of."""
        answer = self.server_.post("/v1/sql", {"sql": "SELECT * FROM v"}, {"Accept": "application/x-ndjson"})
        if answer.status != 200:
            return answer.json()["code"], 0, 0
        rows = [json.loads(line) for line in answer.body.splitlines()]
        as_of = json.loads(answer.headers["tidemill-as-of"])["sequence"]
        which = "new" if "lines" in rows[0] else "old"
        return which, sum(row["lines" if which == "new" else "n"] for row in rows), as_of

    def read(self):
        while not self.stopped.is_set():
            try:
                which, counted, as_of = self.ask()
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # it is being killed or started
                continue
            self.answers[which] = self.answers.get(which, 0) + 1
            if which not in ("old", "new", "view_not_ready"):
                self.wrong.append(which)
            if which in ("old", "new"):
                if counted != as_of:
                    self.wrong.append(f"{which}: {counted} counted as of {as_of}")
                if as_of < self.seen or (which == "old" and self.is_new):
                    self.wrong.append(f"{which} as of {as_of} after {self.seen}")
                self.seen, self.is_new = as_of, which == "new"
            time.sleep(0.01)

    def wait_until(self, what, holds, seconds=30):
        end = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), end, f"not within {seconds} s: {what}\n{self.server_.log_tail()}")
            time.sleep(0.005)

    def building(self):
        return self.server_.get("/v1/views/v").json().get("building")

    def test_altered_under_load_with_a_kill(self):
        self.server_ = server = self.server().start()
        for i in range(150):
            self.assertTrue(self.post(i * BATCH))
        made = server.post("/v1/sql", {"sql": f"CREATE MATERIALIZED VIEW v AS {OLD}"})
        self.assertEqual((made.status, made.json()["result"], made.json()["warnings"]), (200, "created", []), made)
        self.wait_until("it is there", lambda: self.building() is None)

        self.stopped, self.answers, self.wrong, self.seen, self.is_new = threading.Event(), {}, [], 0, False
        threads = [threading.Thread(target=work) for work in (self.load, self.read)]
        for thread in threads:
            thread.start()
        try:
            altered = server.post("/v1/sql", {"sql": f"ALTER VIEW v AS {NEW}"}).json()
            self.assertEqual((altered["result"], altered["columns"][1]["name"]), ("building", "n"), altered)
            # In the middle: it has begun, and is far from the end.
            self.wait_until("it is being built", lambda: (self.building() or {"at": 1})["at"] > 0)
            progress = self.building()
            server.kill()
            server.start("/healthz")
            self.assertIsNotNone(progress, "it was built before it could be killed")
            self.assertLess(progress["at"], progress["of"], progress)
            self.wait_until("the new one is shown", lambda: self.building() is None, 60)
        finally:
            time.sleep(0.3)
            self.stopped.set()
            for thread in threads:
                thread.join()
        self.assertEqual(self.wrong, [])
        self.assertGreater(self.answers.get("old", 0), 0, self.answers)
        self.assertGreater(self.answers.get("new", 0), 0, self.answers)

        # The same records in a plain table.
        table = sqlite3.connect(":memory:")
        table.execute("CREATE TABLE retail (Country, StockCode, Quantity, CustomerID, InvoiceNo)")
        last = 0
        for record in server.records():
            table.execute("INSERT INTO retail VALUES (:Country, :StockCode, :Quantity, :CustomerID, :InvoiceNo)", record["data"])
            last = record["sequence"]
        expected = [list(row) for row in table.execute(NEW + " ORDER BY 1, 2")]
        rows = server.post(f"/v1/sql?wait=30000&after={server.token()}", {"sql": "SELECT * FROM v ORDER BY 1, 2"}).json()
        self.assertEqual(rows["as_of"]["sequence"], last)
        self.assertEqual(rows["rows"], expected)
        verified = self.tidemill("view", "rebuild", "v", "--diff", "--url", server.url)
        self.assertEqual(verified.returncode, 0, verified)
        self.assertEqual(server.stop(), 0)
