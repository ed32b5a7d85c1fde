// A kernel that walks: a workgroup does the work of its own index along x, then that of WALKERS further on,
// and so on up to the number of items, which the device may have counted (`Kernel::WALKERS`).
override WALKERS: u32;
