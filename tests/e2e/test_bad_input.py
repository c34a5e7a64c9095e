"""The table of bad input: each case gets a clear error that names cause and remedy, the other records of the batch go in,
and the server goes on."""
import contextlib
import gzip
import json
import socket
import subprocess
import time

from harness import TestCase, free_port, program

records = "/v1/streams/retail/records"
good = b'{"InvoiceNo":"1","StockCode":"a","Quantity":1,"UnitPrice":0.5,"CustomerID":"2"}'

# name, body, headers, status, code that the answer must name
table = [
    ("broken JSON", b'{"InvoiceNo":"1"', {}, 400, "invalid_json"),
    ("JSON with a comma too many", b'{"InvoiceNo":"1",}', {}, 400, "invalid_json"),
    ("nothing", b"", {}, 400, None),
    ("not an object", b'"InvoiceNo"', {}, 400, "not_an_object"),
    ("a number", b"17", {}, 400, "not_an_object"),
    ("no partition key", b'{"Quantity":1}', {}, 400, "missing_partition_key"),
    ("partition key null", b'{"InvoiceNo":null}', {}, 400, "missing_partition_key"),
    ("partition key an object", b'{"InvoiceNo":{"a":1}}', {}, 400, "invalid_partition_key"),
    ("partition key too long", json.dumps({"InvoiceNo": "x" * 257}).encode(), {}, 400, "invalid_partition_key"),
    ("invalid UTF-8", b'{"InvoiceNo":"1","Description":"\xa3"}', {}, 400, "invalid_utf8"),
    ("a name twice", b'{"InvoiceNo":"1","InvoiceNo":"2"}', {}, 400, "duplicate_name"),
    ("lone surrogate", b'{"InvoiceNo":"1","Description":"\\ud800"}', {}, 400, "lone_surrogate"),
    ("half a surrogate pair and more", b'{"InvoiceNo":"1","Description":"\\udc00x"}', {}, 400, "lone_surrogate"),
    ("text after the object", good + b"x", {}, 400, "invalid_json"),
    ("a number too large", b'{"InvoiceNo":"1","UnitPrice":1e999}', {}, 400, "number_out_of_range"),
    ("too deep", b'{"InvoiceNo":"1","a":' + b"[" * 70 + b"]" * 70 + b"}", {}, 400, "too_deep"),
    ("integer beyond 64 bits", b'{"InvoiceNo":"1","a":18446744073709551616}', {}, 400, "integer_out_of_range"),
    ("record too large", json.dumps({"InvoiceNo": "1", "a": "x" * (1 << 20)}).encode(), {}, 413, "record_too_large"),
    ("content type", good, {"Content-Type": "application/x-msgpack"}, 415, None),
    ("content encoding", good, {"Content-Encoding": "br"}, 415, None),
    ("broken gzip", b"\x1f\x8b\x08 this is not gzip", {"Content-Encoding": "gzip"}, 400, "broken_encoding"),
    ("half of a gzip body", gzip.compress(good)[:-12], {"Content-Encoding": "gzip"}, 400, "broken_encoding"),
    ("partition key header", good, {"Tidemill-Partition-Key": "x" * 257}, 400, "invalid_key_header"),
    ("header too large", good, {"X-Large": "x" * 40_000}, 431, None),
]


