//! Stages of the cascade as steps: P-Net over the pyramid, then R-Net and O-Net over the crops of the
//! remaining candidates (spec sections 3.3 to 3.5).

use super::pyramid::PyramidPass;
use super::{Capacity, Config, Resampling};
use crate::kernels::image::{Crop, ResampleColumns, ResampleRows};
use crate::kernels::nn::Propose;
use crate::kernels::select::{
    Arguments, Candidate, CountedSteps, Counter, Decode, Faces, Judge, NmsRule, Rank, Row, Settle, Suppress, counted,
};
use crate::nets::{Activations, Fused, NetError, Tail};
use crate::record::{Kernel as _, Recording, Slot};
use crate::tensor::Shape;

/// Identifiers of the lists of candidates; each is a row of the table of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListId {
    /// P-Net's cells over the threshold.
    Cells,
    /// Candidates kept by NMS within each level.
    LevelNms,
    /// Candidates kept by NMS across levels, which are R-Net's crops.
    Merged,
    /// Candidates over R-Net's threshold.
    Rnet,
    /// Candidates kept by NMS, which are O-Net's crops.
    RnetNms,
    /// Candidates over O-Net's threshold.
    Onet,
    /// Candidates kept by the last NMS.
    Faces,
}

impl ListId {
    /// The lists of candidates in order: all lists except the faces.
    pub const CANDIDATES: [Self; 6] = [Self::Cells, Self::LevelNms, Self::Merged, Self::Rnet, Self::RnetNms, Self::Onet];

    /// Returns the number of four-byte words of an item in the cascade's output.
    pub fn words(self) -> usize {
        if self == Self::Faces { Faces::WORDS } else { Candidate::WORDS }
    }
}

/// Number of lists.
pub const LISTS: usize = 7;

/// A slot with the candidates of every image.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// `[images, capacity]` candidates.
    pub candidates: Slot,
    /// Largest number of candidates per image.
    pub capacity: u32,
    /// Identifier, which selects the counters of the list.
    pub id: ListId,
}

/// A net's stage, as recorded by [`Stages::judge`].
#[derive(Debug, Clone, Copy)]
pub struct NetStage<'a> {
    /// The net.
    pub net: &'a Fused,
    /// Side of its crops, px.
    pub side: u32,
    /// Lowest face probability that passes.
    pub threshold: f32,
    /// Number of crops per pass.
    pub chunk: u32,
    /// Whether there is only one pass, even if there may be more crops.
    pub once: bool,
    /// Whether boxes are moved by their regression before NMS.
    pub regress: bool,
}

/// A step that is recorded later, when the steps that run over its count are known.
#[derive(Debug, Clone, Copy)]
pub struct Open {
    position: usize,
    kernel: Settle,
    list: List,
    settled: List,
}

/// Records stages of the cascade.
pub struct Stages<'a> {
    /// Recording that receives the steps.
    pub recording: Recording,
    /// Lengths of all lists, `[LISTS, images]`.
    pub counters: Slot,
    config: &'a Config,
    capacity: Capacity,
    images: u32,
    frames: Slot,
    frame_size: [u32; 2],
    /// Scratch memory for the list in progress, shared by all lists: flags, order, overlap bits.
    keep: Slot,
    order: Slot,
    rows: Slot,
}

impl<'a> Stages<'a> {
    /// Creates stages over `images` frames of `frame_size`.
    pub fn new(config: &'a Config, capacity: Capacity, images: u32, frame_size: [u32; 2]) -> Self {
        let mut recording = Recording::new();
        let frames = recording.input("frames", (images * frame_size[0] * frame_size[1]) as usize);
        let longest = images as usize * capacity.candidates.max(capacity.rnet).max(capacity.onet) as usize;
        let keep = recording.slot("keep flags", longest);
        let order = recording.slot("order", longest);
        let rows = recording.slot("overlap bits", 1);
        let counters = recording.slot("counters", LISTS * images as usize * Counter::WORDS);
        recording.output(counters);
        Self { recording, counters, config, capacity, images, frames, frame_size, keep, order, rows }
    }

