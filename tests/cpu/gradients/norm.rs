//! Batch norm with PReLU, and rows of length one.

use mtcmcn::kernels::nn::{
    BatchMoments, BatchNorm, BatchNormBackward, BatchNormGradients, BatchNormSums, BatchStatistics, ChannelAffine, UnitRows,
    UnitRowsBackward,
};
use mtcmcn::tensor::{Shape, noise};

use super::{compare, compare_curved, rounding, twin, weighted};

const EPSILON: f64 = 1e-3;

/// Scale, shift and slope of a norm.
type Learned<'a> = [&'a [f32]; 3];

/// `x` of two clusters about ±3, as many on each side, so that no normalized value is near 0, where PReLU has
/// its bend.
fn clusters(shape: &Shape) -> Vec<f32> {
    let (c, plane) = (shape.c() as usize, shape.plane() as usize);
    let place = |i: usize| i / (c * plane) * plane + i % plane;
    let side = |i: usize| if place(i) % 2 == 0 { 3.0 } else { -3.0 };
    noise(shape.elements() as usize, 1).iter().enumerate().map(|(i, v)| side(i) + v).collect()
}

fn batch_affine(shape: &Shape, x: &[f32], [scale, shift, slope]: Learned) -> Vec<f32> {
    let statistics = BatchStatistics::new(shape).unwrap();
    let partial = twin(&statistics, &[x], 0.0).remove(0);
    let moments = twin(&BatchMoments::new(&statistics, shape), &[&partial], 0.0);
    twin(&ChannelAffine::new(shape.c(), EPSILON), &[&moments[0], &moments[1], scale, shift, slope], 0.0).remove(0)
}

/// Gradients of `x`, shift, scale and slope.
fn gradients(shape: &Shape, x: &[f32], dy: &[f32], affine: &[f32], backward: BatchNormBackward) -> [Vec<f32>; 4] {
    let kernel = BatchNormSums::new(shape);
    let partial = twin(&kernel, &[x, dy, affine], 0.0).remove(0);
    let mut learned = twin(&BatchNormGradients::new(&kernel, shape), &[&partial], 0.0);
    let dx = twin(&backward, &[x, dy, affine, &learned[0]], 0.0).remove(0);
    let [dslope, dscale, dshift] = [3, 2, 1].map(|slot| learned.remove(slot));
    [dx, dshift, dscale, dslope]
}

/// Scale, shift and slope of `c` channels.
fn learned(c: u32) -> [Vec<f32>; 3] {
    let each = |seed: u64, middle: f32, spread: f32| noise(c as usize, seed).iter().map(|v| middle + spread * v).collect();
    [each(2, 1.0, 0.25), each(3, 0.0, 0.2), each(4, 0.25, 0.5)]
}

const SHAPES: [[u32; 4]; 5] = [[1, 1, 1, 2], [3, 5, 1, 1], [2, 10, 5, 7], [70, 3, 1, 1], [2, 3, 13, 11]];

#[test]
fn batch_norm_with_statistics_of_the_batch() {
    for shape in SHAPES {
        let shape = Shape::new(shape).unwrap();
        let (x, [scale, shift, slope]) = (clusters(&shape), learned(shape.c()));
        let (r, h) = (noise(x.len(), 5), 0.125);
        let y = |x: &[f32], learned: Learned| twin(&BatchNorm::new(&shape), &[x, &batch_affine(&shape, x, learned)], 0.0).remove(0);
        let ones = vec![1.0; slope.len()];
        let z = y(&x, [&scale, &shift, &ones]);
        assert!(z.iter().all(|z| z.abs() > 0.15), "every value stays on its side of PReLU's bend");

        let affine = batch_affine(&shape, &x, [&scale, &shift, &slope]);
        let [dx, dshift, dscale, dslope] = gradients(&shape, &x, &r, &affine, BatchNormBackward::batch(&shape));
        // Means and deviations are rounded too, which moves all results of a channel together.
        let magnitude: f64 = y(&x, [&scale, &shift, &slope]).iter().zip(&r).map(|(y, r)| f64::from((y * r).abs())).sum();
        let rounded = 8.0 * f64::from(f32::EPSILON) * magnitude / f64::from(h);
        // As a function of one element a channel's results are analytic within deviation times √M, and the
        // deviation is over 2: by Cauchy's estimate on half that circle, where they are at most about twice
        // as large, the fifth derivative is at most this.
        let places = f64::from(shape.n() * shape.plane());
        let fifth = 120.0 * 2.0 * (2.0 * places) / places.sqrt().powi(5);
        let tolerance = rounded + fifth * f64::from(h).powi(4) / 30.0;
        compare_curved("input", &x, &dx, h, tolerance, |x| weighted(&y(x, [&scale, &shift, &slope]), &r));
        let h = 0.0625;
        let tolerance = 2.0 * rounded;
        compare("scale", &scale, &dscale, h, tolerance, |scale| weighted(&y(&x, [scale, &shift, &slope]), &r));
        compare("shift", &shift, &dshift, h, tolerance, |shift| weighted(&y(&x, [&scale, shift, &slope]), &r));
        compare("slope", &slope, &dslope, h, tolerance, |slope| weighted(&y(&x, [&scale, &shift, slope]), &r));
    }
}

