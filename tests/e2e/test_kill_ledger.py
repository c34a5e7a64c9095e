"""kill -9 under load, judged by the clients' own ledgers.

Each client writes down what it is about to send before it sends it, and the answer when it comes. The server is killed
again and again. Afterwards the log must hold every acknowledged record exactly once, at the sequence that was promised,
with the bytes that were sent, in the order that its client sent them; what was answered with an error or not at all may
be there once or not at all, and a retry under the same Idempotency-Key exactly once.
"""
import http.client
import json
import os
import threading
import time

from harness import TestCase, exchange

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


class KillLedger(TestCase):
    def test_nothing_acknowledged_is_lost_altered_reordered_or_twice(self):
        server = self.server().start()
        stop = threading.Event()
        import random
        clients = [Client(server, i, self.directory, stop, random.Random(self.seed + i)) for i in range(8)]
        for client in clients:
            client.start()
        for _ in range(kills):
            time.sleep(0.2 + self.random.random() * 0.8)
            server.kill()
            server.start("/readyz/ingest")
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
        print(f"  {kills} kills: {acked} acknowledged, 0 lost, 0 altered, 0 reordered, 0 twice; "
              f"{unknown} without an answer that are there")

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
