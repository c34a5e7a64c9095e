"""A server in a control group a little above its configured memory, with four times as many requests on their way as
it can take: it refuses what it has no room for, and is not killed.
"""
import os
import socket
import threading
import time

from harness import TestCase
from memory_cap import Cap

CONFIGURED = 96 << 20  # limits.memory
ROOM = 64 << 20  # the process itself, and a little
SECONDS = float(os.environ.get("TIDEMILL_E2E_CAP_SECONDS", "4"))


def bodies():
    """NDJSON of 1, 50, 500 and 5,000 records of 250 bytes."""
    line = b'{"InvoiceNo":"536365","StockCode":"85123A","Description":"%s","Quantity":6,"CustomerID":"%d"}\n'
    out = []
    for count in (1, 50, 500, 5_000):
        text = b"".join(line % (b"x" * 150, n % 97) for n in range(count))
        head = (b"POST /v1/streams/retail/records HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\n"
                b"Content-Length: %d\r\n\r\n" % len(text))
        out.append((count, head + text))
    return out


class Client(threading.Thread):
    """Sends `each` requests at once over one connection, takes the answers, and goes on at once, refused or not."""

    def __init__(self, port, requests, each, until):
        super().__init__(daemon=True)
        self.port, self.requests, self.each, self.until = port, requests, each, until
        self.accepted = self.refused = 0
        self.other = []

    def run(self):
        turn = 0
        while time.monotonic() < self.until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
                    answers = s.makefile("rb")
                    while time.monotonic() < self.until:
                        sent = [self.requests[(turn + i) % len(self.requests)] for i in range(self.each)]
                        turn += 1
                        s.sendall(b"".join(text for _, text in sent))
                        for count, _ in sent:
                            self.take(answers, count)
            except OSError:
                time.sleep(0.005)  # it closed the connection after a refusal; what was lost with it is no answer

    def take(self, answers, count):
        status = answers.readline()
        if not status:
            raise OSError("closed")
        length = 0
        for line in iter(answers.readline, b"\r\n"):
            if not line:
                raise OSError("closed")
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = answers.read(length)
        if b" 200 " in status:
            self.accepted += count
        elif b" 429 " in status or b" 503 " in status:
            self.refused += count
        else:
            self.other.append((status, body[:200]))


class MemoryCap(TestCase):
    def offer(self, server, clients, seconds):
        """Records a second that were accepted, and refused."""
        begin = time.monotonic()
        threads = [Client(server.port, self.bodies, 4, begin + seconds) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + 60)
            self.assertFalse(thread.is_alive(), "a client hangs")
            self.assertEqual(thread.other, [])
        took = time.monotonic() - begin
        return sum(t.accepted for t in threads) / took, sum(t.refused for t in threads) / took

    def test_at_four_times_the_load_it_refuses_and_lives(self):
        cap = Cap(CONFIGURED + ROOM)
        self.addCleanup(cap.remove)
        if not cap.group:
            self.skipTest(cap.by)
        server = self.server(env={"TIDEMILL_LIMITS_MEMORY": f"{CONFIGURED >> 20}MiB"})
        server.preexec = cap.enter
        server.start()
        self.bodies = bodies()
        # What it sustains: so many connections, each with four requests on their way all the time, and none refused.
        sustained, clients = None, 1
        while clients <= 256:
            accepted, refused = self.offer(server, clients, 1)
            if refused:
                break
            sustained, clients = (clients, accepted), clients * 2
        self.assertIsNotNone(sustained, "it refuses what one connection sends")
        accepted, refused = self.offer(server, 4 * sustained[0], SECONDS)
        self.assertTrue(server.running(), f"killed:\n{server.log_tail()}")
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertEqual(server.post("/v1/streams/retail/records", {"InvoiceNo": "1"}).status, 200)
        peak, resident = cap.peak(), server.note_memory()
        self.assertGreater(refused, 0, "nothing was refused: the load was none")
        self.assertGreater(accepted, 0)
        print(f"  {cap.by} {cap.limit >> 20} MiB, configured {CONFIGURED >> 20} MiB: sustains {sustained[0]} connections "
              f"({sustained[1]:,.0f} records/s); at {4 * sustained[0]} took {accepted:,.0f} records/s and refused "
              f"{refused:,.0f}; resident at most {resident:.0f} MiB, the group with its page cache {peak or 0:.0f} MiB; alive")
