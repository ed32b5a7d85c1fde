//! Stages of the cascade as steps: P-Net over the pyramid, then a net over the crops of what is left (spec sections 3.3 to 3.5).

use super::pyramid::Pass;
use super::{Capacity, Config, Resampling};
use crate::kernels::image::{Crop, ResampleColumns, ResampleRows};
use crate::kernels::select::{Candidate, Counter, Decode, Hits, Nms, Overlap, Refine, Scan, Score, Sort, counted};
use crate::nets::{Forward, NetError};
use crate::record::{Kernel as _, Recording, Slot};
use crate::tensor::Shape;

/// Candidates in a slot, how many in another, how many at most.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// `[capacity]` candidates.
    pub candidates: Slot,
    /// Their counter.
    pub count: Slot,
    /// Most it can hold.
    pub capacity: u32,
}

impl List {
    fn new(recording: &mut Recording, label: &str, capacity: u32) -> Self {
        let candidates = recording.slot(format!("{label} candidates"), capacity as usize * Candidate::WORDS);
        let count = counter(recording, label);
        Self { candidates, count, capacity }
    }
}

/// A counter that the host reads after every play.
fn counter(recording: &mut Recording, label: &str) -> Slot {
    let slot = recording.slot(format!("{label} count"), Counter::WORDS);
    recording.output(slot);
    slot
}

/// P-Net's outputs `[6, cells]` for one pass.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Where.
    pub slot: Slot,
    /// The step that writes them; the next pass may reuse the slot.
    pub ready: usize,
}

/// Overlap that NMS tolerates.
#[derive(Debug, Clone, Copy)]
pub struct NmsRule {
    /// Largest tolerated overlap.
    pub threshold: f32,
    /// Of the smaller box instead of the union.
    pub smaller: bool,
    /// Only candidates of one tag suppress each other.
    pub same_tag: bool,
}

/// Writes stages into a recording.
pub struct Stages<'a> {
    /// Where steps go.
    pub recording: Recording,
    config: &'a Config,
    capacity: Capacity,
    frame: Slot,
    frame_size: [u32; 2],
    /// Flags of the list at hand, and its overlap bits: shared by all lists.
    keep: Slot,
    overlap: Slot,
    /// One a pass.
    pub heads: Vec<Heads>,
}

impl<'a> Stages<'a> {
    /// Stages over frames of `frame_size`.
    pub fn new(config: &'a Config, capacity: Capacity, frame_size: [u32; 2]) -> Self {
        let mut recording = Recording::new();
        let frame = recording.slot("frame", (frame_size[0] * frame_size[1]) as usize);
        recording.input(frame);
        let longest = capacity.candidates.max(capacity.rnet).max(capacity.onet);
        let keep = recording.slot("keep flags", longest as usize);
        let overlap = recording.slot("overlap bits", 1);
        Self { recording, config, capacity, frame, frame_size, keep, overlap, heads: Vec::new() }
    }

    /// The frame's slot: packed pixels.
    pub fn frame(&self) -> Slot {
        self.frame
    }

    fn bilinear(&self) -> bool {
        self.config.resampling == Resampling::Bilinear
    }

    /// P-Net over every pass: all cells over the threshold, in order of cells.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if a pass is too large to index.
    pub fn propose(&mut self, net: &Forward, passes: &[Pass], corners: Vec<f32>) -> Result<List, NetError> {
        let (threshold, capacity) = (self.config.thresholds[0], self.capacity.candidates);
        let bilinear = self.bilinear();
        let r = &mut self.recording;
        let candidates = r.slot("cells candidates", capacity as usize * Candidate::WORDS);
        let corners = r.constant("corners of cells", corners);
        let [rows, x, counts, offsets] = ["resampled rows", "pyramid", "hits", "offsets"].map(|label| r.slot(label, 1));
        let mut count = r.table("empty list", vec![0; Counter::WORDS]);
        for (i, pass) in passes.iter().enumerate() {
            let bands = r.table("bands", bytemuck::cast_slice(&pass.bands).to_vec());
            let cell_bands = r.table("bands of cells", bytemuck::cast_slice(&pass.cells).to_vec());
            let shape = Shape::ragged(1, 3, pass.extents())?;
            let vertical = ResampleRows::new(self.frame_size, &pass.bands, bilinear);
            r.grow(rows, vertical.sizes()[2]);
            r.push(vertical, &[self.frame, bands, rows]);
            r.grow(x, shape.elements() as usize);
            r.push(ResampleColumns::new(self.frame_size[0], &pass.bands, bilinear), &[rows, bands, x]);
            let (heads, out) = net.record(r, x, &shape)?;
            self.heads.push(Heads { slot: heads, ready: r.steps().len() - 1 });
            let (cells, blocks) = (out.plane(), out.plane().div_ceil(Hits::BLOCK));
            r.grow(counts, blocks as usize);
            r.grow(offsets, blocks as usize);
            r.push(Hits::new(cells, threshold), &[heads, counts]);
            let last = i + 1 == passes.len();
            let after = if last { counter(r, "cells") } else { r.slot(format!("cells count {i}"), Counter::WORDS) };
            r.push(Scan::new(blocks, capacity), &[counts, count, offsets, after]);
            count = after;
            let decode = Decode::new(cells, threshold, pass.cells.len() as u32, capacity);
            r.push(decode, &[heads, offsets, cell_bands, corners, candidates, self.keep]);
        }
        Ok(List { candidates, count, capacity })
    }

