//! Random numbers that are functions of their purpose. There is no state between draws, so that any batch can
//! be created on its own.

/// One round of `SplitMix64` (Steele, Lea and Flood 2014): a bijection in which every bit of `x` affects
/// every bit of the result.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hashes `parts` in their order to one number.
pub fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |key, &part| mix(key ^ mix(part)))
}

/// A sequence of random numbers determined by a key.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// Creates the sequence determined by `parts`.
    pub fn new(parts: &[u64]) -> Self {
        Self(key(parts))
    }

    /// Draws 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Draws a number uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Draws a number uniform in `[low, high)`; returns `low` if that is empty.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low).max(0.0) * self.unit()
    }

    /// Draws an integer uniform in `[low, high)`; returns `low` if there is none.
    pub fn whole(&mut self, low: i64, high: i64) -> i64 {
        let count = high.saturating_sub(low).max(1) as u64;
        low + ((u128::from(self.bits()) * u128::from(count)) >> 64) as i64
    }

    /// Returns true with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Draws an approximately normal number with mean 0 and standard deviation 1: the scaled sum of four
    /// uniform numbers (Irwin and Hall), whose magnitude is at most 3.5.
    pub fn bell(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|quarter| bits >> (16 * quarter) & 0xffff).sum();
        // The sum has mean 2 * 65535 and standard deviation 65536 / sqrt(3).
        (sum as f32 - 131_070.0) / 37_837.2
    }
}

/// Returns the position of `index` in a permutation of `0 .. len` determined by `key`, without computing the
/// other positions.
///
/// A Feistel network of six rounds over the smallest even number of bits that hold `len`, applied until the
/// result is in range (Black and Rogaway 2002).
pub fn place(index: u64, len: u64, key: u64) -> u64 {
    let bits = (64 - len.saturating_sub(1).leading_zeros()).max(2).div_ceil(2);
    let mask = (1_u64 << bits) - 1;
    let mut at = index;
    loop {
        let (mut left, mut right) = (at >> bits, at & mask);
        for round in 0..6 {
            (left, right) = (right, left ^ (mix(right ^ key.rotate_left(11 * round)) & mask));
        }
        at = left << bits | right;
        if at < len {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_taken_once_and_orders_differ() {
        for len in [1, 2, 3, 7, 64, 65, 1000] {
            let mut places: Vec<u64> = (0..len).map(|index| place(index, len, 5)).collect();
            let other: Vec<u64> = (0..len).map(|index| place(index, len, 6)).collect();
            assert!(len < 7 || places != other, "{len}");
            places.sort_unstable();
            assert_eq!(places, (0..len).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn orders_are_even_enough_to_learn_from() {
        // Each of 8 items comes first in 1,000 of 8,000 orders, within 6 standard deviations of 30.
        let mut first = [0; 8];
        (0..8000).for_each(|order| first[(0..8).position(|index| place(index, 8, key(&[order])) == 0).unwrap()] += 1);
        assert!(first.iter().all(|count| (820..1180).contains(count)), "{first:?}");
    }

    #[test]
    fn draws_are_in_range_with_the_moments_of_their_law() {
        let mut draw = Draw::new(&[1, 2]);
        let n = 20_000;
        let (mut sum, mut squares, mut counts) = (0.0, 0.0, [0; 5]);
        for _ in 0..n {
            let (unit, bell) = (draw.unit(), f64::from(draw.bell()));
            assert!((0.0..1.0).contains(&unit));
            sum += unit;
            squares += bell * bell;
            counts[(draw.whole(-2, 3) + 2) as usize] += 1;
        }
        let n = f64::from(n);
        // Each mean is within six standard errors.
        assert!((sum / n - 0.5).abs() < 6.0 * 0.289 / n.sqrt(), "{}", sum / n);
        assert!((squares / n - 1.0).abs() < 6.0 * 1.31 / n.sqrt(), "{}", squares / n);
        assert!(counts.iter().all(|count| (3660..4340).contains(count)), "{counts:?}");
        assert_eq!((draw.whole(7, 7), draw.between(3.0, 2.0)), (7, 3.0));
    }
}