class BadInput(TestCase):
    def test_table(self):
        server = self.server().start()
        for name, body, headers, status, code in table:
            with self.subTest(name):
                answer = server.post(records, body, {"Content-Type": "application/json", **headers})
                self.check_problem(answer, status)
                if code:
                    self.assertIn(f'"{code}"', answer.body.decode(), answer)
                self.assertEqual(server.post(records, good, {"Content-Type": "application/json"}).status, 200)
        # Nothing of it came in.
        data = [record["data"] for record in server.records()]
        self.assertEqual(data, [json.loads(good)] * len(table))

    def test_the_rest_goes_in_whatever_one_is(self):
        """Each of the table's bad records between two good ones, as lines and as an array."""
        server = self.server().start()
        taken = 0
        for name, body, headers, _, code in table:
            if headers or not body:
                continue
            for kind in ("application/x-ndjson", "application/json"):
                if kind == "application/json" and code in ("invalid_json", "invalid_utf8"):
                    continue  # it would be the array that is broken: the next test
                with self.subTest(name, kind=kind):
                    lines = [good, body, good]
                    text = b"\n".join(lines) if kind.endswith("ndjson") else b"[" + b",".join(lines) + b"]"
                    answer = server.post(records, text, {"Content-Type": kind})
                    self.assertEqual(answer.status, 207, answer)
                    said = answer.json()
                    self.assertEqual(said["accepted"], 2, said)
                    self.assertEqual([(r["index"], r["code"]) for r in said["rejected"]], [(1, code)])
                    self.assertGreater(len(said["rejected"][0]["message"]), 20, said)
                    taken += 2
        self.assertGreater(taken, 40)
        self.assertEqual([r["data"] for r in server.records()], [json.loads(good)] * taken)

    def test_a_broken_array_says_from_where_nothing_was_read(self):
        server = self.server().start()
        taken = 0
        for bad in (b'{"InvoiceNo":"1"', b'{"InvoiceNo":"1","Description":"\xa3"}', good + b"x"):
            answer = server.post(records, b"[" + good + b"," + bad + b"," + good + b"]", {"Content-Type": "application/json"})
            self.assertEqual(answer.status, 207, answer)
            said = answer.json()
            self.assertEqual(said["rejected"][0]["index"], 1, said)
            self.assertEqual(said["accepted"] + len(said["rejected"]), 3, said)
            taken += said["accepted"]
        self.assertEqual([r["data"] for r in server.records()], [json.loads(good)] * taken)

    def test_unknown_stream_and_routes(self):
        server = self.server().start()
        problem = self.check_problem(server.post("/v1/streams/nosuch/records", good, {"Content-Type": "application/json"}),
                                     404, "stream_not_found")
        self.assertIn("PUT /v1/streams", problem["detail"])
        self.check_problem(server.get("/v1/streams/nosuch/records"), 404)
        self.check_problem(server.get("/v1/views/nosuch"), 404)
        self.check_problem(server.get("/customers/nobody"), 404)
        self.check_problem(server.get("/v1/nosuch"), 404)
        answer = self.check_and_allow(server)
        self.assertIn("POST", answer.headers["allow"])

    def check_and_allow(self, server):
        from harness import request
        answer = request(server.port, "PATCH", records, good, {"Content-Type": "application/json"})
        self.check_problem(answer, 405)
        return answer

    def test_the_rest_of_a_batch_goes_in(self):
        server = self.server().start()
        lines = [good, b'{"InvoiceNo":', good, b'{"Quantity":2}', b"[]", good]
        answer = server.post(records, b"\n".join(lines), {"Content-Type": "application/x-ndjson"})
        self.assertEqual(answer.status, 207, answer)
        said = answer.json()
        self.assertEqual(said["accepted"], 3)
        self.assertEqual([(r["index"], r["code"]) for r in said["rejected"]],
                         [(1, "invalid_json"), (3, "missing_partition_key"), (4, "not_an_object")])
        for rejected in said["rejected"]:
            self.assertGreater(len(rejected["message"]), 10)
        self.assertEqual(sum(1 for _ in server.records()), 3)
        # All or nothing, when asked for.
        answer = server.post(records + "?atomic=true", b"\n".join(lines), {"Content-Type": "application/x-ndjson"})
        self.check_problem(answer, 400)
        self.assertEqual(sum(1 for _ in server.records()), 3)

    def test_csv_rows_with_too_many_or_too_few_fields(self):
        server = self.server().start()
        body = ("InvoiceNo,StockCode,Quantity,UnitPrice\r\n"
                "1,a,2,0.5\r\n1,a,2\r\n1,a,2,0.5,more\r\n1,a,three,0.5\r\n1,\"a,b\",4,0.25\r\n")
        answer = server.post(records, body.encode(), {"Content-Type": "text/csv"})
        self.assertEqual(answer.status, 207, answer)
        self.assertEqual([(r["index"], r["code"]) for r in answer.json()["rejected"]],
                         [(1, "csv_too_few_fields"), (2, "csv_too_many_fields"), (3, "csv_invalid_value")])
        self.assertEqual([r["data"] for r in server.records()],
                         [{"InvoiceNo": "1", "StockCode": "a", "Quantity": 2, "UnitPrice": 0.5},
                          {"InvoiceNo": "1", "StockCode": "a,b", "Quantity": 4, "UnitPrice": 0.25}])

        path = self.directory / "bad.csv"
        path.write_text(body.replace("1,a", "2,a"))
        rejects = self.directory / "rejects.csv"
        done = self.tidemill("load", "--url", server.url, "--rejects", str(rejects), str(path))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for line in ("3", "4", "5"):
            self.assertRegex(done.stdout + done.stderr, rf"(?i)line {line}\b")
        self.assertEqual(len(rejects.read_text().splitlines()), 4, rejects.read_text())

    def test_too_large_also_when_unpacked(self):
        server = self.server().start()
        large = b"[" + b",".join([good] * 250_000) + b"]"  # 20 MB
        self.check_problem(server.post(records, large, {"Content-Type": "application/json"}), 413)
        packed = gzip.compress(large, 1)
        self.check_problem(server.post(records, packed, {"Content-Type": "application/json", "Content-Encoding": "gzip"}), 413)
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertEqual(sum(1 for _ in server.records()), 0)

    def test_half_sent_body_leaves_nothing(self):
        server = self.server().start()
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.sendall(b"POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                      b"Content-Length: 1000\r\n\r\n" + good)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(20)
            answer = b""
            with contextlib.suppress(OSError):
                while part := s.recv(4096):
                    answer += part
        self.assertTrue(not answer or answer.startswith(b"HTTP/1.1 4"), answer)
        self.assertEqual(server.post(records, good, {"Content-Type": "application/json"}).json()["first_sequence"], 1)

    def test_not_http(self):
        server = self.server().start()
        for text in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello\r\n\r\n", b"GET /\r\n\r\n", b"\x00" * 100,
                     b"POST /v1/streams/retail/records HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), 10) as s:
                s.sendall(text)
                s.shutdown(socket.SHUT_WR)
                s.settimeout(20)
                answer = b""
                with contextlib.suppress(ConnectionError):
                    while part := s.recv(4096):
                        answer += part
            self.assertTrue(not answer or answer.startswith(b"HTTP/1.1 4"), (text, answer))
        self.assertEqual(server.get("/healthz").status, 200)

    def test_idempotency_key_with_another_body(self):
        server = self.server().start()
        headers = {"Content-Type": "application/json", "Idempotency-Key": "once"}
        first = server.post(records, good, headers).json()
        again = server.post(records, good, headers).json()
        self.assertTrue(again["replayed"])
        self.assertEqual(again["first_sequence"], first["first_sequence"])
        self.check_problem(server.post(records, good.replace(b"0.5", b"0.6"), headers), 422)
        server.kill()
        server.start()
        again = server.post(records, good, headers).json()
        self.assertTrue(again["replayed"])
        self.assertEqual(again["first_sequence"], first["first_sequence"])
        self.assertEqual(sum(1 for _ in server.records()), 1)

    def test_bad_sql_says_what_to_write_instead(self):
        server = self.server().start()
        for sql in ("SELECT", "SELECT * FROM nosuch", "DELETE FROM customers", "SELECT * FROM customers; SELECT 1",
                    "ATTACH 'x' AS y", "PRAGMA database_list"):
            with self.subTest(sql):
                self.check_problem(server.post("/v1/sql", {"sql": sql}), 400)


class CannotCount(TestCase):
    def test_a_record_that_a_view_cannot_count(self):
        """It is in, in the text files and in the log; the views go on; the log says which one and why, and no more."""
        server = self.server().start()
        bad = b'{"InvoiceNo":"9","StockCode":"a","Quantity":1,"UnitPrice":"top secret","CustomerID":"2"}'
        answer = server.post(records + "?ack=view", b"\n".join([good, bad, good]), {"Content-Type": "application/x-ndjson"})
        self.assertEqual((answer.status, answer.json()["ack"]), (200, "view"), answer)
        self.assertEqual(server.sql("SELECT lines FROM customers"), [{"lines": 2}])
        self.assertEqual([v["parked"] for v in server.get("/v1/views").json()["views"]], [1, 1])
        shard = next(r["shard"] for r in server.records() if r["sequence"] == 2)
        said = [json.loads(line) for line in server.log.read_text().splitlines()]
        said = [line for line in said if "parked" in line["message"]]
        self.assertEqual(len(said), 2, said)
        for line in said:
            self.assertEqual((line["stream"], line["sequence"], line["shard"]), ("retail", "2", str(shard)), line)
            self.assertIn("not a number", line["cause"])
        self.assertNotIn("secret", server.log.read_text())
        self.assertEqual(server.stop(), 0)
        archived = [line for path in (server.data / "archive/retail").rglob("*.txt") for line in path.read_bytes().splitlines()]
        self.assertEqual(sorted(archived), sorted([good, bad, good]))


class CannotStart(TestCase):
    def serve(self, *arguments):
        began = time.monotonic()
        done = subprocess.run([program, "serve", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, cwd=self.directory)
        self.assertNotEqual(done.returncode, 0)
        self.assertLess(time.monotonic() - began, 50)
        return done.stderr + done.stdout

    def test_directory_in_use(self):
        server = self.server().start()
        said = self.serve("--data", str(server.data), "--listen", f"127.0.0.1:{free_port()}")
        self.assertIn(str(server.data), said)
        self.assertIn("another process uses the data directory", said)
        self.assertEqual(said.count('"level":"error"'), 1, said)
        self.assertIn("stop it, or choose another directory", said)
        self.assertEqual(server.get("/healthz").status, 200)
        self.assertEqual(server.post(records, good, {"Content-Type": "application/json"}).status, 200)

    def test_no_directory(self):
        said = self.serve("--data", "/etc/passwd", "--listen", f"127.0.0.1:{free_port()}")
        self.assertIn("choose another with --data", said)
        self.assertEqual(said.count('"level":"error"'), 1, said)

    def test_port_in_use(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            said = self.serve("--data", str(self.directory / "data"), "--listen", f"127.0.0.1:{port}")
        self.assertIn(f"127.0.0.1:{port}", said)
        self.assertIn("in use", said)
        self.assertIn("choose another port with --listen", said)
        self.assertEqual(said.count('"level":"error"'), 1, said)

    def test_directory_of_something_else(self):
        foreign = self.directory / "foreign"
        foreign.mkdir()
        (foreign / "letter.doc").write_text("x")
        said = self.serve("--data", str(foreign), "--listen", f"127.0.0.1:{free_port()}")
        self.assertIn("choose an empty or a new one", said)
        self.assertEqual(said.count('"level":"error"'), 1, said)
        self.assertEqual([p.name for p in foreign.iterdir()], ["letter.doc"])

    def test_unreadable_configuration(self):
        config = self.directory / "tidemill.toml"
        data = ["--data", str(self.directory / "data"), "--listen", f"127.0.0.1:{free_port()}", "--config"]
        said = self.serve(*data, str(self.directory / "nosuch.toml"))
        self.assertIn("nosuch.toml", said)
        self.assertIn("name another file", said)
        self.assertIn("Is a directory", self.serve(*data, str(self.directory)))
        config.write_bytes(b"[server]\n# \xff\n")
        self.assertIn("tidemill.toml:2", self.serve(*data, str(config)))
        for text, line, words in [
                ('[server]\nlisten = "127.0.0.1:7077\n', 2, []),
                ('[server]\n\nlisen = "127.0.0.1:7077"\n', 3, ["lisen", "listen"]),
                ('[limits]\nmemory = "much"\n', 2, ["memory"]),
                ('[streams.retail]\nshards = 0\n', 2, ["shards"])]:
            with self.subTest(text):
                config.write_text(text)
                said = self.serve(*data, str(config))
                self.assertRegex(said, rf"(tidemill\.toml:{line}\b|line {line}\b)")
                for word in words:
                    self.assertIn(word, said)

    def test_load_without_a_server(self):
        path = self.directory / "a.csv"
        path.write_text("InvoiceNo,Quantity\n1,2\n")
        done = self.tidemill("load", "--url", f"http://127.0.0.1:{free_port()}", "--retry-for", "0s", str(path))
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        done = self.tidemill("load", "--no-such-flag")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
