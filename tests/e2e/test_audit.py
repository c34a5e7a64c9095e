"""The audit trail from outside: who was denied is listed, the page's commands do what they say, and whoever alters the logs
without leaving a wrong checksum is found by tidemill verify."""
import ctypes
import ctypes.util
import json
import os
import pathlib
import re
import shutil
import struct
import time

from harness import TestCase

AUDIT = "9007199254740991"
HEADER = 8192


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Segment:
    """A segment file in the hands of somebody who knows the format and makes every checksum anew."""

    def __init__(self, path):
        self.path = path
        self.data = bytearray(path.read_bytes())
        self.salt = struct.unpack_from("<Q", self.data, 32)[0]
        library = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
        library.XXH3_64bits_withSeed.restype = ctypes.c_uint64
        library.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
        self.hash = library.XXH3_64bits_withSeed

    def commits(self):
        """Offset and length of each."""
        out, at = [], HEADER
        while at + 96 <= len(self.data) and self.data[at + 8:at + 12] == b"TCM1":
            length = struct.unpack_from("<I", self.data, at + 16)[0]
            out.append((at, length))
            at += length
        return out

    def sum(self, begin, end):
        part = bytes(self.data[begin:end])
        return self.hash(part, len(part), self.salt)

    def seal(self, at):
        length, header = struct.unpack_from("<II", self.data, at + 16)
        lanes = struct.unpack_from("<H", self.data, at + 78)[0]
        assert lanes == 1, "small commits have one"
        entry = at + header - 32
        offset = struct.unpack_from("<I", self.data, entry + 8)[0]
        struct.pack_into("<Q", self.data, entry + 24, self.sum(at + offset, at + length))
        struct.pack_into("<Q", self.data, at, self.sum(at + 8, at + header))

    def count(self, at):
        return struct.unpack_from("<I", self.data, at + 40)[0]

    def before(self, at):
        """The last event before this commit, and where the commit is that has it."""
        return self.first_sequence(at) - 1, max(offset for offset, _ in self.commits() if offset < at)

    def first_sequence(self, at):
        return struct.unpack_from("<Q", self.data, at + 32)[0]

    def number(self, at, sequence):
        struct.pack_into("<Q", self.data, at + 32, sequence)
        self.seal(at)

    def write(self):
        self.path.write_bytes(self.data)


