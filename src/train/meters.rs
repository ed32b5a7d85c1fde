//! [`Meters`]: named figures added up over samples.

use std::collections::BTreeMap;

/// Sums over samples by name, with the number of samples in each.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Meters(BTreeMap<String, (f64, u64)>);

impl Meters {
    /// Adds `sum` over `count` samples to the figure `name`.
    pub fn count(&mut self, name: &str, sum: f64, count: u64) {
        let own = self.0.entry(name.to_owned()).or_default();
        own.0 += sum;
        own.1 += count;
    }

    /// Adds what `other` counted.
    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, (sum, count))| self.count(name, *sum, *count));
    }

    /// Sum and samples of a figure; zeros if it was never counted.
    pub fn get(&self, name: &str) -> (f64, u64) {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Mean of a figure over its samples; `None` without a sample.
    pub fn mean(&self, name: &str) -> Option<f64> {
        let (sum, count) = self.get(name);
        (count > 0).then(|| sum / count as f64)
    }

    /// Every figure's name and mean.
    pub fn means(&self) -> impl Iterator<Item = (&str, Option<f64>)> {
        self.0.keys().map(|name| (name.as_str(), self.mean(name)))
    }

    /// Sum of means by their weights; a figure without a sample adds nothing (spec section 4.3). `None` if none has one.
    pub fn total<'a>(&self, weights: impl IntoIterator<Item = (&'a str, f64)>) -> Option<f64> {
        let terms = weights.into_iter().filter_map(|(name, weight)| Some(self.mean(name)? * weight));
        terms.fold(None, |sum, term| Some(sum.unwrap_or(0.0) + term))
    }

    /// The first figure whose sum is NaN or infinite.
    pub fn broken(&self) -> Option<&str> {
        self.0.iter().find(|(_, (sum, _))| !sum.is_finite()).map(|(name, _)| name.as_str())
    }

    /// Most samples that any figure counts.
    pub fn samples(&self) -> u64 {
        self.0.values().map(|(_, count)| *count).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_the_samples_that_were_counted() {
        let mut meters = Meters::default();
        assert_eq!((meters.mean("class"), meters.total([("class", 1.0)]), meters.samples()), (None, None, 0));
        meters.count("class", 1.0, 2);
        meters.count("box", 0.0, 0);
        let mut more = Meters::default();
        more.count("class", 2.0, 4);
        more.count("landmarks", 10.0, 5);
        meters.add(&more);
        assert_eq!([meters.mean("class"), meters.mean("box"), meters.mean("landmarks")], [Some(0.5), None, Some(2.0)]);
        assert_eq!(meters.total([("class", 1.0), ("box", 0.5), ("landmarks", 0.25)]), Some(1.0));
        assert_eq!((meters.samples(), meters.broken()), (6, None));
        meters.count("box", f64::NAN, 1);
        assert_eq!(meters.broken(), Some("box"));
    }
}
