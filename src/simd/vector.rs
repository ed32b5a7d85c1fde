//! What the micro-kernels need of a vector register.

/// A register of `f32` lanes.
///
/// Only [`super::Simd::run`] names the types behind it, after it found the CPU to have their instructions: that is what makes the safe
/// methods safe.
pub(crate) trait Vector: Copy {
    /// Elements.
    const LANES: usize;
    /// Registers there are: 16 or 32.
    const REGISTERS: usize;

    /// All lanes `value`.
    fn splat(value: f32) -> Self;

    /// `LANES` elements at `from`.
    ///
    /// # Safety
    ///
    /// They are readable.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes `LANES` elements to `to`.
    ///
    /// # Safety
    ///
    /// They are writable.
    unsafe fn store(self, to: *mut f32);

    /// `self * factor + addend`, rounded once or twice.
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// `v > 0 ? v : slope v`; NaN stays.
    fn prelu(self, slope: Self) -> Self;
}
