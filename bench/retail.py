"""The retail rows for benches: as JSON lines, and as what PostgreSQL makes of them."""
import json
import time

import harness

# What the views customers and invoices keep, as tables.
TABLES = """
DROP TABLE IF EXISTS customers, invoices, customer_invoices, items;
CREATE UNLOGGED TABLE customers (customer text PRIMARY KEY, country text, invoices bigint, cancelled bigint, lines bigint,
  units bigint, revenue numeric, first_purchase timestamp, last_purchase timestamp);
CREATE UNLOGGED TABLE customer_invoices (customer text, invoice text, PRIMARY KEY (customer, invoice));
CREATE UNLOGGED TABLE invoices (invoice text PRIMARY KEY, customer text, country text, invoice_date timestamp, lines bigint,
  units bigint, total numeric);
CREATE UNLOGGED TABLE items (invoice text, n bigint, line json, PRIMARY KEY (invoice, n));
"""

# One row of `r`, or all between two numbers, grouped.
UPSERT_ROW = """
DECLARE r staging; added int;
BEGIN
  FOR r IN SELECT * FROM staging WHERE n > first AND n <= last ORDER BY n LOOP
    IF r.customer IS NOT NULL THEN
      INSERT INTO customer_invoices VALUES (r.customer, r.invoice) ON CONFLICT DO NOTHING;
      GET DIAGNOSTICS added = ROW_COUNT;
      INSERT INTO customers VALUES (r.customer, r.country, added, CASE WHEN r.invoice LIKE 'C%' THEN added ELSE 0 END, 1,
          r.quantity, r.quantity * r.price, r.at, r.at)
        ON CONFLICT (customer) DO UPDATE SET country = excluded.country, invoices = customers.invoices + excluded.invoices,
          cancelled = customers.cancelled + excluded.cancelled, lines = customers.lines + 1,
          units = customers.units + excluded.units, revenue = customers.revenue + excluded.revenue,
          first_purchase = least(customers.first_purchase, excluded.first_purchase),
          last_purchase = greatest(customers.last_purchase, excluded.last_purchase);
    END IF;
    INSERT INTO invoices VALUES (r.invoice, r.customer, r.country, r.at, 1, r.quantity, r.quantity * r.price)
      ON CONFLICT (invoice) DO UPDATE SET customer = excluded.customer, country = excluded.country,
        invoice_date = least(invoices.invoice_date, excluded.invoice_date), lines = invoices.lines + 1,
        units = invoices.units + excluded.units, total = invoices.total + excluded.total;
    INSERT INTO items VALUES (r.invoice, r.n, json_build_object('StockCode', r.stock, 'Description', r.description,
      'Quantity', r.quantity, 'UnitPrice', r.price));
  END LOOP;
END"""
UPSERT_GROUPS = """
BEGIN
  WITH added AS (INSERT INTO customer_invoices SELECT DISTINCT customer, invoice FROM staging
                   WHERE n > first AND n <= last AND customer IS NOT NULL ON CONFLICT DO NOTHING RETURNING *),
       counts AS (SELECT customer, count(*) AS invoices, count(*) FILTER (WHERE invoice LIKE 'C%') AS cancelled
                    FROM added GROUP BY customer)
  INSERT INTO customers SELECT customer, (array_agg(country ORDER BY n DESC))[1], coalesce(max(invoices), 0),
      coalesce(max(cancelled), 0), count(*), sum(quantity), sum(quantity * price), min(at), max(at)
    FROM staging LEFT JOIN counts USING (customer)
    WHERE n > first AND n <= last AND customer IS NOT NULL GROUP BY customer
    ON CONFLICT (customer) DO UPDATE SET country = excluded.country, invoices = customers.invoices + excluded.invoices,
      cancelled = customers.cancelled + excluded.cancelled, lines = customers.lines + excluded.lines,
      units = customers.units + excluded.units, revenue = customers.revenue + excluded.revenue,
      first_purchase = least(customers.first_purchase, excluded.first_purchase),
      last_purchase = greatest(customers.last_purchase, excluded.last_purchase);
  INSERT INTO invoices SELECT invoice, (array_agg(customer ORDER BY n DESC))[1], (array_agg(country ORDER BY n DESC))[1],
      min(at), count(*), sum(quantity), sum(quantity * price)
    FROM staging WHERE n > first AND n <= last GROUP BY invoice
    ON CONFLICT (invoice) DO UPDATE SET customer = excluded.customer, country = excluded.country,
      invoice_date = least(invoices.invoice_date, excluded.invoice_date), lines = invoices.lines + excluded.lines,
      units = invoices.units + excluded.units, total = invoices.total + excluded.total;
  INSERT INTO items SELECT invoice, n, json_build_object('StockCode', stock, 'Description', description,
      'Quantity', quantity, 'UnitPrice', price) FROM staging WHERE n > first AND n <= last;
END"""


def ndjson(directory):
    """(file of one JSON object a line, whether they are the real rows)"""
    path, encoding, real = harness.retail_csv(directory, rows=541_909)
    lines = directory / "retail.ndjson"
    with open(lines, "w", encoding="utf-8") as out:
        for row in harness.read_csv(path, encoding):
            record = {name: value or None for name, value in row.items()}
            record["Quantity"] = int(row["Quantity"])
            record["UnitPrice"] = float(row["UnitPrice"])
            out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
    return lines, real


def fill_postgres(server, lines):
    """The rows as a table, which is not counted: the views' records lie in memory, too."""
    server.sql("CREATE UNLOGGED TABLE raw (n bigint GENERATED ALWAYS AS IDENTITY, line json)")
    text = lines.read_text(encoding="utf-8").replace("\\", "\\\\")
    server.copy("COPY raw (line) FROM STDIN", text)
    server.sql("""CREATE UNLOGGED TABLE staging AS SELECT n, line->>'InvoiceNo' AS invoice, line->>'StockCode' AS stock,
        line->>'Description' AS description, (line->>'Quantity')::bigint AS quantity,
        to_timestamp(line->>'InvoiceDate', 'MM/DD/YYYY HH24:MI')::timestamp AS at, (line->>'UnitPrice')::numeric AS price,
        line->>'CustomerID' AS customer, line->>'Country' AS country FROM raw""")
    server.sql("ALTER TABLE staging ADD PRIMARY KEY (n)")
    server.sql("VACUUM ANALYZE staging")
    for name, body in (("upsert_rows", UPSERT_ROW), ("upsert_groups", UPSERT_GROUPS)):
        server.sql(f"CREATE FUNCTION {name}(first bigint, last bigint) RETURNS void LANGUAGE plpgsql AS $${body}$$")


def upsert(server, function, records):
    server.sql(TABLES)
    steps = "".join(f"SELECT {function}({first}, {min(first + 10_000, records)});\n" for first in range(0, records, 10_000))
    begin = time.monotonic()
    server.script(steps)
    seconds = time.monotonic() - begin
    kept = int(server.sql("SELECT sum(lines) FROM invoices"))
    if kept != records:
        raise SystemExit(f"bench: PostgreSQL counted {kept} lines of {records}")
    return {"records": records, "records_per_second": records / seconds}


def upsert_rows(server, quick):
    count = int(server.sql("SELECT count(*) FROM staging"))
    return upsert(server, "upsert_rows", min(count, 50_000 if quick else 200_000))


def upsert_groups(server):
    return upsert(server, "upsert_groups", int(server.sql("SELECT count(*) FROM staging")))
