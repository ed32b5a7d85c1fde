#!/usr/bin/env bash
# Everything CI checks on Linux, from any directory: all of it, or the parts that are named.
#
#   tools/check.sh              the core: lint, tests, gpu
#   tools/check.sh all          every part, as CI runs it
#   tools/check.sh viewer gpu   these, in this order
#   tools/check.sh --list       the parts there are
#
# A part is a file tools/checks/<part>.sh. It may define <part>_needs, which prints what Debian calls the packages that are missing, and
# workspace=(--workspace) if it needs more of the workspace than the program; it defines <part>_steps, which runs `step` for each of its
# checks. Needs cargo; on Debian and Ubuntu it installs the rest, elsewhere it says what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

core=(lint tests gpu)

parts() {
    local file
    printf '%s\n' "${core[@]}"
    for file in tools/checks/*.sh; do
        file=${file##*/}
        [[ " ${core[*]} " == *" ${file%.sh} "* ]] || echo "${file%.sh}"
    done
}

case ${1:-} in
    --list)
        for part in $(parts); do
            printf '%-10s %s\n' "$part" "$(sed -n '1s/^# //p' "tools/checks/$part.sh")"
        done
        exit
        ;;
    -*)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
        [[ $1 == --help || $1 == -h ]] || exit 2
        exit
        ;;
    "") chosen=("${core[@]}") ;;
    all) mapfile -t chosen < <(parts) ;;
    *) chosen=("$@") ;;
esac

workspace=()
for part in "${chosen[@]}"; do
    if ! [ -e "tools/checks/$part.sh" ]; then
        echo "there is no part $part; tools/check.sh --list tells which there are" >&2
        exit 2
    fi
    # shellcheck source=/dev/null
    . "tools/checks/$part.sh"
done

# Panics of tests should say where; software drivers should look for no display, and need a runtime folder or complain at length.
export RUST_BACKTRACE=1
unset DISPLAY WAYLAND_DISPLAY
scratch=$(mktemp -d)
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$scratch}

summary=""
running=""

# Runs a step; keeps its time for the summary. A failure ends the script, so steps must not be called after `if`, `&&` or `||`.
step() {
    local start=$SECONDS
    running=$1
    shift
    printf '\n== %s\n' "$running"
    "$@"
    summary+=$(printf '%-30s %4d s' "$running" $((SECONDS - start)))$'\n'
    running=""
}

# What could not be checked, for the summary.
skip() {
    summary+="not checked: $1"$'\n'
}

finish() {
    local status=$?
    rm -rf "$scratch"
    printf '\n== summary\n%s' "$summary"
    if [ "$status" -ne 0 ]; then
        printf 'FAILED: %s\n' "${running:-$0}"
    else
        printf '%s passed in %d s\n' "${chosen[*]}" "$SECONDS"
    fi
    exit "$status"
}
trap finish EXIT

has_library() {
    case $(ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true) in
        *"$1"*) return 0 ;;
        *) return 1 ;;
    esac
}

# What the chosen parts lack, as Debian names it.
missing() {
    local part
    for part in "${chosen[@]}"; do
        if declare -F "${part}_needs" >/dev/null; then
            "${part}_needs"
        fi
    done | sort -u
}

apt_install() {
    local sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    local install=($sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@")
    if ! "${install[@]}"; then
        $sudo apt-get update --quiet
        "${install[@]}"
    fi
}

# Packages of the system, while cargo fetches what is not here yet.
drivers_and_tools() {
    local packages fetching
    cargo fetch --quiet &
    fetching=$!
    packages=$(missing)
    if [ -n "$packages" ] && command -v apt-get >/dev/null; then
        # One package a word.
        # shellcheck disable=SC2086
        apt_install $packages
        packages=$(missing)
    fi
    wait "$fetching"
    if [ -n "$packages" ]; then
        echo "please install what your system calls these packages of Debian:" $packages >&2
        return 1
    fi
    echo "all here"
}

# Always of the same packages: chosen one by one, they share fewer features of what they depend on, and much is built twice.
test=(cargo test --profile ci "${workspace[@]}")

step "drivers, tools and crates" drivers_and_tools
for part in "${chosen[@]}"; do
    "${part}_steps"
done
