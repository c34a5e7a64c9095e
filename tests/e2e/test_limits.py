"""Limits from outside: set, hit, waited out as Retry-After says, and a quota that outlives kill -9."""
import json
import os
import re
import time

from harness import TestCase, exchange, root

PAGE = root / "docs/limits.md"


class Limits(TestCase):
    def begin(self):
        """A server with an admin's key; the environment that the commands take it from."""
        data = str(self.directory / "data")
        done = self.tidemill("keys", "create", "operator", "--admin", "--data", data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.admin = done.stdout.strip()
        host = self.server().start()
        self.env = {**os.environ, "TIDEMILL_KEY": self.admin, "API_URL": host.url}
        return host

    def key(self, *scopes):
        arguments = [word for scope in scopes for word in ("--scope", scope)]
        done = self.tidemill("keys", "create", "till", *arguments, env=self.env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def limits(self, *arguments, code=0, key=None):
        done = self.tidemill("limits", *arguments, env={**self.env, **({"TIDEMILL_KEY": key} if key else {})})
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def put(self, host, key, records=1):
        body = "\n".join(json.dumps({"InvoiceNo": str(i)}) for i in range(records))
        return host.post("/v1/streams/retail/records", body.encode(),
                         {"X-Api-Key": key, "Content-Type": "application/x-ndjson"})

    def test_limits_of_a_directory_that_no_server_uses(self):
        host = self.begin()
        key = self.key("stream:retail:write")
        owner = key.split("_")[1]
        data = ["--data", str(self.directory / "data")]
        self.limits("set", *data, "--key", owner, "--requests", "1/s", code=2)  # it is in use
        host.stop()
        self.assertRegex(self.limits("list", *data), "no limits")
        self.assertRegex(self.limits("set", *data, "--key", owner, "--day-records", "3"), r"records a day +3\n")
        self.assertRegex(self.limits("set", *data, "--tenant", "acme", "--streams", "5"), r"streams +5\n")
        self.limits("set", *data, "--key", owner, "--requests", "5/s")  # what is not said stays
        self.limits("set", *data, "--key", "0000000000000", "--requests", "5/s", code=2)
        self.limits("set", *data, "--key", owner, "--requests", "0/s", code=2)
        self.limits("show", *data, code=2)
        self.assertRegex(self.limits("show", *data, "--key", owner), r"records a day +3\n")
        said = self.limits("list", *data)
        self.assertRegex(said, r"tenant acme +streams +5\n")
        self.assertRegex(said, rf"key {owner} +requests a second +5\n")
        self.assertRegex(self.limits("remove", *data, "--tenant", "acme"), "no limits")
        host.start()
        self.env["API_URL"] = host.url
        self.assertRegex(self.limits("show", "--tenant", "acme"), "no limits")
        self.assertEqual(self.put(host, key, 3).status, 200)
        self.check_problem(self.put(host, key), 429, "quota_exceeded")

    def test_a_rate_is_set_hit_and_waited_out(self):
        host = self.begin()
        key = self.key("stream:retail:write")
        owner = ["--key", key.split("_")[1]]
        self.assertEqual(self.put(host, key).status, 200)
        said = self.limits("set", *owner, "--requests", "2/s:4", "--records", "1k/s")
        self.assertRegex(said, r"requests a second +2")
        self.assertRegex(said, r"requests at once +4 +4")
        self.assertRegex(said, r"records at once +1000 +1000")
        connection = host.connect()
        statuses = []
        for _ in range(6):
            answer = exchange(connection, "POST", "/v1/streams/retail/records", b'{"InvoiceNo":"1"}',
                              {"X-Api-Key": key, "Content-Type": "application/json"})
            statuses.append(answer.status)
        self.assertIn(statuses, ([200] * 4 + [429] * 2, [200] * 5 + [429]))
        self.check_problem(answer, 429, "rate_limited")
        self.assertEqual(answer.headers["retry-after"], "1")
        self.assertIn('"key-requests";q=4;w=2', answer.headers["ratelimit-policy"])
        time.sleep(int(answer.headers["retry-after"]))
        self.assertEqual(self.put(host, key).status, 200)
        # What is not said stays; `none` takes it away; one may see one's own.
        said = self.limits("set", *owner, "--requests", "none", "--bytes", "1MiB/s", "--connections", "5")
        self.assertNotIn("requests", said)
        self.assertIn("1000", said)
        self.assertRegex(self.limits("show", key=key), r"bytes at once +1048576 +10485")
        self.assertIn("bytes a second", self.limits("list"))
        for _ in range(10):
            self.assertEqual(self.put(host, key).status, 200)
        self.assertIn("forbidden", json.dumps(host.get("/v1/limits/keys", {"X-Api-Key": key}).json()))
        self.limits("remove", *owner)
        self.assertIn("no limits", self.limits("show", *owner))

    def test_a_load_ends_at_a_used_up_quota(self):
        self.begin()
        key = self.key("stream:retail:write")
        self.limits("set", "--key", key.split("_")[1], "--month-records", "5000")
        file = self.directory / "a.csv"
        file.write_text("InvoiceNo\n" + "".join(f"{i}\n" for i in range(20_000)))
        began = time.monotonic()
        done = self.tidemill("load", str(file), env={**self.env, "TIDEMILL_KEY": key})
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertLess(time.monotonic() - began, 40)
        self.assertIn("The quota of the key is 5000 records a month.", done.stderr)
        self.assertRegex(done.stderr, r"Retry-After: in [0-9]+[dhms]")
        self.assertIn("--resume", done.stderr)

    def test_wrong_words_are_told(self):
        self.begin()
        for arguments, said in ((["set", "--requests", "5/s"], "say whose limits: --key ID, or --tenant NAME"),
                                (["set", "--key", "x", "--requests", "5/s"], "'x' is not the id of a key"),
                                (["set", "--tenant", "Acme"], "a tenant's name is 1 to 63 of a-z 0-9 and -"),
                                (["set", "--tenant", "a", "--requests", "5"], "--requests takes how many a second, such as 100/s"),
                                (["set", "--tenant", "a", "--bytes", "5/m"], "such as 1MiB/s"),
                                (["set", "--tenant", "a", "--day-records", "1.5"], "--day-records takes a number"),
                                (["set", "--tenant", "a", "--requests", "0/s"], "from 1 to 1,000,000,000"),
                                (["set", "--tenant", "a", "--key", "b"], "say --key or --tenant, not both"),
                                (["set", "--tenant", "a"], "say what to limit"),
                                (["show", "--key", "0000000000000"], "There is no key of that id.")):
            self.assertIn(said, self.limits(*arguments, code=2))

    def test_a_quota_outlives_kill_9(self):
        host = self.begin()
        key = self.key("stream:retail:write")
        owner = ["--key", key.split("_")[1]]
        self.assertEqual(self.put(host, key, 300).status, 200)
        # The month's, for a day may end while this runs. (So may a month, once in a long while.)
        self.limits("set", *owner, "--month-records", "1000")
        self.limits("set", "--tenant", "default", "--month-bytes", "1GiB")
        self.assertEqual(self.put(host, key, 500).status, 200)
        time.sleep(2.5)  # about a second of use may be forgotten
        host.kill()
        host.start()
        left = host.get("/v1/limits", {"X-Api-Key": key}).json()
        self.assertEqual(left["key"]["left"]["records"]["this_month"], 200)
        self.assertLess(left["tenant"]["left"]["bytes"]["this_month"], 1 << 30)
        answer = self.put(host, key, 201)
        self.check_problem(answer, 429, "quota_exceeded")
        self.assertGreater(int(answer.headers["retry-after"]), 0)
        self.assertEqual(self.put(host, key, 200).status, 200)
        host.stop()  # and what was used in the last second before an orderly stop is there
        host.start()
        self.check_problem(self.put(host, key), 429, "quota_exceeded")
        self.assertEqual(host.get("/v1/streams/retail/records", {"X-Api-Key": self.admin}).status, 200)

    def test_the_page_is_right_about_commands(self):
        """Every command of the page's first example is one that the program takes."""
        host = self.begin()
        key = self.key("stream:retail:write").split("_")[1]
        block = re.search(r"(?s)```sh\n(.*?)```", PAGE.read_text()).group(1).replace("1qxy7r0m3n5p2", key)
        commands = [line.split()[1:] for line in block.splitlines()]
        self.assertGreater(len(commands), 4)
        for command in commands:
            done = self.tidemill(*command, env=self.env)
            self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        self.assertEqual(host.get("/v1/limits/tenants", {"X-Api-Key": self.admin}).json()["tenants"][0]["tenant"], "acme")
        for target in re.findall(r"\]\(([^)]+)\)", PAGE.read_text()):
            self.assertTrue((root / "docs" / target.partition("#")[0]).exists(), target)
