//! Grouping of planes into tasks, for kernels whose elements or planes are independent.

/// Number of elements that justify a task of their own.
pub const BLOCK: usize = 1 << 14;

/// The number of planes per task.
#[derive(Debug, Clone, Copy)]
pub struct Together {
    c: usize,
    planes: usize,
    /// Number of elements of a plane.
    pub plane: usize,
}

impl Together {
    /// Groups the planes of activations `[n, c, plane]`.
    pub fn new(c: u32, plane: u32) -> Self {
        let plane = plane as usize;
        Self { c: c as usize, planes: (BLOCK / plane).max(1), plane }
    }

    /// Returns the number of elements of a task.
    pub fn len(self) -> usize {
        self.planes * self.plane
    }

    /// Returns the index, over all items, of plane number `k` of a task.
    pub fn at(self, task: usize, k: usize) -> usize {
        task * self.planes + k
    }

    /// Returns the channel of plane number `k` of a task.
    #[inline(always)]
    pub fn channel(self, task: usize, k: usize) -> usize {
        self.at(task, k) % self.c
    }
}

/// Returns `Σ value(i)` for `i` below `len`: sixteen partial sums side by side, which vectorise, are added at
/// the end. The order is the same in every run.
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
