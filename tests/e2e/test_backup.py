"""tidemill backup and restore: a consistent copy of a running server, again and again; what was lost with the future is
answered 410."""
import pathlib
import shutil
import threading

from harness import TestCase


class Backup(TestCase):
    def put(self, server, first, requests=10):
        """The last request's token."""
        for i in range(first, first + requests):
            rows = [{"InvoiceNo": str(i), "Quantity": j, "UnitPrice": 0.5, "StockCode": "s"} for j in range(20)]
            answer = server.post("/v1/streams/retail/records", rows, {"Idempotency-Key": f"k{i}"})
            self.assertEqual(answer.status, 200, answer)
        return answer.json()["token"]

    def backup(self, server, to, *arguments, code=0):
        done = self.tidemill("backup", str(to), "--data", str(server.data), *arguments)
        self.assertEqual(done.returncode, code, done)
        return done

    def restore(self, backup, data, code=0):
        done = self.tidemill("restore", str(backup), "--data", str(data))
        self.assertEqual(done.returncode, code, done)
        return done

    def contents(self, server):
        return [(r["sequence"], r["data"]) for r in server.records()]

    def test_backup_of_a_running_server_is_restored_whole_and_the_lost_future_is_gone(self):
        server = self.server().start()
        kept_token = self.put(server, 0)
        first = self.contents(server)
        to = self.directory / "backup"
        self.backup(server, to, code=2)  # in use, and the server was not named
        self.backup(server, to, "--url", server.url)
        lost_token = self.put(server, 100)

        # Another life of the same logs: later epochs, further on.
        self.assertEqual(server.stop(), 0)
        server.start()
        later_token = self.put(server, 200)
        server.kill()

        self.assertEqual(self.tidemill("restore", str(to), "--check").returncode, 0)
        self.restore(to, server.data, code=2)  # it is there
        shutil.rmtree(server.data)
        self.restore(to, server.data)
        again = self.tidemill("verify", "--data", str(server.data), "--json")
        self.assertEqual(again.returncode, 0, again)
        server.start()
        self.assertEqual(self.contents(server), first)
        get = lambda token: server.get(f"/v1/views/customers/rows?limit=1&after={token}&wait=20000")
        self.assertEqual(get(kept_token).status, 200, get(kept_token))
        # Beyond what was lost, so that a mere number would pass for seen.
        self.put(server, 300, 60)
        self.check_problem(get(lost_token), 410, "token_gone")
        self.check_problem(get(later_token), 410, "token_gone")
        # What was acknowledged before the backup is recognised; what was lost is taken anew.
        rows = [{"InvoiceNo": "9", "Quantity": j, "UnitPrice": 0.5, "StockCode": "s"} for j in range(20)]
        repeated = server.post("/v1/streams/retail/records", rows, {"Idempotency-Key": "k9"})
        self.assertTrue(repeated.json().get("replayed"), repeated)
        self.assertEqual(server.stop(), 0)
        whole = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(whole.returncode, 0, whole)
        self.assertIn("archive retail:", whole.stdout)  # made again

    def test_again_and_again_copies_only_what_is_new_under_load(self):
        config = self.directory / "tidemill.toml"
        config.write_text('[log]\nlevel = "info"\n')
        server = self.server(env={"TIDEMILL_STORAGE_SEGMENT": "1MiB"}).start()
        to = self.directory / "backup"
        stop = threading.Event()
        taken = []

        def write():
            i = 1000
            while not stop.is_set():
                self.put(server, i, 1)
                taken.append(i)
                i += 1
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(5):
                done = self.backup(server, to, "--url", server.url)
        finally:
            stop.set()
            writer.join()
        self.assertIn("backup 5 ", done.stdout)
        self.assertNotIn("kept 0", done.stdout)
        server.kill()
        # Links of this disk; the restored directory must not share them.
        restored = self.directory / "restored"
        self.restore(to, restored)
        for path in pathlib.Path(restored).rglob("*.seg"):
            self.assertEqual(path.stat().st_nlink, 1)
        second = self.server(data=restored).start()
        there = self.contents(second)
        self.assertEqual([s for s, _ in there], list(range(1, len(there) + 1)))
        self.assertGreater(len(there), 0)
        self.assertEqual(second.stop(), 0)
        # At rest, without a server; into the same backup.
        self.backup(second, to)

    def test_what_must_not_be_is_refused_and_changes_nothing(self):
        server = self.server().start()
        self.put(server, 0)
        to = self.directory / "backup"
        self.backup(server, to, "--url", server.url)
        self.assertEqual(server.stop(), 0)

        other = self.directory / "mine"
        other.mkdir()
        (other / "diary.txt").write_text("dear diary")
        self.assertIn("other files", self.backup(server, other, code=2).stderr)
        self.assertIn("inside", self.backup(server, pathlib.Path(server.data) / "b", code=2).stderr)
        self.assertIn("not empty", self.restore(to, other, code=2).stderr)
        self.assertEqual([p.name for p in other.iterdir()], ["diary.txt"])

        stranger = self.server(data=self.directory / "other").start()
        self.assertEqual(stranger.stop(), 0)
        self.assertIn("another data directory", self.backup(stranger, to, code=2).stderr)

        damaged = self.directory / "damaged"
        shutil.copytree(to, damaged)
        path = sorted((damaged / "streams" / "1").iterdir())[-1]
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        done = self.restore(damaged, self.directory / "new", code=1)
        self.assertIn(str(path), done.stdout)
        self.assertFalse((self.directory / "new").exists())
        manifest = damaged / "TIDEMILL-BACKUP"
        manifest.write_text(manifest.read_text().replace("number = 1", "number = 2"))
        self.restore(damaged, self.directory / "new", code=1)
        manifest.write_text("tidemill backup\nversion = 99\n")
        self.assertIn("later version", self.restore(damaged, self.directory / "new", code=2).stderr)
