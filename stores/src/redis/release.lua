-- KEYS: the claim. ARGV: who lets go. A claim that ran out belongs to somebody else by now.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
