"""The interface as its users see it: what is in, what comes out, and when."""
import csv
import gzip
import io
import json
import socket
import subprocess
import time
import urllib.parse

from harness import TestCase, need, program, request

records = "/v1/streams/retail/records"
ndjson = {"Content-Type": "application/x-ndjson"}


def row(invoice, stock, quantity=1, price=0.5, customer="7", country="France", date="12/1/2010 8:26"):
    return {"InvoiceNo": invoice, "StockCode": stock, "Description": "d", "Quantity": quantity, "InvoiceDate": date,
            "UnitPrice": price, "CustomerID": customer, "Country": country}


class Ingest(TestCase):
    def test_every_body_gives_the_same_records(self):
        server = self.server().start()
        rows = [row("1", "a"), row("1", "b", 2, 1.25)]
        text = "\n".join(json.dumps(r) for r in rows).encode()  # with white space, which is not kept
        columns = list(rows[0])
        table = io.StringIO()
        writer = csv.DictWriter(table, columns)
        writer.writeheader()
        writer.writerows(rows)
        bodies = [
            (json.dumps(rows).encode(), {"Content-Type": "application/json"}),
            (text, ndjson),
            (gzip.compress(text), {**ndjson, "Content-Encoding": "gzip"}),
            (table.getvalue().encode(), {"Content-Type": "text/csv"}),
        ]
        for i, (body, headers) in enumerate(bodies):
            answer = server.post(records, body, headers)
            self.assertEqual(answer.status, 200, answer)
            said = answer.json()
            self.assertEqual((said["stream"], said["accepted"], said["first_sequence"], said["last_sequence"], said["rejected"],
                              said["ack"]), ("retail", 2, 2 * i + 1, 2 * i + 2, [], "durable"))
            self.assertTrue(said["token"])
        self.assertEqual([r["data"] for r in server.records()], rows * len(bodies))
        self.assertEqual(server.post(records, rows[0]).json()["accepted"], 1)
        self.assertEqual(server.post(records, []).json()["accepted"], 0)

    def test_partition_key_header_and_shards(self):
        server = self.server().start()
        for key in ("one", "two", "three", "four", "five"):
            answer = request(server.port, "POST", records, row("x", key), {"Tidemill-Partition-Key": key})
            self.assertEqual(answer.status, 200)
        found = list(server.records())
        self.assertEqual([r["key"] for r in found], ["one", "two", "three", "four", "five"])
        by_shard = {}
        for shard in sorted({r["shard"] for r in found}):
            page = server.get(f"{records}?from=earliest&shard={urllib.parse.quote(str(shard))}").json()
            by_shard[shard] = [r["sequence"] for r in page["records"]]
        self.assertEqual(sorted(s for each in by_shard.values() for s in each), [1, 2, 3, 4, 5])

    def test_reading_from_here_and_there(self):
        server = self.server().start()
        server.post(records, [row("1", str(i)) for i in range(10)])
        page = server.get(f"{records}?from=4&limit=3").json()
        self.assertEqual([r["sequence"] for r in page["records"]], [4, 5, 6])
        page = server.get(f"{records}?from={page['next']}").json()
        self.assertEqual([r["sequence"] for r in page["records"]], [7, 8, 9, 10])
        page = server.get(f"{records}?from={page['next']}").json()
        self.assertEqual((page["records"], page["next"] in (11, "11")), ([], True))
        first = next(server.records())
        self.assertRegex(first["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(server.get(f"{records}?from=0&limit=1").json()["records"][0]["sequence"], 1)
        self.assertEqual(len(server.get(f"{records}?from=2001-01-01T00:00:00Z").json()["records"]), 10)
        self.assertEqual(len(server.get(f"{records}?from=2101-01-01T00:00:00Z").json()["records"]), 0)
        for bad in ("from=nowhere", "limit=0", "limit=10001", "shard=99"):
            self.assertIn(server.get(f"{records}?{bad}").status, (400, 404), bad)

    def test_pipelined_requests_are_answered_in_order(self):
        server = self.server().start()
        body = json.dumps(row("1", "a")).encode()
        one = (b"POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body)) + body
        with socket.create_connection(("127.0.0.1", server.port), 20) as s:
            s.sendall(one * 50 + b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := s.recv(65536):
                answer += part
        sequences = [int(part.split(b",")[0].split(b"}")[0]) for part in answer.split(b'"first_sequence":')[1:]]
        self.assertEqual(sequences, list(range(1, 51)))
        self.assertEqual(answer.count(b"HTTP/1.1 200"), 51)

    def test_curl_does_not_wait_a_second_for_100_continue(self):
        curl = need("curl")
        server = self.server().start()
        path = self.directory / "body.json"
        path.write_text(json.dumps([row("1", str(i)) for i in range(20_000)]))
        done = subprocess.run([curl, "-s", "-H", "Content-Type: application/json", "-H", "Expect: 100-continue",
                               "--data-binary", f"@{path}", "-v", server.url + records], capture_output=True, text=True, timeout=60)
        self.assertIn("100 Continue", done.stderr)
        self.assertEqual(json.loads(done.stdout)["accepted"], 20_000)


class Views(TestCase):
    def test_read_your_writes(self):
        server = self.server().start()
        answer = server.post(records + "?ack=view", [row("536365", "a", 6, 2.55), row("536365", "b", 2, 3.39),
                                                     row("C536366", "a", -1, 2.55)]).json()
        self.assertEqual(answer["ack"], "view")
        customer = server.get("/customers/7")
        self.assertEqual(customer.status, 200, customer)
        invoice = server.get(f"/invoices/536365?after={answer['token']}&wait=1000")
        text = invoice.body.decode()
        self.assertIn("as_of", invoice.json())
        self.assertIn("22.08", text)
        for i in range(20):
            token = server.post(records, row("536365", "a", 1, 1)).json()["token"]
            answer = server.get(f"/v1/views/invoices/rows/536365?after={token}&wait=10000")
            self.assertIn(f'"lines":{3 + i}', answer.body.decode())
            self.assertGreaterEqual(answer.json()["as_of"]["sequence"], 4 + i)
        # A token of another server is not ours; one of the future times out or is refused.
        self.assertIn(server.get("/customers/7?after=nonsense").status, (400, 410))

    def test_ranges_cursors_and_sql(self):
        server = self.server().start()
        rows = [row(f"{n:04d}", "a", n, 1, customer=str(100 + n % 10), country="É" if n % 2 else "B") for n in range(300)]
        token = server.post(records, rows).json()["token"]
        seen, cursor = [], ""
        while True:
            page = server.get(f"/v1/views/invoices/rows?limit=70&after={token}&wait=10000" +
                              (f"&cursor={urllib.parse.quote(cursor)}" if cursor else "")).json()
            seen += [r["invoice_no"] for r in page["rows"]]
            cursor = page.get("cursor")
            if not cursor:
                break
        self.assertEqual(seen, sorted(r["InvoiceNo"] for r in rows))
        page = server.get("/v1/views/invoices/rows?prefix=001&limit=100").json()
        self.assertEqual([r["invoice_no"] for r in page["rows"]], [f"{n:04d}" for n in range(10, 20)])
        page = server.get("/v1/views/invoices/rows?from=0290&to=0293").json()
        self.assertEqual([r["invoice_no"] for r in page["rows"]], ["0290", "0291", "0292"])

        answer = server.post("/v1/sql", {"sql": "SELECT country, count(*) AS n, sum(units) FROM invoices WHERE units >= ? "
                                                "GROUP BY country ORDER BY country", "params": [10]}).json()
        self.assertEqual(answer["rows"], [["B", 145, sum(range(10, 300, 2))], ["É", 145, sum(range(11, 300, 2))]])
        self.assertEqual([c if isinstance(c, str) else c["name"] for c in answer["columns"]][:2], ["country", "n"])
        said = request(server.port, "POST", "/v1/sql", {"sql": "SELECT customer_id, lines FROM customers ORDER BY 1 LIMIT 2"},
                       {"Accept": "text/csv"})
        self.assertEqual(said.body.decode().splitlines(), ["customer_id,lines", "100,30", "101,30"])
        self.assertIn("tidemill-as-of", said.headers)
        joined = server.sql("SELECT c.customer_id, count(*) AS n FROM customers c JOIN invoices i ON i.customer_id = c.customer_id "
                            "GROUP BY 1 ORDER BY 1")
        self.assertEqual(joined[0], {"customer_id": "100", "n": 30})

    def test_a_view_of_an_analyst(self):
        config = self.directory / "tidemill.toml"
        base = subprocess.run([program, "serve", "--print-config"], capture_output=True, text=True, check=True).stdout
        config.write_text(base + """
[views.by_country]
sql = "SELECT Country AS country, count(*) AS lines, sum(Quantity * UnitPrice) AS total FROM retail GROUP BY Country"
""")
        server = self.server().start()
        server.post(records, [row("1", "a", 2, 1.5, country="France"), row("2", "b", 1, 1, country="Spain")])
        self.assertEqual(server.stop(), 0)
        # Made later, it is filled from the log.
        server.arguments = ["--config", str(config)]
        server.start()
        token = server.post(records, row("3", "c", 1, 0.25, country="France")).json()["token"]
        found = server.sql("SELECT * FROM by_country ORDER BY country", token)
        self.assertEqual(found, [{"country": "France", "lines": 2, "total": 3.25}, {"country": "Spain", "lines": 1, "total": 1}])
        answer = request(server.port, "DELETE", "/v1/streams/retail")
        self.check_problem(answer, 409)
        self.assertIn("by_country", answer.body.decode())
        server.kill()
        server.start()
        self.assertEqual(server.sql("SELECT * FROM by_country ORDER BY country", server.token()), found)


class Tail(TestCase):
    def events(self, server, last=None, start="earliest"):
        connection = server.connect(timeout=30)
        headers = {"Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = last
        connection.request("GET", f"{records}?from={start}", headers=headers)
        response = connection.getresponse()
        self.assertEqual(response.status, 200)
        self.assertIn("text/event-stream", response.getheader("content-type"))
        event = {}
        while True:
            line = response.readline().decode().rstrip("\r\n")
            if line.startswith(":"):
                continue
            if not line:
                if "data" in event:
                    yield event["id"], json.loads(event["data"])
                event = {}
                continue
            name, _, value = line.partition(":")
            event[name] = event.get(name, "") + value.strip()

    def test_live_tail_and_resume(self):
        server = self.server().start()
        server.post(records, [row("1", str(i)) for i in range(3)])
        tail = self.events(server)
        found = [next(tail) for _ in range(3)]
        for i in range(3, 6):
            server.post(records, row("1", str(i)))
            found.append(next(tail))
        self.assertEqual([data["sequence"] for _, data in found], [1, 2, 3, 4, 5, 6])
        self.assertEqual([data["data"]["StockCode"] for _, data in found], list("012345"))
        resumed = self.events(server, last=found[3][0])
        self.assertEqual([next(resumed)[1]["sequence"] for _ in range(2)], [5, 6])


class Operator(TestCase):
    def test_groups_and_status(self):
        server = self.server().start()
        server.post(records + "?ack=view", [row(str(i), "a") for i in range(50)])
        groups = server.get("/v1/groups").json()
        text = json.dumps(groups)
        self.assertIn("archive", text)
        end = time.monotonic() + 20
        done = None
        while time.monotonic() < end:
            done = self.tidemill("status", "--url", server.url)
            if done.returncode == 0:
                break
            time.sleep(0.2)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("retail", done.stdout)
        for page in ("/", "/healthz", "/readyz", "/readyz/ingest", "/metrics", "/v1/streams", "/v1/streams/retail", "/v1/views",
                     "/v1/views/customers", "/v1/groups"):
            self.assertEqual(server.get(page).status, 200, page)
