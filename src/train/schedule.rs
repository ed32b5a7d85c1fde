//! Learning rate schedules: constant, in steps or along a cosine, each with a linear warm-up.

/// Shape of the schedule after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "toolkit", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Decay {
    /// The rate is constant.
    Constant,
    /// The rate is multiplied by a factor at the start of certain epochs.
    Step,
    /// The rate follows half a cosine down to the last step.
    Cosine,
}

/// Learning rate for every step, relative to the optimizer's.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "toolkit", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Schedule {
    /// Shape of the schedule after the warm-up.
    pub kind: Decay,
    /// Number of steps over which the rate rises linearly; the first step has `1 / warmup_steps` of the rate.
    pub warmup_steps: u64,
    /// [`Decay::Step`]: epochs (the first is 0) at whose start the rate is multiplied by `factor`.
    pub epochs: Vec<u64>,
    /// [`Decay::Step`]: factor by which the rate is multiplied.
    pub factor: f64,
    /// [`Decay::Cosine`]: share of the rate at the last step.
    pub end: f64,
}

impl Schedule {
    /// Creates a schedule that always uses the optimizer's own rate.
    pub fn constant() -> Self {
        Self { kind: Decay::Constant, warmup_steps: 0, epochs: Vec::new(), factor: 1.0, end: 1.0 }
    }

    /// Returns the share of the optimizer's rate for `step` (from 0) of `steps` in total, with `per_epoch`
    /// steps per epoch.
    ///
    /// The cosine (Loshchilov and Hutter 2017, without restarts) runs from the end of the warm-up to the last
    /// step, at which the share is `end`.
    pub fn share(&self, step: u64, steps: u64, per_epoch: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        match self.kind {
            Decay::Constant => 1.0,
            Decay::Step => {
                let epoch = step / per_epoch.max(1);
                let passed = self.epochs.iter().filter(|&&start| start <= epoch).count();
                std::iter::repeat_n(self.factor, passed).product()
            }
            Decay::Cosine => {
                let whole = steps.saturating_sub(self.warmup_steps + 1).max(1);
                let done = ((step - self.warmup_steps) as f64 / whole as f64).min(1.0);
                self.end + (1.0 - self.end) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: Decay) -> Schedule {
        Schedule { kind, warmup_steps: 4, epochs: vec![2, 3], factor: 0.1, end: 0.2 }
    }

    fn near(got: f64, want: f64) {
        let within = (got - want).abs() <= 1e-12;
        assert!(within, "got {got}, want {want}");
    }

    #[test]
    fn every_kind_rises_in_a_line_first() {
        for kind in [Decay::Constant, Decay::Step, Decay::Cosine] {
            for (step, want) in [0.25, 0.5, 0.75, 1.0, 1.0].into_iter().enumerate() {
                near(schedule(kind).share(step as u64, 100, 10), want);
            }
        }
    }

    #[test]
    fn a_constant_rate_stays() {
        for step in [0, 1, 99, 1_000_000] {
            near(Schedule::constant().share(step, 100, 10), 1.0);
        }
    }

    #[test]
    fn steps_multiply_at_the_start_of_their_epochs() {
        let share = |step| schedule(Decay::Step).share(step, 100, 10);
        for (step, want) in [(19, 1.0), (20, 0.1), (29, 0.1), (30, 0.01), (99, 0.01)] {
            near(share(step), want);
        }
    }

    #[test]
    fn a_cosine_ends_where_it_should_and_never_rises() {
        let share = |step| schedule(Decay::Cosine).share(step, 105, 10);
        near(share(4), 1.0);
        near(share(54), 0.6);
        near(share(104), 0.2);
        near(share(1000), 0.2);
        assert!((4..104).all(|step| share(step + 1) < share(step)));
    }

    #[test]
    fn short_runs_have_a_rate_too() {
        for kind in [Decay::Constant, Decay::Step, Decay::Cosine] {
            for (steps, per_epoch) in [(0, 0), (1, 1), (4, 0), (5, 1)] {
                let share = schedule(kind).share(4, steps, per_epoch);
                assert!(share.is_finite() && (0.0..=1.0).contains(&share), "{kind:?} {steps} {per_epoch}: {share}");
            }
        }
    }
}
