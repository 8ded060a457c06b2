# Somebody who reads a page at a terminal of this machine, and does as it says.
set -Eeuo pipefail
trap 'echo "this failed: $BASH_COMMAND" >&2' ERR

# What stands on the page for something that is elsewhere in a test.
here() {
    arguments=()
    local argument
    for argument; do
        case $argument in
        # Ports that somebody may have taken.
        0.0.0.0:*) argument=127.0.0.1:0 ;;
        http://127.0.0.1:8080/*) argument=$TRAFFIC_COP_DECISIONS_SERVER/${argument#http://127.0.0.1:8080/} ;;
        http://127.0.0.1:8081/*) argument=$TRAFFIC_COP_SERVER/${argument#http://127.0.0.1:8081/} ;;
        # A host with a service of ours, whose token is no secret of this machine.
        https://admin.example:8081) arguments+=("$SERVING" --token) argument=$TRAFFIC_COP_ADMIN_TOKEN ;;
        # Only the machine itself may write there.
        /run/secrets/*) argument=${argument#/run/} ;;
        esac
        arguments+=("$argument")
    done
}

traffic-cop() {
    local arguments
    here "$@"
    case "$1 ${2-}" in
    serve*) serve "${arguments[@]}" ;;
    # A build without optimisation takes its time; .ci/judge-figures imagines a thousand rollouts.
    "rollout simulate") command traffic-cop "${arguments[@]}" --runs 1 ;;
    # Nobody is there to be asked.
    "journal recover") command traffic-cop "${arguments[@]}" --yes ;;
    *) command traffic-cop "${arguments[@]}" ;;
    esac
}

curl() {
    local arguments
    here "$@"
    command curl --silent --show-error --fail "${arguments[@]}"
}

# An HTTP request, as a page shows it: method, path, body.
request() {
    curl -X "$1" "http://127.0.0.1:8080$2" -H "Authorization: Bearer $READER_TOKEN" -H 'Content-Type: application/json' -d "$3"
}

# A service runs until it is told to stop: once it listens, the next line of the page is read.
serving=()
trap 'for service in "${serving[@]}"; do kill -KILL "$service" 2>/dev/null || true; done' EXIT
serve() {
    local place
    place=$(mktemp -d --tmpdir=.)
    TRAFFIC_COP_DATA_DIR=$place command traffic-cop "$@" >"$place/said" 2>"$place/log" &
    serving+=($!)
    until SERVING=$(grep -o '^admin *http[^ ]*' "$place/said"); do
        kill -0 $! 2>/dev/null || { cat "$place/log" >&2; return 1; }
        sleep 0.02
    done
    SERVING=${SERVING##* }
}

# At the end of a block.
stop() {
    local service
    for service in "${serving[@]}"; do
        kill -TERM "$service"
        wait "$service"
    done
    serving=()
}
