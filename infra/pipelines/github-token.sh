#!/usr/bin/env bash
# Prints a token that says which job of GitHub Actions this is, for traffic-cop (`issuer add`). The job needs `id-token: write`.
#   github-token.sh [AUDIENCE]
set -euo pipefail
curl -sSf --retry 3 -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
    "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=${1:-traffic-cop}" | jq -er .value
