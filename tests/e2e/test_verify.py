"""tidemill verify: nothing to say of a healthy directory, running or not; each kind of damage is named, by file."""
import json
import pathlib
import shutil
import threading

from harness import TestCase, root


class Verify(TestCase):
    def lively(self):
        """A server with records, text files and views."""
        config = self.directory / "tidemill.toml"
        config.write_text("""
[streams.retail]
shards = 4
partition_key = "InvoiceNo"
[streams.retail.fields]
Quantity = "integer"
UnitPrice = "number"
[streams.retail.archive]
size = "64KiB"
age = "1s"
[views.sums]
sql = "SELECT InvoiceNo AS invoice, count(*) AS lines, sum(Quantity) AS quantity FROM retail GROUP BY InvoiceNo"
""")
        server = self.server("--config", str(config)).start()
        self.put(server, 40)
        return server

    def put(self, server, requests, first=0):
        for i in range(first, first + requests):
            rows = [{"InvoiceNo": str(i * 7 + j), "Quantity": j, "UnitPrice": 0.5, "Note": "x" * 100} for j in range(20)]
            answer = server.post("/v1/streams/retail/records?ack=view&wait=20000", rows, {"Idempotency-Key": f"k{i}"})
            self.assertEqual(answer.status, 200, answer)

    def verify(self, server, *arguments):
        done = self.tidemill("verify", "--data", str(server.data), "--json", *arguments)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, lines, done

    def damages(self, lines):
        return [line for line in lines if line["type"] == "damage"]

    def snapshot(self, server):
        return {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in pathlib.Path(server.data).rglob("*") if p.is_file()}

    def test_healthy_directory_at_rest_and_in_use(self):
        server = self.lively()
        code, lines, done = self.verify(server, "--url", server.url)
        self.assertEqual(code, 0, done)
        self.assertTrue([l for l in lines if l["type"] == "view" and l["name"] == "sums" and l["differences"] == 0], lines)

        code, _, done = self.verify(server)  # without the server's help it keeps its hands off
        self.assertEqual(code, 2)
        self.assertIn("a server uses", done.stderr)

        server.kill()  # as it fell
        code, lines, done = self.verify(server)
        self.assertEqual((code, self.damages(lines)), (0, []), done)
        server.start()
        self.assertEqual(server.stop(), 0)

        before = self.snapshot(server)
        code, lines, done = self.verify(server)
        self.assertEqual(self.snapshot(server), before, "it altered something")
        self.assertEqual((code, self.damages(lines)), (0, []), done)
        facts = {(l["type"], l.get("name")): l for l in lines}
        self.assertEqual(facts["log", "retail"]["records"], 800)
        self.assertEqual(facts["archive", "retail"]["records"], 800)
        self.assertEqual(facts["archive", "retail"]["unfiled"], 0)
        self.assertEqual(facts["view", "sums"]["sequence"], 800)
        self.assertEqual(lines[-1], {"type": "end", "damages": 0, "notes": 0})

        text = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(text.returncode, 0)
        self.assertTrue(text.stdout.endswith("nothing is damaged, notes 0\n"), text.stdout)
        self.assertEqual(self.tidemill("verify", "--data", str(self.directory / "nowhere")).returncode, 2)

    def flip(self, path, offset):
        with open(path, "r+b") as f:
            f.seek(offset)
            byte = f.read(1)[0]
            f.seek(offset)
            f.write(bytes([byte ^ 1]))

    def test_each_damage_is_named_by_file(self):
        server = self.lively()
        self.assertEqual(server.stop(), 0)
        server.start()  # a second segment
        self.put(server, 5, 40)
        self.assertEqual(server.stop(), 0)
        data = pathlib.Path(server.data)
        segment = sorted((data / "streams" / "1").glob("*.seg"))[0]
        text = sorted((data / "archive" / "retail").rglob("*.txt"))[0]
        table = max((data / "views").glob("*.sst"), key=lambda p: p.stat().st_size)
        manifest = data / "archive" / "retail" / "manifest"
        system = sorted((data / "streams" / "0").glob("*.seg"))[-1]

        def expect(path, kind, change, offset=None, file=None):
            kept = path.read_bytes()
            change()
            code, lines, done = self.verify(server)
            path.write_bytes(kept)
            self.assertEqual(code, 1, done)
            named = [d for d in self.damages(lines) if d["file"] == (file or str(path.relative_to(data))) and d["kind"] == kind]
            self.assertTrue(named, (kind, lines))
            if offset is not None:
                self.assertEqual(named[0]["offset"], offset, named)

        expect(segment, "commit", lambda: self.flip(segment, 8192 + 200), 8192)
        expect(segment, "header", lambda: self.flip(segment, 100), 0)
        expect(segment, "missing", segment.unlink, 0, "streams/1")  # of what its name was nobody knows
        expect(system, "header", lambda: self.flip(system, 4096 + 50), 4096)
        expect(text, "text", lambda: self.flip(text, 57), 57)
        expect(text, "text", lambda: text.write_bytes(text.read_bytes() + b"{}\n"))
        expect(text, "missing", text.unlink)
        stray = text.with_name("stray.txt")
        stray.write_text("{}\n")
        expect(stray, "unnamed", lambda: None)
        stray.unlink()
        second = manifest.read_bytes().index(b"\n") + 1
        expect(manifest, "manifest", lambda: self.flip(manifest, second + 20), second)
        expect(table, "store", lambda: self.flip(table, 100))

        # A text file that was taken elsewhere, on purpose.
        kept = text.read_bytes()
        text.unlink()
        code, lines, done = self.verify(server, "--moved-files-ok")
        self.assertEqual(code, 0, done)
        text.write_bytes(kept)
        code, lines, done = self.verify(server)
        self.assertEqual((code, lines[-1]["damages"]), (0, 0), done)

    def test_without_the_system_stream_it_is_damaged_and_nothing_is_served(self):
        server = self.lively()
        self.assertEqual(server.stop(), 0)
        made = self.tidemill("keys", "create", "operator", "--admin", "--data", str(server.data))
        self.assertEqual(made.returncode, 0, made.stderr)
        backup = self.tidemill("backup", "--copy", "--data", str(server.data), "backup")
        self.assertEqual(backup.returncode, 0, backup.stderr)
        system = pathlib.Path(server.data) / "streams/0"
        system.rename(self.directory / "gone")
        code, lines, done = self.verify(server)
        self.assertEqual((code, done.stderr), (1, ""), done)
        self.assertIn(("missing", "streams/0"), {(d["kind"], d["file"]) for d in self.damages(lines)})
        self.assertTrue([l for l in lines if l["type"] == "log" and l["name"] == "streams/1"], lines)  # the others all the same
        # A new one would have no keys: whoever came would be let in.
        server.spawn()
        code = server.process.wait(30)
        self.assertEqual(code, 2)
        unit = (root / "tools/packaging/tidemill.service").read_text()
        self.assertIn(f"\nRestartPreventExitStatus={code}\n", unit, "systemd would start it again for ever")
        self.assertIn("streams/0, the system stream, is missing or empty", server.log_tail())
        self.assertIn("restore the directory from a backup", server.log_tail())
        self.assertFalse(system.exists())
        for command in (["keys", "list", "--data", str(server.data)], ["backup", "--data", str(server.data), "other"],
                        ["keys", "create", "x", "--admin", "--data", str(server.data)]):
            done = self.tidemill(*command)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("streams/0, the system stream, is missing or empty", done.stderr)
        # Nor where its files are gone and the directory was left, also without any other stream.
        system.mkdir()
        for others in (True, False):
            if not others:
                for stream in system.parent.iterdir():
                    if stream != system:
                        shutil.rmtree(stream)
            server.spawn()
            self.assertEqual(server.process.wait(30), 2)
            done = self.tidemill("keys", "create", "x", "--admin", "--data", str(server.data))
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("streams/0, the system stream, is missing or empty", done.stderr)
        # The remedy.
        shutil.rmtree(server.data)
        done = self.tidemill("restore", "backup", "--data", str(server.data))
        self.assertEqual(done.returncode, 0, done.stderr)
        server.spawn()
        server.wait_for()
        self.check_problem(server.get("/v1/streams"), 401, "unauthorized")

    def test_server_that_writes_files_and_views_all_the_while_has_nothing_wrong(self):
        server = self.lively()
        stop = threading.Event()
        failed = []

        def write():
            i = 1000
            while not stop.is_set():
                try:
                    self.put(server, 1, i)
                except AssertionError as error:
                    failed.append(error)
                    return
                i += 1
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(6):
                code, lines, done = self.verify(server, "--url", server.url)
                self.assertEqual((code, self.damages(lines)), (0, []), done)
        finally:
            stop.set()
            writer.join()
        self.assertEqual(failed, [])
        self.assertEqual(server.stop(), 0)

    def test_views_that_are_not_what_the_log_gives_are_damage(self):
        server = self.lively()
        self.assertEqual(server.stop(), 0)
        data = pathlib.Path(server.data)
        # The same definitions and as many records, but others; RocksDB finds nothing wrong with its files.
        shutil.move(data, self.directory / "first")
        again = self.server("--config", str(self.directory / "tidemill.toml")).start()
        for first in range(1000, 1040):
            self.put(again, 1, first)
        self.assertEqual(again.stop(), 0)
        shutil.rmtree(data / "views")
        shutil.copytree(self.directory / "first" / "views", data / "views")
        code, lines, done = self.verify(again)
        self.assertEqual(code, 1, done)
        self.assertEqual({d["kind"] for d in self.damages(lines)}, {"view"}, lines)
        self.assertIn("sums", self.damages(lines)[0]["text"])
        code, lines, done = self.verify(again, "--no-views")
        self.assertEqual(code, 0, done)
        again.start()
        code, lines, done = self.verify(again, "--url", again.url)
        self.assertEqual((code, {d["kind"] for d in self.damages(lines)}), (1, {"view"}), done)
