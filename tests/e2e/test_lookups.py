"""Views that look up other views: the page's example; kill -9 under load, and then what SQLite joins of the same records;
refusals; rebuild, verify and restore of what a rebuild may see otherwise.
"""
import json
import os
import pathlib
import sqlite3
import threading
import time

from harness import TestCase, exchange, request

kills = int(os.environ.get("TIDEMILL_E2E_KILLS", "3"))

CONFIG = """
[storage]
segment = "1MiB"
[streams.people]
partition_key = "id"
[streams.orders]
partition_key = "customer"
"""

PEOPLE = "SELECT id, last(name) AS name, last(country) AS country FROM people GROUP BY id"
# Looked up by the whole key in another stream's view, and by a prefix of the key; of the last, the elements of a list.
VIEWS = {
    "by_country": "SELECT {p}.country AS country, count(*) AS n, sum(o.amount) AS total FROM orders o LEFT JOIN {people} {p} "
                  "ON {p}.id = o.customer GROUP BY {p}.country",
    "names": "SELECT {p}.name AS name, {p}.country AS country, min(o.amount) AS least, count(DISTINCT o.sku) AS skus "
             "FROM orders o JOIN {people} {p} ON {p}.id = o.customer WHERE {p}.country <> 'c3' GROUP BY 1, 2",
    "worth": "SELECT q.kind AS kind, count(*) AS n, sum(o.amount * q.price) AS worth FROM orders o CROSS JOIN {prices} q "
             "ON q.sku = o.sku GROUP BY q.kind",
}
PRICES = "SELECT sku, kind, last(price) AS price FROM people WHERE sku IS NOT NULL GROUP BY sku, kind"


def people():
    for i in range(150):
        yield {"id": f"p{i % 50}", "name": f"name{i % 13}", "country": f"c{i % 7}"}
    for i in range(60):
        yield {"id": f"s{i % 9}", "sku": f"s{i % 9}", "kind": f"k{i % 4}", "price": i}


