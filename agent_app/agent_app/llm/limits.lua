-- A model's quota in one environment: a sliding window of sub-buckets, judged by Redis' own clock.
--
-- KEYS[1]: a hash, the window. KEYS[2]: the number of the last report that this sender got in.
-- ARGV: 1 what to do, 2 the epoch the sender knows, 3 the latest admission it knows of, 4 a name for a new epoch,
--       5 a bucket's ms, 6 buckets in a window, 7 how long a new epoch admits nothing, ms; then
--   acquire: 8 the limit of requests, 9 of tokens (-1: none), 10 the tokens wanted
--   amend:   8 the report's number, 9 tokens to add now, then pairs: bucket, tokens to add to it
--   adopt:   8 the report's number, then triples: ms ago, requests, tokens
-- Returns {1 done | 0 wait | -1 another epoch: adopt it first, epoch, now in ms, admissions, ms to wait}.
local key, action, known = KEYS[1], ARGV[1], ARGV[2]
local span, count, quarantine = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local head = redis.call('HMGET', key, 'epoch', 'born', 'admitted', 'last', 'ahead', 'requests', 'tokens', 'oldest')
local epoch, born, admitted = head[1], tonumber(head[2]) or 0, tonumber(head[3]) or 0
local last, ahead = tonumber(head[4]) or 0, tonumber(head[5]) or 0
local requests, tokens, oldest = tonumber(head[6]) or 0, tonumber(head[7]) or 0, tonumber(head[8])

-- A clock that is set back must not keep the window full: what it lost is added from then on.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ahead
if now < last then
  ahead, now = ahead + last - now, last
end

-- Without a marker all was lost; fewer admissions than somebody saw: the latest were, as in a failover.
if not epoch or (known == epoch and admitted < tonumber(ARGV[3])) then
  epoch, born = ARGV[4], now
end

local function read(field)
  return tonumber(redis.call('HGET', key, field)) or 0
end

-- What was admitted in the 60 s up to now lies in the current bucket and `count` before it.
local current = math.floor(now / span)
for bucket = oldest or current, math.min(current - count - 1, math.floor(last / span)) do
  requests = requests - read('r' .. bucket)
  tokens = tokens - read('t' .. bucket)
  redis.call('HDEL', key, 'r' .. bucket, 't' .. bucket)
end

local function add(bucket, more_requests, more_tokens)
  if bucket < current - count then
    return
  end
  if more_requests ~= 0 then
    redis.call('HINCRBY', key, 'r' .. bucket, more_requests)
  end
  if more_tokens ~= 0 then
    redis.call('HINCRBY', key, 't' .. bucket, more_tokens)
  end
  requests, tokens = requests + more_requests, tokens + more_tokens
end

-- A report that is sent again, its answer having been lost, counts once.
local function first_time()
  local number = tonumber(ARGV[8])
  if number <= (tonumber(redis.call('GET', KEYS[2])) or 0) then
    return false
  end
  redis.call('SET', KEYS[2], number, 'PX', 600000)
  return true
end

local status, wait = 1, 0
if action == 'adopt' then
  if first_time() then
    for place = 9, #ARGV, 3 do
      local bucket = math.floor((now - tonumber(ARGV[place])) / span)
      add(bucket, tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2]))
    end
  end
elseif known ~= epoch then
  status = -1
elseif action == 'amend' then
  if first_time() then
    add(current, 0, tonumber(ARGV[9]))
    for place = 10, #ARGV, 2 do
      add(tonumber(ARGV[place]), 0, tonumber(ARGV[place + 1]))
    end
  end
else
  local most_requests, most_tokens, wanted = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
  local function fits(used_requests, used_tokens)
    return (most_requests < 0 or used_requests + 1 <= most_requests)
      and (most_tokens < 0 or used_tokens + wanted <= most_tokens)
  end
  if now - born < quarantine then
    status, wait = 0, quarantine - (now - born)
  elseif fits(requests, tokens) then
    add(current, 1, wanted)
    admitted = admitted + 1
  else
    status, wait = 0, span * (count + 1)
    local left_requests, left_tokens = requests, tokens
    for bucket = current - count, current do
      left_requests = left_requests - read('r' .. bucket)
      left_tokens = left_tokens - read('t' .. bucket)
      if fits(left_requests, left_tokens) then
        wait = (bucket + count + 1) * span - now
        break
      end
    end
  end
end

redis.call('HSET', key, 'epoch', epoch, 'born', born, 'admitted', admitted, 'last', now, 'ahead', ahead,
  'requests', requests, 'tokens', tokens, 'oldest', current - count)
redis.call('EXPIRE', key, 172800)
return {status, epoch, now, admitted, wait}
