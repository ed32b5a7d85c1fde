// Number of candidates in a list, number that an unbounded list would hold, and whether a NaN was found.
struct Counter {
    held: u32,
    wanted: u32,
    fault: u32,
    unused: u32,
}
