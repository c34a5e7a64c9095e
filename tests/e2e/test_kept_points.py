"""SQL over the views as they were: the page's example; kill -9 in between, also while points are made, and then every view at
every kept point, held against a fold in Python of the records up to there.
"""
import json
import os
import pathlib
import time
import urllib.parse

from harness import TestCase, request
from test_time_travel import VIEWS, fold

kills = int(os.environ.get("TIDEMILL_E2E_KILLS", "3"))


class KeptPoints(TestCase):
    def serve(self, every="1s", keep=500):
        config = self.directory / "kept.toml"
        config.write_text(f'[streams]\n[history]\nevery = "{every}"\nkeep = {keep}\n')
        return self.server("--config", str(config)).start()

    def put_stream(self, server, name, key):
        made = request(server.port, "PUT", f"/v1/streams/{name}", {"shards": 2, "partition_key": key})
        self.assertEqual(made.status, 201, made)

    def points(self, server):
        return server.get("/v1/history").json()["points"]

    def wait_for_point(self, server, view, sequence, seconds=60):
        """The first kept point that has so much of the view."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for point in self.points(server):
                if any(v["view"] == view and v["sequence"] >= sequence for v in point["views"]):
                    return point
            time.sleep(0.05)
        self.fail(f"no point of {view} at {sequence}: {self.points(server)}")

    def ask(self, server, sql, at, kind="application/x-ndjson"):
        return request(server.port, "POST", f"/v1/sql?at={urllib.parse.quote(str(at))}&wait=60000", {"sql": sql}, {"Accept": kind}, 120)

    def test_the_pages_example(self):
        page = pathlib.Path(__file__, "../../../docs/views.md").resolve().read_text()
        section = page.split("\n## How was a whole view then?\n")[1].split("\n## ")[0]
        blocks = {block.partition("\n")[0]: block.partition("\n")[2] for block in section.split("```")[1::2]}
        self.assertIn('every = "1h"\n', blocks["toml"])
        server = self.serve()
        self.put_stream(server, "orders", "customer")
        records = [json.loads(line) for line in blocks["json"].strip().split("\n")]
        self.assertEqual(server.post("/v1/streams/orders/records", records[:2]).status, 200)
        made = server.post("/v1/sql", {"sql": blocks["sql"]})
        self.assertEqual(made.status, 200, made)
        first = self.wait_for_point(server, "totals", 2)
        self.assertEqual(first["number"], 1)
        self.assertEqual(server.post("/v1/streams/orders/records", records[2]).status, 200)
        self.wait_for_point(server, "totals", 3)
        lines = blocks["text"].strip().split("\n")
        self.assertEqual(len(lines), 8)
        for asked, shown in zip(lines[::2], lines[1::2]):
            got = server.post("/v1/sql", json.loads(asked.removeprefix("POST /v1/sql ")))
            if got.status != 200:
                self.assertEqual(f"{got.status} {got.json()['code']}", shown, asked)
                continue
            answer = got.json()
            answer["as_of"].update(time="…", token="…")
            if "point" in answer:
                answer["point"]["made"] = "…"
            self.assertEqual(answer, json.loads(shown), asked)

    def test_every_point_is_the_fold_of_its_records_with_kills(self):
        server = self.serve()
        self.put_stream(server, "s", "k")
        for name, sql in VIEWS.items():
            made = server.post("/v1/sql", {"sql": f"CREATE MATERIALIZED VIEW {name} AS {sql}"})
            self.assertEqual(made.status, 200, made)
        for life in range(kills + 1):
            end = time.monotonic() + 3 + self.random.random() * 1.5
            while time.monotonic() < end:
                rows = [self.record() for _ in range(self.random.randrange(1, 20))]
                self.assertEqual(server.post("/v1/streams/s/records", rows).status, 200)
                time.sleep(0.02)
            if life < kills:
                server.kill()
                server.start()
        records = list(server.records("s"))
        last = self.wait_for_point(server, "keys", len(records))
        points = self.points(server)
        self.assertGreater(len(points), 2 * kills)
        compared = others = 0
        now = fold(records, {})
        for point in points:
            reached = {v["view"]: v["sequence"] for v in point["views"]}
            self.assertEqual(len(set(reached.values())), 1, point)
            for view in reached:
                answer = self.ask(server, f"SELECT * FROM {view}", point["made"])
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(json.loads(answer.headers["tidemill-point"]), {"number": point["number"], "made": point["made"]})
                at = json.loads(answer.headers["tidemill-as-of"])["sequence"]
                self.assertEqual(at, reached[view])
                then = fold(records[:at], {})
                key = {"keys": "k", "items": "item", "whole": None}[view]
                got = {(view, row[key] if key else None): row for row in map(json.loads, answer.body.splitlines())}
                expected = {k: row for k, row in then.items() if k[0] == view}
                if view == "whole" and not expected:
                    expected = got if all(row["n"] == 0 for row in got.values()) else {}
                self.assertEqual(got, expected, f"{view} at {at}")
                compared += len(got)
                others += sum(now[k] != row for k, row in got.items() if k in now)
        self.assertGreater(others, compared // 4)
        # By sequence, on the command line, as CSV; and what is refused.
        middle = points[len(points) // 2]
        at = middle["views"][0]["sequence"]
        n = str(fold(records[:at], {}).get(("whole", None), {"n": 0})["n"])
        said = self.tidemill("sql", "--format", "csv", "--at", str(at), "SELECT n FROM whole", "--url", server.url)
        self.assertEqual(said.stdout.split(), ["n", n], said)
        said = self.tidemill("sql", "--format", "table", "--at", middle["made"], "SELECT n FROM whole", "--url", server.url).stdout
        self.assertIn(f", point {middle['number']} of {middle['made']})", said)
        said = self.tidemill("view", "history", "--url", server.url).stdout
        self.assertIn(middle["made"], said)
        self.assertIn(f"({len(points)} of at most 500, one each 1", said)
        self.check_problem(self.ask(server, "SELECT 1 FROM whole", len(records) + 1), 409, "at_ahead")
        self.check_problem(self.ask(server, "SELECT 1 FROM whole", "2011-12-09T12:50:00Z"), 410, "history_gone")
        # Another definition has other points.
        changed = server.post("/v1/sql", {"sql": "CREATE OR REPLACE MATERIALIZED VIEW whole AS SELECT count(*) * 100 AS n FROM s"})
        self.assertEqual(changed.status, 200, changed)
        end = time.monotonic() + 60
        while server.sql("SELECT n FROM whole") != [{"n": 100 * len(records)}]:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.check_problem(self.ask(server, "SELECT n FROM whole", middle["made"]), 410, "history_gone")
        self.assertEqual(self.ask(server, "SELECT k FROM keys", middle["made"]).status, 200)
        # Fewer are kept; then none.
        server.stop()
        server = self.serve(keep=2)
        end = time.monotonic() + 30
        while len(self.points(server)) != 2 or len(list((server.data / "views.history").iterdir())) != 2:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        server.stop()
        server = self.serve(every="off")
        self.assertEqual(self.points(server), [])
        self.assertEqual(list((server.data / "views.history").iterdir()), [])
        self.check_problem(self.ask(server, "SELECT k FROM keys", middle["made"]), 400, "not_supported")
        print(f"    {compared} rows at {len(points)} points, of {len(records)} records, over {kills} kills; the last is number {last['number']}")

    def record(self):
        return {"k": f"k{self.random.choice([0, 0, 0, self.random.randrange(12)])}", "t": self.random.choice("abc"),
                "x": "much" if self.random.randrange(15) == 0 else self.random.randrange(10),
                "list": [self.random.randrange(6) for _ in range(self.random.randrange(4))]}
