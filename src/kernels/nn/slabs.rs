//! Sums over all places of a channel, cut into slabs of fixed size: in an order that no device and no number
//! of threads can change.

use crate::tensor::Shape;

/// How the places of a channel, all items end to end, are dealt to slabs: slab `s` has every `count`-th
/// place, from `s` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slabs {
    n: usize,
    c: usize,
    plane: usize,
    count: usize,
}

impl Slabs {
    /// Slabs of at least 64 places, at most 1,024 of them.
    pub fn number(shape: &Shape) -> u32 {
        (shape.n() * shape.plane() / 64).clamp(1, 1024)
    }

    /// Of activations `[n, c, plane]` in `count` slabs.
    pub fn new([n, c, plane, count]: [u32; 4]) -> Self {
        let [n, c, plane, count] = [n, c, plane, count].map(|size| size as usize);
        Self { n, c, plane, count }
    }

    /// Slabs of a channel.
    pub fn count(self) -> usize {
        self.count
    }

    /// Places of a channel.
    pub fn places(self) -> usize {
        self.n * self.plane
    }

    /// Most places of a slab: terms of its sums.
    pub fn terms(self) -> usize {
        self.places().div_ceil(self.count)
    }

    /// Places of a slab.
    pub fn len(self, slab: usize) -> usize {
        (self.places() - 1 - slab) / self.count + 1
    }

    /// The element at `place` of a channel.
    pub fn element(self, channel: usize, place: usize) -> usize {
        (place / self.plane * self.c + channel) * self.plane + place % self.plane
    }

    /// The elements of a slab, in order.
    pub fn elements(self, channel: usize, slab: usize) -> impl Iterator<Item = usize> + Clone {
        (slab..self.places()).step_by(self.count).map(move |place| self.element(channel, place))
    }

    /// Calls `visit` with the first element, the first slab and the length of every run of neighbouring
    /// elements in neighbouring slabs.
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
