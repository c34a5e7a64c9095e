"""Rows as they were: the page's example; kill -9 in between, and then rows at many points, held against a fold in Python of
the records up to there.
"""
import json
import os
import pathlib
import urllib.parse

from harness import TestCase, request

kills = int(os.environ.get("TIDEMILL_E2E_KILLS", "3"))

VIEWS = {
    "keys": "SELECT k, count(*) AS n, sum(x) AS total, count(DISTINCT x) AS kinds, collect(x) FILTER (WHERE x > 5) AS large, "
            "map(t, x) AS latest, max(x) AS most, last(x) AS now, sum(x) * 10 / count(*) AS tenths FROM s GROUP BY k",
    "items": "SELECT value AS item, count(*) AS n, sum(key) AS places FROM s, json_each(list) GROUP BY value",
    "whole": "SELECT count(*) AS n, sum(x) AS total FROM s",
}


def fold(records, edited):
    """The rows of all views: (view, key) -> row."""
    rows = {}
    for record in records:
        data = record["data"]
        for place, item in enumerate(data["list"]):
            row = rows.setdefault(("items", item), {"item": item, "n": 0, "places": 0})
            row["n"] += 1
            row["places"] += place
        data = edited.get(record["sequence"], data)
        x = data["x"]
        if isinstance(x, str):
            continue  # set aside
        row = rows.setdefault(("keys", data["k"]), {"k": data["k"], "n": 0, "total": 0, "kinds": set(), "large": [], "latest": {}})
        row["n"] += 1
        row["total"] += x
        row["kinds"].add(x)
        row["large"] += [x] if x > 5 else []
        row["latest"][data["t"]] = x
        row["now"] = x
        whole = rows.setdefault(("whole", None), {"n": 0, "total": 0})
        whole["n"] += 1
        whole["total"] += x
    for (view, _), row in rows.items():
        if view == "keys":
            row.update(most=max(row["kinds"]), kinds=len(row["kinds"]), tenths=row["total"] * 10 // row["n"])
    return rows


class TimeTravel(TestCase):
    def get_at(self, server, view, key, at):
        address = urllib.parse.quote(json.dumps([] if key is None else [key]))
        return server.get(f"/v1/views/{view}/rows?key={address}&at={urllib.parse.quote(str(at))}")

    def test_the_pages_example(self):
        page = pathlib.Path(__file__, "../../../docs/views.md").resolve().read_text()
        section = page.split("\n## How was this row then?\n")[1].split("\n## ")[0]
        blocks = {block.partition("\n")[0]: block.partition("\n")[2] for block in section.split("```")[1::2]}
        server = self.server().start()
        self.put_stream(server, "orders", "customer")
        for line in blocks["json"].strip().split("\n"):
            self.assertEqual(server.post("/v1/streams/orders/records", json.loads(line)).status, 200)
        made = server.post("/v1/sql", {"sql": blocks["sql"]})
        self.assertEqual(made.status, 200, made)
        lines = blocks["text"].strip().split("\n")
        self.assertEqual(len(lines), 6)
        for asked, shown in zip(lines[::2], lines[1::2]):
            path = asked.removeprefix("GET ")
            got = server.get(f"{path}{'&' if '?' in path else '?'}wait=60000&after={server.token('orders')}").json()
            got["as_of"].update(time="…", token="…")
            self.assertEqual(got, json.loads(shown), asked)

    def put_stream(self, server, name, key):
        made = request(server.port, "PUT", f"/v1/streams/{name}", {"shards": 2, "partition_key": key})
        self.assertEqual(made.status, 201, made)

    def test_rows_are_those_of_the_records_up_to_there_with_kills(self):
        server = self.server().start()
        self.put_stream(server, "s", "k")
        for name, sql in VIEWS.items():
            made = server.post("/v1/sql", {"sql": f"CREATE MATERIALIZED VIEW {name} AS {sql}"})
            self.assertEqual(made.status, 200, made)
        edited, told, others = {}, 0, 0
        for life in range(kills + 1):
            for _ in range(25):
                rows = [self.record() for _ in range(self.random.randrange(1, 20))]
                sent = server.post("/v1/streams/s/records", rows)
                self.assertEqual(sent.status, 200, sent)
            token = server.token("s")
            for view in ("keys", "whole"):  # the same decisions for both
                parked = server.get(f"/v1/views/{view}/quarantine?limit=1000&wait=60000&after={token}").json()
                for record in parked["records"]:
                    if record["sequence"] % 2 == 0:
                        continue
                    data = dict(record["data"], x=record["sequence"] % 10)
                    answer = server.post(f"/v1/views/{view}/quarantine/{record['sequence']}", {"decision": "redrive", "data": data})
                    self.assertEqual(answer.status, 200, answer)
                    edited[record["sequence"]] = data
            if life < kills:
                server.kill()
                server.start()
            records = list(server.records("s"))
            now = fold(records, edited)
            for view in VIEWS:
                server.get(f"/v1/views/{view}?wait=60000&after={server.token('s')}")
            for _ in range(25):
                at = self.random.randrange(1, len(records) + 1)
                then = fold(records[:at], edited)
                for view, key in self.random.sample(sorted(now, key=str), 8) + [("whole", None)]:
                    answer = self.get_at(server, view, key, at)
                    if (view, key) not in then:
                        self.check_problem(answer, 404, "no_such_row")
                        continue
                    self.assertEqual(answer.status, 200, answer)
                    got = answer.json()
                    self.assertEqual(got["row"], then[view, key], f"{view} {key} at {at}")
                    self.assertEqual(got["as_of"]["sequence"], at)
                    self.assertEqual(got["as_of"]["time"], records[at - 1]["time"])
                    told += 1
                    others += then[view, key] != now[view, key]
                # By time: all that had come by then, also of the same millisecond.
                time = records[at - 1]["time"]
                last = max(r["sequence"] for r in records if r["time"] <= time)
                got = self.get_at(server, "whole", None, time).json()
                self.assertEqual(got["as_of"]["sequence"], last, time)
                self.assertEqual(got["row"], fold(records[:last], edited)["whole", None])
        self.assertGreater(others, told // 2)
        # On the command line.
        at = len(records) // 2
        key = next(key for view, key in fold(records[:at], edited) if view == "keys")
        shown = self.tidemill("view", "keys", key, "--at", str(at), "--url", server.url).stdout
        self.assertIn(f"(as of record {at}, which arrived at {records[at - 1]['time']})", shown)
        row = fold(records[:at], edited)["keys", key]
        self.assertEqual(dict(line.split(None, 1) for line in shown.split("\n")[:3]),
                         {"k": key, "n": str(row["n"]), "total": str(row["total"])})
        self.check_problem(self.get_at(server, "keys", key, len(records) + 1), 409, "at_ahead")
        print(f"    {told} rows told, of {len(records)} records, over {kills} kills; {len(edited)} records edited")

    def record(self):
        n = self.random.randrange(10)
        return {"k": f"k{self.random.choice([0, 0, 0, self.random.randrange(12)])}", "t": self.random.choice("abc"),
                "x": "much" if self.random.randrange(15) == 0 else n,
                "list": [self.random.randrange(6) for _ in range(self.random.randrange(4))]}
