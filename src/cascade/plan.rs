//! The whole cascade for frames of one size as one recording.

use super::pyramid::{self, PyramidLevel};
use super::result::ResultSlots;
use super::stage::{List, ListId, NetStage, Open, Stages};
use super::{Capacity, Config};
use crate::kernels::select::{Faces, NmsRule};
use crate::nets::{Fused, NetError, ONET, PNET, RNET};
use crate::record::{DeviceFacts, Executor, Recording, Slot};
use crate::weights::Weights;

/// Sizes of one pass of each net.
#[derive(Debug, Clone, Copy)]
struct PassSizes {
    /// Number of elements of P-Net's largest buffer.
    elements: u64,
    /// Number of crops in one pass of R-Net.
    rnet: u32,
    /// Number of crops in one pass of O-Net.
    onet: u32,
    /// Whether R- and O-Net go over their crops in one pass, however many there may be: see
    /// [`ResultSlots::passes`].
    once: bool,
}

impl PassSizes {
    /// Returns the pass sizes for `images` frames on `device`. A GPU is fastest with few large dispatches;
    /// the largest buffers (15.6 KB per crop in R-Net, 113 KB in O-Net) stay under the 128 MiB that every
    /// device binds. Several frames share one pass. A CPU passes a few crops at a time through all layers and
    /// needs no memory for the others.
    fn on(device: DeviceFacts, images: u32) -> Self {
        match device.executor {
            Executor::Host => Self { elements: 2 << 20, rnet: 512, onet: 128, once: false },
            _ if images > 1 => Self { elements: 24 << 20, rnet: 8192, onet: 1024, once: true },
            _ => Self { elements: 24 << 20, rnet: 4096, onet: 1024, once: false },
        }
    }
}

/// Number and size of the frames that are searched at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// Number of frames.
    pub images: u32,
    /// Columns and rows, px.
    pub size: [u32; 2],
}

/// Net after which a shortened cascade ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Ends after P-Net over the pyramid; the result is R-Net's input.
    Pnet,
    /// Ends after P-Net and R-Net; the result is O-Net's input.
    Rnet,
}

/// A recorded cascade.
pub struct Plan {
    /// Steps of the cascade.
    pub recording: Recording,
    /// Input: packed pixels of all images.
    pub pixels: Slot,
    /// Output: the last list, which holds faces or the input of the next net, and the counters.
    pub result: ResultSlots,
}

/// Returns the capacity of each stage for a frame whose pyramid has `cells` cells: several times what photos
/// full of faces need.
pub fn capacity(cells: u64) -> Capacity {
    let share = |part: u64, least: u32| u32::try_from(cells / part).unwrap_or(u32::MAX).next_multiple_of(32).clamp(least, 16_384);
    Capacity { candidates: share(6, 1024), rnet: share(16, 512), onet: share(64, 256) }
}

impl Plan {
    /// Records the cascade of spec section 3 for `frames` with the given pyramid levels, up to `depth` or to
    /// its end.
    ///
    /// # Errors
    ///
    /// [`NetError`] if the weights do not fit, or a pass is too large to index.
    pub fn new(
        frames: Frames,
        levels: &[PyramidLevel],
        weights: &Weights,
        config: &Config,
        device: DeviceFacts,
        depth: Option<Depth>,
    ) -> Result<Self, NetError> {
        let cells = levels.iter().map(|level| u64::from(level.cells().area())).sum();
        let room = config.capacity.unwrap_or_else(|| capacity(cells));
        let mut stages = Stages::new(config, room, frames.images, frames.size);
        let (last, last_id) = record(&mut stages, frames, levels, weights, device, depth)?;
        let (pixels, counters) = (stages.frames(), stages.counters);
        let mut recording = stages.recording;
        recording.output(last);
        let sizes = PassSizes::on(device, frames.images);
        let passes = sizes.once.then_some([sizes.rnet, sizes.onet]);
        Ok(Self { recording, pixels, result: ResultSlots { images: frames.images, last, last_id, counters, passes } })
    }
}

