//! Disjoint windows of several planes, so that threads can write one tensor.

use std::marker::PhantomData;

/// The same range of `len` elements in each of several planes, writable by its owner.
pub(crate) struct PlanesMut<'a> {
    first: *mut f32,
    planes: usize,
    stride: usize,
    len: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: it represents mutable borrows of its elements, which no other window contains, and `f32` may be
// sent.
unsafe impl Send for PlanesMut<'_> {}

impl<'a> PlanesMut<'a> {
    /// Creates a window of all of `data`: `planes` planes of equal length.
    pub fn new(data: &'a mut [f32], planes: usize) -> Self {
        assert!(planes > 0 && data.len().is_multiple_of(planes), "{} elements are not {planes} planes", data.len());
        let len = data.len() / planes;
        Self { first: data.as_mut_ptr(), planes, stride: len, len, owner: PhantomData }
    }

    /// Splits the window into the first `at` elements of every plane and the others.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        assert!(at <= self.len, "split at {at} of {}", self.len);
        // SAFETY: `at` elements after the start of a window is inside the window or at its end. The two
        // windows share no element.
        let second = unsafe { self.first.add(at) };
        (Self { len: at, ..self }, Self { first: second, len: self.len - at, ..self })
    }

    /// Returns the window's elements in `count` planes, starting at plane `first`.
    pub fn part(&mut self, first: usize, count: usize) -> PlanesMut<'_> {
        assert!(count > 0 && first + count <= self.planes, "planes {first} to {} of {}", first + count, self.planes);
        // SAFETY: plane `first` exists. The part borrows this window, so nobody uses both.
        let start = unsafe { self.first.add(first * self.stride) };
        PlanesMut { first: start, planes: count, stride: self.stride, len: self.len, owner: PhantomData }
    }

    /// Returns the number of planes.
    pub fn planes(&self) -> usize {
        self.planes
    }

    /// Returns the number of elements of the window in each plane.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns the window's elements in plane `plane`.
    pub fn row_mut(&mut self, plane: usize) -> &mut [f32] {
        assert!(plane < self.planes, "plane {plane} of {}", self.planes);
        // SAFETY: no other window contains these elements.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(plane * self.stride), self.len) }
    }

    /// Returns the distance between planes.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// Returns a pointer to the first element.
    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.first
    }
}
