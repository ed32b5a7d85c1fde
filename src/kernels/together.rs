//! Planes that a thread takes together, where elements or planes stand alone.

/// Elements that are worth a task of their own.
pub const BLOCK: usize = 1 << 14;

/// How many planes make a task.
#[derive(Debug, Clone, Copy)]
pub struct Together {
    c: usize,
    planes: usize,
    /// Elements of a plane.
    pub plane: usize,
}

impl Together {
    /// Of activations `[n, c, plane]`.
    pub fn new(c: u32, plane: u32) -> Self {
        let plane = plane as usize;
        Self { c: c as usize, planes: (BLOCK / plane).max(1), plane }
    }

    /// Elements of a task.
    pub fn len(self) -> usize {
        self.planes * self.plane
    }

    /// The plane that is number `k` of a task, over all items.
    pub fn at(self, task: usize, k: usize) -> usize {
        task * self.planes + k
    }

    /// The channel of that plane.
    #[inline(always)]
    pub fn channel(self, task: usize, k: usize) -> usize {
        self.at(task, k) % self.c
    }
}

/// `Σ value(i)` for `i` below `len`: sixteen sums side by side, which vectorise, and then those; in the same
/// order in every run.
#[inline(always)]
pub fn sum_of(len: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    let whole = len / 16 * 16;
    for first in (0..whole).step_by(16) {
        sums.iter_mut().enumerate().for_each(|(lane, sum)| *sum += value(first + lane));
    }
    sums.iter_mut().enumerate().take(len - whole).for_each(|(lane, sum)| *sum += value(whole + lane));
    sums.iter().sum()
}
