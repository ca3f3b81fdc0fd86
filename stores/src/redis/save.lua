-- KEYS: the record; where what is no record is kept aside.
-- ARGV: what is expected (a version, 'absent' or 'anything'); the version to write; the record; its lifetime in
-- milliseconds, 0 for ever; 'again' if an earlier attempt may have been carried out.
-- Answers: 1 if the record is there now, 0 if something else was there than was expected.
-- Versions are text throughout: a number of Lua is a double, which has 53 bits.
local kind = redis.call('TYPE', KEYS[1]).ok
local version, record = false, false
if kind == 'hash' then
    version = redis.call('HGET', KEYS[1], 'version')
    record = redis.call('HGET', KEYS[1], 'record')
end
if ARGV[5] == 'again' and version then
    if version == ARGV[2] and record == ARGV[3] then
        return 1
    end
    -- The earlier attempt was carried out, and somebody has built on it.
    if #version > #ARGV[2] or (#version == #ARGV[2] and version > ARGV[2]) then
        return 0
    end
end
if ARGV[1] == 'absent' then
    if kind ~= 'none' then
        return 0
    end
elseif ARGV[1] ~= 'anything' and version ~= ARGV[1] then
    return 0
end
if kind ~= 'none' and not (version and record) then
    redis.call('RENAME', KEYS[1], KEYS[2])
end
-- One command writes both, and the first that may be refused for want of memory.
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3])
if ARGV[4] == '0' then
    redis.call('PERSIST', KEYS[1])
else
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
