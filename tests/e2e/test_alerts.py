"""docs/alerts.yml and docs/grafana.json: every rule fires at its trouble and not at health; every query can be read, and
asks for metrics that there are."""
import json
import pathlib
import re
import subprocess
import tempfile
import unittest

from harness import need, root

rules = root / "docs/alerts.yml"
board = root / "docs/grafana.json"


def one(name, values, **labels):
    """A series of the server: `values` as promtool writes them, a sample a minute."""
    if labels.keys() & {"stream", "view", "group"}:
        labels["tenant"] = "default"
    extra = "".join(f', {key}="{value}"' for key, value in labels.items())
    return {"series": f'{name}{{job="tidemill", instance="a"{extra}}}', "values": values}


def flushes(fast, slow):
    """The histogram of flushes: per minute so many under 50 ms, so many under 1 s."""
    name = "tidemill_flush_duration_seconds_bucket"
    return [one(name, f"0+{fast}x120", stream="s", le="0.05"), one(name, f"0+{fast + slow}x120", stream="s", le="1"),
            one(name, f"0+{fast + slow}x120", stream="s", le="+Inf")]


def requests(name, bad, good):
    return [one("tidemill_http_requests_total", f"0+{bad}x120", route="r", code=name),
            one("tidemill_http_requests_total", f"0+{good}x120", route="r", code="200")]


def limited(reason, bad):
    return [one("tidemill_limited_requests_total", f"0+{bad}x120", tenant="acme", reason=reason)]


def disk(free):
    return [one("tidemill_disk_free_bytes", free), one("tidemill_disk_size_bytes", "1000x500")]


