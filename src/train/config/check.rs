//! The range of every number, in one place.

use super::{AugmentConfig, CropConfig, NetConfig, TeacherConfig, TrainConfig, TrainConfigError};

type Checked = Result<(), TrainConfigError>;

fn require(ok: bool, key: impl Into<String>, value: impl std::fmt::Debug, range: &'static str) -> Checked {
    if ok { Ok(()) } else { Err(TrainConfigError::Range { key: key.into(), value: format!("{value:?}"), range }) }
}

const CHANCE: &str = "between 0 and 1";

fn chance(key: impl Into<String>, value: f64) -> Checked {
    require((0.0..=1.0).contains(&value), key, value, CHANCE)
}

/// A factor that may be drawn: from the first number to the second.
fn factors(key: impl Into<String>, [least, greatest]: [f64; 2]) -> Checked {
    require(least > 0.0 && least <= greatest && greatest <= 10.0, key, [least, greatest], "two numbers over 0 and up to 10, in order")
}

impl TrainConfig {
    /// Checks every number against its range.
    pub(super) fn check(&self) -> Checked {
        let parts: u32 = self.data.split.iter().fold(0, |sum, part| sum.saturating_add(*part));
        require(self.data.split[0] > 0 && parts <= 1_000_000, "data.split", self.data.split, "three parts, the first of them over 0")?;
        for (at, source) in self.data.sources.iter().enumerate() {
            if let Some(px) = source.min_face_px {
                require((1.0..=10_000.0).contains(&px), format!("data.sources[{at}].min_face_px"), px, "between 1 and 10000")?;
            }
            let Some(offsets) = source.convention else { continue };
            let key = format!("data.sources[{at}].convention");
            require(offsets.iter().all(|offset| offset.abs() <= 0.4), key, offsets, "four numbers between -0.4 and 0.4")?;
        }
        self.data.crops.check()?;
        self.teacher.check()?;
        for (name, net) in [("pnet", &self.pnet), ("rnet", &self.rnet), ("onet", &self.onet)] {
            net.check(name)?;
        }
        let run = &self.run;
        require((1..=1_000_000).contains(&run.log_steps), "run.log_steps", run.log_steps, "between 1 and 1000000")?;
        require(run.keep >= 1 && run.keep <= 10_000, "run.keep", run.keep, "between 1 and 10000")?;
        require((1..=1024).contains(&run.prefetch), "run.prefetch", run.prefetch, "between 1 and 1024")
    }
}

impl TeacherConfig {
    fn check(&self) -> Checked {
        for (name, value) in [
            ("overlap", self.overlap),
            ("accept", self.accept),
            ("ignore", self.ignore),
            ("landmarks", self.landmarks),
            ("other_landmarks", self.other_landmarks),
        ] {
            chance(format!("teacher.{name}"), f64::from(value))?;
        }
        require(self.ignore <= self.accept, "teacher.ignore", self.ignore, "at most teacher.accept")?;
        require(self.thresholds.iter().all(|t| (0.0..=1.0).contains(t)), "teacher.thresholds", self.thresholds, CHANCE)?;
        let fits = (1..=16).contains(&self.scales.len()) && self.scales.iter().all(|scale| (0.1..=10.0).contains(scale));
        require(fits, "teacher.scales", &self.scales, "one to 16 numbers between 0.1 and 10")?;
        require((0.0..=10_000.0).contains(&self.min_label_px), "teacher.min_label_px", self.min_label_px, "between 0 and 10000")
    }
}

impl CropConfig {
    fn check(&self) -> Checked {
        let [negative, part, positive] = self.overlaps;
        require(
            0.0 < negative && negative <= part && part <= positive && positive < 1.0,
            "data.crops.overlaps",
            self.overlaps,
            "three numbers between 0 and 1, in order",
        )?;
        factors("data.crops.sides", self.sides)?;
        chance("data.crops.shift", self.shift)?;
        require((0.0..=45.0).contains(&self.rotation_degrees), "data.crops.rotation_degrees", self.rotation_degrees, "between 0 and 45")?;
        for (key, value) in [("data.crops.min_face_px", self.min_face_px), ("data.crops.detect_min_face_px", self.detect_min_face_px)] {
            require((1.0..=10_000.0).contains(&value), key, value, "between 1 and 10000")?;
        }
        require((0.1..=0.95).contains(&self.detect_factor), "data.crops.detect_factor", self.detect_factor, "between 0.1 and 0.95")?;
        require(self.thresholds.iter().all(|t| (0.0..=1.0).contains(t)), "data.crops.thresholds", self.thresholds, CHANCE)?;
        for (key, value) in [
            ("negatives_per_image", self.negatives_per_image),
            ("near_negatives_per_face", self.near_negatives_per_face),
            ("tries_per_face", self.tries_per_face),
            ("landmark_crops", self.landmark_crops),
            ("detected_negatives_per_image", self.detected_negatives_per_image),
            ("faces_per_image", self.faces_per_image),
        ] {
            require(value <= 10_000, format!("data.crops.{key}"), value, "at most 10000")?;
        }
        Ok(())
    }
}

