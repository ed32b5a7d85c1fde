use std::collections::HashSet;
use std::path::PathBuf;

use super::*;
use crate::files;
use crate::kernels::train::LossTask;
use crate::train::crops::shard::{ShardError, ShardWriter};

/// A file of crops, each of which says in its pixels which one it is.
struct Crops(PathBuf);

impl Crops {
    /// So many crops of each kind in each part.
    fn new(name: &str, side: u32, training: [u32; 4], validation: [u32; 4]) -> Self {
        Self::of(name, side, training, validation, |sample| match sample {
            SampleKind::Negative => Targets::default(),
            SampleKind::Landmarks => Targets::default().with_landmarks([0.5; 10]),
            _ => Targets::default().with_box([0.1, 0.2, 0.3, 0.4]),
        })
    }

    /// With such targets.
    fn of(name: &str, side: u32, training: [u32; 4], validation: [u32; 4], targets: impl Fn(SampleKind) -> Targets) -> Self {
        let path = std::env::temp_dir().join(format!("mtcmcn-batches-{}-{name}", std::process::id()));
        let mut records = Vec::new();
        for (part, counts) in [(DataPart::Training, training), (DataPart::Validation, validation), (DataPart::Test, [3; 4])] {
            for (sample, count) in SampleKind::ALL.into_iter().zip(counts) {
                let targets = targets(sample);
                records.extend((0..count).map(|i| CropRecord { targets, image: i, sample, teacher: None, part }));
            }
        }
        files::write_with(&path, |file| {
            let mut writer = ShardWriter::new(file, side)?;
            for (i, record) in records.iter().enumerate() {
                let rgb: Vec<u8> = [i as u8, (i >> 8) as u8, 77].repeat((side * side) as usize);
                writer.add(&rgb, std::slice::from_ref(record))?;
            }
            writer.finish("{}")
        })
        .unwrap();
        Self(path)
    }

    /// As in a file cut with a teacher that says `logit` of every crop.
    fn with_teacher(name: &str, logit: f32) -> Self {
        let crops = Self::new(name, 12, [30, 10, 10, 20], [4; 4]);
        let shard = Shard::open(&crops.0).unwrap();
        let records: Vec<CropRecord> = shard.records().iter().map(|record| CropRecord { teacher: Some(logit), ..*record }).collect();
        let rgb: Vec<Vec<u8>> = (0..records.len()).map(|i| shard.pixels(i).to_vec()).collect();
        files::write_with(&crops.0, |file| {
            let mut writer = ShardWriter::new(file, 12)?;
            for (rgb, record) in rgb.iter().zip(&records) {
                writer.add(rgb, std::slice::from_ref(record))?;
            }
            writer.finish("{}")
        })
        .unwrap();
        crops
    }

    fn open(&self, settings: &str) -> ShardBatches {
        let settings = format!("[net]\n{settings}\n[net.augment]\nflip = 0\ncolour = 0");
        ShardBatches::open(&self.0, "pnet", &TrainConfig::from_toml(&settings, "test").unwrap()).unwrap()
    }
}

