//! [`Kernel`]: one compute kernel with its arguments, its bindings and its dispatch size.

use std::ops::Range;

/// How a kernel accesses a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only reads.
    Read,
    /// Writes every element of the items that exist.
    Write,
    /// Writes or adds to some elements; the others keep their values.
    Update,
}

/// Element type of a slot as a kernel sees it; both types have four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// `f32`, or vectors and structs of it.
    F32,
    /// `u32`, or vectors and structs of it.
    U32,
}

/// One storage binding of a kernel. Binding 0 is the uniform; the storage bindings follow in order, reads
/// first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// How the kernel accesses the slot.
    pub access: Access,
    /// Element type of the slot.
    pub element: Element,
    /// Whether it is read through a uniform binding, which holds at most 64 KiB and is fast when all
    /// invocations read the same elements.
    pub uniform: bool,
}

impl Binding {
    const fn new(access: Access, element: Element) -> Self {
        Self { access, element, uniform: false }
    }

    /// Read-only floats in a uniform buffer, `vec4f` by `vec4f`.
    pub const UNIFORM: Self = Self { uniform: true, ..Self::READ };
    /// Read-only floats.
    pub const READ: Self = Self::new(Access::Read, Element::F32);
    /// Read-only unsigned integers.
    pub const READ_U32: Self = Self::new(Access::Read, Element::U32);
    /// Written floats.
    pub const WRITE: Self = Self::new(Access::Write, Element::F32);
    /// Written unsigned integers.
    pub const WRITE_U32: Self = Self::new(Access::Write, Element::U32);
    /// Floats of which some are written.
    pub const UPDATE: Self = Self::new(Access::Update, Element::F32);
    /// Unsigned integers of which some are written.
    pub const UPDATE_U32: Self = Self::new(Access::Update, Element::U32);
}

/// Number of invocations of a kernel: `per_item` for every `together` items along x, and `rows` workgroups
/// along y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Number of invocations for `together` items.
    pub per_item: u32,
    /// Number of items that one set of invocations handles.
    pub together: u32,
    /// Largest number of items; `None` for a kernel without an item dimension, whose dispatch a count on the
    /// device does not shorten.
    pub items: Option<u32>,
    /// Number of workgroups along y; 0 for as many as needed ([`Work::folded`]).
    pub rows: u32,
}

impl Work {
    /// Returns the work of `invocations` in one dimension.
    pub const fn linear(invocations: u32) -> Self {
        Self { per_item: invocations, together: 1, items: None, rows: 1 }
    }

    /// Returns the work of any number of `invocations` in one dimension: past [`Work::MOST_GROUPS`]
    /// workgroups the dispatch continues in the next row, and the kernel computes its index with
    /// `shared/grid.wgsl`.
    pub const fn folded(invocations: u32) -> Self {
        Self { rows: 0, ..Self::linear(invocations) }
    }

    /// Returns the largest number of items, or 1 without an item dimension.
    pub fn most(self) -> u32 {
        self.items.unwrap_or(1)
    }

    /// Number of workgroups along a dimension that WebGPU guarantees.
    pub const MOST_GROUPS: u32 = 65_535;

    /// Number of workgroups that fills the largest devices: eight each on 132 processors.
    pub const WALKERS: u32 = 1056;

    /// Returns the numbers of workgroups of `width` invocations along x and y for `items` items.
    pub fn groups(self, items: u32, width: u32) -> [u32; 2] {
        let groups = (self.per_item * items.div_ceil(self.together)).div_ceil(width);
        if self.rows == 0 { [groups.min(Self::MOST_GROUPS), groups.div_ceil(Self::MOST_GROUPS)] } else { [groups, self.rows] }
    }
}

/// Declares a kernel's uniform as a `repr(C)`, `Pod` struct with `LAYOUT`, the names and byte offsets of its
/// fields.
#[macro_export]
macro_rules! uniform {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_meta])* $field: $kind),* }

        impl $name {
            /// Name and byte offset of every field of the uniform.
            pub const LAYOUT: &'static [(&'static str, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field))),*];
        }
    };
}

/// One compute kernel with its arguments. The struct *is* the WGSL uniform.
///
/// [`Kernel::reference`] receives slots as `f32` words; integers are recovered with `bytemuck::cast_slice`.
/// For a counted step `items` is the count read from the device; elements of further items stay unchanged.
pub trait Kernel: bytemuck::Pod + Send + Sync + std::fmt::Debug {
    /// Stem of the WGSL file.
    const NAME: &'static str;
    /// The kernel's source, then the shared snippets that it uses.
    const WGSL: &'static [&'static str];
    /// Size of a workgroup in invocations.
    const WORKGROUP: [u32; 3];
    /// Storage bindings 1, 2, and so on: reads first.
    const BINDINGS: &'static [Binding];
    /// Fields of the uniform (`LAYOUT` of the [`uniform!`](crate::uniform) macro).
    const FIELDS: &'static [(&'static str, usize)];

    /// Largest number of workgroups along x on a GPU, for a kernel that walks: each workgroup does the work
    /// of its own index, then that of `WALKERS` further on, and so on up to the number of items, which the
    /// device may have counted. `None` for a kernel that needs a workgroup for all its work. A constant
    /// `WALKERS` in its WGSL gets this value.
    const WALKERS: Option<u32> = None;

    /// Returns the number of invocations.
    fn work(&self) -> Work;

    /// Returns the smallest number of elements that each binding must have.
    fn sizes(&self) -> Vec<usize>;

    /// Returns the values of WGSL `override` constants.
    fn overrides(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Computes the kernel by its specification: scalar, obvious, accumulating in `f64`.
    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]);

    /// Computes the kernel fast, on all cores of the rayon pool in which it is called. The result equals the
    /// reference within [`Kernel::tolerance`].
    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.reference(items, read, write);
    }

    /// Returns what the native body would otherwise compute from constants in every play, such as transformed
    /// weights: an engine may compute it once and append it to `read` of [`Kernel::native`] and
    /// [`Kernel::native_part`]. `read` has the inputs that are constants. The result depends on these alone,
    /// so that steps of one kernel share it if they share all constants.
    fn prepare(&self, read: &[Option<&[f32]>]) -> Option<Vec<f32>> {
        let _ = read;
        None
    }

    /// Returns for each binding the number of elements that belong to one item, with 0 for data that all
    /// items share, or `None` if items are not independent.
    ///
    /// If it returns sizes, [`Kernel::native_part`] is called instead of [`Kernel::native`].
    fn apart(&self) -> Option<Vec<usize>> {
        None
    }

    /// Computes [`Kernel::native`] for some items on one thread, with the slots of [`Kernel::apart`] cut to
    /// start with the first of these items.
    fn native_part(&self, items: Range<u32>, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.native(items.len() as u32, read, write);
    }

    /// Returns the number of multiply-adds for `items` items, by which nets are compared, or 0 for kernels
    /// that mostly move data.
    fn multiply_adds(&self, items: u32) -> u64 {
        let _ = items;
        0
    }

    /// Returns the largest allowed difference between an engine's `f32` result and the reference, derived
    /// from the inputs: terms summed x largest term x ε.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let _ = read;
        0.0
    }
}
