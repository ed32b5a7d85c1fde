# Format, lints, documentation, licences.

lint_steps() {
    step "fmt" cargo fmt --all --check
    # The photo tests are no default target.
    step "clippy" cargo clippy "${workspace[@]}" --profile ci --all-targets --test photos -- -D warnings
    step "clippy, library alone" cargo clippy --profile ci --no-default-features --lib -- -D warnings
    step "doc" env RUSTDOCFLAGS="-D warnings" cargo doc "${workspace[@]}" --profile ci --no-deps --document-private-items
    if command -v cargo-deny >/dev/null; then
        step "deny" cargo deny check
    else
        skip "licences and advisories, since cargo-deny is not installed"
    fi
}
