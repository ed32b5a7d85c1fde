#!/usr/bin/env bash
# mtcmcn beside other programs on one frame, in turn on one machine: one command, one table of ratios.
#
#   tools/compare_peers.sh [--rounds N] [--frames DIR] [--only ROW,ROW] [--json FILE]
#
# Needs a folder with bench scripts of peers (MTCMCN_PEERS, default ../shared/peers beside the repository) and a Python environment that has
# them installed (MTCMCN_PEERS_ENV; how to make one is in that folder's README), frames to search (--frames or MTCMCN_FRAMES, default
# frames/ in the folder of data, ../shared/data). Weights are those of MTCMCN_WEIGHTS, else the published ones, which the peers have too.
# MTCMCN_RUN is put before every timed command: `taskset -c 0,1`, say.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf 'compare_peers: %s\n' "$@" >&2
    exit 2
}

peers=${MTCMCN_PEERS:-$root/../shared/peers}
frames=${MTCMCN_FRAMES:-$root/../shared/data/frames}
[ -f "$peers/bench_facenet_pytorch.py" ] || fail "no bench scripts of peers in $peers" "name their folder with MTCMCN_PEERS"
[ -n "${MTCMCN_PEERS_ENV:-}" ] || fail "MTCMCN_PEERS_ENV must name a Python environment with the peers" \
    "to make one: $peers/setup.sh DIR, then MTCMCN_PEERS_ENV=DIR $0"
python=$MTCMCN_PEERS_ENV/bin/python
[ -x "$python" ] || fail "no Python at $python" "to make one: $peers/setup.sh $MTCMCN_PEERS_ENV"

if [ -z "${MTCMCN_BIN:-}" ]; then
    cargo build --release --quiet --manifest-path "$root/Cargo.toml" --bin mtcmcn
    MTCMCN_BIN=$root/target/release/mtcmcn
fi
if [ -z "${MTCMCN_WEIGHTS:-}" ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    export MTCMCN_WEIGHTS=$scratch/published.safetensors
    "$MTCMCN_BIN" import published --quiet --out "$MTCMCN_WEIGHTS" >/dev/null
fi
"$python" "$root/tools/compare_peers.py" --bin "$MTCMCN_BIN" --peers "$peers" --frames "$frames" "$@"
