// mine: scale[n] = weight / K for the K = max(1, floor(keep * N)) hardest of the N samples that have the task, exactly 0 for the others
// (spec 4.4)
//
//   losses  f32[3, n]  read     row `task`
//   kinds   u32[n]     read     bit `task`: the sample has the task
//   scales  f32[3, n]  update   row `task` is written
//
// One invocation per sample counts the samples before it: those with a larger loss, and those with an equal loss and a smaller index.
// Twin: src/kernels/train/mine.rs.

struct Mine {
    n: u32,
    task: u32,
    keep: u32,   // hundredths of a per cent: an integer, so that every device finds the same K
    weight: f32,
}

@group(0) @binding(0) var<uniform> p: Mine;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> kinds: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    let loss = losses[p.task * p.n + id.x];
    var pool = 0u;
    var rank = 0u;
    for (var j = 0u; j < p.n; j++) {
        let other = losses[p.task * p.n + j];
        let has = (kinds[j] >> p.task) & 1u;
        pool += has;
        rank += select(0u, has, other > loss || (other == loss && j < id.x));
    }
    let kept = max(1u, pool * p.keep / 10000u);
    let mine = ((kinds[id.x] >> p.task) & 1u) != 0u && rank < kept;
    scales[p.task * p.n + id.x] = select(0.0, p.weight / f32(kept), mine);
}
