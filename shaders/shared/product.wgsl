// Matrix products in tiles of 64 rows x 64 columns, 16 deep, staged in workgroup memory; or of 16 x 4 in the registers of each invocation: the
// kernel overrides `TILED`.

// Sums of an invocation, four blocks of 4 rows x 4 columns, a matrix column for each column. Registers alone: rows 0, 4, 8 and 12. Tiles: rows
// and columns of `lane / 8` and `lane % 8`, then 32 rows further, 32 columns, both.
struct Sums { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f }

// Quad `i` of rows or columns at depth k is element `16 k + i`.
var<workgroup> left_tile: array<vec4f, 256>;
var<workgroup> right_tile: array<vec4f, 256>;

fn outer(sums: mat4x4f, left: vec4f, right: vec4f) -> mat4x4f {
    return sums + mat4x4f(left * right.x, left * right.y, left * right.z, left * right.w);
}

// One level of the tile.
fn level(k: u32, lane: u32, s: Sums) -> Sums {
    let l = k * 16u + lane / 8u;
    let r = k * 16u + lane % 8u;
    return Sums(
        outer(s.a, left_tile[l], right_tile[r]),
        outer(s.b, left_tile[l + 8u], right_tile[r]),
        outer(s.c, left_tile[l], right_tile[r + 8u]),
        outer(s.d, left_tile[l + 8u], right_tile[r + 8u]),
    );
}

// The whole tile, which `stage` filled: unrolled, since a loop costs a counter.
fn tile(lane: u32, before: Sums) -> Sums {
    workgroupBarrier();
    var s = level(0u, lane, before);
    s = level(1u, lane, s); s = level(2u, lane, s); s = level(3u, lane, s);
    s = level(4u, lane, s); s = level(5u, lane, s); s = level(6u, lane, s);
    s = level(7u, lane, s); s = level(8u, lane, s); s = level(9u, lane, s);
    s = level(10u, lane, s); s = level(11u, lane, s); s = level(12u, lane, s);
    s = level(13u, lane, s); s = level(14u, lane, s); s = level(15u, lane, s);
    workgroupBarrier();
    return s;
}

// 16 rows times 4 columns.
fn registers(s: Sums, l0: vec4f, l1: vec4f, l2: vec4f, l3: vec4f, right: vec4f) -> Sums {
    return Sums(outer(s.a, l0, right), outer(s.b, l1, right), outer(s.c, l2, right), outer(s.d, l3, right));
}

// Where a block of results is: rows before `end` exist, `origin` is the kernel's own.
struct Corner { row: u32, end: u32, column: u32, origin: u32 }

// Hands the kernel's `store` what an invocation summed, four rows of a column at a time.
fn store_all(at: Corner, s: Sums) {
    if TILED {
        store_block(at, s.a);
        store_block(Corner(at.row + 32u, at.end, at.column, at.origin), s.b);
        store_block(Corner(at.row, at.end, at.column + 32u, at.origin), s.c);
        store_block(Corner(at.row + 32u, at.end, at.column + 32u, at.origin), s.d);
    } else {
        store_block(at, s.a);
        store_block(Corner(at.row + 4u, at.end, at.column, at.origin), s.b);
        store_block(Corner(at.row + 8u, at.end, at.column, at.origin), s.c);
        store_block(Corner(at.row + 12u, at.end, at.column, at.origin), s.d);
    }
}

fn store_block(at: Corner, s: mat4x4f) {
    store(at, s[0]);
    store(Corner(at.row, at.end, at.column + 1u, at.origin), s[1]);
    store(Corner(at.row, at.end, at.column + 2u, at.origin), s[2]);
    store(Corner(at.row, at.end, at.column + 3u, at.origin), s[3]);
}