class Audit(TestCase):
    def create(self, *arguments, key=None):
        env = {**os.environ, **({"TIDEMILL_KEY": key} if key else {})}
        done = self.tidemill("keys", "create", *arguments, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def audit(self, host, key, *arguments):
        done = self.tidemill("audit", "--url", host.url, *arguments, env={**os.environ, "TIDEMILL_KEY": key})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def verify(self, host, *arguments, key=None):
        env = {**os.environ, **({"TIDEMILL_KEY": key} if key else {})}
        done = self.tidemill("verify", "--data", str(host.data), "--json", "--no-views", *arguments, env=env)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done

    def damages(self, lines):
        return [line for line in lines if line["type"] == "damage"]

    def with_denials(self):
        """A server with keys, some of whose requests were refused; the admin's key and the till's."""
        admin = self.create("operator", "--admin", "--data", str(self.directory / "data"))
        host = self.server().start()
        env = ["--url", host.url]
        till = self.create("till", "--scope", "stream:retail:write", *env, key=admin)
        for _ in range(3):
            self.check_problem(host.get("/v1/streams/retail/records", bearer(till)), 403, "forbidden")
        self.check_problem(host.get("/v1/streams"), 401, "unauthorized")
        return host, admin, till

    def wait_for_event(self, host, key, *arguments):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            lines = [json.loads(line) for line in self.audit(host, key, "--json", *arguments).splitlines()]
            if lines:
                return lines
            time.sleep(0.2)
        self.fail("no such event")

    def test_denials_are_listed_by_key_time_and_action(self):
        host, admin, till = self.with_denials()
        till_id, admin_id = till.split("_")[1], admin.split("_")[1]
        denied = self.wait_for_event(host, admin, "--action", "auth.denied", "--key", till_id)
        self.assertEqual(sum(e["count"] for e in denied), 3)
        self.assertEqual({(e["reason"], e["needs"], e["route"], e["name"], e["address"]) for e in denied},
                         {("forbidden", "stream:retail:read", "records", "retail", "127.0.0.1")})
        self.assertEqual(self.audit(host, admin, "--action", "auth.denied", "--until", "24h"), "")
        self.assertTrue(self.audit(host, admin, "--action", "auth.denied", "--from", "24h"))
        made = [json.loads(line) for line in self.audit(host, admin, "--json", "--action", "key.*").splitlines()]
        self.assertEqual([(e["action"], e.get("by")) for e in made], [("key.created", None), ("key.created", admin_id)])
        text = self.audit(host, admin)
        self.assertRegex(text, r"(?m)^time +action +key +tenant +address +count +what")
        self.assertRegex(text, rf"auth\.denied +{till_id} +default +127\.0\.0\.1 +\d .*needs=stream:retail:read")
        self.assertEqual(len(self.audit(host, admin, "--json", "--limit", "2").splitlines()), 2)
        done = self.tidemill("audit", "--url", host.url, "--from", "tomorrow", env={**os.environ, "TIDEMILL_KEY": admin})
        self.assertEqual(done.returncode, 2)
        self.assertIn("--from takes", done.stderr)
        for arguments, said in ((["--action", "denied"], "auth.accepted, auth.denied, auth.ended, change.asked"),
                                (["--from", "1h", "--until", "2h"], "Nothing is between `from` 20"),
                                (["--key", "0000000000000"], "there is no key 0000000000000")):
            done = self.tidemill("audit", "--url", host.url, *arguments, env={**os.environ, "TIDEMILL_KEY": admin})
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)
        done = self.tidemill("audit", "--url", host.url, env={**os.environ, "TIDEMILL_KEY": till})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("server:admin or instance:read", done.stderr)
        # It is there after a kill, and no secret is in any file.
        host.kill()
        host.start()
        self.assertEqual(sum(e["count"] for e in self.wait_for_event(host, admin, "--key", till_id, "--action", "auth.denied")), 3)
        self.assertEqual(host.stop(), 0)
        for path in pathlib.Path(host.data).rglob("*"):
            if path.is_file():
                self.assertNotIn(till.split("_")[2].encode(), path.read_bytes(), path)
        code, lines, done = self.verify(host)
        self.assertEqual((code, self.damages(lines)), (0, []), done)
        chains = {l["name"]: l for l in lines if l["type"] == "chain"}
        self.assertEqual(set(chains), {"_system", "_audit"})
        self.assertGreaterEqual(chains["_system"]["chained"], 4)

    def test_a_flood_of_denials_is_summed_and_none_goes_uncounted(self):
        host, admin, till = self.with_denials()
        connection = host.connect()
        for i in range(2_000):
            connection.request("GET", f"/v1/streams/s{i}/records", headers=bearer(till))
            connection.getresponse().read()
        connection.close()
        self.assertEqual(host.stop(), 0)  # everything is written
        host.start()
        lines = [json.loads(line) for line in self.audit(host, admin, "--json", "--action", "auth.denied").splitlines()]
        denied = [e for e in lines if e["action"] == "auth.denied" or e.get("of") == "auth.denied"]
        self.assertEqual(denied, lines)
        self.assertEqual(sum(e["count"] for e in denied), 2_004)
        self.assertLess(len(denied), 700)
        self.assertTrue([e for e in denied if "more of auth.denied" in e.get("text", "")], denied[-3:])

    def tampered(self, host, change):
        """What verify says after `change` of each log's segment; the files are as they were afterwards."""
        found = {}
        for log, name in (("0", "_system"), (AUDIT, "_audit")):
            directory = pathlib.Path(host.data) / "streams" / log
            kept = {p: p.read_bytes() for p in directory.iterdir()}
            segment = max((Segment(p) for p in directory.glob("*.seg")), key=lambda s: len(s.commits()))
            where = change(segment)
            segment.write()
            for other in ("*.idx", "mark", "requests"):  # would be made anew by whoever is careful
                for path in directory.glob(other):
                    path.unlink()
            code, lines, done = self.verify(host)
            chain = [d for d in self.damages(lines) if d["kind"] == "chain"]
            self.assertTrue(code == 1 and len(chain) == 1, (name, done.stdout))
            self.assertEqual(chain[0]["file"], f"streams/{log}/{segment.path.name}")
            found[name] = (chain[0], where)
            for path in directory.iterdir():
                path.unlink()
            for path, data in kept.items():
                path.write_bytes(data)
        return found

    def test_who_alters_a_log_and_its_checksums_is_found(self):
        host, admin, till = self.with_denials()
        for i in range(3):  # more events, a commit each
            self.wait_for_event(host, admin, "--action", "auth.denied")
            self.create(f"k{i}", "--scope", "server:read", "--url", host.url, key=admin)
            self.assertEqual(host.get(f"/v1/cut", bearer(till)).status, 403)
            time.sleep(1.3)
        heads = self.directory / "heads.txt"
        heads.write_text(self.audit(host, admin, "head"))
        self.assertRegex(heads.read_text(), r"^_system \d+ [0-9a-f]{64}\n_audit \d+ [0-9a-f]{64}\n$")
        code, lines, done = self.verify(host, "--url", host.url, key=admin)
        self.assertEqual((code, self.damages(lines)), (0, []), done)
        # What is wrong with the logs of the instance keeps nobody from the streams.
        wrong = self.directory / "wrong.txt"
        wrong.write_text(re.sub(r"[0-9a-f]{8}$", "00000000", heads.read_text(), flags=re.M))
        code, lines, done = self.verify(host, "--url", host.url, "--heads", str(wrong), key=admin)
        self.assertEqual((code, [d["kind"] for d in self.damages(lines)]), (1, ["chain", "chain"]), done)
        self.assertIn("retail", [p["name"] for p in lines if p["type"] == "log"], done)
        self.assertEqual([p for p in lines if p.get("kind") == "stranger"], [], done)
        self.assertEqual(host.stop(), 0)
        self.assertEqual(self.verify(host, "--heads", str(heads))[0], 0)

        def middle(segment):
            commits = segment.commits()
            self.assertGreater(len(commits), 3)
            return commits[len(commits) // 2 - 1]

        def check_named(change):
            """`change` returns the event that no longer is what the next one was written after, and where it is."""
            for name, (damage, (sequence, at)) in self.tampered(host, change).items():
                self.assertEqual(damage["offset"], at, (name, damage))
                self.assertIn(f"Event {sequence} of {name} is not the one that event {sequence + 1} was written after:",
                              damage["text"])

        def alter(segment):
            at, length = middle(segment)
            place = segment.data.rindex(b'"', at, at + length) - 1  # the last letter of its last text
            segment.data[place] ^= 1
            segment.seal(at)
            return segment.first_sequence(at) + segment.count(at) - 1, at

        check_named(alter)

        def swap(segment):
            commits = segment.commits()
            for i in range(len(commits) - 2):
                (a, n), (b, m) = commits[i], commits[i + 1]
                if i > 0 and n == m and segment.count(a) == segment.count(b):
                    first, second = segment.first_sequence(a), segment.first_sequence(b)
                    segment.data[a:a + n], segment.data[b:b + m] = segment.data[b:b + m], segment.data[a:a + n]
                    segment.number(a, first)
                    segment.number(b, second)
                    return segment.before(a)
            self.fail("no two commits of one size")

        check_named(swap)

        def remove(segment):
            commits = segment.commits()
            at, length = middle(segment)
            count = segment.count(at)
            del segment.data[at:at + length]
            segment.data += bytes(length)
            for other, _ in segment.commits():
                if other >= at:
                    segment.number(other, segment.first_sequence(other) - count)
            self.assertEqual(len(segment.commits()), len(commits) - 1)
            return segment.before(at)

        check_named(remove)

        # The tail: what is left is a chain like any other; a head that was kept elsewhere tells.
        directory = pathlib.Path(host.data) / "streams" / "0"
        segment = max((Segment(p) for p in directory.glob("*.seg")), key=lambda s: len(s.commits()))
        head = int(heads.read_text().split()[1])  # there may be later events: the first usage makes a stream and a view
        cut = [(at, length) for at, length in segment.commits() if segment.first_sequence(at) >= head - 2]
        self.assertTrue(cut)
        for at, length in cut:
            segment.data[at:at + length] = bytes(length)
        segment.write()
        for path in directory.iterdir():
            if path.name == "mark" or path.suffix == ".idx" or path.name > segment.path.name and path.suffix == ".seg":
                path.unlink()
        code, lines, done = self.verify(host)
        self.assertEqual((code, self.damages(lines)), (0, []), done)
        code, lines, done = self.verify(host, "--heads", str(heads))
        self.assertEqual((code, [d["kind"] for d in self.damages(lines)]), (1, ["chain"]), done)
        self.assertIn("the events behind it were removed", self.damages(lines)[0]["text"])
        heads.write_text("something else\n")
        done = self.tidemill("verify", "--data", str(host.data), "--heads", str(heads))
        self.assertEqual(done.returncode, 2)
        self.assertIn("does not print", done.stderr)
        heads.write_text("")
        done = self.tidemill("verify", "--data", str(host.data), "--heads", str(heads))
        self.assertEqual(done.returncode, 2)
        self.assertIn("has no line of", done.stderr)
        for words in (["--limit", "0"], ["--limit", "x"], ["--limit", "-1"]):
            done = self.tidemill("audit", *words)
            self.assertEqual((done.returncode, "--limit" in done.stderr), (2, True), done)

    def test_the_trail_is_in_a_backup(self):
        host, admin, till = self.with_denials()
        self.wait_for_event(host, admin, "--action", "auth.denied")
        heads = self.directory / "heads.txt"
        heads.write_text(self.audit(host, admin, "head"))
        backup = self.directory / "backup"
        done = self.tidemill("backup", "--data", str(host.data), "--url", host.url, str(backup),
                             env={**os.environ, "TIDEMILL_KEY": admin})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(host.stop(), 0)
        shutil.rmtree(host.data)
        done = self.tidemill("restore", str(backup), "--data", str(host.data))
        self.assertEqual(done.returncode, 0, done.stderr)
        code, lines, done = self.verify(host, "--heads", str(heads))
        self.assertEqual((code, self.damages(lines)), (0, []), done)
        host.start()
        self.assertTrue(self.audit(host, admin, "--action", "auth.denied"))
