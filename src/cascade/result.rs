//! The result of a play of the cascade: where it lies, and what it says.

use super::found::{DetectError, Detections, StageCounts, face};
use super::stage::ListId;
use crate::engine::OutputView;
use crate::kernels::select::{Counter, Faces};
use crate::record::Slot;

/// The slots with the result of a play.
#[derive(Debug, Clone, Copy)]
pub struct ResultSlots {
    /// Number of images.
    pub images: u32,
    /// The last list, `[images, capacity]` items.
    pub last: Slot,
    /// Identifier of the last list.
    pub last_id: ListId,
    /// Number of candidates after each step, as counters `[LISTS, images]`.
    pub counters: Slot,
    /// Number of crops in R- and O-Net's passes, if there is only one of each: with more crops in all images
    /// together the frames are crowded, and the result is void. Steps for crops that there hardly ever are
    /// would cost more than to search such frames again, one by one.
    pub passes: Option<[u32; 2]>,
}

/// Candidates of one image that remain at the end of the cascade.
pub struct Remaining<'a> {
    /// Items of the last list, as its kernel wrote them.
    pub words: &'a [f32],
    /// Counters of the lists of candidates, in the order of [`ListId`].
    pub lists: [Counter; 6],
    /// Number of items in `words`.
    pub held: u32,
    /// Whether a list had less room than candidates. The list of faces does not count: its length is the
    /// caller's choice.
    pub truncated: bool,
}

impl ResultSlots {
    /// Returns whether the frames have more crops than the recording looks at, so that its results are void
    /// and each frame must be searched alone.
    pub fn is_crowded(&self, outputs: &OutputView<'_>) -> bool {
        let Some(passes) = self.passes else { return false };
        let counters = outputs.get(self.counters, 0..outputs.len(self.counters));
        let images = self.images;
        let all = |list: ListId| (0..images as usize).map(|image| Counter::at(counters, list as u32, images, image).held).sum::<u32>();
        all(ListId::Merged) > passes[0] || all(ListId::RnetNms) > passes[1]
    }

    /// Yields the remaining candidates of each image from the outputs of a play.
    ///
    /// # Errors
    ///
    /// [`DetectError::NotANumber`] for an image in which a net produced NaN.
    pub fn left<'a>(&self, outputs: &OutputView<'a>) -> impl Iterator<Item = Result<Remaining<'a>, DetectError>> {
        let Self { images, last, last_id, .. } = *self;
        let counters = outputs.get(self.counters, 0..outputs.len(self.counters));
        let room = outputs.len(last) / images as usize;
        (0..images as usize).map(move |image| {
            let counter = |list: ListId| Counter::at(counters, list as u32, images, image);
            let end = counter(last_id);
            // Only the items that there are come to the host.
            let words = outputs.get(last, image * room..image * room + end.held as usize * last_id.words());
            if end.fault != 0 || words.iter().any(|word| !word.is_finite()) {
                return Err(DetectError::NotANumber);
            }
            let lists = ListId::CANDIDATES.map(counter);
            let played = ListId::CANDIDATES.iter().zip(&lists).filter(|(list, _)| **list as u32 <= last_id as u32);
            let truncated = played.into_iter().any(|(_, counter)| counter.held < counter.wanted);
            Ok(Remaining { words, lists, held: end.held, truncated })
        })
    }

    /// Returns the detections in each image.
    ///
    /// # Errors
    ///
    /// [`DetectError::NotANumber`] if a net produced NaN.
    pub fn found(&self, outputs: &OutputView<'_>) -> Result<Vec<Detections>, DetectError> {
        let detections = |left: Remaining<'_>| {
            let [cells, level_nms, merged, rnet, rnet_nms, onet] = left.lists.map(|counter| counter.wanted);
            Detections {
                faces: left.words.chunks_exact(Faces::WORDS).map(face).collect(),
                truncated: left.truncated,
                counts: StageCounts { cells, level_nms, merged, rnet, rnet_nms, onet, faces: left.held },
            }
        };
        self.left(outputs).map(|left| left.map(detections)).collect()
    }
}
