#!/bin/sh
# Makes the user from the password in the environment, so that it is in no configuration
# and on no command line. The service needs neither administration nor KEYS or FLUSHALL.
set -eu
umask 077
printf 'user default on >%s ~* &* +@all -@admin -@dangerous\n' "$REDIS_PASSWORD" \
    > /run/redis/users.acl
unset REDIS_PASSWORD
exec redis-server /etc/redis/redis.conf
