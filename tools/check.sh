#!/usr/bin/env bash
# Everything CI checks on Linux, in one go and from any directory. Needs cargo; on Debian and Ubuntu it installs the rest, elsewhere it
# says what is missing.
#
# MTCMCN_DATA names a folder with photos for the photo tests; without it a sibling folder with photos, ../shared/data, is tried.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

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

finish() {
    local status=$?
    rm -rf "$scratch"
    printf '\n== summary\n%s' "$summary"
    if [ "$status" -ne 0 ]; then
        printf 'FAILED: %s\n' "${running:-$0}"
    else
        printf 'all checks passed in %d s\n' "$SECONDS"
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

# What the checks lack, as Debian names it.
missing() {
    command -v spirv-val >/dev/null || echo spirv-tools
    command -v glslangValidator >/dev/null || echo glslang-tools
    has_library libvulkan.so.1 || echo libvulkan1
    has_library libEGL.so.1 || echo libegl1
    has_library libGLESv2.so.2 || echo libgles2
    command -v Xvfb >/dev/null || echo xvfb
    command -v xdotool >/dev/null || echo xdotool
    command -v ffmpeg >/dev/null || echo ffmpeg
    command -v pkg-config >/dev/null || echo pkg-config
    has_library libxkbcommon-x11.so.0 || echo libxkbcommon-x11-0
    has_library libX11-xcb.so.1 || echo libx11-xcb1
    has_library libXcursor.so.1 || echo libxcursor1
    has_library libXi.so.6 || echo libxi6
    has_library libXrandr.so.2 || echo libxrandr2
    compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null || has_library libclang.so || echo libclang-dev
    compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' >/dev/null || echo mesa-vulkan-drivers
    compgen -G '/usr/lib/*/dri/swrast_dri.so' >/dev/null || compgen -G '/usr/lib/*/libgallium*.so' >/dev/null || echo libgl1-mesa-dri
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

drivers_and_tools() {
    local packages
    packages=$(missing)
    if [ -n "$packages" ] && command -v apt-get >/dev/null; then
        # One package a word.
        # shellcheck disable=SC2086
        apt_install $packages
        packages=$(missing)
    fi
    if [ -n "$packages" ]; then
        echo "please install what your system calls these packages of Debian:" $packages >&2
        return 1
    fi
    echo "all here"
}

# Always the whole workspace: chosen one by one, packages share fewer features of what they depend on, and much is built twice.
test=(cargo test --release --workspace)

# Every kernel in every backend's language, through other people's compilers.
translations() {
    local folder=$scratch/translations file checked=0 refused=0
    MTCMCN_TRANSLATIONS=$folder "${test[@]}" --test cpu every_kernel_translates
    for file in "$folder"/*; do
        local compiler
        case $file in
            *.spv) compiler=(spirv-val --target-env vulkan1.1) ;;
            *.comp) compiler=(glslangValidator -S comp) ;;
            *.hlsl) compiler=(glslangValidator -D -V -S comp -e main -o "$scratch/out") ;;
            *) continue ;; # MSL: only Apple's compiler reads it
        esac
        checked=$((checked + 1))
        if ! "${compiler[@]}" "$file" >"$scratch/log" 2>&1; then
            refused=$((refused + 1))
            echo "refused: ${file##*/}"
            head -n 20 "$scratch/log"
        fi
    done
    echo "$checked translations checked, $refused refused"
    [ "$refused" -eq 0 ]
    [ "$checked" -ge 60 ]
}

step "drivers and tools" drivers_and_tools
step "fmt" cargo fmt --all --check
step "clippy" cargo clippy --workspace --release --all-targets -- -D warnings
step "clippy, library alone" cargo clippy --release --no-default-features --lib -- -D warnings
step "doc" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --release --no-deps --document-private-items
if command -v cargo-deny >/dev/null; then
    step "deny" cargo deny check
else
    echo "licences and advisories not checked: cargo-deny is not installed"
fi
step "build" "${test[@]}" --no-run
step "unit tests" "${test[@]}" --lib --bins
step "doc tests" "${test[@]}" --doc
step "cpu tests" "${test[@]}" --test cpu
step "translations" translations
step "gpu tests, software Vulkan" env MTCMCN_TEST_DEVICE=llvmpipe "${test[@]}" --test gpu
step "gpu tests, GL" env MTCMCN_TEST_DEVICE=gl "${test[@]}" --test gpu

step "viewer" "${test[@]}" --test viewer

data=${MTCMCN_DATA:-../shared/data}
if ! [ -e tests/photos ]; then
    echo "photo tests not run: this tree has no tests/photos"
elif ! [ -d "$data" ]; then
    echo "photo tests not run: there is no folder $data with photos (set MTCMCN_DATA)"
else
    # One at a time: one of them watches the memory of its process.
    step "photo tests" env MTCMCN_DATA="$(cd "$data" && pwd)" "${test[@]}" --test photos -- --test-threads=1
fi
