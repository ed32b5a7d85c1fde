//! The final list in image space.

use super::{Candidate, Counter, sample_list, slot};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Pixel edges, score and landmarks of every face (spec sections 3.1, 3.5).
    ///
    /// Reads `found: [capacity]`, its [`Counter`], O-Net's `crops: [rows]` and `landmarks: [rows, 10]`; updates `faces: [capacity, 16]`.
    pub struct Faces { capacity: u32, rows: u32 }
}

impl Faces {
    /// Words of a face: `x1, y1, x2, y2`, score, `x0..x4`, `y0..y4`, 0.
    pub const WORDS: usize = 16;

    /// At most `capacity` faces out of at most `rows` crops.
    pub fn new(capacity: u32, rows: u32) -> Self {
        Self { capacity, rows }
    }
}

impl Kernel for Faces {
    const NAME: &'static str = "faces";
    const WGSL: &'static [&'static str] = wgsl!("select/faces", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.capacity)
    }

    fn sizes(&self) -> Vec<usize> {
        let (capacity, rows) = (self.capacity as usize, self.rows as usize);
        vec![capacity * Candidate::WORDS, Counter::WORDS, rows * Candidate::WORDS, rows * 10, capacity * Self::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let held = Counter::read(read[1]).held.min(self.capacity) as usize;
        for (found, face) in Candidate::list(read[0]).iter().zip(write[0].chunks_mut(Self::WORDS)).take(held) {
            let row = (found.tag as usize).min(self.rows as usize - 1);
            let [x1, y1, x2, y2] = Candidate::list(read[2])[row].corners.map(f64::from);
            let landmarks = &read[3][row * 10..][..10];
            let [left, top, right, bottom] = found.corners;
            face[..5].copy_from_slice(&[left - 1.0, top - 1.0, right, bottom, found.score]);
            for k in 0..5 {
                face[5 + k] = (x1 - 1.0 + f64::from(landmarks[k]) * (x2 - x1 + 1.0)) as f32;
                face[10 + k] = (y1 - 1.0 + f64::from(landmarks[5 + k]) * (y2 - y1 + 1.0)) as f32;
            }
            face[15] = 0.0;
        }
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let rows = Candidate::list(read[2]).iter().take(self.rows as usize);
        let extent = rows.map(|c| largest(&c.corners)).fold(1.0, f32::max);
        4.0 * f32::EPSILON * 2.0 * extent * largest(read[3]).max(1.0)
    }
}

impl Samples for Faces {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 1), (5, 9, 0), (65, 200, 65), (130, 130, 129)]
            .map(|(capacity, rows, held): (u32, u32, u32)| {
                let mut found = sample_list(capacity as usize, 11);
                found.iter_mut().enumerate().for_each(|(i, face)| face.tag = (i * 7 % rows as usize) as f32);
                let crops = slot(&sample_list(rows as usize, 12), rows as usize);
                let landmarks = noise(rows as usize * 10, 13);
                Sample {
                    kernel: Self::new(capacity, rows),
                    read: vec![slot(&found, capacity as usize), Counter::of(held).words(), crops, landmarks],
                }
            })
            .to_vec()
    }
}
