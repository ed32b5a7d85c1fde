//! What the classes of general formats mean: faces, regions where faces may be, or neither.

use std::collections::BTreeMap;

use super::{DataError, FileFaults};

/// What an object of a class is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A face.
    Face,
    /// A head or a person, in which a face may be: it counts neither for nor against.
    Region,
    /// Something else.
    Other,
}

/// By what a class is called: `face` anywhere in it makes a face; a head, person or body is a region.
pub(super) fn class(name: &str) -> Class {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match () {
        () if has(&["face"]) => Class::Face,
        () if has(&["head", "person", "people", "human", "body", "pedestrian"]) => Class::Region,
        () => Class::Other,
    }
}

/// Objects of other classes, by class: named once each.
#[derive(Debug, Default)]
pub(super) struct Others(BTreeMap<String, usize>);

impl Others {
    /// Counts one more.
    pub(super) fn add(&mut self, name: &str) {
        *self.0.entry(name.to_owned()).or_default() += 1;
    }

    /// Notes how many there were.
    pub(super) fn tell(self, faults: &mut FileFaults) -> Result<(), DataError> {
        for (name, count) in self.0 {
            faults.noted(0, format!("{count} object(s) of class {name:?} are neither faces nor heads: not read"))?;
        }
        Ok(())
    }
}
