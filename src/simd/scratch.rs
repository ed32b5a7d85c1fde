//! Memory that micro-kernels work in, kept by each thread from call to call.

use std::cell::Cell;

/// Elements of a cache line.
const LINE: usize = 16;

thread_local! {
    static MEMORY: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static SHARED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

type KeptMemory = std::thread::LocalKey<Cell<Vec<f32>>>;

/// This thread's memory; given back when dropped. No closure is called with it: one would not be compiled with the path's instructions.
pub(crate) struct Scratch(Vec<f32>, &'static KeptMemory);

impl Scratch {
    /// Takes it. Who takes it a second time meanwhile starts with an empty one.
    pub fn take() -> Self {
        Self(MEMORY.take(), &MEMORY)
    }

    /// Takes what the thread keeps for those who hand parts of it to tasks, which may run on the same thread and take its memory.
    pub fn take_shared() -> Self {
        Self(SHARED.take(), &SHARED)
    }

    /// Pieces of at least the given lengths, each at the start of a cache line. What they hold is left from earlier calls.
    pub fn parts<const PARTS: usize>(&mut self, lengths: [usize; PARTS]) -> [&mut [f32]; PARTS] {
        let lengths = lengths.map(|length| length.next_multiple_of(LINE));
        let needed = lengths.iter().sum::<usize>() + LINE;
        if self.0.len() < needed {
            self.0.resize(needed, 0.0);
        }
        let start = self.0.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        let mut rest = &mut self.0[start..];
        lengths.map(|length| {
            let (part, others) = std::mem::take(&mut rest).split_at_mut(length);
            rest = others;
            part
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.1.set(std::mem::take(&mut self.0));
    }
}
