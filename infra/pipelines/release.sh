#!/usr/bin/env bash
# One release, from the file to the last caller: finds the idle slot, waits until no call is in it any more, claims it, publishes
# with Archy, registers, makes a test call, rolls out, and waits for the end. Every step is a command that a person can type too.
#   release.sh ENVIRONMENT TEMPLATE FLOW_VERSION
#
#   TEMPLATE           the team's flow, with the tokens of `traffic-cop genesys fill` for its name and version
#   TRAFFIC_COP_SERVER and the other settings of the command line, as usual; tokens of pipelines end before a release does, so there
#                      is TRAFFIC_COP_TOKEN_COMMAND, which prints one
#   INTERFACE          number of the interface that the version is written for; 0 if left out
#   PUBLISHED_VERSION  what Genesys Cloud calls what was published; the service asks for it if left out, or goes without
#   SMOKE_CALLER       number that the test call comes from; none skips the test
#   PLAN               file with the plan of the rollout; the default plan if left out
#   REASON             why, in the history for ever; the version if left out
#   CLAIM_MINUTES      how long publishing may take; 60 if left out
#   DRAIN_SECONDS, ROLLOUT_SECONDS     how long to wait, at the most; two hours and a week if left out
#   ROLLOUT_WAIT       no if somebody else waits for the end: then this ends with 0 once the rollout has begun
#   ARCHY              Archy's command, archy if left out; with GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_LOCATION
#
# Ends with 0 once the candidate is active, or the rollout has begun. Otherwise with the exit code of the step that failed
# (traffic-cop --help lists them; of the last one, 2 is an aborted rollout and 3 one that needs a person), and callers are where that
# step left them.
set -euo pipefail

environment=${1:?environment} template=${2:?template} version=${3:?flow version}
reason=${REASON:-release of $version}
archy=${ARCHY:-archy}
: "${SMOKE_CALLER:?the number that the test call comes from, or none}"
: "${GENESYS_CLIENT_ID:?}" "${GENESYS_CLIENT_SECRET:?}" "${GENESYS_LOCATION:?}"

step() { printf '\n== %s\n' "$*" >&2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step "which slot is idle"
slot=$(traffic-cop slot idle "$environment")
echo "$slot" >&2

step "wait until no call is in $slot"
traffic-cop slot drain "$environment" --slot "$slot" --wait --timeout "${DRAIN_SECONDS:-7200}"

# Before the claim: what can go wrong without anybody's harm goes wrong first.
step "make the flow of $slot"
traffic-cop genesys fill "$environment" --template "$template" --flow-version "$version" --slot "$slot" --out "$work/flow.yaml"

step "claim $slot for $version"
traffic-cop slot claim "$environment" --slot "$slot" --flow-version "$version" --expires-in-minutes "${CLAIM_MINUTES:-60}" \
    --reason "$reason"

step "publish"
if ! "$archy" publish --file "$work/flow.yaml" --forceUnlock --location "$GENESYS_LOCATION" \
    --clientId "$GENESYS_CLIENT_ID" --clientSecret "$GENESYS_CLIENT_SECRET"; then
    echo "Archy failed, and whether it has published is for a person to see. $slot stays claimed and gets no calls:" >&2
    echo "publish and register there, or: traffic-cop slot release $environment --slot $slot --nothing-published --reason …" >&2
    exit 1
fi

step "register $version in $slot"
traffic-cop flow register "$environment" --slot "$slot" --flow-version "$version" \
    --published-version "${PUBLISHED_VERSION:-current-if-known}" --interface "${INTERFACE:-0}" --reason "$reason"

if [ "$SMOKE_CALLER" != none ]; then
    step "test call"
    traffic-cop smoke "$environment" --caller "$SMOKE_CALLER"
fi

step "roll out"
traffic-cop rollout start "$environment" ${PLAN:+--plan "$PLAN"} --reason "$reason"
if [ "${ROLLOUT_WAIT:-}" = no ]; then
    exit 0
fi
step "wait for the end"
traffic-cop rollout wait "$environment" --timeout "${ROLLOUT_SECONDS:-604800}"
step "$environment: every new call goes to $version"
