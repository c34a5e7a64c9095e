"""The archive as its user sees it: names, rotation, settings, deleted streams, kills, a clean stop."""
import collections
import json
import os
import re
import shutil
import time

from harness import TestCase, exchange, request

name_pattern = re.compile(r"(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d)/(?P<hour>\d\d)/"
                          r"(?P<stream>[A-Za-z0-9_.-]+)-(?P<unit>s\d{4,}|l\d\d)-(?P<time>\d{8}T\d{6}Z)-(?P<first>\d{20})\.txt")


class Archive(TestCase):
    def put_stream(self, server, name, status=201, **definition):
        answer = request(server.port, "PUT", f"/v1/streams/{name}", {"partition_key": "k", **definition})
        self.assertEqual(answer.status, status, answer)

    def post(self, server, name, lines):
        answer = server.post(f"/v1/streams/{name}/records", "\n".join(json.dumps(l) for l in lines).encode(),
                             {"Content-Type": "application/x-ndjson"})
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def texts(self, server, folder):
        """{path below the archive: [lines]} of complete files, each held against the rules for its name."""
        root = server.data / "archive" / folder
        found = {}
        for path in sorted(root.rglob("*.txt")):
            name = str(path.relative_to(root))
            part = name_pattern.fullmatch(name)
            self.assertTrue(part, name)
            self.assertEqual(part["time"][:11], f"{part['year']}{part['month']}{part['day']}T{part['hour']}", name)
            found[name] = [json.loads(line) for line in path.read_text().splitlines()]
        return found

    def until(self, what, seconds=20):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end, "it did not happen")
            time.sleep(0.02)

    def group(self, server, name):
        answer = server.get(f"/v1/groups/{name}")
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_a_clean_stop_has_filed_everything(self):
        server = self.server().start()
        self.put_stream(server, "s", archive={"enabled": False})
        sent = 0
        for _ in range(20):
            self.post(server, "s", [{"k": str(n), "n": n} for n in range(sent, sent + 10_000)])
            sent += 10_000
        self.assertEqual(server.get("/v1/groups/s:archive").status, 404)
        self.put_stream(server, "s", 200, archive={"enabled": True})  # has all of that to do
        self.assertEqual(server.stop(), 0, server.log_tail())  # at once
        lines = [line["n"] for text in self.texts(server, "s").values() for line in text]
        self.assertEqual(sorted(lines), list(range(sent)))
        self.assertEqual(list(server.data.rglob("*.part")), [])

    def test_names_records_and_rotation(self):
        server = self.server().start()
        self.put_stream(server, "s", archive={"size_bytes": 2048, "age_seconds": 3600})
        lines = [{"k": str(n % 7), "n": n, "pad": "x" * 100} for n in range(200)]
        self.post(server, "s", lines)
        records = list(server.records("s"))
        self.until(lambda: len(self.texts(server, "s")) >= 8)  # by size, the rest waits
        filed = self.texts(server, "s")
        self.assertLess(sum(map(len, filed.values())), 200)
        for name in filed:
            self.assertLessEqual((server.data / "archive/s" / name).stat().st_size, 2048)
        # Another age, through the API, for what waits as well.
        self.put_stream(server, "s", 200, archive={"size_bytes": 2048, "age_seconds": 1})
        self.until(lambda: sum(map(len, self.texts(server, "s").values())) == 200)
        self.post(server, "s", [{"k": "late", "n": 200}])
        self.until(lambda: sum(map(len, self.texts(server, "s").values())) == 201)  # idle
        by_sequence = {r["sequence"]: r for r in server.records("s")}
        self.assertEqual(len(records), 200)
        for name, text in self.texts(server, "s").items():
            part = name_pattern.fullmatch(name)
            first = by_sequence[int(part["first"])]
            self.assertEqual(text[0], first["data"])
            self.assertEqual(part["unit"], f"s{first['shard']:04}")
            self.assertEqual(part["time"], re.sub(r"[-:]|\.\d+", "", first["time"]))
            numbers = [line["n"] for line in text]
            self.assertEqual(numbers, sorted(numbers))

    def test_many_shards_file_by_lane(self):
        server = self.server().start()
        self.put_stream(server, "many", shards=300)
        self.post(server, "many", [{"k": str(n), "n": n} for n in range(3000)])
        self.assertEqual(server.stop(), 0)
        filed = self.texts(server, "many")
        self.assertEqual({name_pattern.fullmatch(name)["unit"] for name in filed}, {f"l{n:02}" for n in range(16)})
        self.assertEqual(sorted(line["n"] for text in filed.values() for line in text), list(range(3000)))

    def test_a_stream_made_again_under_its_name(self):
        server = self.server().start()
        for life in range(3):  # within one second: the same names
            self.put_stream(server, "s")
            self.post(server, "s", [{"k": "a", "life": life, "n": n} for n in range(10)])
            self.until(lambda: self.group(server, "s:archive")["lag_records"] == 0)
            if life < 2:
                self.assertEqual(request(server.port, "DELETE", "/v1/streams/s").status, 204)
        self.assertEqual(server.stop(), 0)
        folders = sorted(p.name for p in (server.data / "archive").iterdir() if p.name.endswith("s") and p.name != "retail")
        self.assertEqual(len(folders), 3, folders)
        lives = []
        for folder in folders:
            text = [line for lines in self.texts(server, folder).values() for line in lines]
            self.assertEqual([line["n"] for line in text], list(range(10)))
            lives.append(text[0]["life"])
        self.assertEqual(folders[-1], "s")
        self.assertEqual(sorted(lives), [0, 1, 2])
        self.assertEqual(lives[-1], 2)

    def test_a_damaged_manifest_is_shown_and_can_be_mended_while_it_runs(self):
        server = self.server().start()
        self.put_stream(server, "s")
        self.post(server, "s", [{"k": str(n), "n": n} for n in range(100)])
        self.assertEqual(server.stop(), 0)
        manifest = server.data / "archive/s/manifest"
        text = bytearray(manifest.read_bytes())
        text[100] ^= 1
        manifest.write_bytes(text)
        server.start()
        group = self.group(server, "s:archive")
        self.assertIn("opening", group["last_error"]["message"])
        self.assertIn('tidemill_group_failing{group="s:archive",tenant="default"} 1', server.get("/metrics").body.decode())
        said = server.log.read_text()
        self.assertIn(str(manifest), said)
        self.assertIn("move it away", said)
        self.post(server, "s", [{"k": str(n), "n": n} for n in range(100, 120)])  # taken all the same
        shutil.move(server.data / "archive/s", self.directory / "away")
        self.until(lambda: self.group(server, "s:archive")["last_error"] is None, 40)
        self.assertEqual(server.stop(), 0)
        lines = [line["n"] for lines in self.texts(server, "s").values() for line in lines]
        self.assertEqual(sorted(lines), list(range(120)))

    def test_exactly_once_over_kills(self):
        """Small files and many kills, so that they fall into every step of a rotation."""
        rounds = int(os.environ.get("TIDEMILL_E2E_ARCHIVE_KILLS", "15"))
        server = self.server().start()
        self.put_stream(server, "s", archive={"size_bytes": 1024, "age_seconds": 1})
        acknowledged, visible, n = {}, {}, 0
        for _ in range(rounds):
            connection = server.connect()
            end = time.monotonic() + self.random.uniform(0.01, 0.25)
            while time.monotonic() < end:
                lines = [{"k": str(i % 11), "n": n + i} for i in range(self.random.randrange(1, 60))]
                n += len(lines)
                body = "\n".join(json.dumps(line) for line in lines).encode()
                answer = exchange(connection, "POST", "/v1/streams/s/records", body, {"Content-Type": "application/x-ndjson"})
                self.assertEqual(answer.status, 200, answer)
                acknowledged.update((answer.json()["first_sequence"] + i, line["n"]) for i, line in enumerate(lines))
            server.kill()
            for name, text in self.texts(server, "s").items():  # what a name has shown it shows for ever
                self.assertEqual(visible.setdefault(name, text), text, name)
            server.start()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(list(server.data.rglob("*.part")), [])
        filed = self.texts(server, "s")
        for name, text in visible.items():
            self.assertEqual(filed[name], text, name)
        counted = collections.Counter(line["n"] for text in filed.values() for line in text)
        self.assertEqual(counted, collections.Counter(acknowledged.values()))
        print(f"    {rounds} kills, {len(acknowledged)} records, {len(filed)} text files")