#[test]
fn batch_norm_with_running_statistics() {
    for shape in SHAPES.into_iter().chain([[1, 4, 1, 1]]) {
        let shape = Shape::new(shape).unwrap();
        let (x, [scale, shift, slope], c) = (clusters(&shape), learned(shape.c()), shape.c() as usize);
        let (mean, variance) = (noise(c, 6), noise(c, 7).iter().map(|v| 6.0 + v).collect::<Vec<_>>());
        let mean: Vec<f32> = mean.iter().map(|mean| 0.2 * mean).collect();
        let (r, h) = (noise(x.len(), 5), 0.0625);
        let affine = |[scale, shift, slope]: Learned| {
            twin(&ChannelAffine::new(shape.c(), EPSILON), &[&mean, &variance, scale, shift, slope], 0.0).remove(0)
        };
        let y = |x: &[f32], learned: Learned| twin(&BatchNorm::new(&shape), &[x, &affine(learned)], 0.0).remove(0);
        let ones = vec![1.0; c];
        assert!(y(&x, [&scale, &shift, &ones]).iter().all(|z| z.abs() > 0.15), "every value stays on its side of PReLU's bend");
        let backward = BatchNormBackward::running(&shape);
        let [dx, dshift, dscale, dslope] = gradients(&shape, &x, &r, &affine([&scale, &shift, &slope]), backward);
        let tolerance = rounding(&y(&x, [&scale, &shift, &slope]), &r, h);
        compare("input", &x, &dx, h, tolerance, |x| weighted(&y(x, [&scale, &shift, &slope]), &r));
        compare("scale", &scale, &dscale, h, tolerance, |scale| weighted(&y(&x, [scale, &shift, &slope]), &r));
        compare("shift", &shift, &dshift, h, tolerance, |shift| weighted(&y(&x, [&scale, shift, &slope]), &r));
        compare("slope", &slope, &dslope, h, tolerance, |slope| weighted(&y(&x, [&scale, &shift, slope]), &r));
    }
}

#[test]
fn rows_of_length_one() {
    for (n, c, epsilon) in [(1, 1, 1e-12), (3, 5, 1e-12), (9, 70, 1e-12), (3, 5, 100.0)] {
        let x: Vec<f32> = noise((n * c) as usize, 1).iter().map(|v| 4.0 * v + 2.0_f32.copysign(*v)).collect();
        let (r, h) = (noise(x.len(), 2), 0.125);
        let y = |x: &[f32]| twin(&UnitRows::new(n, c, epsilon), &[x], 0.0).remove(0);
        let dx = twin(&UnitRowsBackward::new(n, c, epsilon), &[&x, &r], 0.0).remove(0);
        // No element is under 2, so that a row is at least 2 √c long: as a function of one element it is
        // analytic within the length of the others, or for one element alone constant; Cauchy's estimate on
        // half that circle, where results stay under twice their size.
        let length = 2.0 * f64::from(c).sqrt();
        let fifth = 120.0 * 2.0 * f64::from(c).sqrt() / (length / 2.0).powi(5);
        let tolerance = 2.0 * rounding(&y(&x), &r, h) + fifth * f64::from(h).powi(4) / 30.0;
        compare_curved("row", &x, &dx, h, tolerance, |x| weighted(&y(x), &r));
    }
}
