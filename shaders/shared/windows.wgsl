// Windows of pools, rows and columns alike. Window i covers the elements from floor((i step - pad) / parts)
// up to, not including, ceil((i step - pad + span) / parts), as far as there are any. Sliding windows have 1
// part; of k adaptive bins over `size` elements the step and the span are `size` and the parts are k.

struct Windows {
    x: vec2u,    // rows and columns of the input
    y: vec2u,    // of the output: windows
    step: vec2u, // from window to window
    span: vec2u, // of a window
    n: u32,
    c: u32,
    pad: u32,
    parts: u32,
}

// First element of window i, and the end of it.
fn window_start(i: u32, step: u32) -> u32 { return (max(i * step, p.pad) - p.pad) / p.parts; }
fn window_end(i: u32, step: u32, span: u32, size: u32) -> u32 { return min((i * step + span - p.pad + p.parts - 1u) / p.parts, size); }

// First window that covers element `at`, and the end of them.
fn first_window(at: u32, step: u32, span: u32) -> u32 {
    let reach = at * p.parts + p.pad;
    if reach < span { return 0u; }
    return (reach - span) / step + 1u;
}
fn windows_end(at: u32, step: u32, count: u32) -> u32 { return min(((at + 1u) * p.parts + p.pad - 1u) / step + 1u, count); }
