//! One net on many crops.

use crate::engine::{Engine, Session};
use crate::kernels::train::Unpack;
use crate::nets::{Fused, Net, NetError};
use crate::record::{Recording, Slot};
use crate::tensor::Shape;
use crate::train::TrainError;
use crate::weights::Weights;

/// Crops that are judged in one go.
const BATCH: u32 = 128;

/// A net that says what it takes crops for.
pub struct TeacherNet {
    session: Session,
    rgba: Slot,
    y: Slot,
    /// Pixels of a crop, and outputs for it.
    item: usize,
    outputs: usize,
}

impl TeacherNet {
    /// `net` of `weights` on `engine`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Net`] if the weights do not fit, [`TrainError::Engine`] if the device cannot hold the net.
    pub fn new(engine: &Engine, net: Net, weights: &Weights) -> Result<Self, TrainError> {
        let mut recording = Recording::new();
        let plane = net.side * net.side;
        let rgba = recording.input("rgba", (BATCH * plane) as usize);
        let x = recording.slot("x", (3 * BATCH * plane) as usize);
        recording.push(Unpack::new(BATCH, plane), &[rgba, x]);
        let forward = Fused::whole(net, &mut recording, weights, engine.facts())?;
        let shape = Shape::new([BATCH, 3, net.side, net.side]).map_err(NetError::from)?;
        let (y, _) = forward.record(&mut recording, x, &shape).map_err(NetError::from)?;
        Ok(Self { session: engine.load(recording)?, rgba, y, item: plane as usize, outputs: net.outputs() as usize })
    }

    /// What the net says of each crop in `rgb`, rows of R, G, B one after the other: background's and face's logit, then boxes and landmarks
    /// as in [`Targets`](super::Targets).
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn outputs(&mut self, rgb: &[u8]) -> Result<Vec<Vec<f32>>, TrainError> {
        let mut all = Vec::new();
        let mut rgba = vec![0; 4 * self.item * BATCH as usize];
        for crops in rgb.chunks(3 * self.item * BATCH as usize) {
            for (pixel, rgb) in rgba.chunks_exact_mut(4).zip(crops.chunks_exact(3)) {
                pixel[..3].copy_from_slice(rgb);
            }
            self.session.write(self.rgba, &rgba);
            self.session.play()?;
            let y = self.session.peek(self.y)?;
            all.extend(y.chunks_exact(self.outputs).take(crops.len() / (3 * self.item)).map(<[f32]>::to_vec));
        }
        Ok(all)
    }
}

/// By how much the logit of a face is above that of background.
pub fn logit(outputs: &[f32]) -> f32 {
    outputs[1] - outputs[0]
}
