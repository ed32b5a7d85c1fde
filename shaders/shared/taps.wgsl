// Weights of separable resampling from `size` to `out` elements (spec 3.2), in exact integer arithmetic.

struct Taps {
    first: u32, // first input element with a weight
    last: u32,  // last input element with a weight
    start: u32, // area: left end of the output element in units of 1/out input elements; bilinear: weight of `last` in units of 1/(2 out)
    area: bool,
}

fn taps(i: u32, size: u32, out: u32, bilinear: u32) -> Taps {
    if size >= out && bilinear == 0u {
        return Taps(i * size / out, ((i + 1u) * size - 1u) / out, i * size, true);
    }
    let centre = (2u * i + 1u) * size;
    let position = centre - min(centre, out); // 2 out ((i + 1/2) size/out - 1/2), not below 0
    let first = position / (2u * out);
    if first >= size - 1u { return Taps(size - 1u, size - 1u, 0u, false); }
    return Taps(first, first + 1u, position % (2u * out), false);
}

// Returns the weight of input element j, an integer.
fn tap_weight(t: Taps, j: u32, size: u32, out: u32) -> f32 {
    if t.area { return f32(min(t.start + size, (j + 1u) * out) - max(t.start, j * out)); }
    return f32(select(2u * out - t.start, t.start, j > t.first));
}

// Returns the sum of all weights of an output element.
fn tap_total(t: Taps, size: u32, out: u32) -> f32 {
    return f32(select(2u * out, size, t.area));
}
