-- One row per invoice with all its lines. A few invoices carry two times: the earliest is the invoice's.
CREATE MATERIALIZED VIEW invoices AS
SELECT ident(InvoiceNo)                  AS invoice_no,
       last(ident(CustomerID))           AS customer_id,
       last(Country)                     AS country,
       min(timestamp(InvoiceDate))       AS invoice_date,
       count(*)                          AS lines,
       sum(Quantity)                     AS units,
       sum(Quantity * number(UnitPrice)) AS total,
       ident(InvoiceNo) GLOB 'C*'        AS cancelled,
       collect(json_object('StockCode', StockCode, 'Description', Description, 'Quantity', Quantity,
                           'UnitPrice', UnitPrice)) AS items
FROM retail
WHERE ident(InvoiceNo) IS NOT NULL
GROUP BY invoice_no;
