"""The main job on the real data set (a generated one of the same shape where it is missing): everything is loaded while
server and client are killed again and again; then every row must be in exactly one text file, every customer and every
invoice must be right, and a rebuild of both views from the log must give the same bytes.

The expected rows are computed here, from the CSV file and the order of the log, and where the data set brings expected
results of its own, held against those as well.
"""
import collections
import csv
import datetime
import decimal
import json
import lzma
import os
import signal
import subprocess
import time

from harness import TestCase, program, read_csv, retail_csv, test_data

Decimal = decimal.Decimal
sanitized = any(name in program for name in ("/asan/", "/tsan/"))


def timestamp(text):
    """12/1/2010 8:26 -> 2010-12-01T08:26:00, as the views show it; ISO comes as it is."""
    if "/" not in text:
        return text.replace(" ", "T")
    day, clock = text.split(" ")
    month, day, year = (int(x) for x in day.split("/"))
    hour, minute, *second = (int(x) for x in clock.split(":"))
    return datetime.datetime(year, month, day, hour, minute, *second).isoformat()


def fields(row):
    """One comparable tuple for a row, whether it comes from the CSV file or from a text file."""
    return (row["InvoiceNo"], row["StockCode"], row["Description"] or None, int(row["Quantity"]), row["InvoiceDate"],
            Decimal(str(row["UnitPrice"])).normalize(), row["CustomerID"] or None, row["Country"])


def milli(x):
    return round(x * 1000)