/// Records the steps up to `depth`; returns the slot and the identifier of the last list.
fn record(
    stages: &mut Stages<'_>,
    frames: Frames,
    levels: &[PyramidLevel],
    weights: &Weights,
    device: DeviceFacts,
    depth: Option<Depth>,
) -> Result<(Slot, ListId), NetError> {
    let pnet = Fused::with_tail(PNET, &mut stages.recording, weights, device)?;
    let (crops, open) = after_pnet(stages, &pnet, frames, levels, device)?;
    if depth == Some(Depth::Pnet) {
        stages.close(open, None);
        return Ok((crops.candidates, crops.id));
    }
    let sizes = PassSizes::on(device, frames.images);
    let rnet = Fused::with_tail(RNET, &mut stages.recording, weights, device)?;
    let (crops, open) = after_rnet(stages, &rnet, crops, open, sizes)?;
    if depth == Some(Depth::Rnet) {
        stages.close(open, None);
        return Ok((crops.candidates, crops.id));
    }
    let onet = Fused::with_tail(ONET, &mut stages.recording, weights, device)?;
    Ok((after_onet(stages, &onet, frames, crops, open, sizes)?, ListId::Faces))
}

/// NMS rule for the crops of a net.
const UNION: NmsRule = NmsRule { threshold: 0.7, smaller: false, same_tag: false };

/// Records P-Net over the pyramid; returns R-Net's crops.
fn after_pnet(
    stages: &mut Stages<'_>,
    net: &Fused,
    frames: Frames,
    levels: &[PyramidLevel],
    device: DeviceFacts,
) -> Result<(List, Open), NetError> {
    let (passes, corners) =
        pyramid::passes(levels, frames.size[0], PassSizes::on(device, frames.images).elements / u64::from(frames.images));
    let cells = stages.propose(net, &passes, corners)?;
    stages.suppress(cells, levels.len() as u32, 0.5);
    let room = stages.capacity().rnet;
    Ok(stages.settle(cells, UNION, "R-Net", [ListId::LevelNms, ListId::Merged], (room, Some(0.0))))
}

/// Records R-Net over its crops; returns O-Net's crops.
fn after_rnet(stages: &mut Stages<'_>, net: &Fused, crops: List, open: Open, sizes: PassSizes) -> Result<(List, Open), NetError> {
    let (threshold, room) = (stages.config().thresholds[1], stages.capacity().onet);
    let verdict = NetStage { net, side: RNET.side, threshold, chunk: sizes.rnet, once: sizes.once, regress: false };
    let (by_rnet, _, steps) = stages.judge(crops, "R-Net scored", verdict)?;
    stages.close(open, Some(steps));
    Ok(stages.settle(by_rnet, UNION, "O-Net", [ListId::Rnet, ListId::RnetNms], (room, Some(1.0))))
}

/// Records O-Net over its crops; returns the faces, `[images, max_faces, 16]`.
fn after_onet(stages: &mut Stages<'_>, net: &Fused, frames: Frames, crops: List, open: Open, sizes: PassSizes) -> Result<Slot, NetError> {
    let (threshold, most) = (stages.config().thresholds[2], stages.config().max_faces);
    let verdict = NetStage { net, side: ONET.side, threshold, chunk: sizes.onet, once: sizes.once, regress: true };
    let (by_onet, landmarks, steps) = stages.judge(crops, "O-Net scored", verdict)?;
    stages.close(open, Some(steps));
    let smaller = NmsRule { smaller: true, ..UNION };
    let (best, open) = stages.settle(by_onet, smaller, "faces", [ListId::Onet, ListId::Faces], (most, None));
    stages.close(open, None);
    let (counters, recording) = (stages.counters, &mut stages.recording);
    let faces = recording.slot("faces", (frames.images * most) as usize * Faces::WORDS);
    let kernel = Faces::new(frames.images, best.id as u32, most, crops.capacity);
    recording.push(kernel, &[best.candidates, counters, crops.candidates, landmarks, faces]);
    Ok(faces)
}
