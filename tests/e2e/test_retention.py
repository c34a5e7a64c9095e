"""Retention: old records go, a whole segment at a time, and nothing else does. Files, readers, groups, verify and backup of a
log whose beginning is gone."""
import json
import re
import time

from harness import TestCase, request

mebibyte = 1 << 20


class Retention(TestCase):
    """A stream without views, its records in text files of 64 KiB. A check follows each change of its settings at once."""

    def setUp(self):
        super().setUp()
        self.host = self.server(env={"TIDEMILL_STORAGE_SEGMENT": "1MiB", "TIDEMILL_LOG_LEVEL": "info"})
        self.sent = 0

    def begin(self, **retention):
        self.host.start()
        made = request(self.host.port, "PUT", "/v1/streams/s", {
            "shards": 2, "partition_key": "k", "archive": {"size_bytes": 65536, "age_seconds": 1},
            "retention": retention})
        self.assertEqual(made.status, 201, made)
        return made.json()

    def fill(self, mebibytes):
        """Rows that LZ4 cannot make smaller."""
        for _ in range(mebibytes * 2):
            rows = []
            for _ in range(512):
                self.sent += 1
                rows.append({"k": f"k{self.sent % 50}", "n": self.sent, "x": self.random.randbytes(500).hex()[:960]})
            answer = self.host.post("/v1/streams/s/records", rows)
            self.assertEqual(answer.status, 200, answer)

    def stream(self):
        return self.host.get("/v1/streams/s").json()

    def set(self, **retention):
        answer = request(self.host.port, "PUT", "/v1/streams/s", {"retention": retention})
        self.assertEqual(answer.status, 200, answer)

    def wait_until(self, what, condition, seconds=40):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within {seconds} s: {what}; {self.stream()}")
            time.sleep(0.05)

    def wait_for_files(self, but=0):
        self.wait_until("all in text files", lambda: len(self.lines()) == self.sent - but)

    def group(self):
        return self.host.get("/v1/groups/s:archive").json()

    def metric(self, name):
        found = re.search(rf'(?m)^tidemill_{name}{{stream="s",tenant="default"}} (\S+)$', self.host.get("/metrics").body.decode())
        return float(found.group(1)) if found else None

    def segments(self):
        """First sequences, by the names of the files."""
        return sorted(int(p.stem.split("-")[-1]) for p in (self.host.data / "streams").glob("*/*.seg")
                      if p.parent.name == self.number)

    def lines(self):
        """n -> how often it stands in text files."""
        seen = {}
        for path in (self.host.data / "archive" / "s").rglob("*.txt"):
            for line in path.read_text().splitlines():
                n = json.loads(line)["n"]
                seen[n] = seen.get(n, 0) + 1
        return seen

    def all_filed_once(self):
        self.assertEqual(self.lines(), {n: 1 for n in range(1, self.sent + 1)})

    def test_old_records_go_and_nothing_else(self):
        self.begin()
        self.number = max(p.name for p in (self.host.data / "streams").iterdir())
        self.fill(8)
        self.wait_for_files()
        self.assertEqual(self.stream()["first_sequence"], 1)
        tail = self.host.connect()
        tail.request("GET", "/v1/streams/s/records", headers={"Accept": "text/event-stream"})
        events = tail.getresponse()

        self.set(size_bytes=4 * mebibyte)
        self.wait_until("old records go", lambda: self.stream()["retention"]["removed_records"])
        now = self.stream()
        start = now["first_sequence"]
        self.assertLessEqual(now["bytes"], 4 * mebibyte)
        self.wait_until("their files go", lambda: self.segments()[0] == start)
        self.assertEqual(now["retention"], {
            "age_seconds": None, "size_bytes": 4 * mebibyte, "wait_for_groups": False, "paused": None, "held": None,
            "groups_at_risk": [], "removed_records": start - 1, "lost_records": 0})
        self.assertEqual(self.metric("retention_removed_records_total"), start - 1)
        self.assertEqual(self.metric("retention_lost_records_total"), 0)

        gone = self.check_problem(self.host.get("/v1/streams/s/records?from=1"), 410, "records_gone")
        self.assertEqual(gone["start"], start)
        self.assertEqual([r["sequence"] for r in self.host.records("s")], list(range(start, self.sent + 1)))
        said = self.tidemill("tail", "s", "--no-follow", "--from", "1", "--url", self.host.url)
        self.assertEqual(said.returncode, 2, said)
        self.assertIn("no longer in the log", said.stderr)
        said = self.tidemill("status", "--url", self.host.url)
        self.assertRegex(said.stdout, rf"(?m)^s +{self.sent:,} .* 2 +{start:,}  4MiB$")
        self.assertEqual(said.returncode, 0, said)
        self.sent += 1
        self.host.post("/v1/streams/s/records", {"k": "k", "n": self.sent})
        while not (line := events.readline()).startswith(b"data:"):
            self.assertTrue(line, "the tail ended")
        self.assertEqual(json.loads(line[5:])["data"]["n"], self.sent)
        tail.close()

        self.set(size_bytes=None)  # a start looks at the limits at once
        self.host.kill()
        self.host.start()
        self.assertEqual(self.stream()["first_sequence"], start)
        self.assertEqual([r["sequence"] for r in self.host.records("s")], list(range(start, self.sent + 1)))
        self.fill(2)
        self.wait_for_files()
        self.set(size_bytes=4 * mebibyte)
        self.wait_until("more goes", lambda: self.stream()["first_sequence"] > start)
        self.all_filed_once()

        self.set(size_bytes=None)  # or the restored one goes on removing when it starts
        backup, restored = self.directory / "backup", self.directory / "restored"
        data = str(self.host.data)
        start = self.stream()["first_sequence"]
        for words in (["verify", "--data", data, "--url", self.host.url],
                      ["backup", str(backup), "--data", data, "--url", self.host.url],
                      ["restore", str(backup), "--data", str(restored)],
                      ["verify", "--data", str(restored)]):
            done = self.tidemill(*words)
            self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.host.stop(), 0)
        verified = self.tidemill("verify", "--data", data)
        self.assertEqual(verified.returncode, 0, verified)
        other = self.server(data=restored).start()
        self.assertEqual(other.get("/v1/streams/s").json()["first_sequence"], start)
        self.assertEqual([r["sequence"] for r in other.records("s")], list(range(start, self.sent + 1)))
        self.check_problem(other.get("/v1/streams/s/records?from=1"), 410, "records_gone")

    def stick(self):
        """The archive can make no file from now on."""
        self.fill(1)
        self.wait_for_files()
        archive = self.host.data / "archive" / "s"
        archive.rename(self.directory / "away")
        archive.write_text("a file where the directory should be")
        return self.sent

    def unstick(self):
        archive = self.host.data / "archive" / "s"
        archive.unlink()
        (self.directory / "away").rename(archive)

    def test_waits_for_a_group_that_is_stuck_and_goes_on_with_it(self):
        self.begin(size_bytes=2 * mebibyte, wait_for_groups=True)
        done = self.stick()
        self.fill(6)
        self.set(size_bytes=2 * mebibyte)
        self.wait_until("it is held", lambda: self.stream()["retention"]["held"])
        now = self.stream()
        self.assertEqual(now["retention"]["held"],
                         "Waits for group s:archive, which is not open.")
        self.assertEqual(now["retention"]["groups_at_risk"], ["s:archive"])
        self.assertLessEqual(now["first_sequence"], done + 1)
        self.assertGreater(now["bytes"], 2 * mebibyte)
        self.assertEqual(self.metric("retention_held"), 1)
        self.assertEqual(self.metric("retention_groups_at_risk"), 1)
        said = self.tidemill("status", "--url", self.host.url)
        self.assertEqual(said.returncode, 1, said)
        self.assertIn("! retention of stream s keeps more than its limits: Waits for group s:archive", said.stdout)

        self.unstick()
        self.wait_for_files()
        self.set(size_bytes=2 * mebibyte)
        self.wait_until("it goes on", lambda: not self.stream()["retention"]["held"])
        self.assertLessEqual(self.stream()["bytes"], 2 * mebibyte)
        self.assertEqual(self.stream()["retention"]["groups_at_risk"], [])
        self.assertEqual(self.metric("retention_held"), 0)
        self.assertEqual(self.metric("retention_lost_records_total"), 0)
        self.all_filed_once()

    def test_without_waiting_what_a_stuck_group_loses_is_said_everywhere(self):
        self.begin(size_bytes=2 * mebibyte)
        done = self.stick()
        self.fill(6)
        self.set(size_bytes=2 * mebibyte)
        self.wait_until("records go", lambda: self.stream()["retention"]["lost_records"])
        now = self.stream()
        lost = now["first_sequence"] - 1 - done
        counted = now["retention"]["lost_records"]
        # The group is not open; it is counted as far as it was when the check before this one asked it.
        self.assertTrue(lost <= counted <= lost + done, (lost, counted))
        self.assertEqual(self.metric("retention_lost_records_total"), counted)
        said = self.tidemill("status", "--url", self.host.url)
        self.assertEqual(said.returncode, 1, said)
        self.assertIn(f"! retention of stream s has removed {counted:,} records that a group had not", said.stdout)
        log = self.host.log.read_text()
        self.assertIn("a group is so far behind that retention will soon reach what it has not read", log)
        self.assertIn("retention removed records before a group had made its work on them durable", log)

        self.host.kill()  # what the group had read and not filed, it has to read again
        self.unstick()
        self.host.start()
        self.wait_for_files(but=lost)
        missing = set(range(1, self.sent + 1)) - self.lines().keys()
        self.assertEqual(missing, set(range(done + 1, now["first_sequence"])))
        self.assertEqual(set(self.lines().values()), {1})
        self.assertIn("records that the log has lost are in no text file", self.host.log.read_text())
        self.assertEqual(self.host.stop(), 0)
        verified = self.tidemill("verify", "--data", str(self.host.data))
        self.assertEqual(verified.returncode, 0, verified)
