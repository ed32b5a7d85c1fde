//! Batches out of a file of crops, each a function of seed and step alone.

use std::path::Path;

use rayon::prelude::*;

use super::CropsError;
use super::augment::augment;
use super::pool::DataPart;
use super::random::{Draw, key, place};
use super::ratio::Ratio;
use super::shard::{CropRecord, Shard};
use super::window::{SampleKind, Targets};
use crate::kernels::train::{SampleBits, TARGETS};
use crate::nets::{ONET, PNET, RNET};
use crate::train::Batch;
use crate::train::config::{AugmentConfig, TrainConfig};
use crate::train::run::{Batches, Cause, RunError};

/// Crops that a thread makes ready in one go.
const TOGETHER: usize = 8;

/// Words that keep the draws of one purpose from those of another.
const ORDER: u64 = 1;
const AUGMENT: u64 = 2;
const LABELS: u64 = 3;

/// Crops of one net, drawn kind by kind in the settings' ratio: each kind in an order of its own, a new one every time it has been through.
pub struct ShardBatches {
    shard: Shard,
    seed: u64,
    batch: u32,
    per_epoch: u64,
    ratio: Ratio,
    augment: AugmentConfig,
    soft_targets: f32,
    landmarks_on_all: bool,
    /// Training crops of each kind.
    training: [Vec<u32>; 4],
    validation: Vec<u32>,
    shuffled: bool,
    hash: String,
}

impl ShardBatches {
    /// The crops in the file at `path` for `net` (`pnet`, `rnet` or `onet`), by its settings.
    ///
    /// # Errors
    ///
    /// [`CropsError::Shard`] if the file is none of crops, or damaged; [`CropsError::OtherNet`] if it is for another net;
    /// [`CropsError::Missing`] if there is no training crop of a kind that a batch should have.
    pub fn open(path: &Path, net: &str, config: &TrainConfig) -> Result<Self, CropsError> {
        let shard = Shard::open(path)?;
        let side = [PNET, RNET, ONET].iter().find(|other| other.name == net).map(|net| net.side);
        let (Some(own), Some(side)) = (config.net(net), side) else { return Err(CropsError::NoNet { name: net.into() }) };
        if shard.side() != side {
            return Err(CropsError::OtherNet { path: path.into(), net: net.into(), side, found: shard.side() });
        }
        let of = |part: DataPart, sample: SampleKind| -> Vec<u32> {
            let fits = |record: &CropRecord| record.part == part && record.sample == sample;
            (0..).zip(shard.records()).filter(|(_, record)| fits(record)).map(|(index, _)| index).collect()
        };
        let training = SampleKind::ALL.map(|sample| of(DataPart::Training, sample));
        for ((sample, crops), share) in SampleKind::ALL.into_iter().zip(&training).zip(own.ratio) {
            if share > 0 && crops.is_empty() {
                return Err(CropsError::Missing { path: path.into(), sample, net: net.into(), ratio: own.ratio });
            }
        }
        let validation = balanced(&SampleKind::ALL.map(|sample| of(DataPart::Validation, sample)));
        let samples = if own.epoch_samples > 0 { own.epoch_samples } else { training.iter().map(|crops| crops.len() as u64).sum() };
        let shuffled = config.data.shuffle_labels;
        let hash = format!("{}{}", shard.hash(), if shuffled { " with shuffled labels" } else { "" });
        Ok(Self {
            seed: u64::from(config.seed),
            batch: own.batch,
            per_epoch: samples.div_ceil(u64::from(own.batch)).max(1),
            ratio: Ratio::new(own.batch, own.ratio),
            augment: own.augment.clone(),
            soft_targets: own.soft_targets as f32,
            landmarks_on_all: own.landmarks_on_all,
            training,
            validation,
            shuffled,
            hash,
            shard,
        })
    }

    /// The crops themselves.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Which crops of a kind are drawn, by how many of them were before.
    fn drawn(&self, sample: SampleKind, number: u64) -> usize {
        let crops = &self.training[sample as usize];
        let (round, at) = (number / crops.len() as u64, number % crops.len() as u64);
        crops[place(at, crops.len() as u64, key(&[self.seed, ORDER, sample as u64, round])) as usize] as usize
    }

    /// Tasks of a training crop.
    fn kind(&self, index: usize, record: &CropRecord) -> SampleBits {
        match record.sample {
            SampleKind::Negative | SampleKind::Positive if self.shuffled => {
                // The labels of all of them, dealt out anew.
                let [negatives, positives, ..] = &self.training;
                let all = (negatives.len() + positives.len()) as u64;
                let rank = |crops: &[u32]| crops.binary_search(&(index as u32)).map(|at| at as u64);
                let own = rank(negatives).or_else(|_| rank(positives).map(|at| at + negatives.len() as u64)).unwrap_or(0);
                let face = place(own, all, key(&[self.seed, LABELS])) >= negatives.len() as u64;
                let class = SampleBits(SampleBits::POSITIVE.0 & !SampleBits::PART.0);
                if face { class } else { SampleBits::NEGATIVE }
            }
            sample if self.landmarks_on_all => SampleBits(sample.kind().0 | u32::from(record.targets.tasks) & SampleBits::LANDMARKS.0),
            sample => sample.kind(),
        }
    }

