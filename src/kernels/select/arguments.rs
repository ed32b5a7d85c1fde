//! Dispatch sizes of counted steps.

use super::{Counter, lists};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Counted, Kernel, Recording, Slot, Work};

crate::uniform! {
    /// Number of workgroups and of items of counted steps, from the lengths of their lists.
    ///
    /// Reads the [`Counter`]s and `steps: [Row]`; writes `sizes: [rows]` of `[x, y, 1, items]`.
    pub struct Arguments { images: u32, list: u32, rows: u32 }
}

/// One counted step: the data from which its dispatch size is computed.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Row {
    /// Number of invocations for `together` items.
    pub per_item: u32,
    /// Number of items that one set of invocations handles.
    pub together: u32,
    /// Number of workgroups along y.
    pub groups_y: u32,
    /// Number of invocations of a workgroup along x.
    pub width: u32,
    /// Number of items before this chunk.
    pub first: u32,
    /// Largest number of items in a chunk.
    pub most: u32,
}

impl Row {
    /// Size of a row in four-byte words.
    pub const WORDS: usize = 6;

    /// Returns the rows in a slot.
    pub(super) fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }

    /// Computes `[x, y, 1, items]` for each of `rows`, given `held` candidates.
    pub(super) fn sizes(rows: &[Self], held: u32, sizes: &mut [f32]) {
        for (row, sizes) in rows.iter().zip(sizes.chunks_mut(4)) {
            let items = held.saturating_sub(row.first).min(row.most);
            let invocations = items.div_ceil(row.together) * row.per_item;
            let size = [invocations.div_ceil(row.width), row.groups_y, 1, items];
            sizes.copy_from_slice(&size.map(f32::from_bits));
        }
    }
}

impl Arguments {
    /// Creates the kernel for `rows` steps that work on list number `list` of each image.
    pub fn new(images: u32, list: u32, rows: u32) -> Self {
        Self { images, list, rows }
    }
}

impl Kernel for Arguments {
    const NAME: &'static str = "arguments";
    const WGSL: &'static [&'static str] = wgsl!("select/arguments", "shared/counter", "shared/rows");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.rows)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![Counter::size(self.list, self.images), self.rows as usize * Row::WORDS, self.rows as usize * 4]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let held = (0..self.images as usize).map(|image| Counter::held(read[0], self.list, self.images, image)).sum();
        Row::sizes(&Row::list(read[1])[..self.rows as usize], held, write[0]);
    }
}

/// The counted steps of a stage: the slot of their [`Row`]s, their number, and the slot of their dispatch
/// sizes.
#[derive(Debug, Clone, Copy)]
pub struct CountedSteps {
    /// Table of [`Row`]s, `[rows]`.
    pub table: Slot,
    /// Number of rows.
    pub rows: u32,
    /// Dispatch sizes, `[rows]` of `[x, y, 1, items]`.
    pub sizes: Slot,
}

/// Records `body` once per chunk of at most `chunk` candidates, for up to `most` candidates, and passes it
/// the first candidate of the chunk. Kernels with an item dimension take their dispatch size from the device,
/// where [`Arguments`] or [`super::Settle`] must have written it beforehand; a chunk without candidates costs
/// empty dispatches.
///
/// # Errors
///
/// Returns the errors of `body`.
pub fn counted<E>(
    recording: &mut Recording,
    most: u32,
    chunk: u32,
    mut body: impl FnMut(&mut Recording, u32) -> Result<(), E>,
) -> Result<CountedSteps, E> {
    let mut steps = Vec::new();
    for first in (0..most).step_by(chunk as usize) {
        let from = recording.steps().len();
        body(recording, first)?;
        for position in from..recording.steps().len() {
            let kernel = &recording.steps()[position].kernel;
            if let Work { per_item, together, items: Some(most), rows } = kernel.work() {
                steps.push((position, Row { per_item, together, groups_y: rows, width: kernel.workgroup()[0], first, most }));
            }
        }
    }
    let rows: Vec<Row> = steps.iter().map(|(_, row)| *row).collect();
    let table = recording.table("counted steps", bytemuck::cast_slice(&rows).to_vec());
    let sizes = recording.slot("dispatch sizes", rows.len() * 4);
    for (index, (position, _)) in steps.iter().enumerate() {
        recording.count(*position, Counted { slot: sizes, index });
    }
    Ok(CountedSteps { table, rows: rows.len() as u32, sizes })
}

impl Samples for Arguments {
    fn samples() -> Vec<Sample<Self>> {
        let row = Row { per_item: 66, together: 1, groups_y: 2, width: 64, first: 0, most: 100 };
        let four = Row { per_item: 32, together: 4, first: 100, ..row };
        [(1, 0, 1), (2, 1, 2), (3, 100, 3), (1, 137, 2), (8, 1000, 65)]
            .map(|(images, held, rows): (u32, u32, usize)| {
                let table: Vec<Row> = [row, four].into_iter().cycle().take(rows).collect();
                let table = words(bytemuck::cast_slice(&table).iter().copied());
                let counters = lists(&[vec![3; images as usize], (0..images).map(|image| held / images + image % 2).collect()]);
                Sample { kernel: Self::new(images, 1, rows as u32), read: vec![counters, table] }
            })
            .to_vec()
    }
}