impl NetConfig {
    fn check(&self, at: &str) -> Checked {
        let key = |name: &str| format!("{at}.{name}");
        require((1..=1_000_000).contains(&self.epochs), key("epochs"), self.epochs, "between 1 and 1000000")?;
        require(self.epoch_samples <= 1 << 40, key("epoch_samples"), self.epoch_samples, "at most 2^40")?;
        require((1..=4096).contains(&self.batch), key("batch"), self.batch, "between 1 and 4096")?;
        let divides = self.micro_batch == 0 || self.batch.is_multiple_of(self.micro_batch);
        require(divides, key("micro_batch"), self.micro_batch, "0, or a divisor of the batch")?;
        let shares: u64 = self.ratio.iter().map(|&share| u64::from(share)).sum();
        require(
            (1..=1000).contains(&shares),
            key("ratio"),
            self.ratio,
            "four whole numbers of which one is over 0, together at most 1000",
        )?;
        require((0.0..1.0).contains(&self.dropout), key("dropout"), self.dropout, "at least 0 and under 1")?;
        chance(key("soft_targets"), self.soft_targets)?;
        for (task, weight, keep) in [
            ("class", self.loss.class, self.mining.class),
            ("box", self.loss.r#box, self.mining.r#box),
            ("landmarks", self.loss.landmarks, self.mining.landmarks),
        ] {
            require((0.0..=1000.0).contains(&weight), key(&format!("loss.{task}")), weight, "between 0 and 1000")?;
            require(keep > 0.0 && keep <= 1.0, key(&format!("mining.{task}")), keep, "over 0 and at most 1")?;
        }
        self.check_optimizer(&key)?;
        self.augment.check(&key)
    }

    fn check_optimizer(&self, key: &impl Fn(&str) -> String) -> Checked {
        let (o, s) = (&self.optimizer, &self.schedule);
        require(
            o.learning_rate > 0.0 && o.learning_rate <= 100.0,
            key("optimizer.learning_rate"),
            o.learning_rate,
            "over 0 and at most 100",
        )?;
        for (name, value) in [("beta1", o.beta1), ("beta2", o.beta2), ("momentum", o.momentum)] {
            require((0.0..1.0).contains(&value), key(&format!("optimizer.{name}")), value, "at least 0 and under 1")?;
        }
        require(o.epsilon > 0.0 && o.epsilon <= 1.0, key("optimizer.epsilon"), o.epsilon, "over 0 and at most 1")?;
        chance(key("optimizer.weight_decay"), o.weight_decay)?;
        require(s.warmup_steps <= 1 << 40, key("schedule.warmup_steps"), s.warmup_steps, "at most 2^40")?;
        require(s.factor > 0.0 && s.factor <= 10.0, key("schedule.factor"), s.factor, "over 0 and at most 10")?;
        chance(key("schedule.end"), s.end)
    }
}

impl AugmentConfig {
    fn check(&self, key: &impl Fn(&str) -> String) -> Checked {
        for (name, value) in [
            ("flip", self.flip),
            ("colour", self.colour),
            ("brightness", self.brightness),
            ("hue", self.hue),
            ("grey", self.grey),
            ("blur", self.blur),
            ("motion", self.motion),
            ("noise", self.noise),
            ("jpeg", self.jpeg),
            ("downscale", self.downscale),
            ("patch", self.patch),
            ("rotation", self.rotation),
        ] {
            chance(key(&format!("augment.{name}")), value)?;
        }
        let degrees = self.rotation_degrees;
        require((0.0..=45.0).contains(&degrees), key("augment.rotation_degrees"), degrees, "between 0 and 45")?;
        factors(key("augment.contrast"), self.contrast)?;
        factors(key("augment.saturation"), self.saturation)
    }
}
