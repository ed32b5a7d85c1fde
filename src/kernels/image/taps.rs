//! Weights of separable resampling (spec section 3.2), the twin of `shared/taps.wgsl`.

/// Returns the input elements under output element `i`, with weights that sum to 1.
///
/// `size` input elements become `out`. Shrinking takes the exact area average unless `bilinear`; growing is
/// bilinear with half-pixel centres, clamped to the input.
pub fn taps(i: u32, size: u32, out: u32, bilinear: bool) -> impl ExactSizeIterator<Item = (usize, f64)> {
    let (i, size, out) = (u64::from(i), u64::from(size), u64::from(out));
    let area = size >= out && !bilinear;
    let (first, last, right) = if area {
        (i * size / out, ((i + 1) * size - 1) / out, 0.0)
    } else {
        let position = ((2 * i + 1) * size).saturating_sub(out);
        let first = position / (2 * out);
        if first >= size - 1 { (size - 1, size - 1, 0.0) } else { (first, first + 1, (position % (2 * out)) as f64 / (2 * out) as f64) }
    };
    let weight = move |j: u64| {
        if area {
            let overlap = ((i + 1) * size).min((j + 1) * out) - (i * size).max(j * out);
            overlap as f64 / size as f64
        } else if j > first {
            right
        } else {
            1.0 - right
        }
    };
    (first as usize..last as usize + 1).map(move |j| (j, weight(j as u64)))
}

/// Returns an upper bound on the number of taps of an output element.
pub fn most_taps(size: u32, out: u32) -> u32 {
    size / out.max(1) + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(i: u32, size: u32, out: u32, bilinear: bool) -> Vec<f64> {
        let mut row = vec![0.0; size as usize];
        taps(i, size, out, bilinear).for_each(|(j, weight)| row[j] += weight);
        row
    }

    #[test]
    fn five_to_three_is_the_area_average_of_the_spec() {
        let want = [[0.6, 0.4, 0.0, 0.0, 0.0], [0.0, 0.2, 0.6, 0.2, 0.0], [0.0, 0.0, 0.0, 0.4, 0.6]];
        for (i, want) in want.iter().enumerate() {
            for (got, want) in row(i as u32, 5, 3, false).iter().zip(want) {
                assert!((got - want).abs() < 1e-15, "row {i}: {got} {want}");
            }
        }
    }

    #[test]
    fn growing_is_bilinear_with_half_pixel_centres() {
        assert_eq!(row(0, 2, 4, false), [1.0, 0.0]);
        assert_eq!(row(1, 2, 4, false), [0.75, 0.25]);
        assert_eq!(row(3, 2, 4, false), [0.0, 1.0]);
        assert_eq!(row(1, 4, 2, true), [0.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn weights_sum_to_one_at_any_size() {
        for (size, out) in [(1, 1), (1, 24), (7, 24), (24, 24), (25, 24), (481, 48), (640, 123)] {
            for bilinear in [false, true] {
                for i in 0..out {
                    let sum: f64 = row(i, size, out, bilinear).iter().sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{size} -> {out}, element {i}: {sum}");
                }
            }
        }
    }
}
