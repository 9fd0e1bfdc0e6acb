-- Counts a request of KEYS[1], a hash, unless it is one beyond ARGV[1] in a minute that slides: this minute's
-- count, and of the last minute's the share that is still within sixty seconds. By Redis' clock.
-- Returns {1 admitted | 0 not, how many are left, ms until one more is free}.
local most, time = tonumber(ARGV[1]), redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local minute, left = math.floor(now / 60000), 60000 - now % 60000
local kept = redis.call('hmget', KEYS[1], 'minute', 'count', 'before')
local count, before = 0, 0
if tonumber(kept[1]) == minute then
  count, before = tonumber(kept[2]), tonumber(kept[3])
elseif tonumber(kept[1]) == minute - 1 then
  before = tonumber(kept[2])
end
local still = math.floor(before * left / 60000)
local admitted = count + still < most
if admitted then
  count = count + 1
  redis.call('hset', KEYS[1], 'minute', minute, 'count', count, 'before', before)
  redis.call('pexpire', KEYS[1], 120000)
end
-- One more is free when the last minute's share has shrunk by one, or else once this minute is the last.
local wait = still > 0 and left - still * 60000 / before or left
return {admitted and 1 or 0, most - count - still, math.ceil(wait)}
