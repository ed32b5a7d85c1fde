// How many candidates a list holds, how many there would have been, and whether a NaN was met on the way.
struct Counter {
    held: u32,
    wanted: u32,
    fault: u32,
    unused: u32,
}
