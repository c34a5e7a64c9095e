-- One row per customer, kept up as invoice lines come. Cancellations (invoice numbers that begin with C) have negative
-- quantities, so units and revenue are net of them. Lines without a customer count towards their invoice only.
CREATE MATERIALIZED VIEW customers AS
SELECT ident(CustomerID)                AS customer_id,
       last(Country)                    AS country,
       count(DISTINCT ident(InvoiceNo)) AS invoices,
       count(DISTINCT ident(InvoiceNo)) FILTER (WHERE ident(InvoiceNo) GLOB 'C*') AS cancelled_invoices,
       count(*)                         AS lines,
       sum(Quantity)                    AS units,
       sum(Quantity * number(UnitPrice)) AS revenue,
       min(timestamp(InvoiceDate))      AS first_purchase,
       max(timestamp(InvoiceDate))      AS last_purchase
FROM retail
WHERE ident(CustomerID) IS NOT NULL
GROUP BY customer_id;
