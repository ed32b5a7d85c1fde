//! Where the slots of a recording lie: ranges in their arenas, and scratch of different lives in the same buffer.

use std::ops::Range;

use crate::record::{Access, Recording, Role, Slot};

/// Where a slot's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which buffer.
    pub buffer: usize,
    /// Its first element there.
    pub start: usize,
    /// Elements.
    pub len: usize,
}

/// The buffers of a recording and the place of every slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Elements of each buffer.
    pub buffers: Vec<usize>,
    /// By slot.
    places: Vec<Place>,
}

/// Steps from the first to the last that touches a slot, in the order of play.
#[derive(Debug, Clone, Copy)]
struct Life {
    first: usize,
    last: usize,
}

impl Layout {
    /// The layout of `recording` on an engine that plays the steps of `together(i)` as one with step `i`: what any of them touches lives
    /// through all of them.
    pub fn of(recording: &Recording, together: impl Fn(usize) -> Range<usize>) -> Self {
        let lives = lives(recording, together);
        let mut layout = Self { buffers: Vec::new(), places: Vec::new() };
        // Last steps of the scratch slots in a buffer; `None` for a buffer that is one slot's alone.
        let mut shared: Vec<Option<Vec<Life>>> = Vec::new();
        for (info, life) in recording.slots().iter().zip(&lives) {
            if info.range.is_some() {
                // Its place is known when its arena's is.
                layout.places.push(Place { buffer: usize::MAX, start: 0, len: info.len });
                continue;
            }
            let free = |life: Life, lives: &[Life]| lives.iter().all(|other| life.last < other.first || other.last < life.first);
            // Of the buffers that are free, the one that grows or wastes least.
            let found = life.and_then(|life| {
                let candidates = (0..shared.len()).filter(|&i| shared[i].as_ref().is_some_and(|lives| free(life, lives)));
                candidates.min_by_key(|&i| (layout.buffers[i].abs_diff(info.len), i))
            });
            let buffer = found.unwrap_or(layout.buffers.len());
            if found.is_none() {
                layout.buffers.push(0);
                shared.push(life.map(|_| Vec::new()));
            }
            layout.buffers[buffer] = layout.buffers[buffer].max(info.len);
            if let (Some(lives), Some(life)) = (&mut shared[buffer], life) {
                lives.push(*life);
            }
            layout.places.push(Place { buffer, start: 0, len: info.len });
        }
        for (i, info) in recording.slots().iter().enumerate() {
            if let Some((arena, start)) = info.range {
                layout.places[i] = Place { buffer: layout.places[arena.index()].buffer, start, len: info.len };
            }
        }
        layout
    }

    /// Where `slot` is.
    pub fn place(&self, slot: Slot) -> Place {
        self.places[slot.index()]
    }

    /// Elements of all buffers.
    pub fn elements(&self) -> usize {
        self.buffers.iter().sum()
    }
}

