//! Loops that compilers vectorise on their own when they may use a path's instructions.

use super::{Task, Vector};

/// Runs a closure.
pub(crate) struct Plain<F>(pub F);

impl<F: FnOnce()> Task for Plain<F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        (self.0)();
    }
}
