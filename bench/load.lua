-- What wrk sends; bench/wrk.py sets the environment:
--   BENCH_MODE    get: the path of the URL; otherwise one of the functions in `requests`
--   BENCH_IDS     a file with ids, one a line
--   BENCH_PREFIX  goes before the id in a path
--   BENCH_LINES   order lines of a creation
--   BENCH_USER    whose orders are created; otherwise those of 500 users
--   BENCH_COUNT   1: count responses by status, and successes by second (costs wrk some time)
-- The results are one line of JSON on standard output.

local mode = os.getenv("BENCH_MODE")
local prefix = os.getenv("BENCH_PREFIX") or "/api/orders/"
local json = { ["Content-Type"] = "application/json" }
local ids, threads = {}, {}
statuses, seconds = {}, {}

-- Ids come in turn, so that none comes twice soon. The first is left out of later passes: wrk makes one
-- request to look at it, and never sends it.
local function each_id(make)
  local at, pass = 0, 1
  return function()
    at = at + 1
    if at > #ids then at, pass = 2, pass + 1 end
    return make(ids[at], pass)
  end
end

local function create(lines)
  local first, items = math.random(0, 999), {}
  for i = 0, lines - 1 do
    items[i + 1] = string.format('{"product_id":"p%d","quantity":%d}',
      (first + 331 * i) % 1000 + 1, math.random(1, 3))
  end
  local user = os.getenv("BENCH_USER") or "bench-" .. math.random(1, 500)
  return wrk.format("POST", "/api/orders", json, string.format(
    '{"user_id":"%s","shipping_address":"1 Main Street, 12345 Springfield",'
      .. '"billing_address":"1 Main Street, 12345 Springfield","notes":"Leave at the door","order_items":[%s]}',
    user, table.concat(items, ",")))
end

local requests = {
  ids = function()
    return each_id(function(id) return wrk.format("GET", prefix .. id) end)
  end,
  create = function()
    local lines = tonumber(os.getenv("BENCH_LINES"))
    return function() return create(lines) end
  end,
  -- Each pass over the ids takes all of the orders one status further.
  status = function()
    local bodies = { '{"status":"confirmed"}', '{"status":"shipped"}', '{"status":"delivered"}' }
    return each_id(function(id, pass)
      return wrk.format("PATCH", prefix .. id .. "/status", json, bodies[math.min(pass, 3)])
    end)
  end,
  -- Of 100 requests: 5 health, 40 reads of one order, 20 of many, 15 lists, 15 creations, 5 cancellations.
  mixed = function()
    return function()
      local dice, id = math.random(100), ids[math.random(#ids)]
      if dice <= 5 then return wrk.format("GET", "/health") end
      if dice <= 45 then return wrk.format("GET", prefix .. ids[1]) end
      if dice <= 65 then return wrk.format("GET", prefix .. id) end
      if dice <= 80 then return wrk.format("GET", "/api/users/bench-list/orders?page=1&page_size=20") end
      if dice <= 95 then return create(math.random(3)) end
      return wrk.format("POST", prefix .. id .. "/cancel")
    end
  end,
}

function setup(thread)
  threads[#threads + 1] = thread
end

function init()
  math.randomseed(os.time())
  if os.getenv("BENCH_IDS") then
    for id in io.lines(os.getenv("BENCH_IDS")) do ids[#ids + 1] = id end
  end
  if requests[mode] then request = requests[mode]() end
end

if os.getenv("BENCH_COUNT") == "1" then
  function response(status)
    local second = os.time()
    statuses[status] = (statuses[status] or 0) + 1
    if status < 300 then seconds[second] = (seconds[second] or 0) + 1 end
  end
end

local function object(name)
  local counts, members = {}, {}
  for _, thread in ipairs(threads) do
    for key, count in pairs(thread:get(name)) do counts[key] = (counts[key] or 0) + count end
  end
  for key, count in pairs(counts) do members[#members + 1] = string.format('"%d":%d', key, count) end
  return "{" .. table.concat(members, ",") .. "}"
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"rps":%.1f,"p50_ms":%.3f,"p99_ms":%.3f,"errors":%d,'
      .. '"statuses":%s,"seconds":%s}\n', summary.requests,
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.status + e.connect + e.read + e.write + e.timeout, object("statuses"), object("seconds")))
end
