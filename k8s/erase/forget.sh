#!/bin/sh
# forget.sh: reads `order-id version` from its input and takes the documents of these orders out of
# the cache (REDIS_URL, REDIS_KEY_PREFIX). What is left for a while is the version, so that
# nobody who has read the order before can put it back.
set -eu
rest=${REDIS_URL#*://}
set --
case $REDIS_URL in rediss://*) set -- --tls ;; esac
case $rest in
*@*)
    login=${rest%@*}
    rest=${rest##*@}
    # Not an argument, which others on the machine could see.
    export REDISCLI_AUTH="${login#*:}"
    case $login in :* | default:*) ;; *) set -- "$@" --user "${login%%:*}" ;; esac
    ;;
esac
address=${rest%%/*}
index=${rest#"$address"}
index=${index#/}
host=${address%:*}
port=6379
[ "$host" = "$address" ] || port=${address##*:}

# src/cache.rs has the form of an entry.
script="local old = redis.call('get', KEYS[1]) or '' \
local change, entry = string.match(old, '^!(%S+) (.*)\$') \
entry = entry or old \
local version = math.max(tonumber(string.match(entry, '^(%d+) ') or 0), tonumber(ARGV[1])) \
entry = string.format('%d ', version) \
if change then entry = '!' .. change .. ' ' .. entry end \
redis.call('set', KEYS[1], entry, 'px', ARGV[2]) return 1"
orders=$(cat)
# What redis-cli reads from its input may fail without its saying so: answers are counted.
answers=$({
    printf '%s\n' "$orders" | while read -r id version; do
        [ -n "$id" ] || continue
        printf 'EVAL "%s" 1 "%sorder:%s" %s 600000\n' "$script" "${REDIS_KEY_PREFIX:-}" "$id" "$version"
    done
    # Entries on their way into the cache, when those that had been read before are on it: each
    # takes a third of a second at most. Who waits for one goes without.
    sleep 1
    printf DEL
    stage=0
    while [ "$stage" -lt 256 ]; do
        printf ' "%sorder-stage:%s"' "${REDIS_KEY_PREFIX:-}" "$stage"
        stage=$((stage + 1))
    done
    printf '\n'
} | redis-cli -h "$host" -p "$port" -n "${index:-0}" "$@" | grep -c '^[0-9][0-9]*$') || :
[ "$answers" -eq $(($(printf '%s\n' "$orders" | grep -c .) + 1)) ] || {
    echo "Redis has not answered every command" >&2
    exit 1
}