    /// Returns the settings.
    pub fn config(&self) -> &'a Config {
        self.config
    }

    /// Returns the capacity of each stage.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Returns the slot of the frames' packed pixels.
    pub fn frames(&self) -> Slot {
        self.frames
    }

    fn bilinear(&self) -> bool {
        self.config.resampling == Resampling::Bilinear
    }

    fn list(&mut self, label: &str, capacity: u32, id: ListId) -> List {
        let candidates = self.recording.slot(format!("{label} candidates"), (self.images * capacity) as usize * Candidate::WORDS);
        List { candidates, capacity, id }
    }

    /// Records P-Net over every pass; returns all cells over the threshold in the order of cells.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if a pass is too large to index.
    pub fn propose(&mut self, net: &Fused, passes: &[PyramidPass], corners: Vec<f32>) -> Result<List, NetError> {
        let (threshold, images, bilinear) = (self.config.thresholds[0], self.images, self.bilinear());
        let list = self.list("cells", self.capacity.candidates, ListId::Cells);
        let Tail::Propose { parameters } = net.tail() else { unreachable!("P-Net has no dense layer") };
        let (r, mut activations) = (&mut self.recording, Activations::default());
        let corners = r.constant("corners of cells", corners);
        let [rows, heads, counts] = ["resampled rows", "heads of cells", "counts of blocks"].map(|label| r.slot(label, 1));
        let mut before = r.table("empty lists", vec![0; images as usize * Counter::WORDS]);
        for (i, pass) in passes.iter().enumerate() {
            let bands = r.table("bands", bytemuck::cast_slice(&pass.bands).to_vec());
            let cell_bands = r.table("bands of cells", bytemuck::cast_slice(&pass.cells).to_vec());
            let shape = Shape::ragged(images, 3, pass.extents())?;
            let vertical = ResampleRows::new(images, self.frame_size, &pass.bands, bilinear);
            r.grow(rows, vertical.sizes()[2]);
            r.push(vertical, &[self.frames, bands, rows]);
            let x = activations.slot(r, 0, shape.elements());
            r.push(ResampleColumns::new(images, self.frame_size[0], &pass.bands, bilinear), &[rows, bands, x]);
            let (x, shape) = net.record_in(r, &mut activations, x, &shape)?;
            let (propose, levels, cells) = Propose::new(&shape, threshold)?;
            let levels = r.table("levels", levels);
            r.grow(heads, propose.sizes()[3]);
            r.grow(counts, propose.sizes()[4]);
            r.push(propose, &[x, parameters, levels, heads, counts]);
            // Every pass except the last counts in a table of its own.
            let last = i + 1 == passes.len();
            let after = if last { self.counters } else { r.slot(format!("cells after pass {i}"), images as usize * Counter::WORDS) };
            let size = [cells.plane(), pass.tiles, pass.cells.len() as u32];
            let decode = Decode::new(images, size, list.capacity, if last { list.id as u32 } else { 0 }, threshold);
            r.push(decode, &[heads, counts, cell_bands, corners, before, list.candidates, self.keep, after]);
            before = after;
        }
        Ok(list)
    }

    fn rank(&mut self, list: List, rule: NmsRule) {
        let rank = Rank::new(self.images, list.capacity, list.id as u32, rule);
        self.recording.grow(self.rows, rank.sizes()[4]);
        self.recording.push(rank, &[list.candidates, self.keep, self.counters, self.order, self.rows]);
    }

    /// Records NMS within each of `levels` levels, which clears the flags of suppressed candidates.
    pub fn suppress(&mut self, list: List, levels: u32, threshold: f32) {
        self.rank(list, NmsRule { threshold, smaller: false, same_tag: true });
        let suppress = Suppress::new(self.images, list.capacity, list.id as u32, levels);
        self.recording.push(suppress, &[list.candidates, self.counters, self.order, self.rows, self.keep]);
    }

    /// Records NMS over the flagged candidates of `list`, whose number is counted as `middle`. Those kept
    /// form list `to`, best first, at most `room`; if they are to be crops, boxes are made square after
    /// `extra` is added to their width. The NMS step itself is recorded by [`Stages::close`], when the steps
    /// that run over the number of crops are known.
    pub fn settle(
        &mut self,
        list: List,
        rule: NmsRule,
        label: &str,
        [middle, to]: [ListId; 2],
        (room, extra): (u32, Option<f32>),
    ) -> (List, Open) {
        self.rank(list, rule);
        let settled = self.list(label, room, to);
        let kernel = Settle::new(self.images, list.capacity, room, [list.id, middle, to].map(|id| id as u32));
        let kernel = extra.map_or(kernel, |extra| kernel.squared(extra));
        (settled, Open { position: self.recording.steps().len(), kernel, list, settled })
    }

    /// Records the step that [`Stages::settle`] left open, before the steps recorded since; it writes the
    /// numbers of items of `steps`.
    pub fn close(&mut self, open: Open, steps: Option<CountedSteps>) {
        let Open { position, mut kernel, list, settled } = open;
        let r = &mut self.recording;
        let (table, items) = match steps {
            Some(steps) => (steps.table, steps.items),
            None => (r.table("no steps", vec![0; Row::WORDS]), r.slot("no items", 1)),
        };
        match steps {
            Some(steps) if self.images == 1 => kernel = kernel.counting(steps.rows),
            Some(steps) => {
                r.insert(position, Arguments::new(self.images, settled.id as u32, steps.rows), &[self.counters, table, items]);
            }
            None => {}
        }
        let slots = [list.candidates, self.keep, self.order, self.rows, table, settled.candidates, self.counters, items];
        r.insert(position, kernel, &slots);
    }

    /// Runs a net over the crops of `list` and flags those over the threshold. Returns the scored list, which
    /// shares the counters of the crops, the landmarks `[images, capacity, 10]` of a net that has any, and
    /// the steps whose items are counted.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if a chunk is too large to index.
    pub fn judge(&mut self, list: List, label: &str, verdict: NetStage<'_>) -> Result<(List, Slot, CountedSteps), NetError> {
        let Tail::Judge { weight, parameters, hidden, outputs } = verdict.net.tail() else {
            unreachable!("R- and O-Net have a dense layer")
        };
        let with_landmarks = outputs == Judge::WITH_LANDMARKS;
        let scored = self.list(label, list.capacity, list.id);
        let all = (self.images * list.capacity) as usize;
        let room = if with_landmarks { all * 10 } else { 1 };
        let (landmarks, mirrored) = (self.recording.slot("landmarks", room), self.recording.slot("landmarks of mirrored crops", room));
        let mirror = self.config.mirror_landmarks && with_landmarks;
        let (lists_of, frame_size, bilinear) = ([self.images, list.capacity, list.id as u32], self.frame_size, self.bilinear());
        let (most, side) = (self.images * list.capacity, verdict.side);
        let chunk = verdict.chunk.min(most);
        let most = if verdict.once { chunk } else { most };
        let (Self { recording, frames, counters, keep, .. }, mut activations) = (self, Activations::default());
        let steps = counted(recording, most, chunk, |r, first| {
            let n = chunk.min(most - first);
            let shape = Shape::new([n, 3, side, side])?;
            let x = activations.slot(r, 0, shape.elements());
            // Mirrored crops come first: all they write except their landmarks is overwritten.
            for mirrored_pass in if mirror { &[true, false][..] } else { &[false] } {
                let crop = Crop::new(lists_of, frame_size, [first, n], side, bilinear);
                let crop = if *mirrored_pass { crop.mirrored() } else { crop };
                r.push(crop, &[*frames, list.candidates, *counters, x]);
                let (y, shape) = verdict.net.record_in(r, &mut activations, x, &shape)?;
                let judge = Judge::new(lists_of, [first, n], [shape.item(), hidden, outputs], verdict.threshold);
                let judge = if verdict.regress { judge.regressing() } else { judge };
                let judge = if mirror && !mirrored_pass { judge.mirrored() } else { judge };
                let [from, to] = if *mirrored_pass { [landmarks, mirrored] } else { [mirrored, landmarks] };
                r.push(judge, &[y, weight, parameters, list.candidates, *counters, from, scored.candidates, *keep, to]);
            }
            Ok::<_, NetError>(())
        })?;
        Ok((scored, landmarks, steps))
    }
}