/// The life of every slot that may share its memory: scratch that one part alone uses, and writes before it reads.
fn lives(recording: &Recording, together: impl Fn(usize) -> Range<usize>) -> Vec<Option<Life>> {
    let part = |step: usize| recording.parts().iter().position(|part| part.steps.contains(&step));
    let mut lives: Vec<Option<(Life, bool)>> = vec![None; recording.slots().len()];
    for (i, step) in recording.steps().iter().enumerate() {
        let atom = together(i);
        for (slot, binding) in step.bound() {
            let own = &mut lives[slot.index()];
            *own = Some(match *own {
                None => (Life { first: atom.start, last: atom.end - 1 }, binding.access == Access::Write),
                Some((life, shareable)) => {
                    (Life { first: life.first, last: life.last.max(atom.end - 1) }, shareable && part(life.first) == part(i))
                }
            });
        }
    }
    for slot in recording.steps().iter().filter_map(|step| step.counted).map(|counted| counted.slot).chain(recording.outputs().to_vec()) {
        lives[slot.index()] = None;
    }
    let scratch = recording.slots().iter().map(|info| matches!(info.role, Role::Scratch));
    let ranges: Vec<Slot> = recording.slots().iter().filter_map(|info| info.range.map(|(arena, _)| arena)).collect();
    let alone = (0..recording.slots().len()).map(|i| !ranges.contains(&Slot(i)));
    let lives = lives.into_iter().zip(scratch).zip(alone);
    lives.map(|((life, scratch), alone)| life.filter(|(_, shareable)| scratch && alone && *shareable).map(|(life, _)| life)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Binding, Kernel, Work};

    crate::uniform! {
        /// Stands for any kernel that reads a slot and writes another.
        pub struct Any { len: u32 }
    }

    impl Kernel for Any {
        const NAME: &'static str = "any";
        const WGSL: &'static [&'static str] = &[];
        const WORKGROUP: [u32; 3] = [64, 1, 1];
        const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
        const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

        fn work(&self) -> Work {
            Work::linear(self.len)
        }

        fn sizes(&self) -> Vec<usize> {
            vec![self.len as usize; 2]
        }

        fn reference(&self, _: u32, _: &[&[f32]], _: &mut [&mut [f32]]) {}
    }

    fn single(recording: &Recording) -> Layout {
        Layout::of(recording, |i| i..i + 1)
    }

    /// A chain of copies through scratch slots of these sizes.
    fn chain(recording: &mut Recording, from: Slot, sizes: &[usize]) -> Vec<Slot> {
        let mut slots = vec![from];
        for (i, &size) in sizes.iter().enumerate() {
            let next = recording.scratch(format!("scratch {i}"), size);
            recording.push(Any { len: size as u32 }, &[slots[i], next]);
            slots.push(next);
        }
        slots
    }

    #[test]
    fn scratch_is_used_again_when_nobody_reads_it_any_more() {
        let mut recording = Recording::new();
        let x = recording.input("x", 4);
        let slots = chain(&mut recording, x, &[4, 4, 4, 4]);
        let layout = single(&recording);
        let place = |i: usize| layout.place(slots[i]).buffer;
        assert_ne!(place(1), place(2));
        assert_eq!((place(1), place(2)), (place(3), place(4)));
        assert_eq!(layout.elements(), 12);
        // Played as one, all of them live at once.
        assert_eq!(Layout::of(&recording, |_| 0..4).elements(), 20);
    }

    #[test]
    fn what_crosses_parts_and_what_is_read_is_left_alone() {
        let mut recording = Recording::new();
        let x = recording.input("x", 4);
        let (_, first) = recording.part("first", |r| chain(r, x, &[4, 4]));
        let (_, second) = recording.part("second", |r| chain(r, first[2], &[4, 4]));
        let layout = single(&recording);
        let crossing = layout.place(first[2]).buffer;
        assert_eq!(recording.slots().iter().enumerate().filter(|(i, _)| layout.place(Slot(*i)).buffer == crossing).count(), 1);
        assert_eq!(layout.place(first[1]).buffer, layout.place(second[1]).buffer);
        recording.output(second[1]);
        let layout = single(&recording);
        assert_ne!(layout.place(first[1]).buffer, layout.place(second[1]).buffer);
    }

    #[test]
    fn ranges_lie_in_their_arena_from_where_a_device_can_bind_them() {
        let mut recording = Recording::new();
        let arena = recording.slot("arena", 0);
        let (a, b) = (recording.carve(arena, "a", 3), recording.carve(arena, "b", 65));
        let all = recording.range(arena, 0..192);
        let layout = single(&recording);
        assert_eq!(layout.place(b), Place { buffer: layout.place(a).buffer, start: 64, len: 65 });
        assert_eq!(layout.place(all), Place { buffer: layout.place(arena).buffer, start: 0, len: 192 });
        assert_eq!(layout.buffers, [192]);
    }
}
