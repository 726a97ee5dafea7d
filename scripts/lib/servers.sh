# shellcheck shell=bash
# A private Postgres and a private Redis: on loopback, on unusual ports, with a password of
# their own, so that what the user runs is left alone. Installed programs come first, then
# Debian's packages, then Docker.
#
# The script that sources this sets POSTGRES_PORT and REDIS_PORT, the first ports to try, and
# POSTGRES_SETTINGS, a list of name=value; it may set REDIS_SETTINGS, lines of
# redis.conf, and POSTGRES_SSLMODE.

BY_DOCKER=false
POSTGRES_SSLMODE=disable
REDIS_SETTINGS=()

# servers_start WHAT…: WHAT is postgres, redis, or both.
servers_start() {
    (($# > 0)) || return 0
    servers_prepare
    servers_find "$@"
    POSTGRES_PORT=$(port_free "$POSTGRES_PORT") || die "no free port for Postgres"
    REDIS_PORT=$(port_free "$REDIS_PORT") || die "no free port for Redis"
    printf '%s %s\n' "$POSTGRES_PORT" "$BY_DOCKER" >"$RUN/$STAND.postgres"
    if $BY_DOCKER; then
        docker_start "$@"
        return
    fi
    local what
    for what in "$@"; do "${what}_start"; done
}

# servers_attach: takes the private Postgres that another run has started.
servers_attach() {
    [[ -f $RUN/$STAND.postgres && -d $DEV/data ]] || return 1
    DATA=$(readlink -f "$DEV/data")
    read -r POSTGRES_PORT BY_DOCKER <"$RUN/$STAND.postgres"
    $BY_DOCKER || child_pid postgres >/dev/null
}

# Decides where the data lies and as whom the servers run. Postgres refuses to run as root,
# and another user may not be able to reach a checkout in root's home.
servers_prepare() {
    SERVER_USER=
    AS_SERVER=(env -C /)
    if is_root; then
        SERVER_USER=nobody
        if id -u postgres >/dev/null 2>&1; then SERVER_USER=postgres; fi
        AS_SERVER+=(setpriv --reuid "$SERVER_USER" --regid "$(id -g "$SERVER_USER")" --init-groups --)
    fi
    local link=$DEV/data
    if [[ ! -d $link ]]; then
        rm -f "$link"
        if "${AS_SERVER[@]}" test -x "$DEV"; then
            mkdir "$link"
        else
            ln -s "$(mktemp -d /var/tmp/order-service.XXXXXX)" "$link"
            say "the databases' files lie in $(readlink "$link"): $SERVER_USER cannot reach this folder"
        fi
    fi
    DATA=$(readlink -f "$link")
    # Open to pass through, for the servers' user; the folders inside are closed.
    chmod 711 "$DATA"
}

# Makes sure that the programs are there, or Docker in their place.
servers_find() {
    local what missing=()
    for what in "$@"; do
        case $what in
        postgres) { postgres_bin && has psql; } >/dev/null || missing+=(postgresql) ;;
        redis) has redis-server || missing+=(redis-server) ;;
        esac
    done
    ((${#missing[@]} > 0)) || return 0
    if is_root && is_debian; then
        apt_install "${missing[@]}"
        servers_prepare
    elif docker_answers; then
        BY_DOCKER=true
    else
        die "missing: ${missing[*]}; install the packages, start Docker, or name servers of your own (see .env.example)"
    fi
}

# The password of everything private, made once.
secret() {
    local file=$DATA/secret
    [[ -s $file ]] || (
        umask 077
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$file.new"
        mv "$file.new" "$file"
    )
    cat "$file"
}

# server_folder NAME: a folder that only the servers' user can read.
server_folder() {
    local folder=$DATA/$STAND-$1
    mkdir -p "$folder"
    chmod 700 "$folder"
    server_own "$folder"
    printf '%s' "$folder"
}

server_own() {
    [[ -z $SERVER_USER || $(stat -c %U "$1") == "$SERVER_USER" ]] || chown -R "$SERVER_USER:" "$1"
}

# Prints the folder of Postgres's programs: of the version that made the data, or the newest.
postgres_bin() {
    local version bin
    version=$(cat "$DATA/$STAND-postgres/data/PG_VERSION" 2>/dev/null) || version=
    for bin in "/usr/lib/postgresql/${version:-none}/bin" \
        $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr) \
        "$(dirname "$(readlink -f "$(command -v initdb || true)")")"; do
        [[ -x $bin/initdb && -x $bin/postgres ]] && { printf '%s' "$bin"; return; }
    done
    return 1
}

postgres_start() {
    local bin folder setting settings=()
    for setting in "${POSTGRES_SETTINGS[@]}"; do settings+=(-c "$setting"); done
    bin=$(postgres_bin)
    folder=$(server_folder postgres)
    [[ -f $folder/data/PG_VERSION ]] || postgres_init "$bin" "$folder"
    # No socket: its path would limit how long the path of the checkout may be.
    POSTGRES_COMMAND=("${AS_SERVER[@]}" "$bin/postgres" -D "$folder/data" -p "$POSTGRES_PORT"
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= "${settings[@]}")
    start postgres "$LOG/$STAND-postgres.log" "${POSTGRES_COMMAND[@]}"
    wait_for postgres Postgres 20 admin_psql -c 'select 1'
}

# The data is made under another name, so that a half-made one is never taken for whole.
postgres_init() {
    local bin=$1 folder=$2 log=$LOG/$STAND-initdb.log
    rm -rf "$folder/data" "$folder/data.new"
    (umask 077 && secret >"$folder/password")
    server_own "$folder/password"
    run initdb "$log" "${AS_SERVER[@]}" "$bin/initdb" -D "$folder/data.new" --username=postgres \
        --pwfile="$folder/password" --auth=scram-sha-256 --encoding=UTF8 --locale=C --no-sync ||
        die "initdb failed: $(log_last "$log")"
    rm -f "$folder/password"
    mv "$folder/data.new" "$folder/data"
}

# psql as the superuser of the private Postgres.
admin_psql() {
    if $BY_DOCKER; then
        compose exec -T postgres psql -qAtX -U postgres "$@"
    else
        PGPASSWORD=$(secret) PGCONNECT_TIMEOUT=5 psql -qAtX -h 127.0.0.1 -p "$POSTGRES_PORT" \
            -U postgres -d postgres "$@"
    fi >/dev/null 2>"$LOG/$STAND-psql.log"
}

# postgres_url USER DATABASE
postgres_url() {
    printf 'postgres://%s:%s@127.0.0.1:%s/%s?sslmode=%s' "$1" "$(secret)" "$POSTGRES_PORT" "$2" \
        "$POSTGRES_SSLMODE"
}

# owner_url: the database of MIGRATION_DATABASE_URL or DATABASE_URL, otherwise the private one of a
# running `make up`, as the role that owns the tables.
owner_url() {
    local url=${MIGRATION_DATABASE_URL:-${DATABASE_URL:-}}
    if [[ -z $url ]]; then
        STAND=up servers_attach || return 1
        url=$(postgres_url order_migrations orders)
    fi
    printf '%s' "$url"
}

redis_url() { printf 'redis://:%s@127.0.0.1:%s/0' "$(secret)" "$REDIS_PORT"; }

# The database and its two roles, as in production: one owns the tables and migrates, the
# other, as which the service connects, reads and writes rows.
postgres_roles() {
    postgres_setup postgres <<'SQL'
select 'create database orders' where not exists (select from pg_database where datname = 'orders') \gexec
SQL
    {
        cat k8s/database/roles.sql
        printf "alter role %s password '$(secret)';\n" order_migrations order_service
    } | postgres_setup orders
}

# What the service's role may do with each table; after every migration.
postgres_grants() {
    { printf 'set role order_migrations;\n' && cat k8s/database/grants.sql; } | postgres_setup orders
}

# The database of orders as this version needs it, with its roles and rights.
postgres_orders() {
    postgres_roles
    dbmate_run "$(postgres_url order_migrations orders)" up
    postgres_grants
}

# An empty one, in place of the one that is there.
postgres_orders_anew() {
    printf 'drop database if exists orders;\n' | postgres_setup postgres
    postgres_orders
}

postgres_setup() {
    admin_psql -d "$1" -v ON_ERROR_STOP=1 || die "Postgres: $(log_last "$LOG/$STAND-psql.log")"
}

# A cache: nothing of it is written to disk.
redis_start() {
    local folder
    folder=$(server_folder redis)
    (umask 077 && printf '%s\n' "bind 127.0.0.1" "port $REDIS_PORT" 'save ""' "appendonly no" \
        "requirepass $(secret)" "${REDIS_SETTINGS[@]}" >"$folder/redis.conf")
    server_own "$folder/redis.conf"
    REDIS_COMMAND=("${AS_SERVER[@]}" env -C "$folder" redis-server "$folder/redis.conf")
    start redis "$LOG/$STAND-redis.log" "${REDIS_COMMAND[@]}"
    wait_for redis Redis 10 port_taken "$REDIS_PORT"
}

# Each checkout has containers and a volume of its own. The profile is named always, so that
# stopping reaches what OBSERVE=1 has started.
compose() {
    local checkout
    checkout=$(cksum <<<"$ROOT")
    docker compose --project-name "order-service-$STAND-${checkout%% *}" --profile observe "$@"
}

docker_answers() { has docker && docker info >/dev/null 2>&1; }

docker_start() {
    local log=$LOG/$STAND-docker.log
    printf -v POSTGRES_ARGS ' -c %s' "${POSTGRES_SETTINGS[@]}"
    PRIVATE_PASSWORD=$(secret)
    export POSTGRES_PORT REDIS_PORT POSTGRES_ARGS PRIVATE_PASSWORD
    touch "$RUN/$STAND.docker"
    grep -qsx "$STAND" "$DATA/docker" || printf '%s\n' "$STAND" >>"$DATA/docker"
    say "starting $* (Docker)"
    compose up --detach --wait "$@" >"$log" 2>&1 || die "Docker: $(log_last "$log")"
    # The volume may be older than the password.
    if [[ " $* " == *" postgres "* ]]; then
        admin_psql -c "alter role postgres password '$PRIVATE_PASSWORD'" ||
            die "Postgres: $(log_last "$LOG/$STAND-psql.log")"
    fi
}

# docker_stop: what this run, or one that was killed, has started by Docker.
docker_stop() {
    [[ -f $RUN/$STAND.docker ]] || return 0
    compose stop >/dev/null 2>&1 || true
    rm -f "$RUN/$STAND.docker"
}
