//! [`Kernel`] as a trait object: its constants and methods, independent of its type.

use std::ops::Range;

use super::{Binding, Kernel, Work};

/// The interface through which engines use a kernel of any type.
pub trait AnyKernel: Send + Sync + std::fmt::Debug {
    /// Returns [`Kernel::NAME`].
    fn name(&self) -> &'static str;
    /// Returns [`Kernel::WGSL`].
    fn wgsl(&self) -> &'static [&'static str];
    /// Returns [`Kernel::WORKGROUP`].
    fn workgroup(&self) -> [u32; 3];
    /// Returns [`Kernel::BINDINGS`].
    fn bindings(&self) -> &'static [Binding];
    /// Returns [`Kernel::FIELDS`].
    fn fields(&self) -> &'static [(&'static str, usize)];
    /// Returns the bytes of the uniform.
    fn uniform(&self) -> &[u8];
    /// Returns [`Kernel::WALKERS`].
    fn walkers(&self) -> Option<u32>;
    /// Calls [`Kernel::work`].
    fn work(&self) -> Work;
    /// Returns the numbers of workgroups along x and y that a GPU runs.
    fn groups(&self) -> [u32; 2];
    /// Calls [`Kernel::sizes`].
    fn sizes(&self) -> Vec<usize>;
    /// Calls [`Kernel::overrides`] and adds [`Kernel::WALKERS`].
    fn overrides(&self) -> Vec<(&'static str, f64)>;
    /// Calls [`Kernel::reference`].
    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]);
    /// Calls [`Kernel::native`].
    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]);
    /// Calls [`Kernel::prepare`].
    fn prepare(&self, read: &[Option<&[f32]>]) -> Option<Vec<f32>>;
    /// Calls [`Kernel::apart`].
    fn apart(&self) -> Option<Vec<usize>>;
    /// Calls [`Kernel::native_part`].
    fn native_part(&self, items: Range<u32>, read: &[&[f32]], write: &mut [&mut [f32]]);
    /// Calls [`Kernel::multiply_adds`].
    fn multiply_adds(&self, items: u32) -> u64;
    /// Calls [`Kernel::tolerance`].
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
    fn walkers(&self) -> Option<u32> {
        K::WALKERS
    }
    fn work(&self) -> Work {
        Kernel::work(self)
    }
    fn groups(&self) -> [u32; 2] {
        let work = Kernel::work(self);
        let [x, y] = work.groups(work.most(), K::WORKGROUP[0]);
        [K::WALKERS.map_or(x, |walkers| x.min(walkers)), y]
    }
    fn sizes(&self) -> Vec<usize> {
        Kernel::sizes(self)
    }
    fn overrides(&self) -> Vec<(&'static str, f64)> {
        let walkers = K::WALKERS.map(|walkers| ("WALKERS", f64::from(walkers)));
        Kernel::overrides(self).into_iter().chain(walkers).collect()
    }
    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        Kernel::reference(self, items, read, write);
    }
    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        Kernel::native(self, items, read, write);
    }
    fn prepare(&self, read: &[Option<&[f32]>]) -> Option<Vec<f32>> {
        Kernel::prepare(self, read)
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
