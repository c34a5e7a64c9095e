"""Views with every kind of aggregate, over a stream whose records have lists, while the server is killed again and
again. Then each row must be what a plain fold of the log gives, here in Python, and a rebuild from the log must give the
same bytes.
"""
import collections
import datetime
import fractions
import http.client
import json
import math
import os
import statistics
import threading
import time

from harness import TestCase, exchange, request

CUSTOMERS = """
    SELECT customer, count(*) AS n, sum(total) AS total, avg(total) AS mean, min(total) AS least, max(total) AS most,
           stddev(total) AS sd, var_pop(total) AS var, median(total) AS median, quantile(total, 0.9) AS p90,
           arg_min(city, total) AS cheapest, arg_max(city, total) AS dearest, first(city) AS f, last(city) AS l,
           count(DISTINCT city) AS cities, approx_count_distinct(id) AS orders, map(city, total) AS by_city,
           collect(id) FILTER (WHERE total > 50) AS large, collect(id, 9) AS newest
    FROM shop GROUP BY customer"""
WHOLE = """
    SELECT count(*) AS n, approx_count_distinct(id) AS orders, quantile(id * 1.5, 0.25) AS q, median(id) AS m
    FROM shop WHERE typeof(total) <> 'text'"""
SKUS = """
    SELECT value ->> '$.sku' AS sku, count(*) AS lines, sum(value ->> '$.n') AS n, count(DISTINCT customer) AS customers,
           collect(json_array(id, key)) AS places, arg_max(id, value ->> '$.n') AS largest, stddev_pop(value ->> '$.n') AS sd
    FROM shop, json_each(lines) GROUP BY sku"""
RECENT = """
    CREATE MATERIALIZED VIEW recent WITH (ttl = '1 second') AS
    SELECT customer, count(*) AS n, count(DISTINCT id % 7) AS sevens, collect(id) AS ids FROM shop GROUP BY customer"""


def quantile(values, fraction):
    values = sorted(values)
    place = fraction * (len(values) - 1)
    low = math.floor(place)
    return values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])


