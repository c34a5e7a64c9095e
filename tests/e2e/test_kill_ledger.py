"""kill -9 under load, judged by the clients' own ledgers.

Each client writes down what it is about to send before it sends it, and the answer when it comes. The server is killed
again and again. Afterwards the log must hold every acknowledged record exactly once, at the sequence that was promised,
with the bytes that were sent, in the order that its client sent them; what was answered with an error or not at all may
be there once or not at all, and a retry under the same Idempotency-Key exactly once.

Every other kill is at a named point of the server's work, by a small library that is preloaded into it (kill_point.c).
"""
import http.client
import json
import os
import pathlib
import subprocess
import threading
import time

from harness import TestCase, exchange, need

kills = int(os.environ.get("TIDEMILL_E2E_KILLS", "6"))


class Client(threading.Thread):
    """Sends records 0, 1, 2 ... under one key; `keyed` clients retry until they know, the others go on."""

    def __init__(self, server, number, directory, stop, rng):
        super().__init__(daemon=True)
        self.server, self.number, self.stop_now, self.random = server, number, stop, rng
        self.keyed = number % 2 == 0
        self.batched = number % 4 >= 2
        self.ledger = open(directory / f"ledger-{number}", "w", buffering=1)
        self.sent = {}  # n -> text
        self.acked = {}  # n -> sequence
        self.trouble = []
        self.connection = None

    def text(self, n):
        return json.dumps({"InvoiceNo": f"L{self.number}", "StockCode": f"{n}", "Description": "x" * self.random.randrange(200),
                           "Quantity": 1, "InvoiceDate": "12/1/2010 8:26", "UnitPrice": 0.25,
                           "CustomerID": f"{self.number}", "Country": "Nowhere"}, separators=(",", ":"))

    def run(self):
        try:
            n = 0
            while not self.stop_now.is_set():
                count = self.random.randrange(1, 60) if self.batched else 1
                self.send(n, count)
                n += count
        except Exception as error:  # a client that dies silently would make the test pass
            self.trouble.append(repr(error))
        finally:
            self.ledger.close()

    def send(self, n, count):
        texts = [self.text(i) for i in range(n, n + count)]
        for i, text in enumerate(texts):
            self.sent[n + i] = text
        self.ledger.write(f"send {n} {count}\n")
        self.ledger.flush()
        headers = {"Content-Type": "application/x-ndjson" if self.batched else "application/json"}
        if self.keyed:
            headers["Idempotency-Key"] = f"client-{self.number}-{n}"
        body = "\n".join(texts).encode()
        while True:
            try:
                if self.connection is None:
                    self.connection = self.server.connect(timeout=20)
                answer = exchange(self.connection, "POST", "/v1/streams/retail/records", body, headers)
            except (OSError, http.client.HTTPException):
                self.connection = None
                answer = None
            if answer is not None and answer.status == 200:
                said = answer.json()
                if said["accepted"] != count or said["last_sequence"] - said["first_sequence"] + 1 != count:
                    self.trouble.append(f"record {n}: {answer}")
                for i in range(count):
                    self.acked[n + i] = said["first_sequence"] + i
                self.ledger.write(f"ack {n} {said['first_sequence']}\n")
                self.ledger.flush()
                return
            if answer is not None and answer.status not in (429, 503):
                self.trouble.append(f"record {n}: {answer}")
                return
            if not self.keyed and answer is None:
                time.sleep(0.01)
                return  # unknown: never again, so that a second one would be the server's doing
            if self.stop_now.is_set() and not self.keyed:
                return
            time.sleep(0.02)


# Where the server may be when it dies: when, which call, on what file, and about how often that comes in a second.
POINTS = {
    "a commit is about to be written": ("before", "write", ".seg", 300),
    "a commit is written and not flushed": ("before", "flush", ".seg", 300),
    "a commit is flushed and nobody knows": ("after", "flush", ".seg", 300),
    "a segment is about to get its name": ("before", "rename", ".seg", 3),
    "a segment has its name, its directory is not flushed": ("after", "rename", ".seg", 3),
    "a segment is being filled with zeros": ("after", "write", ".fill", 30),
    "an index is created and empty": ("after", "create", ".idx", 2),
    "the durable mark is half way": ("after", "write", "/mark", 8),
    "the request window is written, without its name": ("before", "rename", "/requests", 0),
    "a text file begins": ("after", "create", ".part", 6),
    "a text file is flushed, not in the manifest": ("before", "write", "/manifest", 3),
    "a manifest line is written and not flushed": ("before", "flush", "/manifest", 3),
    "a text file is in the manifest, without its name": ("before", "rename", ".txt", 3),
    "a text file has its name, its directory is not flushed": ("after", "rename", ".txt", 3),
    "the views' files change": ("before", "flush", "/views/", 3),
    "the views' manifest gets its name": ("before", "rename", "/views/", 0),
}


# Small segments and text files, so that a short life comes to all of it.
CONFIG = """
[storage]
segment = "1MiB"
[streams.retail]
partition_key = "InvoiceNo"
archive.size = "64KiB"
fields = { Quantity = "integer", UnitPrice = "number" }
[views.invoices]
sql = "builtin:invoices"
"""


