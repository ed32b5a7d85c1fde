//! The tally of what a device was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::profile::Tally;

/// [`Tally`] as it grows.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<[AtomicU64; 5]>);

impl Counts {
    /// One submission with so many dispatches.
    pub fn submitted(&self, dispatches: usize) {
        self.add([dispatches as u64, 1, 0, 0, 0]);
    }

    /// Bytes for the device.
    pub fn wrote(&self, bytes: usize) {
        self.add([0, 0, 0, bytes as u64, 0]);
    }

    /// Bytes from the device.
    pub fn read_back(&self, bytes: usize) {
        self.add([0, 0, 1, 0, bytes as u64]);
    }

    fn add(&self, more: [u64; 5]) {
        for (count, more) in self.0.iter().zip(more) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// As it is now.
    pub fn tally(&self) -> Tally {
        let [dispatches, submissions, read_backs, bytes_up, bytes_down] = std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed));
        Tally { dispatches, submissions, read_backs, bytes_up, bytes_down }
    }
}
