// Matrix products: in tiles of 64 rows x 64 columns, 16 deep, staged in workgroup memory if the kernel
// overrides `TILED`, else of 16 x 4 in the registers of each invocation. The kernel has `four_rows` of the
// left factor, `four_columns` of the right one, and `store` for four rows of the result.

// Sums of an invocation, four blocks of 4 rows x 4 columns, a matrix column for each column. In registers
// alone they are rows 0, 4, 8 and 12; of a tile, quads `lane / 8` of rows and `lane % 8` of columns, then 32
// rows further, 32 columns, both.
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

// Stages 16 levels from `depth` on and adds them: unrolled, since a loop costs a counter.
fn tile(lane: u32, row: u32, depth: u32, tap: u32, before: Sums) -> Sums {
    let quad = lane / 16u;
    let k = lane % 16u;
    right_tile[lane] = four_columns(depth + quad);
    right_tile[lane + 64u] = four_columns(depth + quad + 4u);
    right_tile[lane + 128u] = four_columns(depth + quad + 8u);
    right_tile[lane + 192u] = four_columns(depth + quad + 12u);
    left_tile[k * 16u + quad] = four_rows(row + quad * 4u, depth + k, tap);
    left_tile[k * 16u + quad + 4u] = four_rows(row + quad * 4u + 16u, depth + k, tap);
    left_tile[k * 16u + quad + 8u] = four_rows(row + quad * 4u + 32u, depth + k, tap);
    left_tile[k * 16u + quad + 12u] = four_rows(row + quad * 4u + 48u, depth + k, tap);
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

// Adds the products from depth `first` to `end`.
fn multiply(lane: u32, row: u32, first: u32, end: u32, tap: u32, before: Sums) -> Sums {
    var s = before;
    if TILED {
        for (var depth = first; depth < end; depth += 16u) { s = tile(lane, row, depth, tap, s); }
    } else {
        for (var depth = first; depth < end; depth++) {
            let right = four_columns(depth);
            s = Sums(
                outer(s.a, four_rows(row, depth, tap), right),
                outer(s.b, four_rows(row + 4u, depth, tap), right),
                outer(s.c, four_rows(row + 8u, depth, tap), right),
                outer(s.d, four_rows(row + 12u, depth, tap), right),
            );
        }
    }
    return s;
}

// Rows and columns of a workgroup's results.
fn tile_size() -> vec2u {
    if TILED { return vec2u(64u, 64u); }
    return vec2u(16u, 256u);
}

// The columns, of those from `first` to `count`, that an invocation reads for all: those beyond the last
// repeat it.
fn columns_read(lane: u32, first: u32, count: u32) -> vec4u {
    var quad = lane;
    if TILED { quad = lane % 16u; }
    return min(vec4u(first + quad * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(count - 1u));
}

// Hands `store` what an invocation summed, in the tile whose first row and column these are.
fn store_all(lane: u32, row: u32, column: u32, s: Sums) {
    if TILED {
        let r = row + lane / 8u * 4u;
        let c = column + lane % 8u * 4u;
        store_block(r, c, s.a);
        store_block(r + 32u, c, s.b);
        store_block(r, c + 32u, s.c);
        store_block(r + 32u, c + 32u, s.d);
    } else {
        store_block(row, column + lane * 4u, s.a);
        store_block(row + 4u, column + lane * 4u, s.b);
        store_block(row + 8u, column + lane * 4u, s.c);
        store_block(row + 12u, column + lane * 4u, s.d);
    }
}

fn store_block(row: u32, column: u32, s: mat4x4f) {
    store(row, column, s[0]);
    store(row, column + 1u, s[1]);
    store(row, column + 2u, s[2]);
    store(row, column + 3u, s[3]);
}
