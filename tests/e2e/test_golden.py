"""Data directories that earlier versions wrote (tests/golden): opened, and asked what they were asked then."""
import hashlib
import json
import pathlib
import shutil
import tarfile
import time

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
    start, end = streams["first_sequence"], streams["last_sequence"]
    kept = ("shard", "first_hash", "last_hash", "open", "parents")
    streams["shards"] = [{k: s[k] for k in kept} for s in streams["shards"]]
    views = {}
    for name in sorted(v["name"] for v in server.get("/v1/views").json()["views"]):
        rows = server.get(f"/v1/views/{name}/rows?limit=1000", timeout=60)
        assert rows.status == 200, rows
        views[name] = rows.json()["rows"]
    # The same request again: its answer was kept.
    body = {"InvoiceNo": "nobody reads this"}
    said = {
        "records": len(records),
        "records_sha256": digest(records),
        "first_record": {**records[0], "data": {k: digest(v) if len(str(v)) > 1000 else v
                                                for k, v in records[0]["data"].items()}},
        # Through the index.
        "by_sequence": [first(s) for s in [start + i for i in (0, 1, 58, 60, 99) if start + i < end] + [end]],
        "by_time": [first(records[i]["time"]) for i in (0, 30, 59, 60, 100, end - start) if i < len(records)],
        "stream": {k: streams[k] for k in ("name", "partition_key", "fields", "archive", "shards", "views", "created",
                                           "first_sequence", "last_sequence", "last_time")},
        "views": views,
        "definitions": {name: server.get(f"/v1/views/{name}").json()["sql"] for name in views},
        "key_is_known": [server.post("/v1/streams/retail/records", body, {"Idempotency-Key": key}).status
                         for key in ("small-0", "large-0", "last")],
    }
    expiry = {name: server.get(f"/v1/views/{name}").json().get("expiry") for name in views}
    if any(expiry.values()):  # rows that have gone with time
        said["expiry"] = {name: {k: e[k] for k in ("stream_time", "expired", "late")} for name, e in expiry.items() if e}
    derived = [s["name"] for s in server.get("/v1/streams").json()["streams"] if s.get("derived")]
    if derived:
        settle(server)
        said["derived"] = {}
        for name in derived:
            stream = server.get(f"/v1/streams/{name}").json()
            made = [{k: r[k] for k in ("sequence", "shard", "key", "time", "data")} for r in server.records(name)]
            said["derived"][name] = {"records": len(made), "records_sha256": digest(made),
                                     **{k: stream["derived"][k] for k in ("source", "from", "sql", "position", "parked", "lost")}}
    if start > 1:  # what retention has left
        gone = server.get("/v1/streams/retail/records?from=1")
        limits = ("age_seconds", "size_bytes", "wait_for_groups")
        said["shortened"] = {
            "read_from_1": [gone.status, gone.json()["code"], gone.json()["start"]],
            "retention": {k: streams["retention"][k] for k in limits},
            "since": {name: server.get(f"/v1/views/{name}").json()["since"] for name in views},
            "rebuild": {name: server.post(f"/v1/views/{name}/verify", b"").json()["difference_count"] for name in views},
        }
    return said


def settle(server):
    """Until all groups have applied all that is durable; what one makes another may have to read."""
    end = time.monotonic() + 60
    quiet = 0
    while quiet < 3:
        behind = [g for g in server.get("/v1/groups").json()["groups"] if g["applied"] < g["durable"]]
        quiet = 0 if behind else quiet + 1
        assert time.monotonic() < end, behind
        time.sleep(0.02)


class Golden(TestCase):
    def unpack(self, name):
        with tarfile.open(golden / name / "data.tar.xz") as tar:
            tar.extractall(self.directory / name)
        data = self.directory / name / "data"
        (data / "archive").mkdir(exist_ok=True)
        (data / "views").mkdir(exist_ok=True)
        return data

    def files(self, data):
        return {str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest()
                for p in pathlib.Path(data).rglob("*") if p.is_file()}

    def open(self, data):
        """A server on it, and what it had to say, but that it is not what is configured."""
        server = self.server("--log-level", "warning", data=data)
        server.log = data.parent / "server.log"
        server.start()
        said = [json.loads(line)["message"] for line in server.log.read_text().splitlines()]
        return server, [message for message in said if "configuration and store differ" not in message]

    def check(self, server, name):
        self.assertEqual(answers(server), json.loads((golden / name / "answers.json").read_text()))

    def test_each_layout_is_read_as_it_was_written(self):
        names = sorted(p.parent.name for p in golden.glob("*/data.tar.xz"))
        self.assertLessEqual({str(LAYOUT), f"{LAYOUT}-shortened", f"{LAYOUT}-derived"}, set(names))
        for name in names:
            with self.subTest(name=name):
                data = self.unpack(name)
                before = self.files(data)
                texts = {p: h for p, h in before.items() if p.endswith(".txt")}
                self.assertTrue(texts)
                done = self.tidemill("verify", "--data", str(data))
                self.assertEqual(done.returncode, 0, done)
                self.assertIn("view notes:", done.stdout)
                self.assertEqual(self.files(data), before)

                server, said = self.open(data)
                self.assertEqual(said, [])  # nothing had to be made again
                self.check(server, name)
                made = json.loads((golden / name / "answers.json").read_text()).get("derived", {})
                self.assertEqual(server.post("/v1/streams/retail/records", {"InvoiceNo": "1", "Quantity": 1,
                                                                            "UnitPrice": 1}).status, 200)
                if made:  # goes on where it was
                    settle(server)
                    last = list(server.records("lines"))[made["lines"]["records"]:]
                    self.assertEqual([r["data"] for r in last], [{"invoice": "1", "price": 1, "twice": 2}])
                self.assertEqual(server.stop(), 0)
                self.assertEqual({p: h for p, h in self.files(data).items() if p in texts}, texts)
                self.assertEqual(self.tidemill("verify", "--data", str(data)).returncode, 0)

    def test_views_of_a_shortened_log_come_back_from_the_base_of_an_earlier_version(self):
        for name in sorted(p.parent.name for p in golden.glob("*-shortened/data.tar.xz")):
            with self.subTest(name=name):
                data = self.unpack(name)
                shutil.rmtree(data / "views")
                server, said = self.open(data)
                self.assertEqual(said, ["a view was taken from the base, and goes on from the log"] * 3)
                self.check(server, name)
                self.assertEqual(server.stop(), 0)

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
