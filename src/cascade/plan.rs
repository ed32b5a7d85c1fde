//! The whole cascade for one frame size as one recording.

use super::pyramid::{self, Level};
use super::stage::{Heads, List, NmsRule, Stages};
use super::{Capacity, Config};
use crate::kernels::select::Faces;
use crate::nets::{NetError, ONET, PNET, RNET};
use crate::record::{Recording, Slot};
use crate::weights::Weights;

/// How much memory one pass may take, in elements of its largest buffer and in crops.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// P-Net's largest buffer, elements.
    pub elements: u64,
    /// Crops that R-Net takes at once.
    pub rnet: u32,
    /// Crops that O-Net takes at once.
    pub onet: u32,
}

impl Budget {
    /// A GPU wants few large dispatches; the largest buffer (R-Net's first activations, 54 KB a crop) stays under the 128 MiB that every
    /// device binds.
    pub const GPU: Self = Self { elements: 24 << 20, rnet: 1024, onet: 256 };
    /// A CPU wants activations that stay in cache.
    pub const CPU: Self = Self { elements: 2 << 20, rnet: 64, onet: 16 };
}

/// Counters after each step of the cascade, in order: cells, level NMS, merged, R-Net, R-Net NMS, O-Net, faces.
pub type Counters = [Slot; 7];

/// The lists of candidates that a trace shows.
#[derive(Debug, Clone, Copy)]
pub struct Lists {
    /// P-Net cells over the threshold.
    pub cells: List,
    /// After NMS inside each level.
    pub level_nms: List,
    /// After NMS across levels.
    pub merged: List,
    /// R-Net's crops, scored.
    pub rnet: List,
    /// Over its threshold.
    pub rnet_passed: List,
    /// After NMS.
    pub rnet_nms: List,
    /// O-Net's crops, scored.
    pub onet: List,
    /// Over its threshold, regressed.
    pub onet_passed: List,
}

/// A recorded cascade.
pub struct Plan {
    /// The steps.
    pub recording: Recording,
    /// Packed pixels go here.
    pub frame: Slot,
    /// `[max_faces, 16]` faces come out here.
    pub faces: Slot,
    /// How many candidates each step left.
    pub counters: Counters,
    /// Candidates on their way.
    pub lists: Lists,
    /// P-Net's outputs, pass by pass.
    pub heads: Vec<Heads>,
}

/// Room per stage for a frame whose pyramid has `cells` cells: several times what photos full of faces need.
pub fn capacity(cells: u64) -> Capacity {
    let share = |part: u64, least: u32| u32::try_from(cells / part).unwrap_or(u32::MAX).next_multiple_of(32).clamp(least, 16_384);
    Capacity { candidates: share(6, 1024), rnet: share(16, 512), onet: share(64, 256) }
}

impl Plan {
    /// Records the cascade of spec section 3 for frames of `[width, height]` with these pyramid levels.
    ///
    /// # Errors
    ///
    /// [`NetError`] if weights do not fit, or a pass is too large to index.
    pub fn new(size: [u32; 2], levels: &[Level], weights: &Weights, config: &Config, budget: Budget) -> Result<Self, NetError> {
        let cells = levels.iter().map(|level| u64::from(level.cells().area())).sum();
        let room = config.capacity.unwrap_or_else(|| capacity(cells));
        let mut stages = Stages::new(config, room, size);
        let [pnet, small, large] = [PNET, RNET, ONET].map(|net| net.forward(&mut stages.recording, weights));
        let (passes, corners) = pyramid::passes(levels, size[0], budget.elements);
        let union = |threshold, same_tag| NmsRule { threshold, smaller: false, same_tag };

        let cells = stages.propose(&pnet?, &passes, corners)?;
        let by_level = stages.sort(cells, "cells by level", room.candidates, true);
        stages.nms(by_level, union(0.5, true));
        let level_nms = stages.sort(by_level, "level NMS", room.candidates, false);
        stages.nms(level_nms, union(0.7, false));
        let merged = stages.sort(level_nms, "merged", room.rnet, false);
        let crops = stages.refine(merged, "R-Net", 0.0, true);

        let (rnet, _) = stages.judge(crops, &small?, RNET.side, config.thresholds[1], budget.rnet)?;
        let by_rnet = stages.sort(rnet, "R-Net passed", room.rnet, false);
        stages.nms(by_rnet, union(0.7, false));
        let rnet_nms = stages.sort(by_rnet, "R-Net NMS", room.onet, false);
        let crops = stages.refine(rnet_nms, "O-Net", 1.0, true);

        let (onet, landmarks) = stages.judge(crops, &large?, ONET.side, config.thresholds[2], budget.onet)?;
        let by_onet = stages.sort(onet, "O-Net passed", room.onet, false);
        let refined = stages.refine(by_onet, "refined", 1.0, false);
        stages.nms(refined, NmsRule { threshold: 0.7, smaller: true, same_tag: false });
        let best = stages.sort(refined, "faces", config.max_faces, false);

        let lists = Lists { cells, level_nms, merged, rnet, rnet_passed: by_rnet, rnet_nms, onet, onet_passed: refined };
        let (frame, heads) = (stages.frame(), std::mem::take(&mut stages.heads));
        let mut recording = stages.recording;
        let faces = recording.slot("faces", config.max_faces as usize * Faces::WORDS);
        recording.output(faces);
        let kernel = Faces::new(config.max_faces, crops.capacity);
        recording.push(kernel, &[best.candidates, best.count, crops.candidates, landmarks, faces]);
        let counters = [cells, level_nms, merged, by_rnet, rnet_nms, by_onet, best].map(|list| list.count);
        Ok(Self { recording, frame, faces, counters, lists, heads })
    }
}