def build_kill_point(directory):
    """The library that kills, or None where there is no C compiler."""
    library = directory / "kill_point.so"
    source = pathlib.Path(__file__).with_name("kill_point.c")
    subprocess.run([need("cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


def percentile(times, p):
    return sorted(times)[min(len(times) - 1, int(len(times) * p))]


class KillLedger(TestCase):
    def one_life(self, server, point):
        """Until it is killed. The point where it died, or None: at any moment."""
        if point is not None:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                if not server.running():
                    return point
                time.sleep(0.005)
            # It does not come there in this life: dies all the same.
        else:
            time.sleep(0.2 + self.random.random() * 0.8)
        server.kill()
        return None

    def start_again(self, server, library, point, nth):
        """The next life, which is to end at `point`. Seconds until it took records, and until its views were there."""
        server.env.pop("LD_PRELOAD", None)
        if point is not None:
            when, call, part, _ = POINTS[point]
            server.env.update(LD_PRELOAD=str(library), TIDEMILL_KILL_POINT=f"{when} {call} {part} {nth}")
        begin = time.monotonic()
        server.spawn()
        times = []
        for path in ("/readyz/ingest", "/readyz"):
            while server.running():
                try:
                    if server.get(path, timeout=5).status == 200:
                        times.append(time.monotonic() - begin)
                        break
                except (OSError, http.client.HTTPException):
                    pass
                time.sleep(0.004)
        # Dead before it was ready: only what was asked for may have done that.
        if len(times) < 2 and (point is None or server.process.wait() != -9):
            raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log_tail()}")
        return times

    def test_nothing_acknowledged_is_lost_altered_reordered_or_twice(self):
        library = build_kill_point(self.directory)
        (self.directory / "small.toml").write_text(CONFIG)
        server = self.server("--config", str(self.directory / "small.toml")).start()
        stop = threading.Event()
        import random
        clients = [Client(server, i, self.directory, stop, random.Random(self.seed + i)) for i in range(8)]
        for client in clients:
            client.start()
        ingest, ready, died = [], [], {}
        names = list(POINTS)
        self.random.shuffle(names)
        point = nth = None
        tries = at_points = 0
        for n in range(kills):
            at = self.one_life(server, point)
            died[at] = died.get(at, 0) + 1
            at_points += at is not None
            # Half of the lives are to end at a point, each in its turn; the last life at none.
            point = names[tries % len(names)] if 2 * at_points <= n and n + 1 < kills else None
            tries += point is not None
            if point is not None:
                nth = self.random.randrange(1, 2 + POINTS[point][3])
            times = self.start_again(server, library, point, nth)
            ingest += times[:1]
            ready += times[1:]
        time.sleep(0.3)
        stop.set()
        for client in clients:
            client.join(60)
            self.assertFalse(client.is_alive(), "a client hangs")
            self.assertEqual(client.trouble, [])
        # Once more, so that what is checked comes from the disk.
        token = server.token()
        server.kill()
        server.start()

        found = {client.number: {} for client in clients}
        expected_sequence = 1
        for record in server.records():
            self.assertEqual(record["sequence"], expected_sequence, "the sequence has a hole")
            expected_sequence += 1
            data = record["data"]
            number, n = int(data["InvoiceNo"][1:]), int(data["StockCode"])
            self.assertNotIn(n, found[number], f"record {n} of client {number} is there twice")
            self.assertEqual(data, json.loads(clients[number].sent[n]), "altered")
            self.assertEqual(record["key"], f"L{number}")
            found[number][n] = record["sequence"]
        acked = unknown = 0
        for client in clients:
            mine = found[client.number]
            for n, sequence in client.acked.items():
                self.assertIn(n, mine, f"record {n} of client {client.number} was acknowledged and is lost")
                self.assertEqual(mine[n], sequence, "another sequence than was promised")
            order = [n for n, _ in sorted(mine.items(), key=lambda item: item[1])]
            self.assertEqual(order, sorted(order), f"client {client.number}: reordered")
            if client.keyed:
                self.assertEqual(set(mine), set(client.acked), "a keyed record without an acknowledgement")
            acked += len(client.acked)
            unknown += len(mine) - len(client.acked)
        self.assertGreater(acked, 100)

        # The views counted each of them once as well.
        lines = {row["invoice_no"]: row["lines"] for row in server.sql("SELECT invoice_no, lines FROM invoices", token)}
        self.assertEqual(lines, {f"L{number}": len(mine) for number, mine in found.items() if mine})
        named = {name: times for name, times in died.items() if name}
        self.assertTrue(named or kills < 4, "no kill was at a named point")
        print(f"  {kills} kills, {sum(named.values())} of them at {len(named)} named points: {acked} acknowledged, 0 lost, 0 altered, 0 reordered, 0 twice; "
              f"{unknown} without an answer that are there")
        print(f"  restart until /readyz/ingest: p50 {percentile(ingest, .5):.2f} s, p99 {percentile(ingest, .99):.2f} s, "
              f"longest {max(ingest):.2f} s; until /readyz: p99 {percentile(ready, .99):.2f} s, longest {max(ready):.2f} s")
        print("  kills at: " + ", ".join(f"{name} {n}" for name, n in sorted(named.items())))

    def test_sigterm_under_load_answers_or_refuses_and_seals(self):
        server = self.server().start()
        stop = threading.Event()
        import random
        clients = [Client(server, i, self.directory, stop, random.Random(self.seed + i)) for i in (1, 3, 5, 7)]
        for client in clients:
            client.start()
        time.sleep(0.5)
        self.assertEqual(server.stop(), 0, server.log_tail())
        stop.set()
        for client in clients:
            client.join(60)
            self.assertEqual(client.trouble, [])
        parts = list(server.data.glob("archive/**/*.part"))
        self.assertEqual(parts, [], "open text files were not sealed")
        lines = sum(len(f.read_bytes().splitlines()) for f in server.data.glob("archive/**/*.txt"))
        server.start()
        records = sum(1 for _ in server.records())
        self.assertEqual(lines, records)
        self.assertGreaterEqual(records, sum(len(c.acked) for c in clients))
