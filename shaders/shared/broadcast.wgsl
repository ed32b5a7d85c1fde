// Which element of a factor goes with which of an activation: the kernel's `p` has `c`, `plane` and `over`.

const CHANNELS: u32 = 1u; // factor[n, c], the same at all places of a channel
const PLACES: u32 = 2u;   // factor[n, plane], the same for all channels; 0: factor[n, c, plane]

fn factor_of(i: u32) -> u32 {
    if p.over == CHANNELS { return i / p.plane; }
    if p.over == PLACES { return i / (p.c * p.plane) * p.plane + i % p.plane; }
    return i;
}
