#!/bin/bash
# Run by the image once, on an empty volume, after it has made the database.
set -euo pipefail
run() {
    psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
        --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" "$@"
}
run --single-transaction --file=/database/roles.sql
run --file=/database/passwords.sql
