#!/bin/bash
# restore.sh FOLDER: puts the newest dump of the folder back, or the one that DUMP names. In one
# transaction all that is there goes, whatever schema it and the dump have, and what is in the dump
# comes: a dump that breaks off ends without the commit, and nothing has changed.
set -euo pipefail

file=${DUMP:+$1/$DUMP}
file=${file:-$(ls -1t "$1"/orders-*.dump | head -n 1)}
echo "restoring $file"
{
    echo 'begin;'
    cat "${0%/*}/clear.sql"
    pg_restore --no-owner --schema=public --file=- "$file"
    cat "${0%/*}/after-restore.sql"
    echo 'commit;'
} | psql --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1 --dbname="$DATABASE_URL"
