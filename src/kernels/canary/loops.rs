//! Counts the turns of a long loop.

use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// A loop of `count` turns. Writes `y: [2]`: turns taken, and what they computed.
    pub struct Loops { count: u32 }
}

impl Loops {
    /// Turns of one invocation that every driver takes.
    pub const SAFE: u32 = 60_000;

    /// A loop of `count` turns.
    pub fn new(count: u32) -> Self {
        Self { count }
    }
}

impl Kernel for Loops {
    const NAME: &'static str = "loops";
    const WGSL: &'static [&'static str] = wgsl!("canary/loops");
    const WORKGROUP: [u32; 3] = [1, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(1)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![2]
    }

    fn reference(&self, _: u32, _: &[&[f32]], write: &mut [&mut [f32]]) {
        let x = (0..self.count).fold(1_u32, |x, _| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        write[0][..2].copy_from_slice(&[f32::from_bits(self.count), f32::from_bits(x)]);
    }
}

impl Samples for Loops {
    fn samples() -> Vec<Sample<Self>> {
        [0, 1, 255, Self::SAFE].map(|count| Sample { kernel: Self::new(count), read: Vec::new() }).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_those_of_the_generator_worked_out_by_hand() {
        for (count, want) in [(0, 1), (1, 1_015_568_748), (2, 1_586_005_467), (3, 2_165_703_038)] {
            let mut y = [f32::NAN; 2];
            Kernel::reference(&Loops::new(count), 1, &[], &mut [&mut y]);
            assert_eq!(y.map(f32::to_bits), [count, want]);
        }
    }
}