# For each rule what sets it off, and what is near it and fine. After `minutes`.
cases = {
    "TidemillDown": ([one("up", "0x120")], [one("up", "1x120")]),
    "TidemillRestarts": ([one("tidemill_process_start_time_seconds", "0+100x120")],
                         [one("tidemill_process_start_time_seconds", "1x60 2x60")]),
    "TidemillNotReady": ([one("tidemill_ready", "0x120")], [one("tidemill_ready", "1x56 0x3 1x60")]),
    "TidemillNotAccepting": ([one("tidemill_log_accepting", "0x120", stream="s")],
                             [one("tidemill_log_accepting", "1x120", stream="s")]),
    "TidemillFlushFailed": ([one("tidemill_flush_failures_total", "0x55 1x60", stream="s")],
                            [one("tidemill_flush_failures_total", "7x120", stream="s")]),
    "TidemillFlushSlow": (flushes(100, 5), flushes(1000, 5)),
    "TidemillFlushImplausible": ([one("tidemill_disk_flush_implausible", "1x120")],
                                 [one("tidemill_disk_flush_implausible", "0x120")]),
    "TidemillClockWrong": ([one("tidemill_wall_clock_seconds", "31+60x120")],
                           [one("tidemill_wall_clock_seconds", "29+60x50 80000+60x3 3300+60x120")]),
    "TidemillDiskFillsUp": (disk("290-1x100"), disk("290x120")),
    "TidemillDiskAlmostFull": (disk("40x120"), disk("60x120")),
    # What a limit of a key or a tenant refuses is nothing of the server's.
    "TidemillDiskFull": (requests("507", 1, 1000), requests("507", 20, 1000) + limited("disk", 20)),
    "TidemillLogAltered": ([one("tidemill_chain_breaks", "1x120")], [one("tidemill_chain_breaks", "0x120")]),
    "TidemillAuditLost": ([one("tidemill_audit_lost_total", "0x50 5x70")], [one("tidemill_audit_lost_total", "5x120")]),
    "TidemillAuditSummed": ([one("tidemill_audit_summed_total", "0+10x120")],
                            [one("tidemill_audit_summed_total", "0x50 500x70")]),
    "TidemillLimited": (
        [one("tidemill_limited_requests_total", "0+70x120", tenant="acme", reason="rate"),
         one("tidemill_limited_requests_total", "0+30x120", tenant="acme", reason="connections")],
        # Each below what is worth a look; and much, but over soon; quotas have a rule of their own.
        [one("tidemill_limited_requests_total", "0+50x120", tenant="acme", reason="rate"),
         one("tidemill_limited_requests_total", "0+50x120", tenant="umbrella", reason="rate"),
         one("tidemill_limited_requests_total", "0x50 0+1000x2 2000x70", tenant="third", reason="rate"),
         one("tidemill_limited_requests_total", "0+600x120", tenant="fourth", reason="day_quota")]),
    "TidemillQuotaUsedUp": (
        [one("tidemill_limited_requests_total", "0x50 0+1x70", tenant="acme", reason="month_quota")],
        [one("tidemill_limited_requests_total", "9x120", tenant="acme", reason="day_quota"),
         one("tidemill_limited_requests_total", "0+600x120", tenant="acme", reason="rate")]),
    "TidemillQuotaAlmostUsedUp": (
        [one("tidemill_quota_used", "91x120", tenant="acme", measure="records", period="month"),
         one("tidemill_quota_allowed", "100x120", tenant="acme", measure="records", period="month")],
        # Half of it; one that is used up, which has a rule of its own; one that lets nothing through.
        [one("tidemill_quota_used", "50x120", tenant="acme", measure="records", period="day"),
         one("tidemill_quota_allowed", "100x120", tenant="acme", measure="records", period="day"),
         one("tidemill_quota_used", "100x120", tenant="acme", measure="bytes", period="day"),
         one("tidemill_quota_allowed", "100x120", tenant="acme", measure="bytes", period="day"),
         one("tidemill_quota_used", "0x120", tenant="shut", measure="requests", period="day"),
         one("tidemill_quota_allowed", "0x120", tenant="shut", measure="requests", period="day")]),
    "TidemillDenials": (
        [one("tidemill_requests_denied_total", "0+70x120", reason="unknown")],
        [one("tidemill_requests_denied_total", "0+50x120", reason="unknown"),
         one("tidemill_requests_denied_total", "0+50x120", reason="no_key"),
         one("tidemill_requests_denied_total", "0+600x120", reason="forbidden")]),
    "TidemillForbidden": ([one("tidemill_requests_denied_total", "0+70x120", reason="forbidden")],
                          [one("tidemill_requests_denied_total", "0+600x120", reason="revoked"),
                           one("tidemill_requests_denied_total", "0+50x120", reason="forbidden")]),
    "TidemillUsageNotNoted": (
        [one("tidemill_http_requests_total", "0+600x120", route="ingest", code="200"),
         one("tidemill_usage_requests_total", "900x120", tenant="acme"), one("tidemill_keys", "3x120", state="active")],
        [one("tidemill_http_requests_total", "0+600x120", route="ingest", code="200"),
         one("tidemill_usage_requests_total", "0x120", tenant="acme"),
         one("tidemill_usage_requests_total", "0+600x120", tenant="umbrella"),
         one("tidemill_keys", "3x120", state="active")]),
    "TidemillDamage": ([one("tidemill_log_lost_ranges", "1x120", stream="s")],
                       [one("tidemill_log_lost_ranges", "0x120", stream="s")]),
    "TidemillGroupFailing": ([one("tidemill_group_failing", "1x120", group="g")],
                             [one("tidemill_group_failing", "0x57 1x60", group="g")]),
    "TidemillShardsFailing": ([one("tidemill_group_shards_failing", "2x120", group="g")],
                              [one("tidemill_group_shards_failing", "0x120", group="g")]),
    "TidemillGroupStandsStill": (
        [one("tidemill_group_lag_records", "5x120", group="g"),
         one("tidemill_group_applied_sequence", "9x120", group="g")],
        [one("tidemill_group_lag_records", "5x120", group="g"),
         one("tidemill_group_applied_sequence", "9+1x120", group="g"),
         one("tidemill_group_lag_records", "0x120", group="idle"),
         one("tidemill_group_applied_sequence", "9x120", group="idle")]),
    "TidemillGroupLate": ([one("tidemill_group_lag_seconds", "61x120", group="g")],
                          [one("tidemill_group_lag_seconds", "59x120", group="g")]),
    "TidemillGroupFallsBehind": ([one("tidemill_group_lag_records", "1000000+1000x120", group="g")],
                                 [one("tidemill_group_lag_records", "2000000-1000x120", group="g")]),
    "TidemillRecordsLost": ([one("tidemill_retention_lost_records_total", "0x55 7x60", stream="s")],
                            [one("tidemill_retention_lost_records_total", "7x120", stream="s")]),
    "TidemillGroupAtRisk": ([one("tidemill_retention_groups_at_risk", "2x120", stream="s")],
                            [one("tidemill_retention_groups_at_risk", "0x55 1x3 0x60", stream="s")]),
    "TidemillRetentionHeld": ([one("tidemill_retention_held", "1x120", stream="s")],
                              [one("tidemill_retention_held", "0x20 1x30 0x5 1x40", stream="s")]),
    "TidemillRetentionPaused": ([one("tidemill_retention_paused", "1x120", stream="s")],
                                [one("tidemill_retention_paused", "0x50 1x5 0x60", stream="s")]),
    "TidemillViewStale": ([one("tidemill_view_freshness_seconds", "61x120", view="v")],
                          [one("tidemill_view_freshness_seconds", "59x50 70x3 0x60", view="v")]),
    "TidemillViewFailed": ([one("tidemill_view_failed", "1x120", view="v")],
                           [one("tidemill_view_failed", "0x120", view="v")]),
    "TidemillQuarantine": ([one("tidemill_view_parked_records", "1x120", view="v")],
                           [one("tidemill_view_parked_records", "0x120", view="v")]),
    "TidemillHistoryFailing": ([one("tidemill_history_failures_total", "0+1x120")],
                               [one("tidemill_history_failures_total", "0x50 3x70")]),
    "TidemillViewAuditMismatch": ([one("tidemill_view_audit_mismatches_total", "0x30 1x90", view="v")],
                                  [one("tidemill_view_audit_mismatches_total", "0x120", view="v")]),
    "TidemillViewsStopped": ([one("tidemill_rocksdb_write_stopped", "1x120")],
                             [one("tidemill_rocksdb_write_stopped", "0x55 1x3 0x60")]),
    "TidemillViewsErrors": ([one("tidemill_rocksdb_background_errors_total", "0x55 1x60")],
                            [one("tidemill_rocksdb_background_errors_total", "4x120")]),
    "TidemillThrottled": (requests("429", 40, 1000) + limited("rate", 20), requests("429", 25, 1000) + limited("rate", 20)),
    "TidemillServerErrors": (requests("503", 20, 1000), requests("507", 20, 1000)),
    "TidemillRecordsRejected": (
        [one("tidemill_rejected_records_total", "0+20x120", code="c"), one("tidemill_records_total", "0+1000x120", stream="s")],
        [one("tidemill_rejected_records_total", "0+5x120", code="c"), one("tidemill_records_total", "0+1000x120", stream="s")]),
    "TidemillConnectionsRefused": ([one("tidemill_http_connections_refused_total", "0+1x120")],
                                   [one("tidemill_http_connections_refused_total", "5x120")]),
    "TidemillCertificateExpires": (
        [one("tidemill_tls_certificate_expiry_seconds", "1200000x120"), one("tidemill_wall_clock_seconds", "0+60x120")],
        [one("tidemill_tls_certificate_expiry_seconds", "1300000x120"), one("tidemill_wall_clock_seconds", "0+60x120")]),
    "TidemillCertificateRefused": (
        [one("tidemill_tls_certificate_reloads_total", "0x20 1x100", result="refused"),
         one("tidemill_tls_certificate_reloads_total", "0x120", result="taken")],
        [one("tidemill_tls_certificate_reloads_total", "0x20 1x100", result="refused"),
         one("tidemill_tls_certificate_reloads_total", "0x22 1x100", result="taken")]),
    "TidemillDescriptorsRunOut": (
        [one("tidemill_process_open_fds", "95x120"), one("tidemill_process_max_fds", "100x120")],
        [one("tidemill_process_open_fds", "85x120"), one("tidemill_process_max_fds", "100x120")]),
}
minutes = 60
# A group falls behind for long before it says so, and a disk fills for hours.
longer = {"TidemillDiskFillsUp": 90, "TidemillRetentionHeld": 90}


