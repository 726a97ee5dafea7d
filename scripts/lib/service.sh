# shellcheck shell=bash
# The service for a check that speaks to it from outside.

# service_start ADDRESS [PRODUCTS_URL]: runs scripts/up until this script ends, as for somebody who
# has set nothing but what this script exports, and waits until the service answers at ADDRESS.
service_start() {
    local log=$LOG/$STAND-up.log
    export STAND ENV_FILE=/dev/null
    unset DATABASE_URL REDIS_URL PRODUCT_SERVICE_URL
    if [[ -n ${2:-} ]]; then export PRODUCT_SERVICE_URL=$2; fi
    # Nothing is downloaded for a check.
    spin_find
    export SPIN=${SPIN:-stand-in}
    scripts/up >"$log" 2>&1 &
    SERVICE=$!
    trap service_stop EXIT
    until http_ok "$1" /health; do
        kill -0 "$SERVICE" 2>/dev/null || die "the service did not start: $(log_last "$log")"
        sleep 0.2
    done
}

service_stop() {
    kill -s TERM "$SERVICE" 2>/dev/null || true
    wait "$SERVICE" || true
}
