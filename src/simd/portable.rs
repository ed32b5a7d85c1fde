//! Vectors of four lanes in plain Rust, which compilers turn into SSE2, NEON or what the target supports.

use super::Vector;

/// Whether the target multiplies and adds in one instruction; on other targets `f32::mul_add` is a slow call.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

#[derive(Clone, Copy)]
pub struct F32x4([f32; 4]);

impl F32x4 {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let ([a, b, c, d], [e, g, h, i]) = (self.0, other.0);
        Self([f(a, e), f(b, g), f(c, h), f(d, i)])
    }
}

impl Vector for F32x4 {
    const LANES: usize = 4;
    const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 32 } else { 16 };

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the elements are readable, by contract; arrays of f32 are aligned as f32.
        Self(unsafe { *from.cast() })
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        // SAFETY: lanes before `n` are readable, by contract.
        Self(std::array::from_fn(|i| if i < n { unsafe { *from.add(i) } } else { 0.0 }))
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u32, n: usize) -> [Self; 3] {
        let mut words = [0; 4];
        for (i, word) in words.iter_mut().enumerate() {
            if i < n {
                // SAFETY: words before `n` are readable, by contract.
                *word = unsafe { *from.add(i) };
            }
        }
        [0, 8, 16].map(|shift| Self(words.map(|word| (word >> shift & 255) as f32)))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the elements are writable, by contract; arrays of f32 are aligned as f32.
        unsafe { *to.cast() = self.0 }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        for (i, lane) in self.0.iter().enumerate() {
            if i < n {
                // SAFETY: lanes before `n` are writable, by contract.
                unsafe { *to.add(i) = *lane }
            }
        }
    }

    #[inline(always)]
    unsafe fn store_whole(self, to: *mut u32, n: usize) {
        for (i, lane) in self.0.iter().enumerate() {
            if i < n {
                // SAFETY: words before `n` are writable, by contract.
                unsafe { *to.add(i) = *lane as u32 }
            }
        }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[allow(clippy::disallowed_methods, reason = "only where it is one instruction; tolerances allow for one rounding less")]
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        if FUSED {
            let [a, b, c, d] = addend.0;
            let ([e, f, g, h], [i, j, k, l]) = (self.0, factor.0);
            return Self([e.mul_add(i, a), f.mul_add(j, b), g.mul_add(k, c), h.mul_add(l, d)]);
        }
        self.zip(factor, |a, b| a * b).zip(addend, |a, b| a + b)
    }

    #[inline(always)]
    fn larger(self, best: Self) -> Self {
        self.zip(best, |v, best| if v > best { v } else { best })
    }

    #[inline(always)]
    fn above(self, other: Self) -> u32 {
        let lanes = self.0.iter().zip(other.0).enumerate();
        lanes.fold(0, |bits, (i, (a, b))| bits | u32::from(*a > b) << i)
    }

    #[inline(always)]
    fn prelu(self, slope: Self) -> Self {
        self.zip(slope, |v, slope| if v > 0.0 { v } else { slope * v })
    }

    #[inline(always)]
    fn where_equal(self, other: Self, yes: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] == other.0[i] { yes.0[i] } else { 0.0 }))
    }

    #[inline(always)]
    fn where_above(self, other: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] > other.0[i] { yes.0[i] } else { no.0[i] }))
    }

    #[inline(always)]
    fn moved(self, before: Self) -> Self {
        let ([.., last], [a, b, c, _]) = (before.0, self.0);
        Self([last, a, b, c])
    }

    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        [Self([a, e, b, f]), Self([c, g, d, h])]
    }

    #[inline(always)]
    fn deinterleave(self, other: Self) -> [Self; 2] {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        [Self([a, c, e, g]), Self([b, d, f, h])]
    }
}
