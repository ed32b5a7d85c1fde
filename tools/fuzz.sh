#!/usr/bin/env bash
# Fuzzes every reader of annotations and detections, each for some seconds: tools/fuzz.sh [SECONDS] [TARGET...]
#
# Needs a nightly compiler (rustup toolchain install nightly) and cargo-fuzz (cargo install cargo-fuzz). Stops at the first crash, whose
# input is kept in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-120}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo +nightly fuzz list)
for target in "${targets[@]}"; do
    mkdir -p "fuzz/corpus/$target"
    seeds=fuzz/seeds/$target
    [ -d "$seeds" ] || seeds=tests/fixtures
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "$seeds" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1
done
