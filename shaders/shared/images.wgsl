// Items of several images in a row: the kernel binds `counters: array<Counter>`, each image's list has `counters[list * images + image].held`.

// Image and place in its list of item number `item`.
fn image_of(item: u32, list: u32, images: u32) -> vec2u {
    var place = item;
    var image = 0u;
    while image + 1u < images && place >= counters[list * images + image].held {
        place -= counters[list * images + image].held;
        image++;
    }
    return vec2u(image, place);
}
