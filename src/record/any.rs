//! [`Kernel`] as an object: what its constants and methods say, whatever its type.

use std::ops::Range;

use super::{Binding, Kernel, Work};

/// What engines need of a kernel, whatever its type.
pub trait AnyKernel: Send + Sync + std::fmt::Debug {
    /// [`Kernel::NAME`].
    fn name(&self) -> &'static str;
    /// [`Kernel::WGSL`].
    fn wgsl(&self) -> &'static [&'static str];
    /// [`Kernel::WORKGROUP`].
    fn workgroup(&self) -> [u32; 3];
    /// [`Kernel::BINDINGS`].
    fn bindings(&self) -> &'static [Binding];
    /// [`Kernel::FIELDS`].
    fn fields(&self) -> &'static [(&'static str, usize)];
    /// Bytes of the uniform.
    fn uniform(&self) -> &[u8];
    /// [`Kernel::work`].
    fn work(&self) -> Work;
    /// [`Kernel::sizes`].
    fn sizes(&self) -> Vec<usize>;
    /// [`Kernel::overrides`].
    fn overrides(&self) -> Vec<(&'static str, f64)>;
    /// [`Kernel::reference`].
    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]);
    /// [`Kernel::native`].
    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]);
    /// [`Kernel::apart`].
    fn apart(&self) -> Option<Vec<usize>>;
    /// [`Kernel::native_part`].
    fn native_part(&self, items: Range<u32>, read: &[&[f32]], write: &mut [&mut [f32]]);
    /// [`Kernel::multiply_adds`].
    fn multiply_adds(&self, items: u32) -> u64;
    /// [`Kernel::tolerance`].
    fn tolerance(&self, read: &[&[f32]]) -> f32;
}

impl<K: Kernel> AnyKernel for K {
    fn name(&self) -> &'static str {
        K::NAME
    }
    fn wgsl(&self) -> &'static [&'static str] {
        K::WGSL
    }
    fn workgroup(&self) -> [u32; 3] {
        K::WORKGROUP
    }
    fn bindings(&self) -> &'static [Binding] {
        K::BINDINGS
    }
    fn fields(&self) -> &'static [(&'static str, usize)] {
        K::FIELDS
    }
    fn uniform(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }
    fn work(&self) -> Work {
        Kernel::work(self)
    }
    fn sizes(&self) -> Vec<usize> {
        Kernel::sizes(self)
    }
    fn overrides(&self) -> Vec<(&'static str, f64)> {
        Kernel::overrides(self)
    }
    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        Kernel::reference(self, items, read, write);
    }
    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        Kernel::native(self, items, read, write);
    }
    fn apart(&self) -> Option<Vec<usize>> {
        Kernel::apart(self)
    }
    fn native_part(&self, items: Range<u32>, read: &[&[f32]], write: &mut [&mut [f32]]) {
        Kernel::native_part(self, items, read, write);
    }
    fn multiply_adds(&self, items: u32) -> u64 {
        Kernel::multiply_adds(self, items)
    }
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        Kernel::tolerance(self, read)
    }
}