class Lookups(TestCase):
    def start(self):
        config = self.directory / "tidemill.toml"
        config.write_text(CONFIG)
        return self.server("--config", str(config)).start()

    def statement(self, server, sql, status=200):
        answer = server.post("/v1/sql", {"sql": sql})
        self.assertEqual(answer.status, status, answer)
        return answer.json()

    def rows(self, server, view, stream="orders"):
        answer = server.post(f"/v1/sql?wait=60000&after={server.token(stream)}", {"sql": f"SELECT * FROM {view} ORDER BY 1, 2, 3"})
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["rows"]

    def test_the_pages_example(self):
        page = pathlib.Path(__file__, "../../../docs/views.md").resolve().read_text()
        section = page.split("\n## Lookups\n")[1].split("\n## ")[0]
        server = self.start()
        stream, shown = "people", 0
        for block in section.split("```")[1::2]:
            language, _, text = block.partition("\n")
            lines = text.strip().split("\n")
            if language == "json":
                server.post(f"/v1/streams/{stream}/records", [json.loads(line) for line in lines])
                stream = "orders"
            elif language == "sql":
                made = self.statement(server, text)
                view = made["view"]
            else:
                of = server.get(f"/v1/views/{view}").json()["stream"]
                names, *rows = [line.split(" | ") for line in lines]
                self.assertEqual([c["name"] for c in made["columns"]], names)
                got = self.rows(server, view, of)
                self.assertEqual([["NULL" if v is None else str(v) for v in row] for row in got], rows)
                shown += 1
        self.assertEqual(shown, 2)
        explained = self.statement(server, "EXPLAIN " + section.split("```sql")[2].split("```")[0])
        self.assertEqual(explained["lookups"], [{"view": "people", "alias": "p", "join": "left",
                                                 "reads": "one row of people by its whole key (id)"}])
        self.assertIn(json.dumps(explained["lookups"], separators=(",", ":")), section)
        self.assertIs(explained["deterministic"], False)
        shown = self.tidemill("sql", "--format", "table", "EXPLAIN " + section.split("```sql")[2].split("```")[0], "--url", server.url)
        self.assertIn("lookup     p: one row of people by its whole key (id); NULL where there is none\n", shown.stdout)

    def prepare(self, server):
        for sql in (f"CREATE MATERIALIZED VIEW people AS {PEOPLE}", f"CREATE MATERIALIZED VIEW prices AS {PRICES}"):
            self.assertEqual(self.statement(server, sql)["result"], "created")
        sent = server.post("/v1/streams/people/records", list(people()))
        self.assertEqual(sent.status, 200, sent)
        self.rows(server, "people", "people")
        self.rows(server, "prices", "people")
        for name, sql in VIEWS.items():
            made = self.statement(server, f"CREATE MATERIALIZED VIEW {name} AS " +
                                  sql.format(people="people", p="pp", prices="prices"))
            self.assertEqual(made["result"], "created")

    def expected(self, server):
        """What SQLite makes of all records that are in."""
        plain = sqlite3.connect(":memory:")
        plain.execute("CREATE TABLE orders (customer, amount, sku)")
        plain.execute("CREATE TABLE people (id PRIMARY KEY, name, country)")
        plain.execute("CREATE TABLE prices (sku, kind, price, PRIMARY KEY (sku, kind))")
        for record in people():
            if "name" in record:
                plain.execute("INSERT OR REPLACE INTO people VALUES (:id, :name, :country)", record)
            else:
                plain.execute("INSERT OR REPLACE INTO prices VALUES (:sku, :kind, :price)", record)
        count = 0
        for record in server.records("orders"):
            count += 1
            plain.execute("INSERT INTO orders VALUES (:customer, :amount, :sku)", record["data"])
        return count, {name: [list(row) for row in plain.execute(sql.format(people="people", p="pp", prices="prices") +
                                                                 " ORDER BY 1, 2, 3")]
                       for name, sql in VIEWS.items()}

    def load(self, server, stop, seed):
        n = 0
        while not stop.is_set():
            try:
                connection = server.connect(timeout=10)
                while not stop.is_set():
                    body = [{"customer": f"p{(n + i) * seed % 60}", "amount": (n + i) % 101, "sku": f"s{(n + i) % 11}"}
                            for i in range(1 + n * seed % 300)]
                    n += len(body)
                    exchange(connection, "POST", "/v1/streams/orders/records", body)
                    stop.wait(0.04)
            except Exception:
                time.sleep(0.01)

    def test_over_kills(self):
        server = self.start()
        self.prepare(server)
        stop = threading.Event()
        threads = [threading.Thread(target=self.load, args=(server, stop, seed), daemon=True) for seed in (7, 11)]
        for thread in threads:
            thread.start()
        for i in range(kills):
            time.sleep(0.3 + self.random.random())
            server.kill()
            server.start()
            if i == 0:  # built from the log, while records come
                self.statement(server, "CREATE MATERIALIZED VIEW late AS " +
                               VIEWS["by_country"].format(people="people", p="pp"))
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        count, expected = self.expected(server)
        self.assertGreater(count, 1000)
        expected["late"] = expected["by_country"]
        for name, rows in expected.items():
            self.assertEqual(self.rows(server, name), rows, name)
            shown = server.get(f"/v1/views/{name}").json()
            self.assertEqual((shown["parked"], shown["deterministic"]), (0, False))
            # What is looked up has not changed since, so a rebuild gives the same.
            same = self.tidemill("view", "rebuild", name, "--diff", "--url", server.url)
            self.assertEqual(same.returncode, 0, same)
            self.assertIn("the same, byte for byte", same.stdout)
        self.assertEqual(server.stop(), 0)
        verified = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(verified.returncode, 0, verified)
        self.assertNotIn("differ", verified.stdout)

    def test_what_a_rebuild_sees_otherwise(self):
        server = self.start()
        self.prepare(server)
        server.post("/v1/streams/orders/records", [{"customer": "p1", "amount": 1, "sku": "s1"}])
        before = self.rows(server, "by_country")
        server.post("/v1/streams/people/records", [{"id": "p1", "name": "other", "country": "elsewhere"}])
        self.assertEqual([r[2] for r in self.rows(server, "people", "people") if r[0] == "p1"], ["elsewhere"])
        self.assertEqual(self.rows(server, "by_country"), before)
        differs = self.tidemill("view", "rebuild", "by_country", "--diff", "--url", server.url)
        self.assertEqual(differs.returncode, 0, differs)
        self.assertIn("differences from what the log gives", differs.stdout)
        self.assertIn("not necessarily a fault", differs.stdout)
        answer = server.post("/v1/views/by_country/verify", {}).json()
        self.assertEqual((answer["deterministic"], answer["lookups"]), (False, ["people"]))
        self.assertGreater(answer["difference_count"], 0)
        # What is looked up stays.
        for method, path, body in (("DELETE", "/v1/views/people", None),
                                   ("PUT", "/v1/views/people", {"sql": "SELECT id, count(*) AS n FROM people GROUP BY id"}),
                                   ("POST", "/v1/sql", {"sql": "DROP VIEW people"})):
            refused = request(server.port, method, path, body)
            self.check_problem(refused, 409, "view_in_use")
            self.assertIn("by_country and names", refused.json()["detail"])
        self.check_problem(request(server.port, "PUT", "/v1/views/x", {"sql": "SELECT o.sku AS k, max(p.name) AS n FROM "
                                   "orders o JOIN people p ON p.name = o.customer GROUP BY 1"}), 400, "invalid_view")
        self.assertEqual(server.stop(), 0)
        verified = self.tidemill("verify", "--data", str(server.data))
        self.assertEqual(verified.returncode, 0, verified)
        self.assertIn("not necessarily a fault", verified.stdout)
        # All views are built anew: those that look up wait for the others.
        (server.data / "views").rename(self.directory / "views.gone")
        server.start()
        self.assertEqual(self.rows(server, "by_country"), [["elsewhere", 1, 1]])
        self.assertEqual(self.rows(server, "worth"), self.expected(server)[1]["worth"])
        self.assertEqual(request(server.port, "DELETE", "/v1/views/by_country").status, 204)
