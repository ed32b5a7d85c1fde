//! Dispatch sizes of counted steps.

use super::Counter;
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Counted, Kernel, Recording, Slot, Work};

crate::uniform! {
    /// Workgroups and items of counted steps, from the length of their list.
    ///
    /// Reads a [`Counter`] and `steps: [Row]`; writes `sizes: [rows]` of `[x, y, 1, items]`.
    pub struct Arguments { rows: u32 }
}

/// One counted step.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Row {
    /// Invocations for `together` items.
    pub per_item: u32,
    /// Items that one set of invocations handles.
    pub together: u32,
    /// Workgroups along y.
    pub groups_y: u32,
    /// Invocations of a workgroup along x.
    pub width: u32,
    /// Items before this chunk.
    pub first: u32,
    /// Items of a chunk.
    pub most: u32,
}

impl Kernel for Arguments {
    const NAME: &'static str = "arguments";
    const WGSL: &'static [&'static str] = wgsl!("select/arguments", "shared/counter");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.rows)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![Counter::WORDS, self.rows as usize * 6, self.rows as usize * 4]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let held = Counter::read(read[0]).held;
        let rows: &[Row] = bytemuck::cast_slice(read[1]);
        for (row, sizes) in rows.iter().zip(write[0].chunks_mut(4)).take(self.rows as usize) {
            let items = held.saturating_sub(row.first).min(row.most);
            let invocations = items.div_ceil(row.together) * row.per_item;
            let size = [invocations.div_ceil(row.width), row.groups_y, 1, items];
            sizes.copy_from_slice(&size.map(f32::from_bits));
        }
    }
}

/// Records `body` once per chunk of at most `chunk` of the `capacity` candidates that `count` counts, with the first of the chunk. Kernels
/// with an item dimension get their dispatch size from the device; a chunk without candidates costs empty dispatches.
///
/// # Errors
///
/// Those of `body`.
pub fn counted<E>(
    recording: &mut Recording,
    count: Slot,
    capacity: u32,
    chunk: u32,
    mut body: impl FnMut(&mut Recording, u32) -> Result<(), E>,
) -> Result<(), E> {
    let start = recording.steps().len();
    let mut steps = Vec::new();
    for first in (0..capacity).step_by(chunk as usize) {
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
    let slot = recording.slot("dispatch sizes", rows.len() * 4);
    for (index, (position, _)) in steps.iter().enumerate() {
        recording.count(*position, Counted { slot, index });
    }
    recording.insert(start, Arguments { rows: rows.len() as u32 }, &[count, table, slot]);
    Ok(())
}

impl Samples for Arguments {
    fn samples() -> Vec<Sample<Self>> {
        let row = Row { per_item: 66, together: 1, groups_y: 2, width: 64, first: 0, most: 100 };
        let four = Row { per_item: 32, together: 4, first: 100, ..row };
        [(0, 1), (1, 2), (100, 3), (137, 2), (1000, 65)]
            .map(|(held, rows): (u32, usize)| {
                let table: Vec<Row> = [row, four].into_iter().cycle().take(rows).collect();
                let table = words(bytemuck::cast_slice(&table).iter().copied());
                Sample { kernel: Self { rows: rows as u32 }, read: vec![Counter::of(held).words(), table] }
            })
            .to_vec()
    }
}
