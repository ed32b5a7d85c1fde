//! [`Kernel`]: one compute kernel with its arguments, its bindings and its work.

use std::ops::Range;

/// How a kernel touches a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Writes every element (of the items there are).
    Write,
    /// Writes some elements or adds to them; what it leaves alone stays.
    Update,
}

/// Element type of a slot as a kernel sees it; both are four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// `f32`, or vectors and structs of it.
    F32,
    /// `u32`, or vectors and structs of it.
    U32,
}

/// One storage binding of a kernel. The uniform is binding 0, these follow in order, reads first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// How the kernel touches it.
    pub access: Access,
    /// What it holds.
    pub element: Element,
    /// Read through a uniform binding: at most 64 KiB, and the whole buffer at once fast for all invocations.
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

/// Invocations of a kernel: `per_item` for every `together` items along x, `rows` workgroups along y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Invocations for `together` items.
    pub per_item: u32,
    /// Items that one set of invocations handles.
    pub together: u32,
    /// Most items there can be; `None` for a kernel without an item dimension, which a count on the device never shortens.
    pub items: Option<u32>,
    /// Workgroups along y; 0 for as many as it takes ([`Work::folded`]).
    pub rows: u32,
}

impl Work {
    /// `invocations` in one dimension.
    pub const fn linear(invocations: u32) -> Self {
        Self { per_item: invocations, together: 1, items: None, rows: 1 }
    }

    /// `invocations` in one dimension, any number of them: past [`Work::MOST_GROUPS`] workgroups the dispatch goes on in the next row, and the
    /// kernel takes its place from `shared/grid.wgsl`.
    pub const fn folded(invocations: u32) -> Self {
        Self { rows: 0, ..Self::linear(invocations) }
    }

    /// Most items there can be, 1 without an item dimension.
    pub fn most(self) -> u32 {
        self.items.unwrap_or(1)
    }

    /// Workgroups that WebGPU promises along a dimension.
    pub const MOST_GROUPS: u32 = 65_535;

    /// Workgroups of `width` invocations along x and y for `items` items.
    pub fn groups(self, items: u32, width: u32) -> [u32; 2] {
        let groups = (self.per_item * items.div_ceil(self.together)).div_ceil(width);
        if self.rows == 0 { [groups.min(Self::MOST_GROUPS), groups.div_ceil(Self::MOST_GROUPS)] } else { [groups, self.rows] }
    }
}

/// Declares a kernel's uniform: `repr(C)`, `Pod`, and `LAYOUT`, its fields' names and byte offsets, in one breath.
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

/// One compute kernel with its arguments: the struct *is* the WGSL uniform.
///
/// Slots reach [`Kernel::reference`] as `f32` words; integers are recovered with `bytemuck::cast_slice`. For a counted step `items` is
/// the count read from the device; elements of further items are left alone.
pub trait Kernel: bytemuck::Pod + Send + Sync + std::fmt::Debug {
    /// Stem of the WGSL file.
    const NAME: &'static str;
    /// The kernel's source, then the shared snippets it calls.
    const WGSL: &'static [&'static str];
    /// Invocations of a workgroup.
    const WORKGROUP: [u32; 3];
    /// Storage bindings 1, 2, ...: reads first.
    const BINDINGS: &'static [Binding];
    /// Fields of the uniform (`LAYOUT` of the [`uniform!`](crate::uniform) macro).
    const FIELDS: &'static [(&'static str, usize)];

    /// How many invocations.
    fn work(&self) -> Work;

    /// Elements that each binding must at least have.
    fn sizes(&self) -> Vec<usize>;

    /// Values of WGSL `override` constants.
    fn overrides(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The specification: scalar, obvious, accumulating in `f64`.
    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]);

    /// The same for speed, on all cores of the rayon pool it is called in. Equal to the reference within [`Kernel::tolerance`].
    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.reference(items, read, write);
    }

    /// For each binding the elements that belong to one item, 0 for what all items share; `None` if items cannot be computed apart.
    ///
    /// Where it is given, [`Kernel::native_part`] is called instead of [`Kernel::native`].
    fn apart(&self) -> Option<Vec<usize>> {
        None
    }

    /// [`Kernel::native`] for some items on one thread, with the slots of [`Kernel::apart`] cut to start with the first of them.
    fn native_part(&self, items: Range<u32>, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.native(items.len() as u32, read, write);
    }

    /// Multiplications, each with its addition, that `items` items take: by these nets are compared. 0 for kernels that mostly move data.
    fn multiply_adds(&self, items: u32) -> u64 {
        let _ = items;
        0
    }

    /// How far an engine's `f32` result may lie from the reference, derived from the inputs: terms summed x largest term x ε.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let _ = read;
        0.0
    }
}
