#!/bin/sh
# Makes the list of users (one) from the password in the environment.
set -eu
umask 077
printf '"order_service" "%s"\n' "$SERVICE_PASSWORD" > /run/pgbouncer/userlist.txt
unset SERVICE_PASSWORD
exec pgbouncer /etc/order-pgbouncer/pgbouncer.ini
