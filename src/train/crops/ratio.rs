//! Number of samples of each kind in a batch (spec section 4.6).

/// Shares of negatives, positives, parts and landmark faces in batches of a fixed size.
///
/// Each kind receives its share rounded down; the rest goes to the largest remainders. Kinds of equal
/// remainder take turns from batch to batch, so that 32 by 3 : 1 : 1 : 2 is alternately 14 : 5 : 4 : 9 and 14
/// : 4 : 5 : 9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ratio {
    /// Number of samples of each kind in every batch.
    fixed: [u64; 4],
    /// Kinds of equal remainder, which take turns.
    turns: Vec<usize>,
    /// Number of these kinds that have their turn in one batch.
    at_once: u64,
}

impl Ratio {
    /// Divides `batch` samples by `shares`, at least one of which must be above 0.
    pub fn new(batch: u32, shares: [u32; 4]) -> Self {
        let (batch, whole) = (u64::from(batch), shares.iter().map(|&share| u64::from(share)).sum::<u64>().max(1));
        let mut fixed = shares.map(|share| batch * u64::from(share) / whole);
        let remainders = shares.map(|share| batch * u64::from(share) % whole);
        let mut left = batch - fixed.iter().sum::<u64>();
        let mut order: Vec<u64> = remainders.into_iter().filter(|remainder| *remainder > 0).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        order.dedup();
        for remainder in order {
            let equal: Vec<usize> = (0..4).filter(|&kind| remainders[kind] == remainder).collect();
            if left < equal.len() as u64 {
                return Self { fixed, turns: equal, at_once: left };
            }
            equal.iter().for_each(|&kind| fixed[kind] += 1);
            left -= equal.len() as u64;
        }
        Self { fixed, turns: Vec::new(), at_once: 0 }
    }

    /// Returns the number of samples of each kind in the batch after `step` others.
    pub fn counts(&self, step: u64) -> [u64; 4] {
        let (before, after) = (self.before(step), self.before(step + 1));
        std::array::from_fn(|kind| after[kind] - before[kind])
    }

    /// Returns the number of samples of each kind in the first `steps` batches.
    pub fn before(&self, steps: u64) -> [u64; 4] {
        let mut sums = self.fixed.map(|count| count * steps);
        let round = self.turns.len() as u64;
        for (place, &kind) in self.turns.iter().enumerate() {
            // Turn number t, of `steps * at_once`, belongs to kind t % round.
            let turns = steps * self.at_once;
            sums[kind] += turns / round + u64::from(turns % round > place as u64);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_32_is_that_of_the_spec() {
        let ratio = Ratio::new(32, [3, 1, 1, 2]);
        for step in 0..6 {
            assert_eq!(ratio.counts(step), if step % 2 == 0 { [14, 5, 4, 9] } else { [14, 4, 5, 9] }, "{step}");
        }
        assert_eq!(ratio.before(1_000_001), [14_000_014, 4_500_005, 4_500_004, 9_000_009]);
    }

    #[test]
    fn every_batch_is_full_and_in_the_long_run_shares_are_kept() {
        for shares in [[3, 1, 1, 2], [3, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 5], [7, 3, 2, 1], [1, 0, 1, 0], [1000, 1, 1, 1]] {
            for batch in [1, 2, 3, 7, 31, 32, 64, 500, 4096] {
                let ratio = Ratio::new(batch, shares);
                for step in 0..20 {
                    assert_eq!(ratio.counts(step).iter().sum::<u64>(), u64::from(batch), "{shares:?} {batch} {step}: {ratio:?}");
                }
                for (kind, share) in shares.into_iter().enumerate().filter(|(_, share)| *share == 0) {
                    assert_eq!(ratio.before(100)[kind], 0, "{shares:?} {batch}: {share}");
                }
            }
        }
        assert_eq!(Ratio::new(7, [3, 1, 1, 2]).before(5), [15, 5, 5, 10]);
    }
}
