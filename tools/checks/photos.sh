# Golden runs on real photos, which are no part of this repository.
#
# MTCMCN_DATA names a folder with photos; without it a sibling folder with photos, ../shared/data, is tried.

photos_steps() {
    local data=${MTCMCN_DATA:-../shared/data}
    if ! [ -e tests/photos ]; then
        skip "photos, since this tree has no tests/photos"
    elif ! [ -d "$data" ]; then
        skip "photos, since there is no folder $data with photos (set MTCMCN_DATA)"
    else
        # One at a time: one of them watches the memory of its process.
        step "photo tests" env MTCMCN_DATA="$(cd "$data" && pwd)" "${test[@]}" --test photos -- --test-threads=1
    fi
}
