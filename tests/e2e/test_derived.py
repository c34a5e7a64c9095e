"""Derived streams: kill -9 under load, and then each must hold what a fold in Python makes of its source, once and in
order; refusals; backup and verify; views and archives over them.
"""
import json
import os
import threading
import time

from harness import TestCase, exchange

kills = int(os.environ.get("TIDEMILL_E2E_KILLS", "3"))

CONFIG = """
[storage]
segment = "1MiB"
[streams.orders]
partition_key = "customer"
"""

STATEMENTS = [
    "CREATE STREAM big AS SELECT id, amount, upper(country) AS country FROM orders WHERE amount > 50",
    "CREATE STREAM lines WITH (shards = 2) AS SELECT id, element.value ->> '$.sku' AS sku, "
    "element.value ->> '$.n' AS n, country AS _key FROM orders, json_each(lines) AS element",
    "CREATE STREAM some AS SELECT * FROM lines WHERE n % 2 = 1",
    "CREATE STREAM none AS SELECT * FROM orders WHERE amount < 0",
    "CREATE STREAM numbers AS SELECT number(amount) AS amount FROM orders",
]


def fold(orders):
    """What the statements make: name -> list of (key, data)."""
    made = {"big": [], "lines": [], "some": [], "none": [], "numbers": []}
    for key, o in orders:
        if isinstance(o["amount"], int):
            made["numbers"].append((key, {"amount": o["amount"]}))
        if isinstance(o["amount"], str) or o["amount"] > 50:  # SQLite: text is greater than any number
            made["big"].append((key, {"id": o["id"], "amount": o["amount"], "country": o["country"].upper()}))
        for line in o["lines"]:
            record = (o["country"], {"id": o["id"], "sku": line["sku"], "n": line["n"]})
            made["lines"].append(record)
            if line["n"] % 2 == 1:
                made["some"].append(record)
    return made


class Load(threading.Thread):
    def __init__(self, server, number, stop, rng):
        super().__init__(daemon=True)
        self.server, self.number, self.stop_now, self.random = server, number, stop, rng
        self.n = 0

    def order(self):
        self.n += 1
        return {"id": f"{self.number}-{self.n}", "customer": f"c{self.random.randrange(20)}",
                "amount": "many" if self.random.randrange(200) == 0 else self.random.randrange(100),
                "country": self.random.choice(["se", "no", "dk"]), "note": "x" * self.random.randrange(300),
                "lines": [{"sku": f"s{self.random.randrange(9)}", "n": self.random.randrange(10)}
                          for _ in range(self.random.randrange(5))]}

    def run(self):
        while not self.stop_now.is_set():
            try:
                connection = self.server.connect(timeout=10)
                while not self.stop_now.is_set():
                    body = [self.order() for _ in range(self.random.randrange(1, 60))]
                    exchange(connection, "POST", "/v1/streams/orders/records", body)
                    self.stop_now.wait(0.05)
            except Exception:
                time.sleep(0.01)


