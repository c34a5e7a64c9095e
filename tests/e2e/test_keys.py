"""Keys from outside: the page's commands, the first key, what a stop and a kill leave of them, and that no secret is found
where it does not belong."""
import json
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import time
import unittest

from harness import Server, TestCase, exchange, need, program, root
from operations_page import check_output
from test_tls import TlsServer

PAGE = root / "docs/keys.md"


def listening(port):
    """Addresses that listen on the port, as the kernel writes them."""
    found = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        address, state = line.split()[1], line.split()[3]
        if state == "0A" and int(address.split(":")[1], 16) == port:
            found.add(socket.inet_ntoa(int(address.split(":")[0], 16).to_bytes(4, "little")))
    return found


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class KeysPage(TestCase):
    def type(self, host, *headings, after=""):
        """Types the commands of these sections into one shell, in an empty folder but for what the page has made, with nothing
        set. The blocks, and what each of commands printed."""
        env = {"PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "HOME": str(self.directory)}
        text = PAGE.read_text()
        section = "".join(re.search(rf"(?ms)^## {heading}\n(.*?)^## ", text).group(1) for heading in headings)
        # The port is the test's own, also where nobody says one.
        section = section.replace("127.0.0.1:7077", f"127.0.0.1:{host.port}")
        if host.process is not None:
            env["API_URL"] = host.url
        blocks = re.findall(r"(?m)^```(sh|text)\n((?:.*\n)*?)```$", section)
        # A line between the blocks tells what each printed.
        script = "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "".join(f"{body}echo '---8<---'\n" for kind, body in blocks if kind == "sh") + after
        done = subprocess.run(["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, env=env, cwd=self.directory)
        self.assertEqual(done.returncode, 0, done.stdout)
        said = done.stdout.split("---8<---\n")
        at = -1
        for kind, body in blocks:
            if kind == "sh":
                at += 1
                continue
            check_output(self, headings[0], body, said[at])
            if body.startswith("kind "):  # a table, with nothing left out
                table = said[at].splitlines()
                begin = next(i for i, line in enumerate(table) if line.startswith("kind "))
                self.assertEqual(len(table) - begin, len(body.splitlines()), said[at])
            if body.startswith(("403", "404")):  # nothing but these lines
                self.assertEqual(len(said[at].splitlines()), len(body.splitlines()), said[at])
        return blocks, said

    def test_the_tutorial(self):
        need("curl")
        # The second goes on with the keys and the server of the first.
        blocks, _ = self.type(self.server().start(), "From nothing", "A tenant, a producer, an analyst")
        self.assertGreater(len(blocks), 20)

    def test_certificates(self):
        """The page's authorities, settings, server and client, as typed: nothing is set here but the port."""
        need("curl")
        need("openssl")
        run = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                   cwd=self.directory)
        host = self.server()
        data = str(host.data)
        host.start()
        self.type(host, "From nothing")
        self.assertEqual(host.stop(), 0)
        host.process = None
        # The page's own server ends with its shell.
        end = "kill %1 && wait %1\n"
        self.type(host, "Certificates instead of a key", after=end)
        for private in self.directory.glob("*-private.pem"):
            self.assertEqual(stat.S_IMODE(private.stat().st_mode), 0o600, private)
        operator = (self.directory / "operator.key").read_text()
        # Bound by file while no server runs, shown by the list, unbound by what it shows; the chain and the key in the
        # file stay at home.
        listed = self.tidemill("keys", "list", "--data", data).stdout
        id = re.findall(r"(?m)^(\S+) +api +till-3 ", listed)[-1]
        whole = self.directory / "whole.pem"
        whole.write_text("".join((self.directory / f).read_text() for f in ("till-3-private.pem", "till-3.pem", "clients-ca.pem")))
        bound = self.tidemill("keys", "bind", id, "--certificate", "whole.pem", "--data", data)
        self.assertEqual(bound.returncode, 0, bound.stderr)
        shown = subprocess.run([need("openssl"), "x509", "-in", "till-3.pem", "-noout", "-fingerprint", "-sha256"], check=True,
                               **run).stdout.strip().partition("=")[2]
        listed = self.tidemill("keys", "list", "--data", data).stdout
        self.assertIn(shown.replace(":", "").lower(), listed)
        twice = self.tidemill("keys", "bind", operator.split("_")[1], "--certificate", "till-3.pem", "--data", data)
        self.assertEqual(twice.returncode, 2)
        self.assertIn("stands for another key", twice.stderr)
        unbound = self.tidemill("keys", "unbind", id, "--certificate", shown, "--data", data)
        self.assertEqual(unbound.returncode, 0, unbound.stderr)
        nothing = self.tidemill("keys", "bind", id, "--certificate", "till-3.csr", "--data", data)
        self.assertIn("no certificate in PEM", nothing.stderr)
        nothing = self.tidemill("keys", "bind", id, "--certificate", "gone.pem", "--data", data)
        self.assertIn("gone.pem: No such file", nothing.stderr)
        nothing = self.tidemill("keys", "unbind", id, "--certificate", "gone.pem", "--data", data)
        self.assertIn("or the SHA-256", nothing.stderr)
        # Who looks for a key in a directory that is none has mistyped it: none is made.
        other = str(self.directory / "other")
        for command in (["list"], ["revoke", id], ["rotate", id], ["bind", id, "--certificate", "till-3.pem"]):
            done = self.tidemill("keys", *command, "--data", other)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done)
            self.assertIn("there is no data directory", done.stderr)
            self.assertFalse(pathlib.Path(other).exists())

    def test_its_links_lead_somewhere(self):
        for target in re.findall(r"\]\(([^)]+)\)", PAGE.read_text()):
            self.assertTrue((root / "docs" / target.partition("#")[0]).exists(), target)


class Keys(TestCase):
    def create(self, *arguments, key=None, **keywords):
        env = {**os.environ, **({"TIDEMILL_KEY": key} if key else {})}
        done = self.tidemill("keys", "create", *arguments, env=env, **keywords)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("shown this once", done.stderr)
        return done.stdout.strip()

    def test_the_first_key_is_made_on_the_machine(self):
        data = str(self.directory / "data")
        key = self.create("operator", "--admin", "--data", data)
        self.assertRegex(key, r"^tm_[0-9a-hjkmnp-tv-z]{13}_[0-9a-hjkmnp-tv-z]{36}$")
        host = self.server().start()
        self.check_problem(host.get("/v1/streams"), 401, "unauthorized")
        self.assertEqual(host.get("/v1/streams", bearer(key)).status, 200)
        for path in ("/healthz", "/readyz", "/readyz/ingest"):
            self.assertEqual(host.get(path).status, 200)
        # While a server runs the directory is its own.
        done = self.tidemill("keys", "create", "x", "--admin", "--data", data)
        self.assertEqual(done.returncode, 2)
        self.assertIn("a server uses", done.stderr)
        # What the commands say where the key is missing, or does not do.
        done = self.tidemill("tail", "--url", host.url, "--no-follow")
        self.assertEqual(done.returncode, 2)
        self.assertIn("TIDEMILL_KEY or --key-file", done.stderr)
        done = self.tidemill("tail", "--url", host.url, "--no-follow", "--key-file", "nothing-here")
        self.assertIn("no key can be read from nothing-here (--key-file): No such file or directory", done.stderr)
        file = self.directory / "key"
        file.write_text("")
        done = self.tidemill("tail", "--url", host.url, "--no-follow", "--key-file", str(file))
        self.assertIn("it is empty", done.stderr)
        file.write_text(key + "\n")
        for command in (["tail", "--no-follow"], ["status"], ["stream"], ["view"], ["keys", "list"],
                        ["sql", "SELECT 1 AS one"]):
            done = self.tidemill(*command, "--url", host.url, "--key-file", str(file))
            self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        done = self.tidemill("backup", "--data", data, "--url", host.url, "--key-file", str(file), "backup")
        self.assertEqual(done.returncode, 0, done.stderr)
        reader = self.create("reader", "--scope", "stream:retail:read", "--url", host.url, key=key)
        file.write_text(reader)
        done = self.tidemill("put", "--url", host.url, "--key-file", str(file), '{"InvoiceNo":"1"}')
        self.assertIn("stream:retail:write", done.stderr)

    def test_a_data_directory_without_a_key_is_served_to_this_machine_only(self):
        host = self.server()
        host.arguments = ["--listen", f"0.0.0.0:{host.port}"]
        host.start()
        self.assertEqual(listening(host.port), {"127.0.0.1"})
        self.assertIn("there are no keys: only this machine is served", host.log_tail())
        status = self.tidemill("status", "--url", host.url)
        self.assertIn("keys: none", status.stdout)
        self.assertIn("There are no keys", host.get("/").body.decode())
        key = self.create("operator", "--admin", "--url", host.url)
        self.assertEqual(listening(host.port), {"127.0.0.1"})  # from the next start on
        host.stop()
        host.start()
        self.assertEqual(listening(host.port), {"0.0.0.0"})
        self.assertEqual(host.get("/v1/streams").status, 401)
        self.assertEqual(host.get("/v1/streams", bearer(key)).status, 200)

    def test_the_log_says_who_is_let_in_and_what_is_in_the_clear(self):
        open_to_all = "there are no keys: whoever reaches this machine's loopback address may do everything"
        in_the_clear = "keys are taken over plain HTTP"
        host = self.server()
        host.start()
        self.assertIn(open_to_all, host.log_tail())
        self.assertNotIn(in_the_clear, host.log_tail())
        self.create("operator", "--admin", "--url", host.url)
        for listen, tls, said in (("127.0.0.1", [], False), ("0.0.0.0", [], True), ("0.0.0.0", ["--tls-self-signed"], False)):
            self.assertEqual(host.stop(), 0)
            host.log.unlink()
            host = (TlsServer if tls else Server)(self.directory, *tls, data=host.data)
            host.arguments += ["--listen", f"{listen}:{host.port}"]
            self.servers.append(host)
            host.start()
            self.assertEqual(in_the_clear in host.log_tail(), said, host.log_tail())
            self.assertNotIn(open_to_all, host.log_tail())

    def test_without_keys_the_world_is_served_where_that_is_asked_for(self):
        host = self.server("--open")
        host.arguments += ["--listen", f"0.0.0.0:{host.port}"]
        host.start()
        self.assertEqual(listening(host.port), {"0.0.0.0"})
        self.assertIn("whoever reaches the port may write, read and delete", host.log_tail())

    def test_what_follows_ends_with_its_key(self):
        host = self.server().start()
        admin = self.create("operator", "--admin", "--url", host.url)
        row = {"InvoiceNo": "1", "StockCode": "a", "Quantity": 2, "UnitPrice": 0.5, "CustomerID": "7"}
        for command, begun in ((["tail", "--data-only"], '"InvoiceNo":"1"'), (["view", "watch", "customers", "--json"], '"7"')):
            key = self.create("reader", "--scope", "server:read", "--scope", "stream:*:read", "--scope", "view:*:query", "--url",
                              host.url, key=admin)
            with open(self.directory / "said", "w+") as said:
                follows = subprocess.Popen([program, *command, "--url", host.url], stdout=said, stderr=subprocess.PIPE, text=True,
                                           env={**os.environ, "TIDEMILL_KEY": key})
                try:
                    end = time.monotonic() + 30
                    while begun not in (self.directory / "said").read_text():
                        self.assertLess(time.monotonic(), end, command)
                        self.assertEqual(host.post("/v1/streams/retail/records", row, bearer(admin)).status, 200)
                        time.sleep(0.05)
                    done = self.tidemill("keys", "revoke", key.split("_")[1], "--url", host.url,
                                         env={**os.environ, "TIDEMILL_KEY": admin})
                    self.assertEqual(done.returncode, 0, done.stderr)
                    _, error = follows.communicate(timeout=10)  # at once: a heartbeat would come after 15 seconds
                finally:
                    follows.kill()
                    follows.wait()
            self.assertEqual(follows.returncode, 2, error)
            self.assertIn("The key was revoked.", error)

    def test_what_a_kill_leaves(self):
        host = self.server().start()
        admin = self.create("operator", "--admin", "--url", host.url)
        key = self.create("a", "--scope", "server:read", "--url", host.url, key=admin)
        self.assertEqual(host.get("/v1/groups", bearer(key)).status, 200)
        id = key.split("_")[1]
        answer = exchange(host.connect(), "DELETE", f"/v1/keys/{id}", None, bearer(admin))
        self.assertEqual(answer.status, 204)
        host.kill()  # what was answered was on disk
        host.start()
        self.assertIn("was revoked", host.get("/v1/groups", bearer(key)).json()["detail"])
        self.assertEqual(host.get("/v1/groups", bearer(admin)).status, 200)
        host.stop()
        host.start()
        keys = host.get("/v1/keys", bearer(admin)).json()["keys"]
        self.assertTrue(keys[0]["last_used"])  # noted at the stop

    def test_a_producer_that_only_writes_can_load(self):
        host = self.server().start()
        admin = self.create("operator", "--admin", "--url", host.url)
        till = self.create("till", "--scope", "stream:retail:write", "--url", host.url, key=admin)
        file = self.directory / "a.csv"
        file.write_text("InvoiceNo,Quantity\n7,1\n8,2\n")
        for said in ("2 rows of", "already loaded"):
            done = self.tidemill("load", str(file), "--url", host.url, env={**os.environ, "TIDEMILL_KEY": till})
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(said, done.stdout)

    def test_secrets_of_kind_aws_and_backups(self):
        data = str(self.directory / "data")
        admin = self.create("operator", "--admin", "--data", data)
        said = self.create("k", "--kind", "aws", "--scope", "stream:retail:write", "--data", data)
        self.assertRegex(said, r"^access_key_id TMAK[0-9A-HJKMNP-TV-Z]{16}\nsecret_access_key [0-9a-z]{40}$")
        file = pathlib.Path(data) / "instance.key"
        self.assertEqual((stat.S_IMODE(file.stat().st_mode), file.stat().st_size), (0o600, 32))

        def backup(name, *flags):
            done = self.tidemill("backup", "--data", data, name, *flags)
            self.assertEqual(done.returncode, 0, done.stderr)
            return sorted(p.name for p in (self.directory / name).glob("instance.key*"))

        self.assertEqual(backup("plain"), [])
        [copy] = backup("whole", "--with-instance-key")
        self.assertEqual(stat.S_IMODE((self.directory / "whole" / copy).stat().st_mode), 0o600)
        for name, there in (("plain", False), ("whole", True)):
            done = self.tidemill("restore", name, "--data", f"restored-{name}")
            self.assertEqual(done.returncode, 0, done.stderr)
            restored = self.directory / f"restored-{name}" / "instance.key"
            self.assertEqual(restored.exists(), there)
            done = self.tidemill("keys", "create", "n", "--kind", "aws", "--scope", "stream:retail:write", "--data",
                                 f"restored-{name}")
            self.assertEqual(done.returncode, 0 if there else 2, done.stderr)
            if not there:
                self.assertIn("encryption key is missing", done.stderr)
        self.assertEqual((self.directory / "restored-whole/instance.key").read_bytes(), file.read_bytes())
        self.assertEqual(stat.S_IMODE((self.directory / "restored-whole/instance.key").stat().st_mode), 0o600)
        self.assertEqual(backup("whole"), [])  # the next one without it does not keep it
        file.chmod(0o644)
        done = self.tidemill("keys", "create", "n", "--kind", "aws", "--scope", "stream:retail:write", "--data", data)
        self.assertEqual(done.returncode, 2)
        self.assertIn("chmod 600", done.stderr)
        self.assertTrue(admin)


if __name__ == "__main__":
    unittest.main()
