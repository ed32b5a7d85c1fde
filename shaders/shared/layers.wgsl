// Two dense layers, the first with PReLU, by a workgroup of 128 over the 8 items starting at `item`. The
// kernel binds `x: [n, inputs]`, `weight` of the first layer, packed as for nn/dense, and `parameters`, in
// quads: bias [quads] and slope [quads] of the first layer, weights [hidden, outs] and bias [outs] of the
// second. An invocation sums eight hidden values of all 8 items over a share of the inputs; shares are added
// in order.

var<workgroup> hidden: array<vec4f, 512>; // [8, quads]
var<workgroup> sums: array<vec4f, 512>; // sums of two items [shares, 2, quads]; finally outputs [8, outs]

fn outer(w: vec4f, x: vec4f) -> mat4x4f { return mat4x4f(w * x.x, w * x.y, w * x.z, w * x.w); }

// Adds all shares of the sums of two items, the first quad and the second quad of each, and stores the hidden
// values.
fn collect(lane: u32, item: u32, a: vec4f, b: vec4f, c: vec4f, d: vec4f) {
    let pairs = p.quads / 2u;
    let at = lane / pairs * 2u * p.quads + lane % pairs * 2u;
    sums[at] = a;
    sums[at + 1u] = b;
    sums[at + p.quads] = c;
    sums[at + p.quads + 1u] = d;
    workgroupBarrier();
    if lane < 2u * p.quads {
        var v = parameters[lane % p.quads];
        for (var share = 0u; share < 128u / pairs; share++) { v += sums[share * 2u * p.quads + lane]; }
        hidden[item * p.quads + lane] = select(parameters[p.quads + lane % p.quads] * v, v, v > vec4f(0.0));
    }
    workgroupBarrier();
}

// Leaves the outputs in `sums`; items beyond `n` repeat the last.
fn two_layers(lane: u32, item: u32) {
    let pairs = p.quads / 2u;
    let shares = 128u / pairs;
    let quad = lane % pairs * 2u;
    let share = lane / pairs;
    let r = min(vec4u(item) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) * p.inputs;
    let s = min(vec4u(item) + vec4u(4u, 5u, 6u, 7u), vec4u(p.n - 1u)) * p.inputs;
    var a = mat4x4f(); // the first quad of the first four items
    var b = mat4x4f();
    var c = mat4x4f(); // the second quad
    var d = mat4x4f();
    for (var i = share * p.inputs / shares; i < (share + 1u) * p.inputs / shares; i++) {
        let u = weight[i * p.quads + quad];
        let v = weight[i * p.quads + quad + 1u];
        let first = vec4f(x[r.x + i], x[r.y + i], x[r.z + i], x[r.w + i]);
        let second = vec4f(x[s.x + i], x[s.y + i], x[s.z + i], x[s.w + i]);
        a += outer(u, first);
        b += outer(u, second);
        c += outer(v, first);
        d += outer(v, second);
    }
    collect(lane, 0u, a[0], c[0], a[1], c[1]);
    collect(lane, 2u, a[2], c[2], a[3], c[3]);
    collect(lane, 4u, b[0], d[0], b[1], d[1]);
    collect(lane, 6u, b[2], d[2], b[3], d[3]);
    if lane < 8u * p.outs {
        let weights = 2u * p.quads + lane % p.outs;
        var out = parameters[weights + 4u * p.quads * p.outs];
        for (var q = 0u; q < p.quads; q++) {
            let v = hidden[lane / p.outs * p.quads + q];
            let at = weights + 4u * q * p.outs;
            out += parameters[at] * v.x + parameters[at + p.outs] * v.y + parameters[at + 2u * p.outs] * v.z + parameters[at + 3u * p.outs] * v.w;
        }
        sums[lane] = out;
    }
    workgroupBarrier();
}
