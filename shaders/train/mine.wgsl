// mine: scale[n] = weight / K for the K = max(1, floor(keep * N)) hardest of the N samples that have the task, exactly 0 for the others
// (spec 4.4)
//
//   losses  f32[tasks, n]      read
//   kinds   u32[n]             read    bit `task`: the sample has the task
//   rules   vec2u[tasks]       read    hundredths of a per cent that are kept, an integer, so that every device finds the same K; weight, a float
//   scales  f32[tasks + 1, n]  write   the last row has 1 for samples of the first task, kept or not, and 0 for the others
//
// One invocation per task and sample counts the samples before it: those with a larger loss, and those with an equal loss and a smaller
// index. Twin: src/kernels/train/mine.rs.

struct Mine {
    n: u32,
    tasks: u32,
}

@group(0) @binding(0) var<uniform> p: Mine;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> kinds: array<u32>;
@group(0) @binding(3) var<storage, read> rules: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    let at = id.y * p.n + id.x;
    if id.y == p.tasks {
        scales[at] = f32(kinds[id.x] & 1u);
        return;
    }
    let rule = rules[id.y];
    let loss = losses[at];
    var pool = vec4u(0u);
    var before = vec4u(0u);
    // Four samples at a time, so that their loads are under way together; those beyond the last repeat it, without a task.
    for (var i = 0u; i < p.n; i += 4u) {
        let all = vec4u(i) + vec4u(0u, 1u, 2u, 3u);
        let j = min(all, vec4u(p.n - 1u));
        let at_j = j + id.y * p.n;
        let other = vec4f(losses[at_j.x], losses[at_j.y], losses[at_j.z], losses[at_j.w]);
        let kind = vec4u(kinds[j.x], kinds[j.y], kinds[j.z], kinds[j.w]);
        let has = ((kind >> vec4u(id.y)) & vec4u(1u)) * vec4u(all < vec4u(p.n));
        pool += has;
        before += has * vec4u((other > vec4f(loss)) | ((other == vec4f(loss)) & (j < vec4u(id.x))));
    }
    let rank = before.x + before.y + before.z + before.w;
    let kept = max(1u, (pool.x + pool.y + pool.z + pool.w) * rule.x / 10000u);
    let mine = ((kinds[id.x] >> id.y) & 1u) != 0u && rank < kept;
    scales[at] = select(0.0, bitcast<f32>(rule.y) / f32(kept), mine);
}