def promtool(*arguments, directory):
    return subprocess.run([need("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          cwd=directory)


def metrics_of(expression):
    return set(re.findall(r"\btidemill_\w+", expression))


def documented():
    """Name to type, as docs/metrics.md has them."""
    rows = re.findall(r"(?m)^\| `(tidemill_\w+)` \| (\w+) \|", (root / "docs/metrics.md").read_text())
    return dict(rows)


def queries_of_the_board():
    panels = json.loads(board.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


def with_variables(expression):
    """With what Grafana would put there."""
    for name, value in (("$__rate_interval", "5m"), ("$__range", "1h"), ("$job", "tidemill"), ("$instance", ".*")):
        expression = expression.replace(name, value)
    return expression


class Alerts(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name)

    def check_metrics(self, where, expression):
        known = documented()
        self.assertGreater(len(known), 60)
        for name in metrics_of(expression):
            plain = re.sub(r"_(bucket|sum|count)$", "", name)
            if name not in known:
                self.assertEqual(known.get(plain), "histogram", f"{where} asks for {name}, which docs/metrics.md has not")

    def run_tests(self, tests):
        file = self.directory / "test.yml"  # JSON is YAML
        file.write_text(json.dumps({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}))
        return promtool("test", "rules", file, directory=self.directory)

    def test_promtool_has_nothing_to_say_and_every_rule_has_its_case(self):
        done = promtool("check", "rules", rules, directory=self.directory)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        names = re.findall(r"(?m)^  - alert: (\w+)$", rules.read_text())
        self.assertEqual(sorted(names), sorted(cases))

    def test_no_rule_fires_at_health(self):
        tests = []
        for name, (_, health) in cases.items():
            # Nor did it at any time before: an alert that came and went would have left its ALERTS.
            ever = f'count_over_time(ALERTS{{alertname="{name}", alertstate="firing"}}[2h])'
            tests.append({"interval": "1m", "input_series": health, "promql_expr_test": [
                {"expr": ever, "eval_time": f"{longer.get(name, minutes)}m", "exp_samples": []}]})
        done = self.run_tests(tests)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_rule_fires_at_its_trouble_and_can_be_read(self):
        """promtool prints an alert that was not expected, with its text filled in."""
        said = self.run_tests(
            [{"interval": "1m", "input_series": trouble,
              "alert_rule_test": [{"eval_time": f"{longer.get(name, minutes)}m", "alertname": name, "exp_alerts": []}]}
             for name, (trouble, _) in cases.items()])
        said = said.stdout + said.stderr
        for name in cases:
            found = re.search(r'\{alertname="' + name + r'".*\n *Annotations:\{(.*)', said)
            self.assertIsNotNone(found, f"{name} did not fire: {said}")
            for part in ("summary", "description", "action", "runbook"):
                self.assertRegex(found.group(1), part + r'="[^"]{10,}"', name)
            self.assertNotRegex(found.group(1), r"\{\{|<error|no value|%!", name)
            self.assertRegex(found.group(0), r'severity="(page|ticket)"', name)

    def test_every_rule_leads_to_a_page(self):
        page = (root / "docs/operations.md").read_text()
        anchors = {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-")
                   for title in re.findall(r"(?m)^##+ (.*)$", page)}
        links = re.findall(r'(?m)^      runbook: "operations\.md#([\w-]+)"$', rules.read_text())
        self.assertEqual(len(links), len(cases))
        self.assertLessEqual(set(links), anchors)

    def test_they_ask_for_metrics_that_there_are(self):
        for expression in re.findall(r"(?m)^    expr: (.*)$", rules.read_text()):
            self.check_metrics(f"docs/alerts.yml: {expression}", expression)

    def test_the_board_asks_for_metrics_that_there_are(self):
        queries = queries_of_the_board()
        self.assertGreater(len(queries), 20)
        for title, expression in queries:
            self.assertTrue(metrics_of(expression) or "up{" in expression, title)
            self.check_metrics(f"docs/grafana.json: {title}", expression)

    def test_the_board_can_be_imported(self):
        data = json.loads(board.read_text())
        self.assertIsNone(data["id"])
        self.assertTrue(data["uid"] and data["title"] and data["schemaVersion"] >= 36)
        self.assertEqual([i["name"] for i in data["__inputs"]], ["DS_PROMETHEUS"])
        ids = [panel["id"] for panel in data["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        cells = set()
        for panel in data["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            mine = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                    for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & mine, f"{panel['title']} lies over another panel")
            cells |= mine
            if panel["type"] == "row":
                continue
            self.assertTrue(panel["targets"], panel["title"])
            self.assertEqual(panel["datasource"]["uid"], "${DS_PROMETHEUS}", panel["title"])
            self.assertGreater(len(panel["description"]), 20, panel["title"])
        names = {v["name"] for v in data["templating"]["list"]}
        for title, expression in queries_of_the_board():
            for name in re.findall(r"\$(\w+)", expression):
                self.assertIn(name, names | {"__rate_interval", "__range"}, title)

    def test_prometheus_can_read_the_queries_of_the_board(self):
        """As recording rules, which promtool parses."""
        need("promtool")
        lines = []
        for number, (_, expression) in enumerate(queries_of_the_board()):
            lines.append({"record": f"board:query{number}", "expr": with_variables(expression)})
        file = self.directory / "board.yml"
        file.write_text(json.dumps({"groups": [{"name": "board", "rules": lines}]}))
        done = promtool("check", "rules", file, directory=self.directory)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn(f"{len(lines)} rules found", done.stdout)
