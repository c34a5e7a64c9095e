"""Canaries: keys that are made, used well and badly, and looked for where no secret belongs: answers, metrics, logs, the
files of the data directory, and the memory of the server."""
import os
import pathlib
import signal
import socket
import unittest

from harness import TestCase, exchange
from test_keys import bearer
from test_tls import TlsServer


def secret_of(key):
    """What makes it a secret: of a key all behind the id."""
    return key.split("_")[2] if key.startswith("tm_") else key


class Canaries(TestCase):
    def test_no_secret_is_found_where_it_does_not_belong(self):
        self.look_for(1000, self.server("--log-level", "debug"))

    def test_nor_over_tls(self):
        server = TlsServer(self.directory, "--tls-self-signed", "--log-level", "debug")
        self.servers.append(server)
        self.look_for(300, server)

    def look_for(self, count, host):
        made = self.tidemill("keys", "create", "operator", "--admin", "--data", str(host.data))
        self.assertEqual(made.returncode, 0, made.stderr)
        admin = made.stdout.strip()
        host.start()
        connection = host.connect()
        issued, said = [], []
        self.named = set()

        def ask(method, path, body=None, headers=None):
            return exchange(connection, method, path, body, headers)

        self.assertEqual(ask("PUT", "/v1/streams/canary", {}, bearer(admin)).status, 201)
        scopes = ["stream:canary:read", "stream:canary:write"]
        for n in range(count):
            kind = "aws" if n % 20 == 0 else "api"
            answer = ask("POST", "/v1/keys", {"name": f"canary {n}", "kind": kind, "scopes": scopes}, bearer(admin))
            self.assertEqual(answer.status, 201, answer)
            issued.append(answer.json()["secret_access_key" if kind == "aws" else "key"])
        for n, key in enumerate(issued):
            good = key.startswith("tm_")
            answers = [
                ask("GET", "/v1/streams/canary", None, bearer(key)),
                ask("POST", "/v1/sql", {"sql": "SELECT * FROM nothing"}, {"X-Api-Key": key}),
                ask("GET", "/v1/streams", None, bearer(key[:-1] + ("0" if key[-1] != "0" else "1"))),
                ask("GET", "/v1/streams", None, {"Authorization": "Basic " + key}),
            ]
            self.assertEqual([a.status for a in answers], [200 if good else 401, 400 if good else 401, 401, 401], key)
            said += [a.body.decode() + str(a.headers) for a in answers]
            if n % 100 == 1 and good:
                rotated = ask("POST", f"/v1/keys/{key.split('_')[1]}/rotate", {"grace_seconds": 60}, bearer(admin))
                issued.append(rotated.json()["key"])
            if n % 3 == 0:
                said.append(self.oddly(host, n // 3, key, good, admin))
        said += [ask("GET", path, None, bearer(admin)).body.decode()
                 for path in ("/metrics", "/v1/keys?limit=1000", "/v1/cut", "/", "/v1/groups", "/v1/audit?limit=1000")]
        secrets = [secret_of(key) for key in issued + [admin]]
        text = "\n".join(said)
        self.assertEqual([s for s in secrets if s in text], [], "in answers")

        memory = self.memory_of(host)
        self.assertEqual(host.stop(), 0)
        log = host.log.read_text(errors="replace")
        self.assertEqual([s for s in secrets if s in log], [], "in the log")
        for file in (self.directory / "data").rglob("*"):
            if file.is_file():
                held = file.read_bytes()
                self.assertEqual([s for s in secrets if s.encode() in held], [], file)
        if not memory:
            return self.skipTest("the memory of another process may not be read here")
        self.assertIn(b"stream:canary:read", memory)
        # What somebody puts into a path is in memory like any path.
        sought = [s for s in secrets if s not in self.named]
        found = [s for s in sought if s.encode() in memory]
        print(f"    in {len(memory) >> 20} MiB of memory: {len(found)} of {len(sought)} secrets")
        self.assertEqual(found, [])

    def oddly(self, host, n, key, good, admin):
        """A request that nobody would send twice, over a connection of its own; what came back."""
        head = f"Host: h\r\nX-Api-Key: {key}\r\n"
        post = "POST /v1/streams/canary/records HTTP/1.1\r\n" + head + "Content-Type: application/json\r\nTidemill-Partition-Key: k\r\n"
        large = '{"x":"' + 100_000 * "y" + '"}'
        parts, status = [
            (["GET /nowhere HTTP/1.1\r\n" + head + "\r\n"], 404),
            (["PATCH /v1/streams HTTP/1.1\r\n" + head + "\r\n"], 405),
            (["GET /v1/streams/canary HTTP/1.1\r\n" + head + "Content-Length: +1\r\n\r\n"], 400),  # cannot be framed
            (["GET /v1/streams/canary HTTP/1.1\r\n" + head], None),  # gone before its end
            ([post + f"Content-Length: {len(large)}\r\n\r\n", large[:50_000], large[50_000:]], 200 if good else 401),
            ([post + "Content-Length: 900000000\r\n\r\n"], 413),
            # In front of it and behind it something else; the one behind the last is not looked at any more.
            (["GET /v1/cut HTTP/1.1\r\nHost: h\r\n\r\nGET /v1/streams/canary HTTP/1.1\r\n" + head[:30], head[30:] + "\r\n"
              "GET / HTTP/1.1\r\nConnection: close\r\n" + head + "\r\nGET / HTTP/1.1\r\n" + head + "\r\n"], 401),
            ([post + "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"x\":1}\r\n0\r\n", f"X-Api-Key: {key}\r\n\r\n"],
             200 if good else 401),
            (["GET /v1/streams/canary HTTP/1.1\r\n" + head + "X-Long: " + 6_000 * "z", 9_000 * "z" + "\r\n\r\n"],
             200 if good else 401),
            # A key where a name or an id belongs.
            ([f"GET /v1/streams/{key}/records HTTP/1.1\r\n" + head + "\r\n"], 403 if good else 401),
            ([f"DELETE /v1/keys/{key} HTTP/1.1\r\nHost: h\r\nX-Api-Key: {admin}\r\n\r\n"], 404),
        ][n % 11]
        if key in parts[0].partition(" HTTP/")[0]:
            self.named.add(secret_of(key))
        with socket.create_connection(("127.0.0.1", host.port), timeout=60) as plain:
            wire = host.context.wrap_socket(plain) if isinstance(host, TlsServer) else plain
            with wire:
                for part in parts:
                    wire.sendall(part.encode())
                if status is None:
                    return ""
                answer = wire.recv(65_536).decode()
                self.assertTrue(answer.startswith(f"HTTP/1.1 {status} "), (parts[0][:80], answer))
                return answer

    def memory_of(self, host):
        """All that the server can write to, as a core file of it would have it; nothing where that may not be read."""
        pid = host.process.pid
        held = []
        os.kill(pid, signal.SIGSTOP)
        try:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
                    span, rights = line.split()[:2]
                    if not rights.startswith("rw"):
                        continue
                    at, end = (int(address, 16) for address in span.split("-"))
                    memory.seek(at)
                    while at < end and (read := memory.read(end - at)):
                        held.append(read)
                        at += len(read)
        except PermissionError:
            return b""
        finally:
            os.kill(pid, signal.SIGCONT)
        return b"".join(held)


if __name__ == "__main__":
    unittest.main()
