"""What keys used, from outside: the page's commands; the view after restarts and kills; each tenant its own; and that
verify and backup have the stream like any other."""
import os
import pathlib
import re
import subprocess
import time

from harness import TestCase, need, program, request, root
from operations_page import check_output

PAGE = root / "docs/usage.md"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def id_of(key):
    return key.split("_")[1]


class UsagePage(TestCase):
    def test_the_example(self):
        need("curl")
        host = self.server().start()
        env = {**os.environ, "PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8",
               "API_URL": host.url}
        env.pop("TIDEMILL_KEY", None)
        section = re.search(r"(?ms)^## Looking\n(.*?)^## ", PAGE.read_text()).group(1)
        blocks = re.findall(r"(?m)^```(sh|text)\n((?:.*\n)*?)```$", section)
        self.assertEqual([kind for kind, _ in blocks], ["sh", "text"])
        done = subprocess.run(["bash", "-c", "set -eu\n" + blocks[0][1]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, env=env, cwd=self.directory)
        self.assertEqual(done.returncode, 0, done.stdout)
        check_output(self, "Looking", blocks[1][1], done.stdout)
        # And every statement that it shows.
        key = (self.directory / "operator.key").read_text().strip()
        for sql in re.findall(r"(?ms)^```sql\n(.*?)^```$", PAGE.read_text()):
            answer = request(host.port, "POST", "/v1/sql", {"sql": sql}, bearer(key))
            self.assertEqual(answer.status, 200, f"{sql}: {answer}")

    def test_its_links_lead_somewhere(self):
        for target in re.findall(r"\]\(([^)]+)\)", PAGE.read_text()):
            self.assertTrue((root / "docs" / target.partition("#")[0]).exists(), target)


class Usage(TestCase):
    def start(self):
        data = str(self.directory / "data")
        done = self.tidemill("keys", "create", "operator", "--admin", "--data", data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.operator = done.stdout.strip()
        self.host = self.server().start()

    def key(self, name, *scopes, tenant="default"):
        arguments = [a for s in scopes for a in ("--scope", s)]
        done = self.tidemill("keys", "create", name, "--tenant", tenant, *arguments, "--url", self.host.url,
                             env={**os.environ, "TIDEMILL_KEY": self.operator})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def ask(self, sql, key):
        answer = request(self.host.port, "POST", "/v1/sql", {"sql": sql}, bearer(key))
        return answer.json().get("rows") if answer.status == 200 else None

    def post(self, key, count, stream="retail"):
        for n in range(count):
            answer = self.host.post(f"/v1/streams/{stream}/records", {"InvoiceNo": str(n)}, bearer(key))
            self.assertEqual(answer.status, 200, answer)

    def used(self, key, by):
        rows = self.ask(f"SELECT sum(requests) AS r, sum(records) AS n, sum(refused) AS x FROM usage WHERE key = '{id_of(key)}'",
                        by)
        return rows[0] if rows else None

    def until(self, key, by, wanted, timeout=20):
        end = time.monotonic() + timeout
        while (found := self.used(key, by)) != wanted:
            self.assertLess(time.monotonic(), end, f"{found} is not {wanted}: {self.host.log_tail()}")
            time.sleep(0.1)

    def test_counts_over_stops_and_kills(self):
        self.start()
        till = self.key("till", "stream:retail:write")
        self.post(till, 5)
        self.until(till, self.operator, [5, 5, 0])
        self.host.kill()
        self.host.start()
        self.assertEqual(self.used(till, self.operator), [5, 5, 0])
        self.post(till, 3)
        self.assertEqual(self.host.stop(), 0)  # what was just counted is noted now
        self.host.start()
        self.until(till, self.operator, [8, 8, 0])
        metrics = self.host.get("/metrics", bearer(self.operator)).body.decode()
        self.assertIn('tidemill_view_rows{view="usage",tenant="default"}', metrics)
        self.assertNotIn(id_of(till), metrics)
        # Like any stream and view.
        env = {**os.environ, "TIDEMILL_KEY": self.operator}
        done = self.tidemill("verify", "--data", str(self.host.data), "--url", self.host.url, env=env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("_usage", done.stdout)
        done = self.tidemill("view", "rebuild", "usage", "--diff", "--url", self.host.url, env=env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        done = self.tidemill("backup", "--data", str(self.host.data), "--url", self.host.url, "backup", env=env)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_each_tenant_has_its_own(self):
        self.start()
        theirs = self.key("their-admin", "server:admin", tenant="acme")
        self.assertEqual(request(self.host.port, "PUT", "/v1/streams/shop", {"partition_key": "InvoiceNo"}, bearer(theirs)).status, 201)
        self.post(theirs, 4, "shop")
        ours = self.key("ours", "stream:retail:write")
        self.post(ours, 2)
        self.until(ours, self.operator, [2, 2, 0])
        end = time.monotonic() + 20
        while not (rows := self.ask("SELECT sum(records) AS n FROM usage", theirs)) or rows[0] != [4]:
            self.assertLess(time.monotonic(), end, rows)
            time.sleep(0.1)
        self.assertEqual(self.used(theirs, self.operator), [None, None, None])
        self.assertEqual(self.used(ours, theirs), [None, None, None])
        analyst = self.key("analyst", "view:usage:query")
        self.until(ours, analyst, [2, 2, 0])
        self.assertIsNone(self.ask("SELECT * FROM usage", ours), "it may only write")

    def test_whoever_may_do_everything_may_not_change_it(self):
        self.start()
        self.post(self.operator, 1)
        end = time.monotonic() + 20
        while self.host.get("/v1/streams/_usage", bearer(self.operator)).status != 200:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        for method, path, body in (("POST", "/records", {"key": "x"}), ("DELETE", "", None),
                                   ("POST", "/shards/0/split", {})):
            answer = request(self.host.port, method, "/v1/streams/_usage" + path, body, bearer(self.operator))
            self.check_problem(answer, 409, "reserved_stream")
        answer = request(self.host.port, "PUT", "/v1/streams/_usage", {"retention": {"age_seconds": 1}}, bearer(self.operator))
        self.check_problem(answer, 400, "invalid_stream_name")
