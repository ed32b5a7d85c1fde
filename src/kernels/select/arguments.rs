//! Numbers of items of counted steps.

use super::{Counter, lists};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Counted, Kernel, Recording, Slot, Work};

crate::uniform! {
    /// Number of items of counted steps, from the lengths of their lists.
    ///
    /// Reads the [`Counter`]s and `steps: [Row]`; updates the first word of each of `items: [rows]` entries
    /// of [`Counted::WORDS`].
    pub struct Arguments { images: u32, list: u32, rows: u32 }
}

/// One counted step: the candidates that are its items.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Row {
    /// Number of items before this chunk.
    pub first: u32,
    /// Largest number of items in a chunk.
    pub most: u32,
}

impl Row {
    /// Size of a row in four-byte words.
    pub const WORDS: usize = 2;

    /// Returns the rows in a slot.
    pub(super) fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }

    /// Writes the number of items of each of `rows`, given `held` candidates, to its entry of `items`.
    pub(super) fn count(rows: &[Self], held: u32, items: &mut [f32]) {
        for (row, entry) in rows.iter().zip(items.chunks_mut(Counted::WORDS)) {
            entry[0] = f32::from_bits(held.saturating_sub(row.first).min(row.most));
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
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.rows)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![Counter::size(self.list, self.images), self.rows as usize * Row::WORDS, self.rows as usize * Counted::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let held = (0..self.images as usize).map(|image| Counter::held(read[0], self.list, self.images, image)).sum();
        Row::count(&Row::list(read[1])[..self.rows as usize], held, write[0]);
    }
}

/// The counted steps of a stage: the slot of their [`Row`]s, their number, and the slot of their numbers of
/// items.
#[derive(Debug, Clone, Copy)]
pub struct CountedSteps {
    /// Table of [`Row`]s, `[rows]`.
    pub table: Slot,
    /// Number of rows.
    pub rows: u32,
    /// Numbers of items, `[rows]` entries of [`Counted::WORDS`].
    pub items: Slot,
}

/// Records `body` once per chunk of at most `chunk` candidates, for up to `most` candidates, and passes it
/// the first candidate of the chunk. Kernels with an item dimension take their number of items from the
/// device, where [`Arguments`] or [`super::Settle`] must have written it beforehand.
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
            if let Some(most) = recording.steps()[position].kernel.work().items {
                steps.push((position, Row { first, most }));
            }
        }
    }
    let rows: Vec<Row> = steps.iter().map(|(_, row)| *row).collect();
    let table = recording.table("counted steps", bytemuck::cast_slice(&rows).to_vec());
    let items = recording.slot("items of counted steps", rows.len() * Counted::WORDS);
    for (index, (position, _)) in steps.iter().enumerate() {
        recording.count(*position, Counted { slot: items, index });
    }
    Ok(CountedSteps { table, rows: rows.len() as u32, items })
}

impl Samples for Arguments {
    fn samples() -> Vec<Sample<Self>> {
        let (row, second) = (Row { first: 0, most: 100 }, Row { first: 100, most: 900 });
        [(1, 0, 1), (2, 1, 2), (3, 100, 3), (1, 137, 2), (8, 1000, 65)]
            .map(|(images, held, rows): (u32, u32, usize)| {
                let table: Vec<Row> = [row, second].into_iter().cycle().take(rows).collect();
                let table = words(bytemuck::cast_slice(&table).iter().copied());
                let counters = lists(&[vec![3; images as usize], (0..images).map(|image| held / images + image % 2).collect()]);
                Sample { kernel: Self::new(images, 1, rows as u32), read: vec![counters, table] }
            })
            .to_vec()
    }
}
