"""What the end-to-end tests share: a server to start, kill and talk to, and the data to feed it.

Nothing here is imported by production code, and nothing of production code is imported here: the tests see the program
as its users do.
"""
import csv
import http.client
import io
import json
import lzma
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

root = pathlib.Path(__file__).resolve().parent.parent.parent
program = os.environ.get("TIDEMILL_PROGRAM", str(root / "build" / "release" / "tidemill"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {k.lower(): v for k, v in headers}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


def request(port, method, path, body=None, headers=None, timeout=70):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        return exchange(connection, method, path, body, headers)
    finally:
        connection.close()


def exchange(connection, method, path, body=None, headers=None):
    headers = dict(headers or {})
    if isinstance(body, (dict, list)):
        body = json.dumps(body, separators=(",", ":")).encode()
        headers.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return Answer(response.status, response.getheaders(), response.read())


class Server:
    """`tidemill serve` on a free port. Restarting keeps port and directory."""

    def __init__(self, directory, *arguments, data=None, env=None):
        self.directory = pathlib.Path(directory)
        self.data = pathlib.Path(data) if data else self.directory / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = list(arguments)
        self.env = {**os.environ, **(env or {})}
        self.log = self.directory / "server.log"
        self.process = None
        self.peak_rss = 0
        self.preexec = None  # run in the child before it becomes the server

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--data", str(self.data), "--listen", f"127.0.0.1:{self.port}", *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, preexec_fn=self.preexec)
        return self

    def start(self, ready="/readyz", timeout=60):
        self.spawn()
        self.wait_for(ready, timeout)
        return self

    def wait_for(self, ready="/readyz", timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                if self.get(ready, timeout=5).status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise AssertionError(f"{ready} was not 200 within {timeout} s:\n{self.log_tail()}")

    def kill(self):
        self.note_memory()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=60):
        """SIGTERM; the exit status."""
        self.note_memory()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def note_memory(self):
        """Peak resident memory so far, in MiB."""
        try:
            for line in open(f"/proc/{self.process.pid}/status"):
                if line.startswith("VmHWM:"):
                    self.peak_rss = max(self.peak_rss, int(line.split()[1]) / 1024)
        except (OSError, AttributeError):
            pass
        return self.peak_rss

    def log_tail(self, lines=30):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def get(self, path, headers=None, timeout=70):
        return request(self.port, "GET", path, None, headers, timeout)

    def post(self, path, body, headers=None, timeout=70):
        return request(self.port, "POST", path, body, headers, timeout)

    def connect(self, timeout=70):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def token(self, stream="retail"):
        """A token of everything that is in by now."""
        return self.post(f"/v1/streams/{stream}/records", []).json()["token"]

    def records(self, stream="retail", start="earliest"):
        """Every record of the stream, in order of sequence."""
        connection = self.connect()
        following = start
        while True:
            answer = exchange(connection, "GET", f"/v1/streams/{stream}/records?from={following}&limit=10000")
            if answer.status != 200:
                raise AssertionError(f"reading {stream} from {following}: {answer}")
            page = answer.json()
            yield from page["records"]
            if not page["records"]:
                connection.close()
                return
            following = page["next"]

    def sql(self, sql, token=None, **keywords):
        """All rows as dictionaries; waits for the token to be visible."""
        path = "/v1/sql" + (f"?after={token}&wait=60000" if token else "")
        answer = request(self.port, "POST", path, {"sql": sql, **keywords}, {"Accept": "application/x-ndjson"}, 120)
        if answer.status != 200:
            raise AssertionError(f"{sql}: {answer}")
        return [json.loads(line) for line in answer.body.splitlines() if line]


class TestCase(unittest.TestCase):
    """Gives each test a directory and stops its servers. The directory stays when the test fails."""

    def setUp(self):
        if "--listen" not in subprocess.run([program, "serve", "--help"], capture_output=True, text=True).stdout:
            raise unittest.SkipTest("this program has no `serve` yet")
        base = pathlib.Path(program).parent / "e2e"
        base.mkdir(exist_ok=True)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{self._testMethodName}-", dir=base))
        self.servers = []
        self.seed = int(os.environ.get("TIDEMILL_SEED", random.SystemRandom().randrange(1 << 32)))
        self.random = random.Random(self.seed)
        self.addCleanup(self._clean)

    def server(self, *arguments, **keywords):
        server = Server(self.directory, *arguments, **keywords)
        self.servers.append(server)
        return server

    def _clean(self):
        for server in self.servers:
            if server.running():
                server.process.kill()
                server.process.wait()
        result = self._outcome.result
        failed = any(test is self or getattr(test, "test_case", None) is self
                     for test, _ in result.failures + result.errors)
        if failed:
            print(f"seed {self.seed}, directory {self.directory}")
            for server in self.servers:
                print(f"last words of the server:\n{server.log_tail()}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def tidemill(self, *arguments, timeout=300, **keywords):
        """Runs a subcommand to its end."""
        return subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, cwd=self.directory, **keywords)

    def check_problem(self, answer, status, code=None):
        """The answer is a problem document that says what to do."""
        self.assertEqual(answer.status, status, answer)
        self.assertIn("application/problem+json", answer.headers.get("content-type", ""), answer)
        problem = answer.json()
        self.assertTrue(problem.get("code"), problem)
        self.assertTrue(problem.get("title"), problem)
        self.assertGreater(len(problem.get("detail", "")), 10, problem)  # what to do
        self.assertNotIn(str(self.directory), answer.body.decode(errors="replace"))
        if code:
            self.assertEqual(problem["code"], code, problem)
        return problem


def need(tool):
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin")
    if not path:
        raise unittest.SkipTest(f"{tool} is not installed (tools/setup --tests)")
    return path


def test_data():
    """The folder with public data sets beside the clone, or None."""
    folder = pathlib.Path(os.environ.get("TIDEMILL_TEST_DATA", root / "../shared/data"))
    return folder if folder.is_dir() else None


def retail_csv(directory, rows=200_000, seed=7):
    """A CSV file of retail rows: the real data set when it is there, else a generated one. (path, encoding, real)"""
    folder = test_data()
    packed = folder / "online-retail" / "OnlineRetail.csv.xz" if folder else None
    target = pathlib.Path(directory) / "retail.csv"
    if packed and packed.exists():
        with lzma.open(packed) as source, open(target, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
        return target, "windows-1252", True
    with open(target, "wb") as out:
        subprocess.run([program, "sample", "--rows", str(rows), "--seed", str(seed)], stdout=out, check=True, timeout=120)
    return target, "utf-8-sig", False


def read_csv(path, encoding):
    with io.open(path, encoding=encoding, newline="") as source:
        yield from csv.DictReader(source)
