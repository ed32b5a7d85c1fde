// One counted step and its dispatch size: workgroups x, y, 1, then the number of items.
struct Row {
    per_item: u32, // number of invocations for `together` items
    together: u32,
    groups_y: u32,
    width: u32,    // invocations of a workgroup along x
    first: u32,    // number of items before this chunk
    most: u32,     // largest number of items in a chunk
}

// Returns the dispatch size for a list of `held` items.
fn dispatch_size(row: Row, held: u32) -> vec4u {
    let items = min(max(held, row.first) - row.first, row.most);
    let invocations = (items + row.together - 1u) / row.together * row.per_item;
    return vec4u((invocations + row.width - 1u) / row.width, row.groups_y, 1u, items);
}
