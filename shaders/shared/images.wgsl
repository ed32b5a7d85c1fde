// Items counted over several images in sequence: the kernel binds `counters: array<Counter>`; the list of an
// image has `counters[list * images + image].held` items.

// Returns the image of item number `item` and its place in that image's list.
fn image_of(item: u32, list: u32, images: u32) -> vec2u {
    var place = item;
    var image = 0u;
    while image + 1u < images && place >= counters[list * images + image].held {
        place -= counters[list * images + image].held;
        image++;
    }
    return vec2u(image, place);
}
