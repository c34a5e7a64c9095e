"""Data directories that earlier versions wrote (tests/golden): opened, and asked what they were asked then."""
import hashlib
import json
import pathlib
import tarfile

from harness import TestCase, root

golden = root / "tests" / "golden"
LAYOUT = 1  # what this version reads and writes


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def answers(server):
    """What must never change of a data directory, however it is kept."""
    kept = ("sequence", "shard", "key", "time", "data")  # later versions may add to these
    records = [{k: r[k] for k in kept} for r in server.records()]
    first = lambda start: server.get(f"/v1/streams/retail/records?from={start}&limit=1").json()["records"][0]["sequence"]
    streams = server.get("/v1/streams/retail").json()
    kept = ("shard", "first_hash", "last_hash", "open", "parents")
    streams["shards"] = [{k: s[k] for k in kept} for s in streams["shards"]]
    views = {}
    for name in ("customers", "invoices", "notes"):
        rows = server.get(f"/v1/views/{name}/rows?limit=1000", timeout=60)
        assert rows.status == 200, rows
        views[name] = rows.json()["rows"]
    # The same request again: its answer was kept.
    body = {"InvoiceNo": "nobody reads this"}
    return {
        "records": len(records),
        "records_sha256": digest(records),
        "first_record": records[0],
        # Through the index.
        "by_sequence": [first(s) for s in (1, 2, 59, 61, 100, len(records))],
        "by_time": [first(records[i]["time"]) for i in (0, 30, 59, 60, 100, len(records) - 1)],
        "stream": {k: streams[k] for k in ("name", "partition_key", "fields", "archive", "shards", "views", "created",
                                           "first_sequence", "last_sequence", "last_time")},
        "views": views,
        "definitions": {name: server.get(f"/v1/views/{name}").json()["sql"] for name in views},
        "key_is_known": [server.post("/v1/streams/retail/records", body, {"Idempotency-Key": key}).status
                         for key in ("small-0", "large-0", "last")],
    }


class Golden(TestCase):
    def unpack(self, layout):
        with tarfile.open(golden / layout / "data.tar.xz") as tar:
            tar.extractall(self.directory)
        data = self.directory / "data"
        (data / "archive").mkdir(exist_ok=True)
        (data / "views").mkdir(exist_ok=True)
        return data

    def files(self, data):
        return {str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in pathlib.Path(data).rglob("*") if p.is_file()}

    def test_each_layout_is_read_as_it_was_written(self):
        layouts = sorted(p.parent.name for p in golden.glob("*/data.tar.xz"))
        self.assertIn(str(LAYOUT), layouts)
        for layout in layouts:
            with self.subTest(layout=layout):
                data = self.unpack(layout)
                before = self.files(data)
                texts = {p: h for p, h in before.items() if p.endswith(".txt")}
                self.assertTrue(texts)
                done = self.tidemill("verify", "--data", str(data))
                self.assertEqual(done.returncode, 0, done)
                self.assertIn("view notes:", done.stdout)
                self.assertEqual(self.files(data), before)

                server = self.server("--log-level", "warning", data=data).start()
                said = [l for l in server.log.read_text().splitlines() if "configuration and store differ" not in l]
                self.assertEqual(said, [])  # nothing had to be made again
                self.assertEqual(answers(server), json.loads((golden / layout / "answers.json").read_text()))
                self.assertEqual(server.post("/v1/streams/retail/records", {"InvoiceNo": "1", "Quantity": 1,
                                                                            "UnitPrice": 1}).status, 200)
                self.assertEqual(server.stop(), 0)
                self.assertEqual({p: h for p, h in self.files(data).items() if p in texts}, texts)
                self.assertEqual(self.tidemill("verify", "--data", str(data)).returncode, 0)

    def test_a_later_layout_is_refused_with_a_sentence_and_left_alone(self):
        data = self.unpack(str(LAYOUT))
        marker = data / "TIDEMILL"
        marker.write_text(f"tidemill data directory\nlayout = {LAYOUT + 1}\nof which nothing is known\n")
        before = self.files(data)
        done = self.tidemill("serve", "--data", str(data), "--listen", "127.0.0.1:0")
        self.assertEqual(done.returncode, 2, done)
        unit = (root / "tools/packaging/tidemill.service").read_text()
        self.assertIn(f"\nRestartPreventExitStatus={done.returncode}\n", unit, "systemd would start it again for ever")
        self.assertIn("written by a later version of Tidemill; start that version", done.stderr)
        done = self.tidemill("verify", "--data", str(data))
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("later version", done.stderr)
        self.assertEqual(self.tidemill("backup", str(self.directory / "b"), "--data", str(data)).returncode, 2)
        self.assertEqual(self.files(data), before)
