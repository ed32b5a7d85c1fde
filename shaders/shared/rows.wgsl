// One counted step: the candidates that are its items. The number of items is the first word of the step's
// entry, and of its uniform (`Counted`).
struct Row {
    first: u32, // number of items before this chunk
    most: u32,  // largest number of items in a chunk
}

const ENTRY: u32 = 64u; // words of an entry

// Returns the number of items of a step, given a list of `held` candidates.
fn items_of(row: Row, held: u32) -> u32 {
    return min(max(held, row.first) - row.first, row.most);
}
