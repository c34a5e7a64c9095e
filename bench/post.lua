-- wrk: POST of one JSON record of 250 bytes, or of a batch, or several requests in one write.
--   wrk ... -s post.lua URL -- PIPELINE BATCH DELAY_MS
-- Keys vary, so that records spread over shards and customers. The last line printed is one JSON object.

local requests = {}
local at = 0
local pipeline, batch, delay_ms = 1, 1, 0

local function record(n)
  local text = string.format(
    '{"InvoiceNo":"%d","StockCode":"%05d","Description":"WHITE HANGING HEART T-LIGHT HOLDER","Quantity":%d,' ..
    '"InvoiceDate":"12/1/2010 8:%02d","UnitPrice":%d.25,"CustomerID":"%d","Country":"United Kingdom"',
    536365 + n % 5000, n % 4000, 1 + n % 12, n % 60, n % 20, 12346 + n % 4372)
  return text .. ',"Note":"' .. string.rep("x", 250 - #text - 11) .. '"}'
end

function init(args)
  pipeline = tonumber(args[1] or 1)
  batch = tonumber(args[2] or 1)
  delay_ms = tonumber(args[3] or 0)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = batch > 1 and "application/x-ndjson" or "application/json"
  local n = 0
  for i = 1, (batch > 1 and 32 or 512) do
    local parts = {}
    for j = 1, pipeline do
      local lines = {}
      for k = 1, batch do
        lines[k] = record(n)
        n = n + 1
      end
      parts[j] = wrk.format(nil, nil, nil, table.concat(lines, "\n"))
    end
    requests[i] = table.concat(parts)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function delay()
  return delay_ms
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "errors": %d}\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
