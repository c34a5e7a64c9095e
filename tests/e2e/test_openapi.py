"""The OpenAPI document: linted, and held against real requests and answers of every route (openapi_answers.py)."""
import json
import re
import subprocess
import time
import unittest
import urllib.parse

from harness import TestCase, need, request, root

TOOLS = root / "build/python/bin"  # made by tools/setup --tests
CONFIG = """
[history]
every = "1s"
keep = 500
"""


def need_tools():
    if not (TOOLS / "python").exists():
        raise unittest.SkipTest(f"{TOOLS.parent.relative_to(root)} is not there (tools/setup --tests)")


def encoded(value):
    return urllib.parse.quote(json.dumps(value, separators=(",", ":")))


class Recorder:
    """Asks, and keeps what was asked and answered."""

    def __init__(self, test, host):
        self.test, self.host = test, host
        self.key = None
        self.exchanges = []

    def __call__(self, method, path, body=None, status=200, code=None, type="application/json", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            body = body if isinstance(body, (str, bytes)) else json.dumps(body, separators=(",", ":"))
            body = body if isinstance(body, bytes) else body.encode()
            headers["Content-Type"] = type
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        answer = request(self.host.port, method, path, body, headers)
        said = f"{method} {path}: {answer}"
        self.test.assertEqual(answer.status, status, said)
        if code:
            self.test.assertEqual(answer.json()["code"], code, said)
        # HEAD stands for GET where the answer has no end.
        self.exchanges.append({"method": method.replace("HEAD", "GET"), "path": path, "type": headers.get("Content-Type", ""),
                               "body": body.decode("latin-1") if body else "", "status": answer.status,
                               "headers": answer.headers, "answer": answer.body.decode()})
        return answer

    def wait(self, path, ready):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = ready(self("GET", path).json())
            if found:
                return found
            time.sleep(0.05)
        self.test.fail(f"{path} did not come to it")


class OpenApi(TestCase):
    def serve(self):
        config = self.directory / "tidemill.toml"
        config.write_text(CONFIG)
        return self.server("--config", str(config)).start()

    def test_it_is_served_to_whom_it_is_new(self):
        host = self.serve()
        answer = host.get("/openapi.json")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.json()["openapi"], "3.1.0")
        etag = answer.headers["etag"]
        for header in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            self.assertEqual(host.get("/openapi.json", {"If-None-Match": header}).status, 304, header)
        self.assertEqual(host.get("/openapi.json", {"If-None-Match": '"other"'}).status, 200)
        again = self.server("--open", data=self.directory / "other").start()
        self.assertEqual(again.get("/openapi.json").headers["etag"], etag)  # of the program, not of the server

    def test_the_linter_has_nothing_to_say(self):
        need_tools()
        file = self.directory / "openapi.json"
        file.write_bytes(self.serve().get("/openapi.json").body)
        done = subprocess.run([TOOLS / "openapi-spec-validator", "--errors", "all", file], capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        file.write_text(file.read_text().replace('"operationId":"ingest"', '"operationId":"records"'))
        done = subprocess.run([TOOLS / "openapi-spec-validator", file], capture_output=True, text=True, timeout=120)
        self.assertNotEqual(done.returncode, 0, "two operations of one name")

    def test_every_route_answers_as_it_says(self):
        need_tools()
        host = self.host = self.serve()
        ask = Recorder(self, host)
        document = ask("GET", "/openapi.json").json()
        ask("GET", "/openapi.json", status=304, If_None_Match=host.get("/openapi.json").headers["etag"])
        self.records(ask)
        self.streams(ask)
        self.views(ask)
        self.decisions(ask)
        self.sql(ask)
        self.rest(ask)
        self.limits(ask)
        self.keys(ask, document)
        exchanges = self.directory / "exchanges.json"
        exchanges.write_text(json.dumps(ask.exchanges))
        (self.directory / "openapi.json").write_text(json.dumps(document))
        done = subprocess.run([TOOLS / "python", root / "tests/e2e/openapi_answers.py", self.directory / "openapi.json",
                               exchanges], capture_output=True, text=True, timeout=300)
        print(f"{len(ask.exchanges)} answers were held against {sum(map(len, document['paths'].values()))} operations")
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-3000:])

    def records(self, ask):
        path = "/v1/streams/retail/records"
        one = {"InvoiceNo": "1", "StockCode": "a", "Quantity": 2, "UnitPrice": 0.5, "CustomerID": "7", "Country": "France"}
        ask("POST", path + "?ack=view&wait=60000&atomic=false", one, Idempotency_Key="k")
        ask("POST", path + "?ack=view&wait=60000&atomic=false", one, Idempotency_Key="k")  # replayed
        ask("POST", path, [{**one, "InvoiceNo": "2"}, one])
        ask("POST", path, [])
        lines = json.dumps(one) + "\n{}\n"
        ask("POST", path, lines, 207, type="application/x-ndjson")
        ask("POST", path + "?atomic=true", lines, 400, "records_rejected", type="application/x-ndjson")
        ask("POST", path, "InvoiceNo,Quantity\n3,1\n", type="text/csv", Tidemill_Partition_Key="p")
        ask("POST", path, {**one, "Quantity": 3}, 422, "key_reused", Idempotency_Key="k")
        ask("POST", path, one, 415, "unsupported_media_type", type="text/plain")
        ask("POST", path, "x", 400, "broken_encoding", Content_Encoding="gzip")
        ask("POST", path, {**one, "x": "x" * 2_000_000}, 413, "records_too_large")
        ask("POST", path, one, 400, "invalid_key_header", Tidemill_Partition_Key="")
        ask("POST", path + "?ack=never", one, 400, "invalid_parameter")
        ask("POST", "/v1/streams/absent/records", one, 404, "stream_not_found")
        self.token = ask("GET", path + "?from=1&limit=2").json()["as_of"]["token"]
        ask("GET", path + f"?from=earliest&after={self.token}&wait=10&shard=0")
        ask("GET", path + "?from=999", None, 400, "invalid_parameter")
        ask("GET", path + "?after=x", None, 400, "invalid_token")
        ask("GET", path, None, 406, "not_acceptable", Accept="image/png")
        ask("GET", "/v1/streams/absent/records", None, 404)
        ask("HEAD", path, None, Accept="text/event-stream")

    def streams(self, ask):
        ask("GET", "/v1/streams")
        ask("GET", "/v1/streams/retail")
        ask("GET", "/v1/streams/absent", None, 404)
        whole = {"shards": 2, "partition_key": "k", "fields": {"n": "integer", "t": "text"},
                 "archive": {"enabled": False, "size_bytes": 5_000_000, "age_seconds": 60},
                 "retention": {"age_seconds": 604_800, "size_bytes": 1_000_000, "wait_for_groups": True}}
        made = ask("PUT", "/v1/streams/made", whole, 201).json()
        ask("PUT", "/v1/streams/made", {"name": "made", "id": 7, "created": made["created"], "shards": made["shards"],
                                        "archive": False, "retention": {"age_seconds": None, "size_bytes": None}})
        ask("PUT", "/v1/streams/made", {"shards": 9}, 409, "stream_exists")
        ask("PUT", "/v1/streams/made", {"shard": 9}, 400, "invalid_body")
        ask("PUT", "/v1/streams/ma%20de", {}, 400, "invalid_stream_name")
        split = ask("POST", "/v1/streams/made/shards/0/split", {"at": "3" * 32}).json()
        ask("POST", "/v1/streams/made/shards/0/split", {}, 409, "shard_closed")
        ask("POST", "/v1/streams/made/shards/7/split", {}, 404, "shard_not_found")
        ask("POST", "/v1/streams/made/shards/1/split", {"at": "0" * 32}, 400, "invalid_split")
        first, second = (shard["shard"] for shard in split["opened"])
        ask("POST", f"/v1/streams/made/shards/{first}/merge", {"with": 9999}, 404)
        ask("POST", f"/v1/streams/made/shards/{first}/merge", {"with": second})
        ask("POST", f"/v1/streams/made/shards/{first}/merge", {"with": f"s{second:04}"}, 409)
        ask("POST", "/v1/streams/made/records", {"k": "1"})
        ask("GET", f"/v1/streams/made/records?shard={first}")  # closed: `children`
        ask("DELETE", "/v1/streams/made", None, 204)
        ask("DELETE", "/v1/streams/made", None, 404)
        ask("DELETE", "/v1/streams/retail", None, 409, "stream_in_use")
        ask("GET", "/v1/groups")
        ask("GET", "/v1/groups/" + ask("GET", "/v1/groups").json()["groups"][0]["name"].replace("/", "%2F"))
        ask("GET", "/v1/groups/absent", None, 404, "group_not_found")

    def views(self, ask):
        lines = "SELECT StockCode AS code, count(*) AS n, sum(Quantity) AS units FROM retail GROUP BY StockCode"
        ask("PUT", "/v1/views/codes", {"sql": lines}, 201)
        ask("PUT", "/v1/views/codes", lines, 200, type="application/sql")
        ask("PUT", "/v1/views/codes", {"sql": "SELECT"}, 400)
        ask("PUT", "/v1/views/codes", {"sql": lines, "more": 1}, 400, "invalid_body")
        ask("GET", "/v1/views")
        ask("GET", f"/v1/views?after={self.token}&wait=60000")
        ask("GET", f"/v1/views/codes?after={self.token}&wait=60000")
        ask("GET", "/v1/views/absent", None, 404, "view_not_found")
        ask("GET", "/v1/views?wait=x", None, 400)
        for path in ("/v1/views/codes/rows/a", "/v1/views/customers/rows/7", "/customers/7", "/invoices/1",
                     f"/v1/views/codes/rows?key={encoded(['a'])}"):
            more = "&" if "?" in path else "?"
            ask("GET", path + f"{more}after={self.token}&wait=60000")
            ask("GET", path + f"{more}at=1")
            ask("GET", path + f"{more}at=99999", None, 409, "at_ahead")
        for path in ("/v1/views/codes/rows/absent", "/customers/absent", "/invoices/absent"):
            ask("GET", path, None, 404, "no_such_row")
        ask("GET", "/v1/views/codes/rows/a,b", None, 400, "invalid_key")
        page = ask("GET", "/v1/views/invoices/rows?limit=1&from=1&to=9").json()
        ask("GET", f"/v1/views/invoices/rows?limit=1&from=1&to=9&cursor={urllib.parse.quote(page['cursor'])}")
        ask("GET", "/v1/views/codes/rows?prefix=a&limit=10")
        ask("GET", "/v1/views/codes/rows?cursor=x", None, 400, "invalid_cursor")
        ask("GET", "/v1/views/codes/rows/a/why?limit=1&order=desc&from=99")
        ask("GET", f"/v1/views/codes/why?key={encoded(['a'])}&limit=100")
        ask("GET", "/v1/views/codes/why", None, 400, "invalid_parameter")
        ask("GET", "/v1/views/codes/rows/absent/why", None, 404)
        ask("POST", "/v1/views/codes/verify", None)
        ask("POST", "/v1/views/absent/verify", None, 404)
        ask("HEAD", "/v1/views/codes/changes")
        ask("GET", "/v1/views/codes/changes?where=", None, 400)
        ask("PUT", "/v1/views/codes", {"sql": lines.replace("sum", "max")}, 202)
        ask.wait("/v1/views/codes", lambda view: "building" not in view)
        # What only some views have: rows that go with time, a view that is looked up.
        ask("PUT", "/v1/views/late", {"sql": "CREATE MATERIALIZED VIEW late WITH (ttl = '1 day') AS " + lines}, 201)
        ask("PUT", "/v1/views/looks", {"sql": "SELECT c.n AS n, count(*) AS k FROM retail r LEFT JOIN codes c ON c.code = "
                                              "r.StockCode GROUP BY c.n"}, 201)
        ask("DELETE", "/v1/views/codes", None, 409, "view_in_use")
        ask("DELETE", "/v1/views/looks", None, 204)
        ask("DELETE", "/v1/views/looks", None, 404)

    def decisions(self, ask):
        bad = [{"InvoiceNo": "9", "CustomerID": "8", "Quantity": 1, "UnitPrice": "a lot"}] * 3
        ask("POST", "/v1/streams/retail/records?ack=view&wait=60000", bad)
        path = "/v1/views/customers/quarantine"
        page = ask("GET", path + "?limit=2&from=0").json()
        sequence = page["records"][0]["sequence"]
        ask("GET", path + "?limit=0", None, 400)
        good = {**bad[0], "UnitPrice": 1.5}
        ask("POST", f"{path}/{sequence}", {"decision": "redrive", "data": good, "dry_run": True})
        ask("POST", f"{path}/{sequence}", {"decision": "redrive", "data": good})
        ask("POST", f"{path}/{sequence}", {"decision": "skip"}, 404, "not_in_quarantine")
        ask("POST", f"{path}/{sequence + 1}", {"decision": "redrive"}, 422, "still_refused")
        ask("POST", path, {"decision": "redrive", "reason": "", "from": 0, "limit": 10})
        ask("POST", path, {"decision": "skip", "dry_run": True})
        ask("POST", path, {"decision": "skip", "limit": 1})
        ask("POST", path, {"decision": "forget"}, 400, "invalid_body")
        ask("GET", f"/v1/views/customers/rows/8/why?limit=1")

    def sql(self, ask):
        path = "/v1/sql"
        ask("POST", path, {"sql": "SELECT code, n FROM codes WHERE n > ? AND code <> ?", "params": [0, "x"]})
        for kind in ("application/x-ndjson", "text/csv"):
            ask("POST", path, {"sql": "SELECT code FROM codes"}, Accept=kind)
        ask("POST", path, {"sql": "SELECT"}, 400, "invalid_sql")
        ask("POST", path, {"sql": "DELETE FROM codes"}, 400, "not_read_only")
        ask("POST", path, {"sql": "SELECT 1", "at": 99_999}, 400)
        ask("POST", path, {}, 400, "invalid_body")
        ask("POST", path, {"sql": "SELECT 1"}, 406, Accept="image/png")
        last = ask("GET", "/v1/views/codes").json()["applied"]
        has = lambda h: [p for p in h["points"] if any(v["view"] == "codes" and v["sequence"] >= last for v in p["views"])]
        ask.wait("/v1/history", has)
        ask("POST", path + f"?at={last}&after={self.token}&wait=60000", {"sql": "SELECT n FROM codes"})
        ask("POST", path, {"sql": "SELECT n FROM codes", "at": last})
        ask("POST", path, {"sql": "SELECT n FROM codes", "at": 99_999}, 409, "at_ahead")
        ask("GET", "/v1/history?x=1", None, 400)
        made = "CREATE MATERIALIZED VIEW more AS SELECT Country AS c, count(*) AS n, sum(Quantty) AS u FROM retail GROUP BY 1"
        ask("POST", path, {"sql": "EXPLAIN " + made})
        ask("POST", path, {"sql": "EXPLAIN SELECT c.n AS n, count(*) AS k FROM retail r LEFT JOIN codes c ON c.code = "
                                  "r.StockCode GROUP BY c.n"})
        ask("POST", path, {"sql": made})
        ask("POST", path, {"sql": made}, 409, "view_exists")
        ask("POST", path, {"sql": "DROP MATERIALIZED VIEW more"})
        ask("POST", path, {"sql": "DROP MATERIALIZED VIEW IF EXISTS more"})
        big = "CREATE STREAM big AS SELECT InvoiceNo AS no, number(Quantity) AS q FROM retail WHERE Quantity > 1"
        ask("POST", path, {"sql": "EXPLAIN " + big})
        ask("POST", path, {"sql": big})
        ask("GET", "/v1/streams/big")
        ask("POST", "/v1/streams/big/records", {"a": 1}, 409, "derived_stream")
        ask("POST", path, {"sql": "CREATE STREAM bigger AS SELECT * FROM big"})
        ask("DELETE", "/v1/streams/big", None, 409, "stream_in_use")
        ask("POST", path, {"sql": "DROP STREAM bigger"})
        ask("POST", path, {"sql": "DROP STREAM big"})
        ask("POST", path, {"sql": "DROP STREAM IF EXISTS big"})

    def rest(self, ask):
        for path in ("/healthz", "/readyz", "/readyz/ingest", "/metrics", "/", "/v1/cut"):
            ask("GET", path)
        ask("GET", "/v1/cut?x=1", None, 400)
        ask("GET", "/absent", None, 404, "not_found")
        ask("PATCH", "/v1/streams", None, 405, "method_not_allowed")

    def limits(self, ask):
        whole = {"requests": {"per_second": 1_000_000, "burst": 2_000_000, "per_day": 10_000_000, "per_month": 20_000_000},
                 "records": {"per_second": 1_000_000}, "bytes": {"per_second": 1_000_000_000}, "connections": 500, "streams": 200,
                 "disk_bytes": 1 << 49}
        ask("PUT", "/v1/limits/tenants/default", whole)
        ask("PUT", "/v1/limits/tenants/default", {"request": {}}, 400, "invalid_body")
        ask("GET", "/v1/limits/tenants/default")
        ask("GET", "/v1/limits/tenants/NO", None, 400)
        ask("GET", "/v1/limits")
        ask("GET", "/v1/limits/tenants")
        ask("GET", "/v1/limits/tenants?x=1", None, 400)
        ask("DELETE", "/v1/limits/tenants/default", None, 204)
        ask("DELETE", "/v1/limits/tenants/NO", None, 400)

    def certificates(self, ask, id):
        pem = self.directory / "client.pem"
        subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=client", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout",
                        self.directory / "client.key", "-out", pem], check=True, capture_output=True)
        bound = ask("POST", f"/v1/keys/{id}/certificates", {"certificate": pem.read_text()}).json()
        ask("POST", f"/v1/keys/{id}/certificates", {"certificate": "x"}, 400, "invalid_body")
        path = f"/v1/keys/{id}/certificates/{bound['certificates'][0]['sha256']}"
        ask("DELETE", path, None, 204)
        ask("DELETE", path, None, 404, "certificate_not_found")

    def limits_of_keys(self, ask, id, key):
        ask("PUT", f"/v1/limits/keys/{id}", {"requests": {"per_second": 10_000}, "records": {"per_day": 10_000_000},
                                             "bytes": {"per_month": 1 << 40}, "connections": 100})
        ask("PUT", f"/v1/limits/keys/{id}", {"streams": 1}, 400, "invalid_body")
        ask("GET", f"/v1/limits/keys/{id}")
        ask("GET", "/v1/limits/keys/absent", None, 404, "key_not_found")
        ask("GET", "/v1/limits/keys?limit=1")
        ask("GET", f"/v1/limits/keys?from={id}")
        ask("GET", "/v1/limits/keys?limit=0", None, 400)
        ask("GET", "/v1/limits")
        ask("GET", "/v1/limits?x=1", None, 400)
        # What a limited key gets: with what is left, and above it.
        admin, ask.key = ask.key, key
        ask("GET", "/v1/streams")
        ask("GET", "/v1/streams/retail", None, 403, "forbidden")
        ask.key = admin
        ask("PUT", f"/v1/limits/keys/{id}", {"requests": {"per_second": 1, "burst": 1, "per_day": 4}})
        ask.key = key
        for _ in range(20):  # a second may go by in between
            if (refused := self.host.get("/v1/streams", {"Authorization": f"Bearer {key}"})).status == 429:
                break
        self.assertEqual(refused.json()["violated-policies"][0][:12], "key-requests")
        ask.key = admin
        ask("PUT", f"/v1/limits/keys/{id}", {"requests": {"per_day": 0}})
        ask.key = key
        for method, path, body in (("GET", "/v1/streams", None), ("POST", "/v1/sql", {"sql": "SELECT 1"})):
            ask(method, path, body, 429, "quota_exceeded")
        ask.key = admin
        ask("DELETE", f"/v1/limits/keys/{id}", None, 204)
        ask("DELETE", "/v1/limits/keys/absent", None, 404)

    def audit(self, ask, id):
        page = ask("GET", "/v1/audit?limit=1").json()
        ask("GET", f"/v1/audit?cursor={page['next']}&from=2026-01-01T00:00:00Z&until=2099-01-01T00:00:00Z")
        ask("GET", f"/v1/audit?key={id}&action=key.*")
        ask("GET", "/v1/audit?limit=0", None, 400)
        ask("GET", "/v1/audit/head")
        ask("GET", "/v1/audit/head?x=1", None, 400)

    def names(self, ask, document):
        """What the document lets pass as a scope, a key's name or a tenant's is what the server takes."""
        schemas = document["components"]["schemas"]
        long = "x" * 128

        def fits(schema, text):
            return bool(re.search(schema["pattern"], text)) and schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", 999)
        good = {"name": "n", "scopes": ["stream:retail:read"], "tenant": "names"}
        cases = [("Scope", {"scopes": [s]}, s) for s in (
            "stream:a:read", "stream:a*:write", "stream:*:admin", "view:é:query", "server:read", "instance:admin", f"stream:{long}:read",
            f"stream:{long[1:]}*:read", f"stream:{long}*:read", f"stream:{long}x:read", "stream::read", "stream:a:query", "view:a:read",
            "stream:a:any", "stream:a:see", "stream:a b:read", "stream:a*b:read", "stream:a,b:read", "stream:a:b:read", "server:write",
            "instance:x:read", "stream:a:read ", "", "xstream:a:read")]
        cases += [("KeyName", {"name": n}, n) for n in ("a", "till 3", "é", "x" * 100, "x" * 101, "", "a\tb", "a\x7f")]
        cases += [("TenantName", {"tenant": t}, t) for t in ("a", "a-1", "1", "x" * 63, "x" * 64, "", "-a", "A", "a_b", "a.b")]
        for schema, with_it, text in cases:
            ask("POST", "/v1/keys", {**good, **with_it}, 201 if fits(schemas[schema], text) else 400)

    def keys(self, ask, document):
        ask("POST", "/v1/keys", {"name": "a", "scopes": ["server:read"]}, 400, "invalid_body")
        admin = ask("POST", "/v1/keys", {"name": "operator", "scopes": ["instance:admin"]}, 201).json()
        ask.key = admin["key"]
        wanted = {"name": "narrow", "scopes": ["stream:none:write"], "kind": "api", "tenant": "default",
                  "expires": "2099-01-31T00:00:00Z"}
        narrow = ask("POST", "/v1/keys", wanted, 201).json()
        aws = ask("POST", "/v1/keys", {"name": "aws", "scopes": ["stream:retail:write"], "kind": "aws", "expires": None}, 201)
        rotated = ask("POST", f"/v1/keys/{narrow['id']}/rotate", {"grace_seconds": 60}).json()
        ask("POST", f"/v1/keys/{narrow['id']}/rotate", {"grace_seconds": -1}, 400)
        ask("POST", "/v1/keys/absent/rotate", "", 404, "key_not_found")
        ask("GET", f"/v1/keys/{narrow['id']}")
        page = ask("GET", "/v1/keys?limit=1").json()
        ask("GET", f"/v1/keys?from={page['next']}&limit=2")
        ask("GET", "/v1/keys?limit=0", None, 400)
        ask("GET", "/v1/keys/absent", None, 404)
        ask("DELETE", f"/v1/keys/{aws.json()['id']}", None, 204)
        ask("DELETE", "/v1/keys/absent", None, 404)
        ask("POST", f"/v1/keys/{aws.json()['id']}/rotate", "", 409, "key_ended")
        self.certificates(ask, narrow["id"])
        self.limits_of_keys(ask, narrow["id"], rotated["key"])
        self.names(ask, document)
        self.audit(ask, narrow["id"])
        # What each asks for is what the server asks for: without a key, and with one that may do nothing here.
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if method not in ("get", "post", "put", "delete"):
                    continue
                place = re.sub(r"\{[a-z0-9]+\}", "1", path)
                body = "" if "requestBody" in operation else None
                kind = next(iter(operation.get("requestBody", {}).get("content", {})), "")
                scope = operation["x-required-scope"]
                for key, status in ((None, 401), (narrow["key"], 403)):
                    if scope is None or status == 403 and scope == "any key":
                        continue
                    ask.key = key
                    ask(method.upper(), place, body, status, type=kind)


if __name__ == "__main__":
    unittest.main()
