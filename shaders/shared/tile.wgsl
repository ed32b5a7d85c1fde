// Rows of taps over four adjacent outputs in 16 channels: the kernel binds `weight: array<vec4f>`, 16
// channels per tap, and overrides `K`.

// Six adjacent elements of a row.
struct Line { a: f32, b: f32, c: f32, d: f32, e: f32, f: f32 }
// Sums of 16 channels of four adjacent outputs.
struct Sums { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f }

fn tap(at: u32, a: f32, b: f32, c: f32, d: f32, sums: Sums) -> Sums {
    let w = mat4x4f(weight[at], weight[at + 1u], weight[at + 2u], weight[at + 3u]);
    return Sums(sums.a + w * a, sums.b + w * b, sums.c + w * c, sums.d + w * d);
}

// Adds a row of taps.
fn taps(at: u32, l: Line, before: Sums) -> Sums {
    var sums = tap(at, l.a, l.b, l.c, l.d, before);
    if K > 1u { sums = tap(at + 4u, l.b, l.c, l.d, l.e, sums); }
    if K > 2u { sums = tap(at + 8u, l.c, l.d, l.e, l.f, sums); }
    return sums;
}
