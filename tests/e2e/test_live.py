"""Clients that keep a copy of a view: they break off at random and come back with their cursor, while the server is killed
again and again. Each time one is told that its copy is current it must be what a plain fold of the log gives up to
there, here in Python; and in the end what the view shows.
"""
import http.client
import json
import random
import signal
import socket
import subprocess
import threading
import time
from urllib.parse import quote

from harness import TestCase, program, request

PLAIN = "SELECT k, count(*) AS n, sum(x) AS total, count(DISTINCT x % 5) AS fives FROM s GROUP BY k"
FLEETING = f"CREATE MATERIALIZED VIEW fleeting WITH (ttl = '1 second') AS {PLAIN}"


class Copy(threading.Thread):
    """A client. `seen`: (sequence, table) whenever it was told that its copy is current."""

    def __init__(self, server, path, seed, patience):
        super().__init__(daemon=True)
        self.server, self.path, self.patience = server, path, patience
        self.random = random.Random(seed)
        self.cursor, self.table, self.seen = None, {}, []
        self.refetches = self.connections = self.removed = self.returned = 0
        self.had = set()
        self.over = False
        self.trouble = None

    def run(self):
        while not self.over:
            try:
                self.watch()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.01)
            except Exception as error:  # noqa: BLE001: told by the test
                self.trouble = error
                return

    def watch(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request("GET", self.path, headers={"Last-Event-ID": self.cursor} if self.cursor else {})
            answer = connection.getresponse()
            if answer.status != 200:
                assert answer.status in (503, 404), answer.read()
                time.sleep(0.02)
                return
            self.connections += 1
            # So many events. Often not even the first copy is whole by then.
            ends = self.random.randrange(1, 300 if self.random.randrange(2) else self.patience)
            event = {}
            for line in answer:
                line = line.decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(":")
                    event[name] = value[1:] if value.startswith(" ") else value
                    continue
                self.take(event)
                event = {}
                ends -= 1
                if ends == 0 or self.over:
                    return
        finally:
            connection.close()

    def take(self, event):
        if "id" in event:
            self.cursor = event["id"] or None
        kind = event.get("event")
        data = json.loads(event["data"]) if "data" in event else None
        if kind == "snapshot":
            self.table = {}
        elif kind == "row":
            key = tuple(data["key"])
            self.returned += key in self.had and key not in self.table
            self.had.add(key)
            self.table[key] = data["row"]
        elif kind == "delete":
            self.removed += self.table.pop(tuple(data["key"]), None) is not None
        elif kind == "current":
            self.seen.append((data["as_of"]["sequence"], dict(self.table)))
        elif kind == "must-refetch":
            self.refetches += 1
        elif kind is not None:
            assert kind == "progress", event

    def stop(self):
        self.over = True


class Fold:
    """What a view shows after each record. `ttl_ms`: rows go with time."""

    def __init__(self, ttl_ms=None):
        self.ttl_ms, self.rows, self.time = ttl_ms, {}, 0

    def add(self, record):
        self.time = max(self.time, record["ms"])
        data = record["data"]
        row = self.rows.get(data["k"])
        if row is None or (self.ttl_ms and row["last"] + self.ttl_ms <= self.time):
            row = self.rows[data["k"]] = {"n": 0, "total": 0, "fives": set()}
        row["n"] += 1
        row["total"] += data["x"]
        row["fives"].add(data["x"] % 5)
        row["last"] = self.time

    def table(self, wanted):
        return {(k,): {"k": k, "n": r["n"], "total": r["total"], "fives": len(r["fives"])}
                for k, r in self.rows.items()
                if wanted(k) and not (self.ttl_ms and r["last"] + self.ttl_ms <= self.time)}


def milliseconds(text):
    whole, _, part = text.rstrip("Z").partition(".")
    import calendar
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * 1000 + int((part + "000")[:3])


# (path, which keys are watched, milliseconds until a row goes, which of those rows fit)
ALL = lambda k: True  # noqa: E731
WATCHED = [
    ("/v1/views/plain/changes", ALL, None, None), ("/v1/views/plain/changes", ALL, None, None),
    ("/v1/views/plain/changes?key=k7", lambda k: k == "k7", None, None),
    ("/v1/views/plain/changes?prefix=k1", lambda k: k.startswith("k1"), None, None),
    ("/v1/views/fleeting/changes", ALL, 1000, None),
    ("/v1/views/plain/changes?from=k3&to=k5", lambda k: "k3" <= k < "k5", None, None),
    # Rows that fit, do not fit any more, and fit again.
    ("/v1/views/plain/changes?where=" + quote("total % 3 = 0 AND n > 2"), ALL, None,
     lambda r: r["total"] % 3 == 0 and r["n"] > 2),
    ("/v1/views/plain/changes?prefix=k2&where=" + quote("k LIKE '%1' OR Total % 4 > 1"), lambda k: k.startswith("k2"), None,
     lambda r: r["k"].endswith("1") or r["total"] % 4 > 1),
    ("/v1/views/fleeting/changes?where=" + quote("total > 200"), ALL, 1000, lambda r: r["total"] > 200),
]


class Live(TestCase):
    def make(self, server):
        self.assertEqual(request(server.port, "PUT", "/v1/streams/s", {"partition_key": "k"}).status, 201)
        for name, sql in {"plain": PLAIN, "fleeting": FLEETING}.items():
            made = request(server.port, "PUT", f"/v1/views/{name}", sql.encode(), {"Content-Type": "application/sql"})
            self.assertEqual(made.status, 201, made)

    def wait_until(self, what, holds, seconds=60):
        end = time.monotonic() + seconds
        while not holds():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.01)

    def check(self, copy, log, wanted, ttl_ms=None, fits=None):
        self.assertIsNone(copy.trouble, copy.trouble)
        by_sequence = {}
        for sequence, table in copy.seen:
            by_sequence.setdefault(sequence, []).append(table)
        fold = Fold(ttl_ms)
        checked = 0
        for record in [None, *log]:
            if record:
                fold.add(record)
            for table in by_sequence.get(record["sequence"] if record else 0, []):
                expected = {k: r for k, r in fold.table(wanted).items() if fits is None or fits(r)}
                self.assertEqual(table, expected, (copy.path, record))
                checked += 1
        self.assertEqual(checked, len(copy.seen))
        return checked

    def test_copies_converge_with_kills(self):
        server = self.server().start()
        self.make(server)
        seeds = [self.random.randrange(1 << 30) for _ in WATCHED]
        copies = [Copy(server, path, seed, patience=8_000 if i != 1 else 1_000_000)
                  for i, ((path, *_), seed) in enumerate(zip(WATCHED, seeds))]
        for copy in copies:
            copy.start()
        lives = 4
        for life in range(lives):
            for i in range(60):
                keys = 400 if i % 10 else 3_000  # now and then more than one round takes
                rows = [{"k": f"k{self.random.randrange(keys)}", "x": self.random.randrange(100)}
                        for _ in range(self.random.randrange(1, 200))]
                if i % 20 == 0:
                    rows = [{"k": f"k{n}", "x": n % 9} for n in range(self.random.randrange(2_000))] + rows
                self.assertEqual(server.post("/v1/streams/s/records", rows).status, 200)
                if i % 16 == 0:
                    time.sleep(0.3)
            if life < lives - 1:
                server.kill()
                server.start(ready="/readyz/ingest")
        server.post("/v1/streams/s/records", [{"k": k, "x": 3} for k in ("k1", "k3", "k7")])  # some for each of them
        log = [dict(r, ms=milliseconds(r["time"])) for r in server.records("s")]
        last = log[-1]["sequence"]
        for copy in copies:
            self.wait_until(copy.path, lambda: copy.trouble or (copy.seen and copy.seen[-1][0] == last))
        for copy in copies:
            copy.stop()
        server.post("/v1/streams/s/records", [{"k": "k1", "x": 1}])  # wakes those that wait
        for copy, (_, wanted, ttl_ms, fits) in zip(copies, WATCHED):
            copy.join(30)
            self.assertFalse(copy.is_alive())
            checked = self.check(copy, [*log, *(dict(r, ms=milliseconds(r["time"])) for r in server.records("s", last + 1))],
                                 wanted, ttl_ms, fits)
            self.assertGreater(checked, 3, copy.path)
            print(f"  {copy.path}: {copy.connections} connections, {checked} states compared, "
                  f"{copy.refetches} refetches", flush=True)
        self.assertEqual([c.refetches for c, (_, _, ttl, _) in zip(copies, WATCHED) if not ttl], [0] * 7)
        for copy, (*_, fits) in zip(copies, WATCHED):
            if fits:
                self.assertGreater(copy.removed, 0, copy.path)  # some had fitted, and some came back
                self.assertGreater(copy.returned, 0, copy.path)
        self.assertGreater(copies[0].connections, 3)

    def events(self, server, path, cursor=None):
        """One connection's events, as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.addCleanup(connection.close)
        connection.request("GET", path, headers={"Last-Event-ID": cursor} if cursor else {})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        event = {}
        for line in answer:
            line = line.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(":")
                event[name] = value.lstrip(" ")
                continue
            if event.get("event"):
                yield event
            event = {}

    def until_current(self, events):
        out = []
        for event in events:
            out.append(event)
            if event["event"] in ("current", "must-refetch"):
                return out
        self.fail(f"the answer ended: {out}")

    def test_the_watch_command_goes_on_after_a_kill(self):
        server = self.server().start()
        self.make(server)
        command = [program, "view", "watch", "plain", "--json", "--where", "total % 2 = 0", "--url", server.url]
        table = {}

        def lines_until(process, sequence):
            """Takes what it prints until its copy is as of that record. The cursor."""
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "row":
                    table[event["key"][0]] = event["row"]
                elif event["event"] == "delete":
                    table.pop(event["key"][0], None)
                elif event["event"] == "snapshot":
                    table.clear()
                elif event["event"] == "current" and event["as_of"]["sequence"] >= sequence:
                    return event["cursor"]
            self.fail(process.communicate()[1])

        def watch(*more):
            process = subprocess.Popen([*command, *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            patience = threading.Timer(120, process.kill)
            patience.start()
            self.addCleanup(patience.cancel)
            return process

        def post(*rows):
            return server.post("/v1/streams/s/records", [{"k": k, "x": x} for k, x in rows]).json()["last_sequence"]

        def expected():
            fold = Fold()
            for record in server.records("s"):
                fold.add(dict(record, ms=0))
            return {k[0]: r for k, r in fold.table(ALL).items() if r["total"] % 2 == 0}

        watching = watch()
        lines_until(watching, post(("a", 1), ("b", 2), ("c", 4)))
        self.assertEqual(table, expected())
        for _ in range(3):
            server.kill()
            server.start(ready="/readyz/ingest")
            last = post(*((self.random.choice("abcd"), self.random.randrange(9)) for _ in range(20)), ("a", 1))
            cursor = lines_until(watching, last)
            self.assertEqual(table, expected())
        watching.send_signal(signal.SIGINT)
        rest, said = watching.communicate()
        self.assertEqual((watching.returncode, rest), (0, ""))
        self.assertIn("waiting for it\n", said)
        self.assertTrue(said.endswith(f"tidemill view watch: go on with --cursor {cursor}\n"), said)
        # Later, and elsewhere: only what has changed since.
        last = post(("b", 2), ("e", 6))
        again = watch("--cursor", cursor)
        lines_until(again, last)
        self.assertEqual(table, expected())
        self.assertIn("e", table)
        again.terminate()
        self.assertEqual(again.wait(), 0)
        again.communicate()

    def test_records_that_count_late(self):
        """What leaves the quarantine changes rows without a later sequence."""
        server = self.server().start()
        self.make(server)
        server.post("/v1/streams/s/records?ack=view", [{"k": "a", "x": 1}, {"k": "a", "x": "much"}, {"k": "b", "x": 2}])
        path = "/v1/views/plain/changes"
        watching = self.events(server, path)
        before = self.until_current(watching)
        self.assertEqual([json.loads(e["data"])["row"]["total"] for e in before if e["event"] == "row"], [1, 2])
        server.post("/v1/streams/s/records?ack=view", [{"k": "b", "x": 2}])
        cursor = self.until_current(watching)[-1]["id"]
        decided = server.post("/v1/views/plain/quarantine/2", {"decision": "redrive", "data": {"k": "a", "x": 7}})
        self.assertEqual(decided.json()["decided"], 1, decided)
        for events in (watching, self.events(server, path, cursor)):
            row = next(e for e in events if e["event"] == "row" and json.loads(e["data"])["key"] == ["a"])
            self.assertEqual(json.loads(row["data"])["row"], {"k": "a", "n": 2, "total": 8, "fives": 2})
        # Another process does not know any more which rows it was.
        server.stop()
        server.start()
        told = self.until_current(self.events(server, path, cursor))
        self.assertEqual(told[-1]["event"], "must-refetch", told)
        self.assertEqual(told[-1]["id"], "")
        self.assertIn("quarantine", json.loads(told[-1]["data"])["reason"])
        # Who had seen it goes on.
        now = self.until_current(self.events(server, path))[-1]["id"]
        self.assertEqual([e["event"] for e in self.until_current(self.events(server, path, now))], ["current"])

    def test_how_it_ends(self):
        server = self.server().start()
        self.make(server)
        path = "/v1/views/plain/changes"
        server.post("/v1/streams/s/records?ack=view", [{"k": "a", "x": 1}])
        watching = self.events(server, path)
        cursor = self.until_current(watching)[-1]["id"]
        changed = PLAIN.replace("% 5", "% 6")
        self.assertEqual(request(server.port, "PUT", "/v1/views/plain", changed.encode(),
                                 {"Content-Type": "application/sql"}).status, 202)
        self.assertEqual([e["event"] for e in watching], ["must-refetch"])  # and the answer ends
        self.assertEqual(self.until_current(self.events(server, path, cursor))[-1]["event"], "must-refetch")
        # Rows that have gone are gone for a copy too.
        fleeting = self.events(server, "/v1/views/fleeting/changes")
        self.until_current(fleeting)
        time.sleep(1.1)
        server.post("/v1/streams/s/records?ack=view", [{"k": "b", "x": 1}])
        told = self.until_current(fleeting)
        self.assertEqual({e["event"]: json.loads(e["data"])["key"] for e in told[:-1]}, {"delete": ["a"], "row": ["b"]})
        for bad, code in (("?cursor=x", "invalid_cursor"), ("?key=a&prefix=b", "invalid_parameter"),
                          ("?where=m%3E1", "invalid_parameter"),
                          ("?where=n%3E1&cursor=" + cursor, "invalid_cursor"), ("?key=a,b", "invalid_key")):
            answer = server.get(path + bad)
            self.check_problem(answer, 400, code)
        self.check_problem(server.get("/v1/views/nobody/changes"), 404, "view_not_found")
        self.check_problem(server.get(path, {"Accept": "application/json"}), 406, "not_acceptable")
        self.assertEqual(server.stop(), 0)
        self.assertEqual([e["event"] for e in fleeting], [])  # it ended, whole

    def test_a_slow_client_gets_the_latest(self):
        """Who does not read costs the server nothing but its cursor: it gets each row once, as it then is."""
        server = self.server().start()
        self.make(server)
        made = request(server.port, "PUT", "/v1/views/wide", b"SELECT k, count(*) AS n, last(pad) AS pad FROM s GROUP BY k",
                       {"Content-Type": "application/sql"})
        self.assertEqual(made.status, 201, made)
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", server.port))
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.sock = slow
        self.addCleanup(connection.close)
        connection.request("GET", "/v1/views/wide/changes")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        pad, turns, table, taken, current = "x" * 900, 16, {}, 0, 0

        def take():
            nonlocal taken, current
            event = {}
            while line := answer.readline().decode().rstrip("\n"):
                taken += len(line)
                name, _, event[name] = line.partition(":")
            data = json.loads(event.get("data", "{}"))
            if "row" in data:
                table[data["key"][0]] = data["row"]["n"]
            elif "as_of" in data:
                current = data["as_of"]["sequence"]

        for turn in range(turns):
            rows = [{"k": f"{n:04}", "x": turn, "pad": pad} for n in range(1_000)]
            self.assertEqual(server.post("/v1/streams/s/records", rows).status, 200)
            for _ in range(20):
                take()
        while current < turns * 1_000:
            take()
        self.assertEqual(set(table.values()), {turns})
        self.assertEqual(len(table), 1_000)
        self.assertLess(taken, turns * 1_000 * 900 // 2)
