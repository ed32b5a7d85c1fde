//! Disjoint windows of several planes, so that threads can write one tensor.

use std::marker::PhantomData;

/// The same `len` neighbouring elements of each of several planes, to be written by whoever holds it.
pub(crate) struct PlanesMut<'a> {
    first: *mut f32,
    planes: usize,
    stride: usize,
    len: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for mutable borrows of its elements, which no other window has: `f32` may be sent.
unsafe impl Send for PlanesMut<'_> {}

impl<'a> PlanesMut<'a> {
    /// All of `data`: `planes` planes of equal length.
    pub fn new(data: &'a mut [f32], planes: usize) -> Self {
        assert!(planes > 0 && data.len().is_multiple_of(planes), "{} elements are not {planes} planes", data.len());
        let len = data.len() / planes;
        Self { first: data.as_mut_ptr(), planes, stride: len, len, owner: PhantomData }
    }

    /// The first `at` elements of every plane, and the others.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        assert!(at <= self.len, "split at {at} of {}", self.len);
        // SAFETY: `at` elements after the first of a window is inside the window or just behind it. The two windows share no element.
        let second = unsafe { self.first.add(at) };
        (Self { len: at, ..self }, Self { first: second, len: self.len - at, ..self })
    }

    /// Planes.
    pub fn planes(&self) -> usize {
        self.planes
    }

    /// Elements of the window in each plane.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The window's elements in plane `plane`.
    pub fn row_mut(&mut self, plane: usize) -> &mut [f32] {
        assert!(plane < self.planes, "plane {plane} of {}", self.planes);
        // SAFETY: this window alone stands for these elements.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(plane * self.stride), self.len) }
    }

    /// From one plane to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The first element.
    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.first
    }
}
