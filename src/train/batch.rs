//! What one step of a net of the cascade learns from, and what it minimises.

use crate::kernels::train::{SampleBits, TARGETS};
use crate::nets::Net;

/// Objective to minimise: `Σ_task weight · mean of the kept losses` (spec sections 4.3 and 4.4), tasks in the
/// order of [`LossTask::ALL`](crate::kernels::train::LossTask::ALL).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// Weight of each task.
    pub weights: [f32; 3],
    /// Share of the samples with the task whose gradient is kept, hardest first; 1 keeps all.
    pub keep: [f64; 3],
    /// Share of the hidden neurons of R-Net and O-Net that is dropped in training.
    pub dropout: f64,
}

impl Objective {
    /// Returns the paper's objective for `net`: the task weights of spec section 4.3, the hardest 70 % for
    /// classification, dropout of 0.25 in O-Net.
    pub fn of(net: Net) -> Self {
        let onet = net.name == "onet";
        Self { weights: [1.0, 0.5, if onet { 1.0 } else { 0.5 }], keep: [0.7, 1.0, 1.0], dropout: if onet { 0.25 } else { 0.0 } }
    }
}

/// Samples of one step, as uploaded to the device.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// `[n, side, side]` pixels of R, G, B and an unused byte.
    pub rgba: Vec<u8>,
    /// [`SampleBits`] of each sample.
    pub kinds: Vec<u32>,
    /// Target probability that each sample is a face: 0 or 1, or a value between them given by a teacher.
    pub faces: Vec<f32>,
    /// Targets `[n, 14]`: box offsets, then landmarks (spec section 4.2); undefined for tasks that the kind
    /// lacks.
    pub targets: Vec<f32>,
}

impl Batch {
    /// Creates a batch of `n` crops of `side` pixels without tasks.
    pub fn empty(n: u32, side: u32) -> Self {
        let (n, pixels) = (n as usize, (n * side * side) as usize);
        Self { rgba: vec![0; 4 * pixels], kinds: vec![0; n], faces: vec![0.0; n], targets: vec![0.0; n * TARGETS] }
    }

    /// Gives the sample at `index` the kind `kind`, with the target probability of that kind.
    pub fn label(&mut self, index: usize, kind: SampleBits) {
        (self.kinds[index], self.faces[index]) = (kind.0, kind.probability());
    }
}