class Writer:
    """Posts orders one request after another, of which each life of the server may leave one without an answer."""

    def __init__(self, server, test):
        self.server, self.test, self.number = server, test, 0
        self.acknowledged = set()
        self.enough = threading.Event()
        self.failure = None

    def start(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def join(self):
        self.thread.join()
        if self.failure:
            raise self.failure

    def wait_for(self, count):
        while len(self.acknowledged) < count and self.thread.is_alive():
            time.sleep(0.01)

    def run(self):
        try:
            connection = self.server.connect()
            while not self.enough.is_set():
                first = self.number + 1
                self.number += self.test.random.randrange(1, 120)
                rows = [self.test.order(number) for number in range(first, self.number + 1)]
                answer = exchange(connection, "POST", "/v1/streams/shop/records", rows)
                self.test.assertEqual(answer.status, 200, answer)
                self.acknowledged.update(range(first, self.number + 1))
        except (OSError, http.client.HTTPException):
            pass  # killed
        except AssertionError as failure:
            self.failure = failure


class Views(TestCase):
    def order(self, number):
        random = self.random
        # Totals few enough for exact quantiles.
        record = {"id": number, "customer": f"c{random.randrange(12)}", "total": random.randrange(20, 220) / 4,
                  "lines": [{"sku": f"s{random.randrange(8)}", "n": random.randrange(1, 30)}
                            for _ in range(random.randrange(5))]}
        if random.randrange(5):
            record["city"] = random.choice(["Delft", "Ghent", "Leiden", "Århus"])
        if random.randrange(40) == 0:
            record["total"] = "much"
        if record["lines"] and random.randrange(40) == 0:
            record["lines"][-1]["n"] = "many"
        if random.randrange(40) == 0:
            del record["lines"]
        return record

    def test_every_aggregate_with_kills(self):
        server = self.server().start()
        made = request(server.port, "PUT", "/v1/streams/shop", {"partition_key": "customer"})
        self.assertEqual(made.status, 201, made)
        views = {"customers_": CUSTOMERS, "whole": WHOLE, "skus": SKUS, "recent": RECENT}
        for name, sql in views.items():
            made = request(server.port, "PUT", f"/v1/views/{name}", sql.encode(), {"Content-Type": "application/sql"})
            self.assertEqual(made.status, 201, made)
        lives = int(os.environ.get("TIDEMILL_E2E_LIVES", "4"))
        writer = Writer(server, self)
        for life in range(lives):
            writer.start()
            if life == 0:
                writer.wait_for(1000)
            else:
                time.sleep(self.random.uniform(0, 0.6))
            if life < lives - 1:
                server.kill()  # while it writes, folds and flushes
                writer.join()
                server.start()
            else:
                writer.enough.set()
                writer.join()
            if life == 0:
                time.sleep(1.1)  # all rows of `recent` go
        decided = self.decide(server)
        token = server.token("shop")
        log = [record["data"] for record in server.records("shop")]
        written = [order["id"] for order in log]
        self.assertEqual(written, sorted(set(written)), "twice or out of order")
        self.assertLessEqual(writer.acknowledged, set(written), "lost")
        self.check_customers({row["customer"]: row for row in server.sql("SELECT * FROM customers_", token)},
                             decided("customers_", log))
        self.check_skus({row["sku"]: row for row in server.sql("SELECT * FROM skus", token)}, decided("skus", log))
        self.check_whole(server.sql("SELECT * FROM whole", token), log)
        self.check_recent(server.sql("SELECT * FROM recent", token), server.records("shop"))
        self.assertGreaterEqual(server.get("/v1/views/recent").json()["expiry"]["expired"], 12)
        self.check_why(server, decided)
        for name in views:
            answer = server.post(f"/v1/views/{name}/verify", {}, timeout=300)
            self.assertEqual(answer.json()["differences"], [], f"{name}: a rebuild gives other bytes")
        print(f"  {len(log)} records, {lives + 1} kills, {decided.count} decisions: {len(views)} views as a fold of the "
              "log has them, and as a rebuild does")

    def decide(self, server):
        """Edits some of the records that are set aside, and skips as many, in each view by itself, with a kill in between.
        Gives what makes of the log what a view has then counted."""
        became = {}
        token = server.token("shop")
        for name in ("customers_", "skus"):
            became[name] = {}
            answer = server.get(f"/v1/views/{name}/quarantine?limit=1000&after={token}").json()
            count, aside = answer["count"], self.random.sample(answer["records"], min(120, len(answer["records"])))
            self.assertGreater(len(aside), 4)
            for n, record in enumerate(aside):
                order, body = None, {"decision": "skip"}
                if n % 2:
                    order = record["data"]
                    if order["total"] == "much":
                        order["total"] = self.random.randrange(20, 220) / 4
                    for line in order.get("lines", []):
                        if line["n"] == "many":
                            line["n"] = self.random.randrange(1, 30)
                    body = {"decision": "redrive", "data": order}
                path = f"/v1/views/{name}/quarantine/{record['sequence']}"
                dry = server.post(path, {**body, "dry_run": True})
                self.assertEqual((dry.status, dry.json()["count"]), (200, count - n), dry)
                done = server.post(path, body)
                self.assertEqual((done.status, done.json()["applied"]), (200, True), done)
                self.assertEqual(done.json()["count"], count - n - 1)
                became[name][record["sequence"]] = order
                if n == len(aside) // 2:
                    server.kill()
                    server.start()

        def decided(name, log):  # as if it had come so: in its place, or not at all
            orders = [became[name].get(sequence, order) for sequence, order in enumerate(log, 1)]
            return [order for order in orders if order is not None]

        decided.count = sum(map(len, became.values()))
        decided.became = became
        return decided

    def near(self, got, want, what):
        if want is None:
            self.assertIsNone(got, what)
        else:
            self.assertAlmostEqual(float(got), float(want), delta=abs(float(want)) * 1e-13 + 1e-300, msg=what)

    def check_recent(self, rows, records):
        kept, now = {}, 0
        for record in records:
            at = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00"))
            now = max(now, round(at.timestamp() * 1000))
            ids, last = kept.get(record["data"]["customer"], ([], 0))
            if last + 1000 <= now:
                ids = []
            ids.append(record["data"]["id"])
            kept[record["data"]["customer"]] = ids, now
        want = [[customer, len(ids), len({i % 7 for i in ids}), ids[-10_000:]]
                for customer, (ids, last) in sorted(kept.items()) if last + 1000 > now]
        got = sorted([row["customer"], row["n"], row["sevens"],
                      json.loads(row["ids"]) if isinstance(row["ids"], str) else row["ids"]] for row in rows)
        self.assertEqual(got, want)

    def why(self, server, view, key, order):
        """The records that made a row, page by page."""
        out, more = [], ""
        while more is not None:
            answer = server.get(f"/v1/views/{view}/rows/{key}/why?limit=400&order={order}{more}").json()
            self.assertEqual(answer["lineage_from"], 1)
            out += answer["records"]
            more = answer["next"] and f"&from={answer['next']}"
        self.assertEqual(len(out), answer["count"])
        self.assertEqual({out[0]["sequence"], out[-1]["sequence"]}, {answer["first"], answer["last"]})
        return out

    def check_why(self, server, decided):
        records = list(server.records("shop"))
        log = [record["data"] for record in records]
        made = {"customers_": collections.defaultdict(list), "skus": collections.defaultdict(list)}
        for sequence, order in enumerate(log, 1):
            then = {name: decided.became[name].get(sequence, order) for name in made}
            if (order := then["customers_"]) is not None and order["total"] != "much":
                made["customers_"][order["customer"]].append(sequence)
            lines = (then["skus"] or {}).get("lines", [])
            if not any(line["n"] == "many" for line in lines):
                for sku in {line["sku"] for line in lines}:
                    made["skus"][sku].append(sequence)
        for view, rows in made.items():
            for key, sequences in sorted(rows.items())[:4]:
                listed = self.why(server, view, key, "asc")
                self.assertEqual([record["sequence"] for record in listed], sequences, f"{view} {key}")
                self.assertEqual(self.why(server, view, key, "desc"), listed[::-1])
                for record in listed:
                    came = records[record["sequence"] - 1]
                    edited = decided.became[view].get(record["sequence"])
                    self.assertEqual((record["data"], record.get("edited")),
                                     (None, edited) if edited else (came["data"], None))
                    self.assertEqual((record["key"], record["time"]), (came["key"], came["time"]))

    def check_customers(self, rows, log):
        orders = collections.defaultdict(list)
        for order in log:
            if order["total"] != "much":  # the others are parked
                orders[order["customer"]].append(order)
        self.assertEqual(rows.keys(), orders.keys())
        for customer, mine in orders.items():
            row = rows[customer]
            totals = [fractions.Fraction(o["total"]) for o in mine]
            named = [o for o in mine if "city" in o]
            for name, want in {
                    "n": len(mine), "total": sum(totals), "mean": sum(totals) / len(mine), "least": min(totals),
                    "most": max(totals), "sd": statistics.stdev(totals), "var": statistics.pvariance(totals),
                    "median": statistics.median(totals), "p90": quantile(totals, fractions.Fraction(9, 10)),
                    "cities": len({o["city"] for o in named})}.items():
                self.near(row[name], want, f"{name} of {customer}")
            self.assertAlmostEqual(row["orders"], len(mine), delta=len(mine) * 0.08, msg=f"orders of {customer}")
            for name, want in {
                    "cheapest": min(named, key=lambda o: o["total"])["city"],  # of several the first
                    "dearest": max(named, key=lambda o: o["total"])["city"],
                    "f": named[0]["city"], "l": named[-1]["city"],
                    "by_city": {o["city"]: o["total"] for o in named},
                    "large": [o["id"] for o in mine if o["total"] > 50][-10_000:],
                    "newest": [o["id"] for o in mine][-9:]}.items():
                self.assertEqual(row[name] if isinstance(row[name], (str, int)) else
                                 json.loads(json.dumps(row[name])), want, f"{name} of {customer}")

    def check_skus(self, rows, log):
        lines = collections.defaultdict(list)
        for order in log:
            if any(line["n"] == "many" for line in order.get("lines", [])):
                continue  # parked whole
            for place, line in enumerate(order.get("lines", [])):
                lines[line["sku"]].append((order["id"], place, line["n"], order["customer"]))
        self.assertEqual(rows.keys(), lines.keys())
        for sku, mine in lines.items():
            row = rows[sku]
            largest = max(mine, key=lambda line: line[2])
            self.assertEqual((row["lines"], row["n"], row["customers"], row["largest"]),
                             (len(mine), sum(n for _, _, n, _ in mine), len({c for *_, c in mine}), largest[0]), sku)
            self.assertEqual(row["places"], [[order, place] for order, place, *_ in mine][-10_000:], sku)
            self.near(row["sd"], statistics.pstdev([fractions.Fraction(n) for _, _, n, _ in mine]), sku)

    def check_whole(self, rows, log):
        ids = [o["id"] for o in log if o["total"] != "much"]
        (row,) = rows
        self.assertEqual(row["n"], len(ids))
        self.assertAlmostEqual(row["orders"], len(ids), delta=len(ids) * 0.08)
        self.assertAlmostEqual(row["q"], quantile([i * 1.5 for i in ids], 0.25), delta=row["q"] / 120)
        self.assertAlmostEqual(row["m"], quantile(ids, 0.5), delta=row["m"] / 120)
