//! The whole cascade for one frame size as one recording.

use super::propose::Depth;
use super::pyramid::{self, Level};
use super::stage::{List, ListId, Open, Stages, Verdict};
use super::{Capacity, Config};
use crate::kernels::select::{Faces, NmsRule};
use crate::nets::{Fused, NetError, ONET, PNET, RNET};
use crate::record::{DeviceFacts, Executor, Recording, Slot};
use crate::weights::Weights;

/// How much one pass of each net takes on.
#[derive(Debug, Clone, Copy)]
struct PassSizes {
    /// Elements of P-Net's largest buffer.
    elements: u64,
    /// Crops that R-Net takes at once.
    rnet: u32,
    /// Crops that O-Net takes at once.
    onet: u32,
}

impl PassSizes {
    /// A GPU wants few large dispatches; the largest buffer (O-Net's second activations, 113 KB a crop) stays under the 128 MiB that every
    /// device binds. A CPU wants activations that stay in cache.
    fn on(device: DeviceFacts) -> Self {
        match device.executor {
            Executor::Host => Self { elements: 2 << 20, rnet: 64, onet: 16 },
            _ => Self { elements: 24 << 20, rnet: 4096, onet: 1024 },
        }
    }
}

/// A recorded cascade.
pub struct Plan {
    /// The steps.
    pub recording: Recording,
    /// Packed pixels of all images go here.
    pub frames: Slot,
    /// `[images, max_faces, 16]` faces come out here.
    pub faces: Slot,
    /// How many candidates each step left: counters `[LISTS, images]`.
    pub counters: Slot,
}

/// Room per stage for a frame whose pyramid has `cells` cells: several times what photos full of faces need.
pub fn capacity(cells: u64) -> Capacity {
    let share = |part: u64, least: u32| u32::try_from(cells / part).unwrap_or(u32::MAX).next_multiple_of(32).clamp(least, 16_384);
    Capacity { candidates: share(6, 1024), rnet: share(16, 512), onet: share(64, 256) }
}

impl Plan {
    /// Records the cascade of spec section 3 for `images` frames of `[width, height]` at once, with these pyramid levels.
    ///
    /// # Errors
    ///
    /// [`NetError`] if weights do not fit, or a pass is too large to index.
    pub fn new(
        images: u32,
        size: [u32; 2],
        levels: &[Level],
        weights: &Weights,
        config: &Config,
        device: DeviceFacts,
    ) -> Result<Self, NetError> {
        let cells = levels.iter().map(|level| u64::from(level.cells().area())).sum();
        let room = config.capacity.unwrap_or_else(|| capacity(cells));
        let mut stages = Stages::new(config, room, images, size);
        let [pnet, rnet, onet] = [PNET, RNET, ONET].map(|net| net.fused(&mut stages.recording, weights, device));
        let (pnet, rnet, onet) = (pnet?, rnet?, onet?);
        let (crops, open) = after_pnet(&mut stages, &pnet, images, size, levels, device)?;
        let (crops, open) = after_rnet(&mut stages, &rnet, crops, open, device)?;
        let third =
            Verdict { net: &onet, side: ONET.side, threshold: config.thresholds[2], chunk: PassSizes::on(device).onet, regress: true };
        let (by_onet, landmarks, steps) = stages.judge(crops, "O-Net scored", third)?;
        stages.close(open, Some(steps));
        let smaller = NmsRule { smaller: true, ..UNION };
        let (best, open) = stages.settle(by_onet, smaller, "faces", [ListId::Onet, ListId::Faces], (config.max_faces, None));
        stages.close(open, None);

        let (frames, counters) = (stages.frames(), stages.counters);
        let mut recording = stages.recording;
        let faces = recording.slot("faces", (images * config.max_faces) as usize * Faces::WORDS);
        recording.output(faces);
        let kernel = Faces::new(images, best.id as u32, config.max_faces, crops.capacity);
        recording.push(kernel, &[best.candidates, counters, crops.candidates, landmarks, faces]);
        Ok(Self { recording, frames, faces, counters })
    }

    /// Records the cascade up to `depth` for one frame.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn short(
        size: [u32; 2],
        levels: &[Level],
        weights: &Weights,
        config: &Config,
        device: DeviceFacts,
        depth: Depth,
    ) -> Result<Shortened, NetError> {
        let cells = levels.iter().map(|level| u64::from(level.cells().area())).sum();
        let room = config.capacity.unwrap_or_else(|| capacity(cells));
        let mut stages = Stages::new(config, room, 1, size);
        let pnet = PNET.fused(&mut stages.recording, weights, device)?;
        let (mut crops, mut open) = after_pnet(&mut stages, &pnet, 1, size, levels, device)?;
        if depth == Depth::Rnet {
            let rnet = RNET.fused(&mut stages.recording, weights, device)?;
            (crops, open) = after_rnet(&mut stages, &rnet, crops, open, device)?;
        }
        stages.close(open, None);
        let (frame, counters) = (stages.frames(), stages.counters);
        let mut recording = stages.recording;
        recording.output(crops.candidates);
        Ok(Shortened { recording, frame, boxes: crops, counters })
    }
}

/// The cascade without its end.
pub struct Shortened {
    /// The steps.
    pub recording: Recording,
    /// Packed pixels go here.
    pub frame: Slot,
    /// What the next net would be shown comes out here.
    pub boxes: List,
    /// How many candidates each step left: counters `[LISTS, 1]`.
    pub counters: Slot,
}

/// What NMS tolerates among the crops of a net.
const UNION: NmsRule = NmsRule { threshold: 0.7, smaller: false, same_tag: false };

/// P-Net over the pyramid: R-Net's crops.
fn after_pnet(
    stages: &mut Stages<'_>,
    net: &Fused,
    images: u32,
    size: [u32; 2],
    levels: &[Level],
    device: DeviceFacts,
) -> Result<(List, Open), NetError> {
    let (passes, corners) = pyramid::passes(levels, size[0], PassSizes::on(device).elements / u64::from(images));
    let cells = stages.propose(net, &passes, corners)?;
    stages.suppress(cells, levels.len() as u32, 0.5);
    let room = stages.capacity().rnet;
    Ok(stages.settle(cells, UNION, "R-Net", [ListId::LevelNms, ListId::Merged], (room, Some(0.0))))
}

/// R-Net over its crops: O-Net's crops.
fn after_rnet(stages: &mut Stages<'_>, net: &Fused, crops: List, open: Open, device: DeviceFacts) -> Result<(List, Open), NetError> {
    let (threshold, room) = (stages.config().thresholds[1], stages.capacity().onet);
    let verdict = Verdict { net, side: RNET.side, threshold, chunk: PassSizes::on(device).rnet, regress: false };
    let (by_rnet, _, steps) = stages.judge(crops, "R-Net scored", verdict)?;
    stages.close(open, Some(steps));
    Ok(stages.settle(by_rnet, UNION, "O-Net", [ListId::Rnet, ListId::RnetNms], (room, Some(1.0))))
}