class MainJob(TestCase):
    def test_real_input_with_kills(self):
        path, encoding, real = retail_csv(self.directory)
        rows = [fields(row) for row in read_csv(path, encoding)]
        server = self.server().start()
        killed = self.load_with_kills(server, path, len(rows))
        token = server.token()
        customers = {row["customer_id"]: row for row in server.sql("SELECT * FROM customers", token)}
        invoices = {row["invoice_no"]: row for row in server.sql("SELECT * FROM invoices", token)}
        peak = server.note_memory()

        # The log: every row once. It also gives the order that `the last by sequence` and `items` are about.
        log = [fields(record["data"]) for record in server.records()]
        self.assertEqual(collections.Counter(log), collections.Counter(rows))
        self.check_invoices(invoices, log, rows)
        self.check_customers(customers, log)
        if real:
            self.check_oracle(customers, invoices)
        self.check_rebuild(server)

        # SIGTERM seals what is open; then each row is in exactly one text file.
        self.assertEqual(server.stop(), 0, server.log_tail())
        self.check_text_files(server, rows)
        print(f"  {len(rows)} rows ({'the real data set' if real else 'generated'}), {killed} kills, "
              f"peak memory {peak:.0f} MiB")
        if not sanitized:
            self.assertLess(peak, 300, "resident memory")

    def load(self, server, path, *more):
        return subprocess.Popen([program, "load", "--url", server.url, *more, str(path)], cwd=self.directory,
                                stdin=subprocess.DEVNULL, stdout=open(self.directory / "load.log", "ab"),
                                stderr=subprocess.STDOUT)

    def loaded(self, server):
        answer = server.get("/v1/streams/retail/records?from=latest&limit=1")
        return answer.json()["next"] if answer.status == 200 else 0

    def load_with_kills(self, server, path, rows):
        """Kills the server at four points of the way, the client at two, interrupts it at one."""
        points = sorted(self.random.sample(range(5, 90), 7))
        deeds = ["server", "server", "server", "server", "client", "client", "interrupt"]
        self.random.shuffle(deeds)
        client = self.load(server, path)
        on_the_way = 0
        for point, deed in zip(points, deeds):
            end = time.monotonic() + 120
            while client.poll() is None and self.position(server) < rows * point // 100 and time.monotonic() < end:
                time.sleep(0.005)
            on_the_way += client.poll() is None
            if deed == "server":
                server.kill()
                server.start("/readyz/ingest")
            elif client.poll() is None:
                client.send_signal(signal.SIGKILL if deed == "client" else signal.SIGINT)
                status = client.wait(60)
                if deed == "interrupt" and status != 0:
                    # Its own word for it, or the signal's when it came before the program had begun.
                    self.assertIn(status, (4, -signal.SIGINT), self.client_log())
                client = self.load(server, path, "--resume")
        status = client.wait(300)
        self.assertEqual(status, 0, self.client_log())
        self.assertGreaterEqual(on_the_way, 4, "the load was over before it was disturbed")
        # Once more: everything is in already, nothing may be added.
        again = self.load(server, path)
        self.assertEqual(again.wait(300), 0, self.client_log())
        server.wait_for("/readyz")
        return f"{deeds.count('server')} server and {len(deeds) - deeds.count('server')} client"

    def position(self, server):
        try:
            return int(self.loaded(server))
        except (OSError, ValueError):
            return 0

    def client_log(self):
        return (self.directory / "load.log").read_text(errors="replace")[-3000:]

    def check_text_files(self, server, rows):
        self.assertEqual(list(server.data.glob("archive/**/*.part")), [])
        found = collections.Counter()
        names = sorted(server.data.glob("archive/retail/**/*.txt"))
        self.assertTrue(names)
        for name in names:
            self.assertRegex(str(name.relative_to(server.data)),
                             r"^archive/retail/\d{4}/\d\d/\d\d/\d\d/retail-[sl]\d+-\d{8}T\d{6}Z-\d{20}\.txt$")
            with open(name, encoding="utf-8") as lines:
                for line in lines:
                    found[fields(json.loads(line, parse_float=Decimal))] += 1
        expected = collections.Counter(rows)
        missing, extra = expected - found, found - expected
        self.assertFalse(missing or extra, f"{sum(missing.values())} rows missing, {sum(extra.values())} too many; "
                         f"e.g. {list(missing)[:2]} {list(extra)[:2]}")
        self.assertTrue((server.data / "archive/retail/manifest").exists())

    def check_invoices(self, invoices, log, rows):
        expected = {}
        for sequence, row in enumerate(log, 1):
            number, _, _, quantity, date, price, customer, country = row
            e = expected.setdefault(number, dict(lines=0, units=0, total=Decimal(0), dates=[], customers=set(), items=[],
                                                 countries=[]))
            e["lines"] += 1
            e["units"] += quantity
            e["total"] += quantity * price
            e["dates"].append(timestamp(date))
            e["countries"].append(country)
            if customer:
                e["customers"].add(customer)
        for number, stock, description, quantity, _, price, *_ in rows:  # the order of the file
            expected[number]["items"].append((stock, description, quantity, price))
        self.assertEqual(set(invoices), set(expected))
        for number, e in expected.items():
            row = invoices[number]
            items = row["items"] if isinstance(row["items"], list) else json.loads(row["items"], parse_float=Decimal)
            got = [(i["StockCode"], i["Description"], i["Quantity"], Decimal(str(i["UnitPrice"])).normalize()) for i in items]
            self.assertEqual(got, e["items"], f"items of invoice {number}")
            self.assertEqual((row["lines"], row["units"], milli(row["total"]), row["invoice_date"], row["cancelled"],
                              row["country"]),
                             (e["lines"], e["units"], int(e["total"] * 1000), min(e["dates"]), int(number.startswith("C")),
                              e["countries"][-1]), f"invoice {number}")
            self.assertAlmostEqual(row["total"], float(e["total"]), delta=1e-9 * max(1, abs(float(e["total"]))))
            self.assertIn(row["customer_id"], e["customers"] or {None}, f"invoice {number}")

    def check_customers(self, customers, log):
        expected = {}
        for number, _, _, quantity, date, price, customer, country in log:
            if not customer:
                continue
            e = expected.setdefault(customer, dict(invoices=set(), lines=0, units=0, revenue=Decimal(0), dates=[]))
            e["invoices"].add(number)
            e["lines"] += 1
            e["units"] += quantity
            e["revenue"] += quantity * price
            e["dates"].append(timestamp(date))
            e["country"] = country  # the last by sequence
        self.assertEqual(set(customers), set(expected))
        for name, e in expected.items():
            row = customers[name]
            self.assertEqual(
                (row["country"], row["invoices"], row["cancelled_invoices"], row["lines"], row["units"],
                 milli(row["revenue"]), row["first_purchase"], row["last_purchase"]),
                (e["country"], len(e["invoices"]), sum(n.startswith("C") for n in e["invoices"]), e["lines"], e["units"],
                 int(e["revenue"] * 1000), min(e["dates"]), max(e["dates"])), f"customer {name}")
            self.assertAlmostEqual(row["revenue"], float(e["revenue"]), delta=1e-9 * max(1, abs(float(e["revenue"]))))

    def check_oracle(self, customers, invoices):
        """The results that came with the data set."""
        def table(name):
            with lzma.open(test_data() / "online-retail" / "oracle" / f"{name}.tsv.xz", "rt", encoding="utf-8") as source:
                return list(csv.DictReader(source, delimiter="\t"))
        expected = table("customers")
        self.assertEqual(len(expected), len(customers))
        for e in expected:
            row = customers[e["customer_id"]]
            self.assertEqual((row["lines"], row["invoices"], row["cancelled_invoices"], row["units"], milli(row["revenue"])),
                             (int(e["rows"]), int(e["invoices"]), int(e["cancelled_invoices"]), int(e["quantity"]),
                              int(e["amount_milli_gbp"])), f"customer {e['customer_id']}")
        expected = table("invoices")
        self.assertEqual(len(expected), len(invoices))
        for e in expected:
            row = invoices[e["invoice_no"]]
            self.assertEqual((row["lines"], row["units"], milli(row["total"])),
                             (int(e["rows"]), int(e["quantity"]), int(e["amount_milli_gbp"])), f"invoice {e['invoice_no']}")
            self.assertEqual(row["customer_id"] or "", e["customer_id"], f"invoice {e['invoice_no']}")
        self.assertEqual(sum(r["lines"] for r in invoices.values()), 541_909)
        self.assertEqual(sum(r["units"] for r in invoices.values()), 5_176_450)
        self.assertEqual(sum(milli(r["total"]) for r in invoices.values()), 9_747_747_934)
        self.assertEqual(sum(milli(r["revenue"]) for r in customers.values()), 8_300_065_814)
        self.assertEqual(sum(r["cancelled"] for r in invoices.values()), 3_836)

    def check_rebuild(self, server):
        for view in ("customers", "invoices"):
            answer = server.post(f"/v1/views/{view}/verify", {}, timeout=300)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(answer.json()["differences"], [], f"{view}: a rebuild gives other bytes")
