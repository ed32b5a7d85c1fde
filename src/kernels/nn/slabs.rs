//! Sums over all places of a channel, cut into slabs of fixed size, so that their order is independent of the
//! device and the number of threads.

use crate::tensor::Shape;

/// Assigns the places of a channel, over all items in sequence, to slabs: slab `s` holds every `count`-th
/// place, starting at `s`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slabs {
    n: usize,
    c: usize,
    plane: usize,
    count: usize,
}

impl Slabs {
    /// Returns the number of slabs for activations of `shape`: at most 1,024, with at least 64 places each.
    pub fn number(shape: &Shape) -> u32 {
        (shape.n() * shape.plane() / 64).clamp(1, 1024)
    }

    /// Divides activations `[n, c, plane]` into `count` slabs.
    pub fn new([n, c, plane, count]: [u32; 4]) -> Self {
        let [n, c, plane, count] = [n, c, plane, count].map(|size| size as usize);
        Self { n, c, plane, count }
    }

    /// Returns the number of slabs per channel.
    pub fn count(self) -> usize {
        self.count
    }

    /// Returns the number of places per channel.
    pub fn places(self) -> usize {
        self.n * self.plane
    }

    /// Returns the largest number of places in a slab, which is the number of terms of its sums.
    pub fn terms(self) -> usize {
        self.places().div_ceil(self.count)
    }

    /// Returns the number of places in a slab.
    pub fn len(self, slab: usize) -> usize {
        (self.places() - 1 - slab) / self.count + 1
    }

    /// Returns the index of the element at `place` of a channel.
    pub fn element(self, channel: usize, place: usize) -> usize {
        (place / self.plane * self.c + channel) * self.plane + place % self.plane
    }

    /// Returns the indices of the elements of a slab, in order.
    pub fn elements(self, channel: usize, slab: usize) -> impl Iterator<Item = usize> + Clone {
        (slab..self.places()).step_by(self.count).map(move |place| self.element(channel, place))
    }

    /// Calls `visit` with the first element, the first slab and the length of every run of adjacent elements
    /// in adjacent slabs.
    #[inline(always)]
    pub fn runs(self, channel: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let mut slab = 0;
        for item in 0..self.n {
            let (mut at, mut left) = ((item * self.c + channel) * self.plane, self.plane);
            while left > 0 {
                let len = left.min(self.count - slab);
                visit(at, slab, len);
                at += len;
                left -= len;
                slab = if slab + len == self.count { 0 } else { slab + len };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_elements_of_all_slabs() {
        for [n, c, plane, count] in [[1, 1, 1, 1], [5, 3, 7, 11], [2, 2, 30, 4], [9, 4, 1, 2]] {
            let slabs = Slabs::new([n, c, plane, count]);
            for channel in 0..c as usize {
                let mut by_runs = vec![Vec::new(); slabs.count()];
                slabs.runs(channel, |at, slab, len| (0..len).for_each(|k| by_runs[slab + k].push(at + k)));
                for (slab, elements) in by_runs.iter().enumerate() {
                    assert_eq!(*elements, slabs.elements(channel, slab).collect::<Vec<_>>());
                    assert_eq!(elements.len(), slabs.len(slab));
                }
            }
        }
    }
}
