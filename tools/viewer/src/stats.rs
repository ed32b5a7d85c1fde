//! How fast it goes: the last few hundred frames, in numbers for plots and labels.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Frames that are kept.
const KEPT: usize = 300;

/// Span over which the rate is counted.
const SPAN: Duration = Duration::from_secs(2);

/// One searched frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When the search was done.
    pub at: Instant,
    /// How long it took.
    pub latency: Duration,
    /// Frames a second over the last two seconds.
    pub fps: f64,
}

/// The last samples, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    samples: VecDeque<Sample>,
}

impl Stats {
    /// A search that ended `at` after `latency`.
    pub fn push(&mut self, at: Instant, latency: Duration) {
        // Intervals between frames, this one included.
        let since = at.checked_sub(SPAN);
        let recent = self.samples.iter().filter(|sample| since.is_none_or(|since| sample.at >= since));
        let (count, first) = recent.fold((0u32, None), |(count, first), sample| (count + 1, first.or(Some(sample.at))));
        let seconds = first.map_or(0.0, |first| at.saturating_duration_since(first).as_secs_f64());
        let fps = if seconds > 0.0 { f64::from(count) / seconds } else { 0.0 };
        if self.samples.len() >= KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, latency, fps });
    }

    /// Forgets everything: another source or engine.
    pub fn clear(&mut self) {
        self.samples.clear();
    }

    /// The samples, oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &Sample> {
        self.samples.iter()
    }

    /// Frames a second now.
    pub fn fps(&self) -> f64 {
        self.samples.back().map_or(0.0, |sample| sample.fps)
    }

    /// The latency that `share` of the kept frames do not exceed, ms; `None` without frames.
    pub fn latency_ms(&self, share: f64) -> Option<f64> {
        quantile(self.samples.iter().map(|sample| sample.latency.as_secs_f64() * 1e3).collect(), share)
    }
}

/// The value that `share` of `values` do not exceed (nearest rank).
pub fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.clamp(1, values.len().max(1)) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_quantiles_are_those_of_the_frames() {
        let (mut stats, start) = (Stats::default(), Instant::now());
        assert_eq!((stats.fps(), stats.latency_ms(0.5)), (0.0, None));
        for i in 1..=200 {
            stats.push(start + Duration::from_millis(20 * i), Duration::from_millis(i % 100 + 1));
        }
        assert!((stats.fps() - 50.0).abs() < 0.5, "{}", stats.fps());
        assert_eq!(stats.latency_ms(0.5), Some(50.0));
        assert_eq!(stats.latency_ms(0.95), Some(95.0));
        (0..1000).for_each(|i| stats.push(start + Duration::from_secs(i), Duration::ZERO));
        assert_eq!(stats.samples().len(), KEPT);
    }

    #[test]
    fn quantiles_of_few_values() {
        assert_eq!(quantile(vec![], 0.95), None);
        assert_eq!(quantile(vec![3.0], 0.0), Some(3.0));
        assert_eq!(quantile(vec![3.0, 1.0, 2.0], 1.0), Some(3.0));
    }
}
