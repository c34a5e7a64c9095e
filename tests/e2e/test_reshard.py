"""Splits and merges under load: nobody who writes sees anything of it, and the text files have each key in order."""
import json
import random
import threading

from harness import TestCase, request


class Reshard(TestCase):
    keys = 12

    def writer(self, server, first, stop, sent, wrong):
        """Rounds of one record for each of its keys, numbered, until told to stop."""
        n = 0
        connection_errors = (ConnectionError, OSError)
        while not stop.is_set():
            n += 1
            rows = [{"k": f"key{first + i}", "n": n} for i in range(4)]
            try:
                answer = server.post("/v1/streams/s/records", rows)
            except connection_errors as error:
                wrong.append(repr(error))
                return
            if answer.status != 200:
                wrong.append(repr(answer))
                return
            sent[first] = n

    def change(self, server, shuffle):
        shards = server.get("/v1/streams/s").json()["shards"]
        open_ones = sorted((s for s in shards if s["open"]), key=lambda s: s["first_hash"])
        if shuffle.random() < 0.5 and len(open_ones) < 10:
            words = ["stream", "split", "s", str(shuffle.choice(open_ones)["shard"])]
        elif len(open_ones) > 1:
            i = shuffle.randrange(len(open_ones) - 1)
            words = ["stream", "merge", "s", str(open_ones[i]["shard"]), str(open_ones[i + 1]["shard"])]
        else:
            return
        done = self.tidemill(*words, "--url", server.url)
        self.assertEqual(done.returncode, 0, done)

    def test_order_within_a_key_and_no_error_for_writers(self):
        server = self.server().start()
        made = request(server.port, "PUT", "/v1/streams/s",
                       {"shards": 2, "partition_key": "k", "archive": {"size_bytes": 4096, "age_seconds": 60}})
        self.assertEqual(made.status, 201, made)
        # `_shard` of a record must not depend on when it is looked at.
        view = request(server.port, "PUT", "/v1/views/by_shard", {
            "sql": "SELECT _shard AS shard, count(*) AS records, min(n) AS first FROM s GROUP BY _shard"})
        self.assertEqual(view.status, 201, view)

        stop, sent, wrong, shuffle = threading.Event(), {}, [], random.Random(5)
        writers = [threading.Thread(target=self.writer, args=(server, first, stop, sent, wrong))
                   for first in range(0, self.keys, 4)]
        for thread in writers:
            thread.start()
        for _ in range(30):
            self.change(server, shuffle)
        stop.set()
        for thread in writers:
            thread.join()
        self.assertEqual(wrong, [])

        before = server.get("/v1/streams/s").json()["shards"]
        server.kill()
        server.start()
        after = server.get("/v1/streams/s").json()
        self.assertEqual(after["shards"], before)
        last = after["last_sequence"]
        differs = server.post("/v1/views/by_shard/verify", b"")
        self.assertEqual(differs.json()["difference_count"], 0, differs)
        rows = server.get("/v1/views/by_shard/rows?limit=1000").json()["rows"]
        self.assertEqual(sum(row["records"] for row in rows), last)
        self.assertGreater(len(rows), 5)

        # A closed shard and its children, by the words that a user has.
        closed = next(s for s in before if not s["open"] and s["last_sequence"] >= s["first_sequence"])
        tail = self.tidemill("tail", "s", "--no-follow", "--from", "earliest", "--shard", str(closed["shard"]),
                             "--url", server.url)
        records = [json.loads(line) for line in tail.stdout.splitlines()]
        self.assertTrue(all(closed["first_sequence"] <= r["sequence"] <= closed["last_sequence"] for r in records))
        self.assertIn("the shard is closed", tail.stderr)
        tail = self.tidemill("tail", "s", "--from", "earliest", "--shard", str(closed["shard"]), "--url", server.url)
        self.assertEqual((tail.returncode, len(tail.stdout.splitlines())), (0, len(records)), tail)
        shown = self.tidemill("stream", "s", "--url", server.url)
        self.assertEqual(len(shown.stdout.splitlines()), len(before) + 2, shown)
        again = self.tidemill("stream", "split", "s", str(closed["shard"]), "--url", server.url)
        self.assertEqual(again.returncode, 2, again)
        self.assertIn("was split or merged before", again.stderr)

        self.assertEqual(server.stop(), 0, server.log_tail())
        verified = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(verified.returncode, 0, verified)
        files = sorted((server.data / "archive" / "s").rglob("*.txt"), key=lambda p: p.stem[-20:])
        seen, lines = {}, 0
        for path in files:
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self.assertEqual(row["n"], seen.get(row["k"], 0) + 1, (path, row))
                seen[row["k"]] = row["n"]
                lines += 1
        self.assertEqual(lines, last)
        for first, n in sent.items():
            for i in range(4):
                self.assertGreaterEqual(seen[f"key{first + i}"], n)
