// Two dense layers by a workgroup of 128 over the 8 items from `item` on, the first with PReLU: the kernel binds `x: [n, inputs]`, `weight` of
// the first as nn/dense packs it, and `parameters`: its bias [quads] and slope [quads], weights of the second [hidden, outs] and their bias
// [outs], in quads. An invocation sums eight hidden values of all 8 items over a share of the inputs; shares are added in order.

var<workgroup> hidden: array<vec4f, 512>; // [8, quads]
var<workgroup> outputs: array<vec4f, 32>;  // [8, outs]

fn outer(w: vec4f, x: vec4f) -> mat4x4f { return mat4x4f(w * x.x, w * x.y, w * x.z, w * x.w); }

// Sums of one quad for four items, after those of the shares before.
fn add(at: u32, sums: mat4x4f, turn: vec2<bool>) {
    add_one(at, sums[0], turn);
    add_one(at + p.quads, sums[1], turn);
    add_one(at + 2u * p.quads, sums[2], turn);
    add_one(at + 3u * p.quads, sums[3], turn);
}

// The first turn starts with the bias, the last ends with PReLU.
fn add_one(at: u32, sum: vec4f, turn: vec2<bool>) {
    let v = sum + select(hidden[at], parameters[at % p.quads], turn.x);
    hidden[at] = select(v, select(parameters[p.quads + at % p.quads] * v, v, v > vec4f(0.0)), turn.y);
}

// Leaves `outputs`; items beyond `n` repeat the last.
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
    for (var turn = 0u; turn < shares; turn++) {
        if turn == share {
            let ends = vec2<bool>(turn == 0u, turn + 1u == shares);
            add(quad, a, ends);
            add(quad + 4u * p.quads, b, ends);
            add(quad + 1u, c, ends);
            add(quad + 4u * p.quads + 1u, d, ends);
        }
        workgroupBarrier();
    }
    if lane < 8u * p.outs {
        let weights = 2u * p.quads + lane % p.outs;
        var sum = parameters[weights + 4u * p.quads * p.outs];
        for (var q = 0u; q < p.quads; q++) {
            let v = hidden[lane / p.outs * p.quads + q];
            let at = weights + 4u * q * p.outs;
            sum += parameters[at] * v.x + parameters[at + p.outs] * v.y + parameters[at + 2u * p.outs] * v.z + parameters[at + 3u * p.outs] * v.w;
        }
        outputs[lane] = sum;
    }
    workgroupBarrier();
}
