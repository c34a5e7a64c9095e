"""Every procedure of docs/operations.md: the trouble is made, what the page says is done, and it has to help."""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import unittest

from harness import exchange, need, root
from operations_page import House, sections

records = "/v1/streams/retail/records"


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


class Page(unittest.TestCase):
    def test_every_procedure_is_done_by_a_test(self):
        tests = "".join((root / "tests/e2e" / name).read_text() for name in ("test_operations.py", "test_package.py"))
        done = set(re.findall(r'(?:follow|steps)\("([^"]+)"\)', tests))
        done.add("With keys")  # test_with_keys and test_certificate, by take_keys()
        self.assertEqual(set(sections()), done)

    def test_its_links_lead_somewhere(self):
        page = (root / "docs/operations.md").read_text()
        anchors = {re.sub(r"[^\w -]", "", t.lower()).strip().replace(" ", "-") for t in re.findall(r"(?m)^##+ (.*)$", page)}
        for target in re.findall(r"\]\(([^)]+)\)", page):
            file, _, anchor = target.partition("#")
            if file:
                self.assertTrue((root / "docs" / file).exists(), target)
            else:
                self.assertIn(anchor, anchors)


class Operations(House):
    def start(self):
        self.shell("systemctl start tidemill")

    def healthy(self):
        said = self.shell("tidemill status")
        self.assertNotIn("!", said)
        return said

    def archived(self, archive=None):
        """How often each record's line stands in text files. Only after a stop: they are sealed then."""
        lines = collections.Counter()
        for path in pathlib.Path(archive or self.data / "archive/retail").rglob("*.txt"):
            lines.update(path.read_text().splitlines())
        return lines

    def test_look_first_and_change_a_setting(self):
        self.start()
        self.follow("Running Tidemill")
        self.config.write_text(self.config.read_text().replace('record = "1MiB"', 'record = "1KiB"'))
        self.follow("Changing the settings")
        big = {"InvoiceNo": "1", "x": "x" * 3000}
        self.wait_until("the new limit", lambda: self.host.post(records, big).status == 413)
        self.config.write_text("[limits]\nrecrd = 1\n")
        (commands, _), = sections()["Changing the settings"]
        said = self.shell(commands, statuses=(2,))  # it stops at what is wrong, and the server goes on as it was
        self.assertIn("recrd", said)

    def test_certificate(self):
        folder = self.directory / "etc/tls"
        folder.mkdir()

        def issue():
            subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "90", "-subj", "/CN=a", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                            folder / "privkey.pem", "-out", folder / "fullchain.pem"], check=True, capture_output=True)
        issue()
        page = (root / "docs/operations.md").read_text()
        settings = re.search(r"(?m)^```toml\n\[server\]\n((?:tls_.*\n)+)```$", page).group(1)
        text = re.sub(r'(?m)^tls_(cert|key) = .*\n', "", self.config.read_text())
        self.config.write_text(text.replace("[server]\n", "[server]\n" + self.here(settings)))
        self.take_keys()
        key = (self.directory / "operator.key").read_text().strip()
        # By its name only, and with a key: 127.0.0.1 is not what the certificate is for.
        self.env = {"API_URL": f"https://localhost:{self.host.port}", "TIDEMILL_KEY": key, "CURL_CA_BUNDLE": str(folder / "fullchain.pem"),
                    "TIDEMILL_CA_FILE": str(folder / "fullchain.pem")}
        self.start()
        self.healthy()
        issue()
        steps = self.steps("Certificate")
        self.assertIn("notAfter=", next(steps))
        log = self.directory / "server.log"
        self.wait_until("the new certificate", lambda: "for new connections" in log.read_text())
        next(steps)
        self.assertIn("for new connections", next(steps))
        self.assertEqual(list(steps), [])
        self.shell("systemctl stop tidemill")

    def test_with_keys(self):
        """Whatever of the page asks a server, on one with keys: every command gives what it is there for, or says that it does not."""
        self.start()
        self.shell("systemctl stop tidemill")
        self.take_keys()
        self.start()
        self.check_problem(self.host.get("/metrics"), 401, "unauthorized")
        said = self.follow("Sizes")
        self.assertIn('tidemill_commit_bytes_total{stream="retail",tenant="default"}', said[0])
        for heading in ("Backup", "Splitting and merging shards", "Retention", "Retention paused", "Clock alarm"):
            self.follow(heading)
        asks = [line for blocks in sections().values() for commands, _ in blocks for line in commands.splitlines()
                if re.match(r"curl .*http://", line)]
        self.assertGreater(len(asks), 12)
        for line in asks:
            self.shell("set -o pipefail\n" + self.opening + line)
            # Without the key none is silent about it.
            self.assertIn("401", self.shell(f"set -o pipefail\n{line}", statuses=(1, 22)))
        # The lines of the opening do no harm where there are no keys.
        self.shell("systemctl stop tidemill; rm -r /var/lib/tidemill; : >/root/operator.key")
        self.start()
        self.follow("Clock alarm")

    def test_limits_and_denials(self):
        self.start()

        def key(*arguments):
            return self.shell(" ".join(("tidemill keys create", *arguments, "2>/dev/null"))).strip()
        operator = key("operator", "--admin")
        self.check_problem(self.host.get("/v1/streams"), 401, "unauthorized")
        self.env = {"TIDEMILL_KEY": operator}
        shop = {"X-Api-Key": key("shop", "--tenant", "acme", "--scope", "server:admin")}
        post = lambda: self.host.post("/v1/streams/orders/records", {"order": "1"}, headers=shop)
        made = exchange(self.host.connect(), "PUT", "/v1/streams/orders", {"partition_key": "order"}, shop)
        self.assertEqual(made.status, 201, made)
        self.shell("tidemill limits set --tenant acme --month-records 1")
        self.assertEqual(post().status, 200)
        self.check_problem(post(), 429, "quota_exceeded")
        self.check_problem(self.host.get("/v1/cut", headers=shop), 403, "forbidden")
        self.assertIn('tidemill_limited_requests_total{reason="month_quota",tenant="acme"} 1',
                      self.host.get("/metrics", headers={"X-Api-Key": operator}).body.decode())
        page = (root / "docs/operations.md").read_text()
        statement = re.search(r"(?m)^## Limits\n(?:.*\n)*?```sql\n(SELECT key, (?:.*\n)*?)```", page).group(1)
        asked = lambda: exchange(self.host.connect(), "POST", "/v1/sql", {"sql": statement}, shop)
        self.wait_until("who was refused is noted", lambda: len(asked().json().get("rows", [])) == 1)
        self.assertIn("acme", self.follow("Limits")[0])
        self.assertEqual(post().status, 200)
        seen = lambda: self.follow("Denials")[0]
        self.wait_until("the denials are noted", lambda: "no_key" in seen() and "forbidden" in seen())
        self.shell("systemctl stop tidemill")

    def test_sizes(self):
        self.start()
        used = sum(f.stat().st_blocks * 512 for f in self.data.rglob("*") if f.is_file())
        self.assertLess(abs(used - 2 * 2**20), 300_000, "an empty server with one stream takes 2 MiB")
        self.follow("Sizes")
        self.load(60_000)
        metrics = self.host.get("/metrics").body.decode()
        value = lambda name: float(re.search(rf'(?m)^tidemill_{name}{{stream="retail",tenant="default"}} (\S+)$', metrics).group(1))
        page = (root / "docs/operations.md").read_text()
        log, data = map(int, re.search(r"\| (\d+) bytes in the log for (\d+) bytes of JSON \|", page).groups())
        # How many batches share a commit differs from run to run.
        self.assertLess(abs(value("commit_bytes_total") / 60_000 - log), 6)
        self.shell("systemctl stop tidemill")
        texts = self.archived()
        self.assertEqual(round(sum(len(line.encode()) * n for line, n in texts.items()) / texts.total()), data)

    def test_backup_drill_and_restore(self):
        self.start()
        rows = self.load()
        self.follow("Backup")
        token = self.host.post(records, {"InvoiceNo": "after"}).json()["token"]
        self.follow("Backup drill")
        self.assertEqual(self.host.get("/readyz").status, 200)
        self.assertEqual(list((self.directory / "srv").iterdir()), [])
        self.follow("Restoring")
        self.wait_until("the views", lambda: self.host.get("/readyz").status == 200)
        self.assertEqual(len(list(self.host.records())), rows)
        self.check_problem(self.host.get(f"{records}?after={token}"), 410, "token_gone")
        before = self.archived(self.directory / "srv/tidemill.broken/archive/retail")
        self.assertEqual(before.pop('{"InvoiceNo":"after"}'), 1)
        self.shell("systemctl stop tidemill")
        self.assertEqual(self.archived(), before)

    def test_down(self):
        self.start()
        self.shell("systemctl stop tidemill")
        self.data.rename(self.directory / "elsewhere")
        self.data.mkdir()
        (self.data / "photos").mkdir()  # the wrong directory
        self.shell("systemctl start tidemill", statuses=(1,))
        steps = self.steps("Down")
        (commands, _), = sections()["Down"]
        said = self.shell(commands, statuses=(1,))
        self.assertIn("the directory holds files that are not Tidemill's; choose an empty or a new one", said)
        (self.data / "photos").rmdir()
        for path in self.data.iterdir():
            path.unlink()
        self.data.rmdir()
        (self.directory / "elsewhere").rename(self.data)
        list(steps)
        self.healthy()

    def test_not_ready_and_late(self):
        self.start()
        self.load()
        (said,) = self.follow("Not ready")
        self.assertEqual(said.strip(), '"lag_records":0')
        (said,) = self.follow("Late group")
        self.assertIn('tidemill_group_lag_seconds{group="retail:views",tenant="default"} 0', said)

    def small_disk(self, mebibytes):
        """Puts the data directory on one; in memory, for want of another."""
        disk = self.directory / "disk"
        disk.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(disk)], capture_output=True)
        if done.returncode:
            raise unittest.SkipTest("mounting a small tmpfs is not allowed here: " + done.stderr.decode().strip())
        self._cleanups.insert(0, (subprocess.run, (["umount", "-l", str(disk)],), {"check": False}))
        self.data = self.host.data = disk / "data"
        self.config.write_text(self.config.read_text().replace(str(self.directory / "data"), str(self.data)))
        return disk

    def test_full_disk(self):
        disk = self.small_disk(64)
        self.start()
        self.load()
        self.shell("systemctl restart tidemill")  # text files are sealed
        texts = list((self.data / "archive").rglob("*.txt"))
        self.assertTrue(texts)
        for path in texts:
            os.utime(path, (time.time() - 40 * 86400,) * 2)
        damaged = self.data / "views.damaged"
        damaged.mkdir()
        (damaged / "000001.sst").write_bytes(b"x" * (24 << 20))

        acknowledged = 20_000
        lines = "\n".join(json.dumps({"InvoiceNo": str(i), "Description": os.urandom(400).hex()}) for i in range(200))
        def send():
            return self.host.post(records, lines.encode(), {"Content-Type": "application/x-ndjson"})
        while (answer := send()).status == 200:
            acknowledged += 200
        self.check_problem(answer, 507)
        steps = self.steps("Full disk")
        next(steps)
        next(steps)
        self.assertFalse(damaged.exists() or any(path.exists() for path in texts))
        self.wait_until("records are taken again", lambda: send().status == 200)
        acknowledged += 200
        self.shell("systemctl stop tidemill")
        subprocess.run(["mount", "-o", "remount,size=300m", str(disk)], check=True)
        self.start()
        self.assertEqual(sum(1 for _ in self.host.records()), acknowledged)
        self.wait_until("the archive", lambda: self.group("retail:archive")["lag_records"] == 0)
        troubles = [line for line in self.shell("tidemill status", (0, 1)).splitlines() if line.startswith("!")]
        self.assertEqual([t for t in troubles if "less time than any disk needs" not in t], [])  # a tmpfs is none
        self.shell("systemctl stop tidemill; tidemill verify --data /var/lib/tidemill --moved-files-ok")

    def test_implausible_flush(self):
        self.small_disk(64)
        self.start()
        (said,) = self.follow("Implausible flush")
        self.assertRegex(said, r"tmpfs +tmpfs")
        self.assertIn("tidemill_disk_flush_implausible 1", said)
        self.assertIn("! the data directory's flush takes less time", self.shell("tidemill status", (1,)))

    def test_moving_the_data(self):
        self.start()
        rows = self.load()
        said = self.follow("Moving the data")[-1]
        self.assertNotIn("!", said)
        self.assertIn(f'data = "{self.directory}/srv/tidemill"', self.config.read_text())
        self.data.rename(self.directory / "old")  # nothing of it is used any more
        self.assertEqual(sum(1 for _ in self.host.records()), rows)

    def test_damaged_segment(self):
        self.start()
        rows = self.load(60_000)
        self.follow("Backup")
        self.shell("systemctl stop tidemill")
        segment = min((self.data / "streams/1").glob("*.seg"))
        flip(segment, 300_000)
        self.start()
        self.assertLess(sum(1 for _ in self.host.records()), rows)
        said = self.follow("Damaged segment")[-1]
        self.assertNotIn("!", said)
        self.assertEqual(sum(1 for _ in self.host.records()), rows)

    def test_stuck_group(self):
        self.start()
        self.load()
        self.shell("systemctl stop tidemill")
        before = self.archived()
        flip(self.data / "archive/retail/manifest", 200)
        self.start()
        self.host.post(records, {"InvoiceNo": "later"})
        self.wait_until("it is seen", lambda: self.group("retail:archive")["last_error"])
        self.follow("Stuck group")
        self.wait_until("it goes on", lambda: self.group("retail:archive")["lag_records"] == 0
                        and not self.group("retail:archive")["last_error"])
        self.healthy()
        self.shell("systemctl stop tidemill")
        self.assertEqual(self.archived(), before + collections.Counter(['{"InvoiceNo":"later"}']))

    def start_sensors(self):
        """With a stream whose log has small segments and 6 MiB in it, and an archive that can make no file."""
        self.config.write_text(self.config.read_text().replace('segment = "64MiB"', 'segment = "1MiB"'))
        self.start()
        self.shell("curl -s -X PUT -d '{\"partition_key\":\"id\"}' http://127.0.0.1:7077/v1/streams/sensors")
        archive = self.data / "archive/sensors"
        archive.rename(self.directory / "srv/sensors")
        archive.write_text("a file where the directory should be")
        while self.sensors()["bytes"] < 6 << 20:
            rows = [{"id": f"s{n}", "x": self.random.randbytes(500).hex()} for n in range(500)]
            self.assertEqual(self.host.post("/v1/streams/sensors/records", rows).status, 200)

    def sensors(self):
        return self.host.get("/v1/streams/sensors").json()

    def keep(self, **retention):
        text = json.dumps({"retention": retention})
        self.shell(f"curl -s -X PUT -d '{text}' http://127.0.0.1:7077/v1/streams/sensors")
        return lambda what: lambda: self.sensors()["retention"][what]

    def test_retention(self):
        self.start()
        self.shell("curl -s -X PUT -d '{\"partition_key\":\"id\"}' http://127.0.0.1:7077/v1/streams/sensors")
        self.follow("Retention")
        said = self.follow("Retention paused")
        self.assertEqual(said[0].splitlines()[1], '"paused":null')
        self.healthy()

    def test_group_at_risk(self):
        self.start_sensors()
        self.wait_until("it is at risk", self.keep(size_bytes=self.sensors()["bytes"])("groups_at_risk"))
        self.follow("Group at risk")
        self.assertTrue(self.sensors()["retention"]["wait_for_groups"])
        self.keep(size_bytes=1 << 20)
        self.wait_until("it waits", lambda: self.sensors()["retention"]["held"])
        self.assertEqual(self.sensors()["first_sequence"], 1)

    def test_retention_held(self):
        self.start_sensors()
        self.wait_until("it is held", self.keep(size_bytes=2 << 20, wait_for_groups=True)("held"))
        self.follow("Retention held")
        (self.data / "archive/sensors").unlink()
        (self.directory / "srv/sensors").rename(self.data / "archive/sensors")
        self.wait_until("the group goes on", lambda: self.group("sensors:archive")["lag_records"] == 0)
        self.shell("systemctl restart tidemill")  # it seals what is open
        self.wait_until("retention goes on", lambda: self.sensors()["first_sequence"] > 1)
        self.assertEqual(self.sensors()["retention"]["lost_records"], 0)

    def test_records_lost(self):
        self.start_sensors()
        self.wait_until("they are lost", self.keep(size_bytes=2 << 20)("lost_records"))
        self.follow("Records lost")
        self.assertTrue(self.sensors()["retention"]["wait_for_groups"])

    def test_shards(self):
        self.start()
        self.shell("curl -s -X PUT -d '{\"partition_key\":\"id\"}' http://127.0.0.1:7077/v1/streams/sensors")
        self.follow("Splitting and merging shards")
        self.assertEqual([s["shard"] for s in self.sensors()["shards"] if s["open"]], [3, 4, 5, 6])
        self.healthy()

    def test_clock_alarm(self):
        self.start()
        (said,) = self.follow("Clock alarm")
        here, there = said.splitlines()
        self.assertLess(abs(float(there.split()[1]) - int(here)), 5)

    def test_stale_view(self):
        self.start()
        self.host.post("/v1/streams/retail/records?ack=view", {"InvoiceNo": "1"})
        (said,) = self.follow("Stale view")
        shown = dict(line.rsplit(" ", 1) for line in said.splitlines())
        for view in ("customers", "invoices"):
            self.assertEqual(float(shown[f'tidemill_view_freshness_seconds{{view="{view}",tenant="default"}}']), 0, said)

    def test_quarantine(self):
        self.start()
        self.host.post("/v1/streams/payments/records", b"")
        self.shell("curl -s -X PUT -d '{\"partition_key\":\"user\"}' http://127.0.0.1:7077/v1/streams/payments; "
                   "tidemill view create spending 'SELECT user, sum(amount) AS spent FROM payments GROUP BY user'")
        for amount in (1, 2, "three", "four"):
            self.host.post("/v1/streams/payments/records?ack=view", {"user": "u", "amount": amount})
        self.assertIn("! view spending has parked 2 records", self.shell("tidemill status", (1,)))
        said = self.follow("Quarantine")
        self.assertRegex(said[0], r'(?m)^ +3 .* u +sum\(amount\): text.* \{"user":"u","amount":"three"\}$')
        self.assertRegex(said[1], r"(?m)^- +u +3$")
        self.assertRegex(said[1], r"(?m)^\+ +u +6$")
        self.wait_until("it is ready", lambda: self.host.get("/v1/views/spending").json()["ready"])
        self.host.post("/v1/streams/payments/records?ack=view", {"user": "u", "amount": 4})
        self.assertEqual(self.host.sql("SELECT * FROM spending"), [{"user": "u", "spent": 10}])
        self.assertEqual(self.host.get("/v1/views/spending").json()["decided"], {"skipped": 1, "redriven": 0, "edited": 1})
        self.healthy()

    def test_audit_mismatch(self):
        """The views of another log, with as many records: nothing is damaged, and they are wrong."""
        self.config.write_text(self.config.read_text().replace('audit = "24h"', 'audit = "1s"'))
        for life in ("a", "b"):
            self.start()
            for n in range(5):
                record = {"InvoiceNo": f"{life}{n}", "CustomerID": life, "StockCode": "s", "Quantity": n, "UnitPrice": 1}
                self.assertEqual(self.host.post(f"{records}?ack=view", record).status, 200)
            self.shell("systemctl stop tidemill")
            if life == "a":
                shutil.move(self.data, self.directory / "first")
        shutil.rmtree(self.data / "views")
        shutil.copytree(self.directory / "first/views", self.data / "views")
        self.start()
        found = lambda: self.host.get("/v1/views/customers").json()["audit"]["mismatches"]
        self.wait_until("it is found", lambda: found() > 0)
        self.assertRegex(self.shell("tidemill status", (1,)), "! view customers: a sample of it is not what the log gives")
        self.assertRegex(self.host.get("/metrics").body.decode(), r'tidemill_view_audit_mismatches_total\{view="customers",tenant="default"\} [1-9]')
        said = self.follow("Audit mismatch")
        self.assertIn("differences from what the log gives", said[0])
        self.assertIn("nothing is damaged", said[0])
        self.wait_until("all is compared", lambda: self.host.get("/v1/views/customers").json()["audit"]["time"])
        self.assertEqual(found(), 0)
        self.healthy()

    def test_going_back(self):
        self.start()
        self.shell("systemctl stop tidemill")
        marker = self.data / "TIDEMILL"
        newer = marker.read_text().replace("layout = 1\n", "layout = 2\n")
        marker.write_text(newer)
        self.follow("Going back")
        self.assertEqual(marker.read_text(), newer, "it was touched")