class Derived(TestCase):
    def start(self):
        config = self.directory / "tidemill.toml"
        config.write_text(CONFIG)
        return self.server("--config", str(config)).start()

    def statement(self, server, sql, status=200):
        answer = server.post("/v1/sql", {"sql": sql})
        self.assertEqual(answer.status, status, answer)
        return answer.json()

    def settle(self, server):
        """Until every group has applied all that is durable; a chain may have more to come then, so twice."""
        end = time.monotonic() + 60
        quiet = 0
        while quiet < 3:
            groups = server.get("/v1/groups").json()["groups"]
            behind = [g for g in groups if g["applied"] < g["durable"]]
            quiet = 0 if behind else quiet + 1
            self.assertLess(time.monotonic(), end, behind)
            time.sleep(0.05)

    def contents(self, server, name):
        return [(r["key"], r["data"]) for r in server.records(name)]

    def check(self, server):
        self.settle(server)
        orders = self.contents(server, "orders")
        parked = sum(1 for _, o in orders if not isinstance(o["amount"], int))
        for name, expected in fold(orders).items():
            got = self.contents(server, name)
            self.assertEqual(len(got), len(expected), name)
            for i, (a, b) in enumerate(zip(got, expected)):
                self.assertEqual(a, b, f"{name}, record {i + 1}")
        self.assertEqual(server.get("/v1/streams/numbers").json()["derived"]["parked"], parked)
        return len(orders)

    def test_exactly_once_over_kills(self):
        server = self.start()
        for sql in STATEMENTS:
            self.assertEqual(self.statement(server, sql)["result"], "created")
        self.statement(server, "CREATE MATERIALIZED VIEW by_sku AS SELECT sku, count(*) AS n FROM lines GROUP BY sku")
        stop = threading.Event()
        load = [Load(server, i, stop, self.random) for i in range(3)]
        for thread in load:
            thread.start()
        for _ in range(kills):
            time.sleep(0.3 + self.random.random())
            server.kill()
            server.start()
        time.sleep(0.5)
        stop.set()
        for thread in load:
            thread.join()
        count = self.check(server)
        self.assertGreater(count, 1000)
        # A view over a derived stream is a view like any other.
        self.settle(server)
        by_sku = {r["sku"]: r["n"] for r in server.sql("SELECT sku, n FROM by_sku")}
        expected = {}
        for _, line in self.contents(server, "lines"):
            expected[line["sku"]] = expected.get(line["sku"], 0) + 1
        self.assertEqual(by_sku, expected)
        # A backup of a server at work is of one moment: what is restored goes on where it was.
        stop.clear()
        more = Load(server, 9, stop, self.random)
        more.start()
        time.sleep(0.3)
        backup = self.tidemill("backup", "--data", str(server.data), "--url", server.url, str(self.directory / "backup"))
        self.assertEqual(backup.returncode, 0, backup.stderr)
        stop.set()
        more.join()
        self.check(server)
        self.assertEqual(server.stop(), 0)
        verified = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        restored = self.tidemill("restore", str(self.directory / "backup"), "--data", str(self.directory / "restored"))
        self.assertEqual(restored.returncode, 0, restored.stderr)
        again = self.server(data=self.directory / "restored").start()
        self.check(again)
        again.post("/v1/streams/orders/records", [load[0].order() for _ in range(50)])
        self.check(again)
        print(f"derived: {kills} kills, {count} records, all derived streams as folded")

    def test_what_users_meet(self):
        server = self.start()
        created = self.statement(server, STATEMENTS[0])
        self.assertEqual((created["statement"], created["stream"], created["source"]), ("CREATE STREAM", "big", "orders"))
        self.assertEqual(created["columns"], ["id", "amount", "country"])
        problem = self.check_problem(server.post("/v1/streams/big/records", {"id": 1}), 409, "derived_stream")
        self.assertIn("source", problem["detail"])
        self.check_problem(server.post("/v1/sql", {"sql": STATEMENTS[0]}), 409, "stream_exists")
        self.check_problem(server.post("/v1/sql", {"sql": "CREATE STREAM x AS SELECT count(*) AS n FROM orders"}), 400,
                           "invalid_sql")
        connection = server.connect()
        problem = self.check_problem(exchange(connection, "DELETE", "/v1/streams/orders"), 409, "stream_in_use")
        self.assertEqual(problem["streams"], ["big"])
        server.post("/v1/streams/orders/records", [{"id": 7, "customer": "c", "amount": 51, "country": "se"}])
        self.settle(server)
        self.assertEqual(self.contents(server, "big"), [("c", {"id": 7, "amount": 51, "country": "SE"})])
        group = server.get("/v1/groups/orders:derived:big").json()
        self.assertEqual((group["applied"], group["persisted"], group["lag_records"]), (1, 1, 0))
        metrics = server.get("/metrics").body.decode()
        self.assertIn('tidemill_group_lag_records{group="orders:derived:big",tenant="default"} 0', metrics)
        self.assertIn('tidemill_derived_parked_records{stream="big",tenant="default"} 0', metrics)
        derived = server.get("/v1/streams/big").json()["derived"]
        self.assertEqual((derived["source"], derived["position"], derived["parked"]), ("orders", 1, 0))
        self.assertIsNone(server.get("/v1/streams/orders").json()["derived"])
        status = self.tidemill("status", "--url", server.url)
        self.assertIn("orders:derived:big", status.stdout)
        sql = self.tidemill("sql", "--url", server.url, "DROP STREAM big")
        self.assertEqual(sql.returncode, 0, sql.stderr)
        self.assertEqual(json.loads(sql.stdout)["result"], "dropped")
        self.assertEqual(server.get("/v1/streams/big").status, 404)
        self.assertEqual(exchange(server.connect(), "DELETE", "/v1/streams/orders").status, 204)
        self.assertEqual(server.stop(), 0)