    /// The probability of a face that a net should give for a training crop of `kind`.
    fn face(&self, kind: SampleBits, record: &CropRecord) -> f32 {
        let (label, share) = (kind.probability(), self.soft_targets);
        let Some(logit) = record.teacher.filter(|_| share > 0.0 && !self.shuffled) else { return label };
        // However wrong the teacher is, the label is right.
        let logit = if kind.is_face() { logit.max(1.0) } else { logit.min(-1.0) };
        (1.0 - share) * label + share / (1.0 + (-logit).exp())
    }

    /// A batch of `crops`, each changed by `change`, which tells its tasks and the probability of a face that its net should give.
    fn fill(&self, crops: &[usize], change: impl Fn(usize, &mut Vec<u8>, &mut Targets) -> (SampleBits, f32) + Sync) -> Batch {
        let mut batch = Batch::empty(self.batch, self.shard.side());
        let item = batch.rgba.len() / self.batch as usize;
        let rgba = batch.rgba.par_chunks_mut(item * TOGETHER);
        let labels = batch.kinds.par_chunks_mut(TOGETHER).zip(batch.faces.par_chunks_mut(TOGETHER));
        let samples = rgba.zip(labels).zip(batch.targets.par_chunks_mut(TARGETS * TOGETHER)).zip(crops.par_chunks(TOGETHER));
        samples.enumerate().for_each(|(group, (((rgba, (kinds, faces)), targets), crops))| {
            let slots = rgba.chunks_exact_mut(item).zip(kinds.iter_mut().zip(faces)).zip(targets.chunks_exact_mut(TARGETS));
            for ((at, &index), ((rgba, (kind, face)), slot)) in (group * TOGETHER..).zip(crops).zip(slots) {
                let mut rgb = self.shard.pixels(index).to_vec();
                let mut targets = self.shard.records()[index].targets;
                let label = change(at, &mut rgb, &mut targets);
                (*kind, *face) = (label.0.0, label.1);
                for (pixel, rgb) in rgba.chunks_exact_mut(4).zip(rgb.chunks_exact(3)) {
                    pixel[..3].copy_from_slice(rgb);
                }
                slot.copy_from_slice(&targets.values);
            }
        });
        batch
    }
}

/// Equally many negatives and positives, spread evenly over all of them, so that accuracy is not that of the commoner; of parts and landmark
/// faces no more than that, if there are any. Where only one class is there, all of it.
fn balanced(kinds: &[Vec<u32>; 4]) -> Vec<u32> {
    let [negatives, positives, ..] = kinds;
    let most = if negatives.is_empty() || positives.is_empty() { usize::MAX } else { negatives.len().min(positives.len()) };
    let spread = |crops: &Vec<u32>| -> Vec<u32> {
        let count = crops.len().min(most);
        (0..count).map(|i| crops[i * crops.len() / count]).collect()
    };
    let mut chosen: Vec<u32> = kinds.iter().flat_map(spread).collect();
    chosen.sort_unstable();
    chosen
}

impl Batches for ShardBatches {
    type Batch = Batch;

    fn size(&self) -> u32 {
        self.batch
    }

    fn per_epoch(&self) -> u64 {
        self.per_epoch
    }

    fn batch(&self, step: u64) -> Result<Batch, RunError> {
        let (first, counts) = (self.ratio.before(step), self.ratio.counts(step));
        let crops: Vec<usize> = SampleKind::ALL
            .into_iter()
            .flat_map(|sample| (0..counts[sample as usize]).map(move |i| (sample, first[sample as usize] + i)))
            .map(|(sample, number)| self.drawn(sample, number))
            .collect();
        let side = self.shard.side();
        Ok(self.fill(&crops, |at, rgb, targets| {
            let mut draw = Draw::new(&[self.seed, AUGMENT, step, at as u64]);
            augment(rgb, side, targets, &self.augment, &mut draw);
            let record = &self.shard.records()[crops[at]];
            let kind = self.kind(crops[at], record);
            (kind, self.face(kind, record))
        }))
    }

    fn validation_batches(&self) -> u64 {
        (self.validation.len() as u64).div_ceil(u64::from(self.batch))
    }

    fn validation_batch(&self, index: u64) -> Result<Batch, RunError> {
        let first = usize::try_from(index).ok().and_then(|index| index.checked_mul(self.batch as usize));
        let rest = first.and_then(|first| self.validation.get(first..));
        let no_such = || RunError::Data(Cause::from(format!("there is no validation batch {index}")));
        let rest = rest.ok_or_else(no_such)?;
        let crops: Vec<usize> = rest.iter().take(self.batch as usize).map(|&index| index as usize).collect();
        Ok(self.fill(&crops, |at, _, _| {
            let kind = self.shard.records()[crops[at]].sample.kind();
            (kind, kind.probability())
        }))
    }

    fn hash(&self) -> &str {
        &self.hash
    }
}

#[cfg(test)]
mod tests;
