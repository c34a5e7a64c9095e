"""A real Prometheus scrapes the server; promtool has nothing to say about the text."""
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.parse

from harness import TestCase, free_port, need, program, request, root
from test_alerts import queries_of_the_board, with_variables
from test_tls import TlsServer

# Without a refusal there is nothing to count.
nothing_refused = {e for _, e in queries_of_the_board() if "tidemill_rejected_records_total" in e}
# And without keys nobody's use.
of_keys = {e for _, e in queries_of_the_board() if "tidemill_usage_" in e}




def documented():
    """The two examples of prometheus.yml in the head of docs/alerts.yml: without keys, and with keys over HTTPS."""
    head = (root / "docs/alerts.yml").read_text().partition("\ngroups:")[0]
    lines = [re.sub("^#( {3})?", "", line) for line in head.splitlines()]
    text = "\n".join(lines)
    return re.findall(r"(?m)^rule_files: .*\n(?:.+\n)+", text), text


class Prometheus(TestCase):
    def prometheus(self, config, target):
        """Runs it with an example of the docs, for a server here. The port that it answers on."""
        prometheus = need("prometheus")
        config = (config.replace("/usr/share/doc/tidemill/", f"{root}/").replace("/etc/prometheus/", f"{self.directory}/")
                  .replace("tidemill.example.org:7077", target).replace("127.0.0.1:7077", target))
        file = self.directory / "prometheus.yml"
        file.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\n" + config)
        checked = subprocess.run([need("promtool"), "check", "config", file], capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        port = free_port()
        with open(self.directory / "prometheus.log", "wb") as log:
            process = subprocess.Popen(
                [prometheus, f"--config.file={file}", f"--storage.tsdb.path={self.directory}/tsdb",
                 f"--web.listen-address=127.0.0.1:{port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def end():
            process.terminate()
            process.wait(20)
        self.addCleanup(end)
        return port

    def query(self, port, expression):
        try:
            answer = request(port, "GET", "/api/v1/query?query=" + urllib.parse.quote(expression), timeout=5)
            return {json.dumps(r["metric"]): float(r["value"][1]) for r in answer.json()["data"]["result"]}
        except (OSError, ValueError, KeyError):
            return {}

    def test_it_scrapes_with_a_key_and_over_https_as_the_docs_say(self):
        (_, example), text = documented()
        server = TlsServer(self.directory, "--tls-cert", str(self.directory / "tidemill-ca.pem"), "--tls-key",
                           str(self.directory / "own.key"))
        self.servers.append(server)
        subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=a", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.directory / "own.key",
                        "-out", self.directory / "tidemill-ca.pem"], check=True, capture_output=True)
        operator = self.tidemill("keys", "create", "operator", "--admin", "--data", str(server.data)).stdout.strip()
        server.start()
        self.assertEqual(server.get("/metrics").status, 401)
        (making,) = re.findall(r"(?m)^\(umask .*\)$", text)
        env = {**os.environ, "PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}", "TIDEMILL_KEY": operator,
               "API_URL": f"https://localhost:{server.port}", "TIDEMILL_CA_FILE": "tidemill-ca.pem"}
        done = subprocess.run(["bash", "-euc", making.replace("/etc/prometheus/", f"{self.directory}/")], env=env,
                              cwd=self.directory, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual((self.directory / "tidemill.key").stat().st_mode & 0o777, 0o600)
        # What is said of a job over plain HTTP is this line of it.
        (line,) = re.findall(r"(?m)^ +authorization: .*$", text.replace(example, ""))
        self.assertIn(line, example)
        port = self.prometheus(example, f"localhost:{server.port}")
        up = 'up{job="tidemill"}'
        end = time.monotonic() + 40
        while time.monotonic() < end and list(self.query(port, up).values()) != [1.0]:
            time.sleep(0.2)
        targets = request(port, "GET", "/api/v1/targets").body.decode()
        self.assertEqual(list(self.query(port, up).values()), [1.0], targets)
        self.assertTrue(self.query(port, "tidemill_build_info"))
        missing = {"not asked yet"}
        end = time.monotonic() + 40
        while time.monotonic() < end and missing:
            time.sleep(0.5)
            missing = {e for e in of_keys if not self.query(port, with_variables(e))}
        self.assertEqual(missing, set())
        # The key may do that and nothing to records.
        key = {"X-Api-Key": (self.directory / "tidemill.key").read_text().strip()}
        self.check_problem(server.get("/v1/streams/retail/records", key), 403, "forbidden")

    def test_promtool_accepts_the_text(self):
        promtool = need("promtool")
        server = self.server().start()
        server.post("/v1/streams/retail/records", {"InvoiceNo": "1", "Quantity": 1, "UnitPrice": 1.5, "CustomerID": "2"})
        text = server.get("/metrics")
        self.assertEqual(text.status, 200)
        self.assertIn("text/plain", text.headers["content-type"])
        done = subprocess.run([promtool, "check", "metrics"], input=text.body, capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr.decode() + done.stdout.decode())
        self.assertEqual(done.stderr.decode().strip(), "")
        for line in text.body.decode().splitlines():
            if line and not line.startswith("#"):
                self.assertRegex(line, r"^tidemill_")

    def test_prometheus_scrapes_it(self):
        server = self.server().start()
        # Its series are there where it is on.
        retention = {"retention": {"size_bytes": 1 << 30}}
        self.assertEqual(request(server.port, "PUT", "/v1/streams/retail", retention).status, 200)
        for _ in range(3):
            server.post("/v1/streams/retail/records?ack=view",
                        [{"InvoiceNo": "1", "Quantity": 1, "UnitPrice": 1.5, "CustomerID": "2"}] * 5)
        port = self.prometheus(documented()[0][0], f"127.0.0.1:{server.port}")
        query = lambda expression: self.query(port, expression)

        end = time.monotonic() + 40
        while time.monotonic() < end and not query("sum(tidemill_records_total)"):
            time.sleep(0.2)
        log = (self.directory / "prometheus.log").read_text(errors="replace")[-2000:]
        self.assertEqual(list(query('up{job="tidemill"}').values()), [1.0], log)
        # _total counters as Prometheus sees them: 15 records in, and both views have them.
        names = set(json.loads(request(port, "GET", "/api/v1/label/__name__/values").body)["data"])
        self.assertIn("tidemill_records_total", names)
        self.assertEqual(sum(query("sum(tidemill_records_total)").values()), 15.0, sorted(names))
        self.assertTrue(any(n.endswith("_bucket") for n in names), "no histogram")
        lag = query("max(tidemill_group_lag_records)")
        self.assertEqual(list(lag.values()), [0.0], sorted(names))

        # The board's panels have something to show. A rate needs two scrapes.
        missing = ["not asked yet"]
        end = time.monotonic() + 40
        while time.monotonic() < end and missing:
            time.sleep(0.5)
            server.post("/v1/streams/retail/records?ack=view", {"InvoiceNo": "1", "Quantity": 1, "UnitPrice": 1.5})
            missing = [f"{title}: {expression}" for title, expression in queries_of_the_board()
                       if expression not in nothing_refused | of_keys and not query(with_variables(expression))]
        self.assertEqual(missing, [])