    /// The kept ones of `list`, best first, at most `room`.
    pub fn sort(&mut self, list: List, label: &str, room: u32, by_tag: bool) -> List {
        let sorted = List::new(&mut self.recording, label, room);
        let kernel = Sort::new(list.capacity, room, by_tag);
        self.recording.push(kernel, &[list.candidates, self.keep, list.count, sorted.candidates, sorted.count]);
        sorted
    }

    /// Marks what NMS keeps of a sorted `list`.
    pub fn nms(&mut self, list: List, rule: NmsRule) {
        let overlap = Overlap::new(list.capacity, rule.threshold, rule.smaller, rule.same_tag);
        self.recording.grow(self.overlap, (list.capacity * list.capacity.div_ceil(32)) as usize);
        self.recording.push(overlap, &[list.candidates, list.count, self.overlap]);
        self.recording.push(Nms::new(list.capacity), &[self.overlap, list.count, self.keep]);
    }

    /// Applies the box regression of the last net; `square` makes boxes ready to be cropped.
    pub fn refine(&mut self, list: List, label: &str, extra: f32, square: bool) -> List {
        let candidates = self.recording.slot(format!("{label} candidates"), list.capacity as usize * Candidate::WORDS);
        self.recording.push(Refine::new(list.capacity, extra, square), &[list.candidates, list.count, candidates]);
        List { candidates, ..list }
    }

    /// Runs a net over the crops of `list`, `chunk` at a time, and marks those over `threshold`; returns the scored list and, with 16
    /// outputs, its landmarks `[capacity, 10]`.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if a chunk is too large to index.
    pub fn judge(&mut self, list: List, net: &Forward, side: u32, threshold: f32, chunk: u32) -> Result<(List, Slot), NetError> {
        let (frame_size, bilinear, outputs) = (self.frame_size, self.bilinear(), net.outputs());
        let (frame, keep) = (self.frame, self.keep);
        let mirror = self.config.mirror_landmarks && outputs == Score::WITH_LANDMARKS;
        let r = &mut self.recording;
        let scored = r.slot("scored candidates", list.capacity as usize * Candidate::WORDS);
        let landmarks = r.slot("landmarks", if outputs == Score::WITH_LANDMARKS { list.capacity as usize * 10 } else { 1 });
        let chunk = chunk.min(list.capacity);
        let shape = Shape::new([chunk, 3, side, side])?;
        let x = r.slot("crops", shape.elements() as usize);
        let mirror_net = mirror.then(|| net.fork(r));
        counted(r, list.count, list.capacity, chunk, |r, first| {
            let n = chunk.min(list.capacity - first);
            let shape = Shape::new([n, 3, side, side])?;
            let run = |r: &mut Recording, net: &Forward, mirrored| {
                r.push(Crop::new(frame_size, first, n, side, bilinear, mirrored), &[frame, list.candidates, x]);
                net.record(r, x, &shape).map(|(heads, _)| heads)
            };
            let heads = run(r, net, false)?;
            let mirrored = mirror_net.as_ref().map_or(Ok(heads), |net| run(r, net, true))?;
            let score = Score::new(list.capacity, [first, n], outputs, threshold, mirror);
            r.push(score, &[list.candidates, list.count, heads, mirrored, scored, keep, landmarks]);
            Ok::<_, NetError>(())
        })?;
        Ok((List { candidates: scored, ..list }, landmarks))
    }
}
