"""A real Prometheus scrapes the server; promtool has nothing to say about the text."""
import json
import subprocess
import time
import urllib.parse

from harness import TestCase, free_port, need, request
from test_alerts import queries_of_the_board, with_variables

# Without a refusal there is nothing to count.
nothing_refused = {e for _, e in queries_of_the_board() if "tidemill_rejected_records_total" in e}


class Prometheus(TestCase):
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
        prometheus = need("prometheus")
        server = self.server().start()
        # Its series are there where it is on.
        retention = {"retention": {"size_bytes": 1 << 30}}
        self.assertEqual(request(server.port, "PUT", "/v1/streams/retail", retention).status, 200)
        for _ in range(3):
            server.post("/v1/streams/retail/records?ack=view",
                        [{"InvoiceNo": "1", "Quantity": 1, "UnitPrice": 1.5, "CustomerID": "2"}] * 5)
        port = free_port()
        config = self.directory / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                          "scrape_configs:\n- job_name: tidemill\n  static_configs:\n"
                          f"  - targets: ['127.0.0.1:{server.port}']\n")
        with open(self.directory / "prometheus.log", "wb") as log:
            process = subprocess.Popen(
                [prometheus, f"--config.file={config}", f"--storage.tsdb.path={self.directory}/tsdb",
                 f"--web.listen-address=127.0.0.1:{port}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            def query(expression):
                try:
                    answer = request(port, "GET", "/api/v1/query?query=" + urllib.parse.quote(expression), timeout=5)
                    return {json.dumps(r["metric"]): float(r["value"][1]) for r in answer.json()["data"]["result"]}
                except (OSError, ValueError, KeyError):
                    return {}

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
                           if expression not in nothing_refused and not query(with_variables(expression))]
            self.assertEqual(missing, [])
        finally:
            process.terminate()
            process.wait(20)
