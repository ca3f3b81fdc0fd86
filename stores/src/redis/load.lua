-- KEYS: the record. ARGV: the most bytes of a record.
-- Answers: nothing, or what was found, version and record.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then
    return false
end
if kind ~= 'hash' then
    return { 'foreign' }
end
if redis.call('HSTRLEN', KEYS[1], 'record') > tonumber(ARGV[1]) then
    return { 'large' }
end
local found = redis.call('HMGET', KEYS[1], 'version', 'record')
if not found[1] or not found[2] then
    return { 'foreign' }
end
return { 'record', found[1], found[2] }
