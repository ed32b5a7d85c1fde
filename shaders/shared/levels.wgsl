// Levels of a ragged plane, as laid out by `nn::Level::table`: the kernel binds `levels: array<Level>`.

struct Level {
    tile: u32,    // first tile of this level
    columns: u32, // number of tiles in a row of tiles
    x: u32,       // first element of the input plane
    x_h: u32,
    x_w: u32,
    y: u32,       // first element of the output plane
    y_h: u32,
    y_w: u32,
}

// Returns the level that contains `tile`. There are at most a few dozen levels, and the first ones hold most
// tiles.
fn level_of(tile: u32, count: u32) -> Level {
    var i = 0u;
    while i + 1u < count && tile >= levels[i + 1u].tile { i++; }
    return levels[i];
}