impl Drop for Crops {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Which crops are in a batch, by what their pixels say.
fn numbers(batch: &Batch) -> Vec<usize> {
    let item = batch.rgba.len() / batch.kinds.len();
    let filled = batch.rgba.chunks_exact(item).zip(&batch.kinds).filter(|(_, kind)| **kind != 0);
    filled.map(|(rgba, _)| usize::from(rgba[0]) | usize::from(rgba[1]) << 8).collect()
}

#[test]
fn a_batch_has_its_kinds_in_the_ratio_with_their_tasks() {
    let crops = Crops::new("ratio", 12, [60, 20, 20, 40], [0; 4]);
    let batches = crops.open("batch = 32");
    assert_eq!((batches.size(), batches.per_epoch(), batches.validation_batches()), (32, 5, 0));
    for step in 0..20 {
        let batch = batches.batch(step).unwrap();
        let count = |kind: SampleBits| batch.kinds.iter().filter(|other| **other == kind.0).count();
        let want = if step % 2 == 0 { [14, 5, 4, 9] } else { [14, 4, 5, 9] };
        assert_eq!([SampleBits::NEGATIVE, SampleBits::POSITIVE, SampleBits::PART, SampleBits::LANDMARKS].map(count), want);
        for (kind, targets) in batch.kinds.iter().zip(batch.targets.chunks_exact(TARGETS)) {
            let box_targets = if SampleBits(*kind).has(LossTask::Box) { [0.1, 0.2, 0.3, 0.4] } else { [0.0; 4] };
            assert_eq!(targets[..4], box_targets);
            assert!(targets[4..].iter().all(|value| *value == if SampleBits(*kind).has(LossTask::Landmarks) { 0.5 } else { 0.0 }));
        }
    }
}

#[test]
fn a_teacher_softens_labels_as_far_as_it_is_right() {
    let probability = |logit: f32| 1.0 / (1.0 + (-logit).exp());
    for (name, logit) in [("sure", 8.0), ("unsure", 0.0), ("wrong", -8.0)] {
        let crops = Crops::with_teacher(name, logit);
        let batch = crops.open("batch = 14\nsoft_targets = 0.25").batch(0).unwrap();
        for (kind, face) in batch.kinds.iter().zip(&batch.faces).filter(|(kind, _)| SampleBits(**kind).has(LossTask::Class)) {
            let is_face = SampleBits(*kind).is_face();
            let soft = probability(if is_face { logit.max(1.0) } else { logit.min(-1.0) });
            let want = 0.75 * f32::from(u8::from(is_face)) + 0.25 * soft;
            assert!((face - want).abs() < 1e-6, "{name}: {face}, not {want}");
        }
        let hard = crops.open("batch = 14\nsoft_targets = 0").batch(0).unwrap();
        assert!(hard.kinds.iter().zip(&hard.faces).all(|(kind, face)| *face == SampleBits(*kind).probability()));
        let validation = crops.open("batch = 16").validation_batch(0).unwrap();
        assert!(validation.kinds.iter().zip(&validation.faces).all(|(kind, face)| *face == SampleBits(*kind).probability()));
    }
}

#[test]
fn landmarks_are_taught_by_all_crops_that_have_them_if_asked() {
    let crops = Crops::new("all-landmarks", 12, [30, 10, 10, 20], [4; 4]);
    let count = |settings: &str| {
        let batch = crops.open(settings).batch(0).unwrap();
        batch.kinds.iter().filter(|kind| SampleBits(**kind).has(LossTask::Landmarks)).count()
    };
    // None of the other kinds has points here: 2 of 7 in 14 are landmark faces.
    assert_eq!((count("batch = 14"), count("batch = 14\nlandmarks_on_all = true")), (4, 4));
    let all = Crops::of("with-points", 12, [30, 10, 10, 20], [4; 4], |sample| match sample {
        SampleKind::Negative => Targets::default(),
        _ => Targets::default().with_box([0.1; 4]).with_landmarks([0.5; 10]),
    });
    let batch = all.open("batch = 14\nlandmarks_on_all = true").batch(0).unwrap();
    assert_eq!(batch.kinds.iter().filter(|kind| SampleBits(**kind).has(LossTask::Landmarks)).count(), 8);
    let positives = batch.kinds.iter().filter(|kind| SampleBits(**kind).is_face());
    assert!(positives.clone().all(|kind| *kind == SampleBits::POSITIVE.0 | SampleBits::LANDMARKS.0) && positives.count() == 2);
}

#[test]
fn every_crop_of_a_kind_is_drawn_once_before_any_is_drawn_again() {
    let crops = Crops::new("rounds", 12, [30, 10, 10, 20], [2; 4]);
    let batches = crops.open("batch = 7");
    let mut orders = HashSet::new();
    for round in 0..5 {
        let drawn: Vec<usize> = (0..10).flat_map(|step| numbers(&batches.batch(10 * round + step).unwrap())).collect();
        let mut once = drawn.clone();
        once.sort_unstable();
        assert_eq!(once, (0..70).collect::<Vec<usize>>(), "round {round}");
        orders.insert(drawn);
    }
    assert_eq!(orders.len(), 5, "no two rounds are in the same order");
}

#[test]
fn a_batch_is_a_function_of_seed_and_step_whatever_came_before_and_however_many_threads() {
    let crops = Crops::new("pure", 12, [30, 10, 10, 20], [2; 4]);
    let settings = "[net]\nbatch = 19\n[net.augment]\nblur = 0.3\nnoise = 0.3\njpeg = 0.3\ndownscale = 0.3\ngrey = 0.3";
    let open = |seed: u32| {
        let config = TrainConfig::from_toml(&format!("seed = {seed}\n{settings}"), "test").unwrap();
        ShardBatches::open(&crops.0, "pnet", &config).unwrap()
    };
    let forth: Vec<Batch> = (0..12).map(|step| open(1).batch(step).unwrap()).collect();
    let batches = open(1);
    for threads in [1, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let back: Vec<Batch> = pool.install(|| (0..12).rev().map(|step| batches.batch(step).unwrap()).collect());
        assert!(back.iter().rev().eq(&forth), "{threads} threads");
    }
    assert_ne!(open(2).batch(0).unwrap(), forth[0]);
    assert_ne!(forth[0], forth[1]);
}

#[test]
fn validation_is_balanced_whole_and_never_changed() {
    let crops = Crops::new("validation", 12, [9; 4], [100, 30, 50, 8]);
    let batches = crops.open("batch = 16");
    // 30 negatives and positives, 30 parts, 8 landmark faces.
    assert_eq!(batches.validation_batches(), 7);
    let all: Vec<Batch> = (0..7).map(|index| batches.validation_batch(index).unwrap()).collect();
    let kinds: Vec<u32> = all.iter().flat_map(|batch| batch.kinds.clone()).collect();
    let count = |kind: SampleBits| kinds.iter().filter(|other| **other == kind.0).count();
    let each = [SampleBits::NEGATIVE, SampleBits::POSITIVE, SampleBits::PART, SampleBits::LANDMARKS, SampleBits::NONE].map(count);
    assert_eq!(each, [30, 30, 30, 8, 7 * 16 - 98]);
    let seen: Vec<usize> = all.iter().flat_map(numbers).collect();
    let once: HashSet<usize> = seen.iter().copied().collect();
    assert_eq!((once.len(), seen.len()), (98, 98));
    assert!(once.iter().all(|number| (36..36 + 188).contains(number)), "none of training or test");
    assert!(matches!(batches.validation_batch(7), Ok(batch) if numbers(&batch).is_empty()) || batches.validation_batch(7).is_err());
    assert!(batches.validation_batch(u64::MAX).is_err());
}

#[test]
fn shuffled_labels_keep_their_number_and_say_nothing() {
    let crops = Crops::new("shuffled", 12, [300, 100, 10, 10], [20; 4]);
    let (plain, shuffled) = (crops.open("batch = 40\nratio = [3, 1, 0, 0]"), {
        let config = TrainConfig::from_toml("data.shuffle_labels = true\n[net]\nbatch = 40\nratio = [3, 1, 0, 0]", "test").unwrap();
        ShardBatches::open(&crops.0, "pnet", &config).unwrap()
    });
    assert_ne!(plain.hash(), shuffled.hash());
    let mut faces = [0, 0];
    for step in 0..10 {
        let (was, is) = (plain.batch(step).unwrap(), shuffled.batch(step).unwrap());
        for (was, is) in was.kinds.iter().zip(&is.kinds) {
            assert!(SampleBits(*is).has(LossTask::Class) && !SampleBits(*is).has(LossTask::Box));
            faces[usize::from(SampleBits(*was).is_face())] += u32::from(SampleBits(*is).is_face());
        }
        assert_eq!(plain.validation_batch(1).unwrap(), shuffled.validation_batch(1).unwrap());
    }
    // One round of all 400: 100 faces, of which 75 are expected among the negatives, give or take 4 standard deviations of 4.3.
    assert_eq!(faces[0] + faces[1], 100);
    assert!((58..=92).contains(&faces[0]), "{faces:?}");
}

#[test]
fn what_is_missing_and_what_is_for_another_net_is_named() {
    let crops = Crops::new("missing", 12, [5, 5, 5, 0], [1; 4]);
    let open = |net: &str, settings: &str| ShardBatches::open(&crops.0, net, &TrainConfig::from_toml(settings, "test").unwrap());
    let error = open("pnet", "").err().unwrap();
    assert!(matches!(error, CropsError::Missing { sample: SampleKind::Landmarks, .. }), "{error}");
    let text = error.to_string();
    assert!(["landmark faces", "pnet.ratio = [3, 1, 1, 2]", "mtcmcn-batches"].iter().all(|needle| text.contains(needle)), "{text}");
    assert!(open("pnet", "pnet.ratio = [3, 1, 1, 0]").is_ok());
    let text = open("onet", "").err().unwrap().to_string();
    assert!(["12 pixels", "onet needs 48"].iter().all(|needle| text.contains(needle)), "{text}");
    assert!(matches!(open("qnet", ""), Err(CropsError::NoNet { .. })));
    let none = ShardBatches::open(&crops.0.with_extension("gone"), "pnet", &TrainConfig::default());
    assert!(matches!(none, Err(CropsError::Shard(ShardError::Read { .. }))));
}
