//! Matrix products with images as factors: convolutions of any window, dense layers, and the backward passes
//! of both.
//!
//! The right factor is never laid out as a whole. Of some neighbouring places, all that a product needs is
//! packed into panels, straight from the image, as deep as a core's cache allows; a register tile takes a few
//! rows of the left factor times one panel. The order of every sum follows from the shapes alone.

mod block;
mod gradient;
mod image;
mod multiply;
mod plan;
mod tile;

pub(crate) use gradient::Gradient;
pub(crate) use image::{Image, Tap};
pub(crate) use multiply::{Product, Target};
pub(super) use plan::activated;
pub(crate) use plan::{Factor, Finish, Start};

/// Elements that all tasks of a product may write, each element by one task alone.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: it stands for a mutable borrow that outlives the tasks, no two of which touch the same element.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The first element. A method, so that closures take the whole of `self`.
    fn first(self) -> *mut f32 {
        self.0
    }
}

/// Elements that a packed block of the right factor may have: the better part of half a megabyte, so that
/// cores with a cache of one keep room for what streams by.
const BLOCK: usize = 3 << 15;

/// `all` in parts of equal length, or nearly, of at most `most`: the length.
fn even(all: usize, most: usize) -> usize {
    all.div_ceil(all.div_ceil(most).max(1)).max(1)
}
