//! Sums, products, activations and concatenation.

use mtcmcn::kernels::nn::{Activation, ActivationBackward, Add, Axpy, Broadcast, Join, JoinBackward, Multiply, MultiplyAdd, MultiplySum};
use mtcmcn::tensor::{Shape, noise};

use super::{compare, off_zero, rounding, twin, weighted};

#[test]
fn sums_and_reversal() {
    let (a, b, r) = (noise(70, 1), noise(70, 2), noise(70, 3));
    let y = |a: &[f32], b: &[f32]| twin(&Add::new(70), &[a, b], 0.0).remove(0);
    let tolerance = rounding(&y(&a, &b), &r, 0.5);
    let d = twin(&Axpy::new(70, 1.0), &[&r], 0.0).remove(0);
    compare("first", &a, &d, 0.5, tolerance, |a| weighted(&y(a, &b), &r));
    compare("second", &b, &d, 0.5, tolerance, |b| weighted(&y(&a, b), &r));
    let reversed = twin(&Axpy::new(70, -1.0), &[&r], 0.0).remove(0);
    assert!(reversed.iter().zip(&r).all(|(d, r)| *d == -r));
}

#[test]
fn joined_channels() {
    for [n, left, right] in [[1, 1, 1], [3, 20, 7], [5, 7, 11]] {
        let (a, b, r) = (noise((n * left) as usize, 1), noise((n * right) as usize, 2), noise((n * (left + right)) as usize, 3));
        let y = |a: &[f32], b: &[f32]| twin(&Join::new(n, left, right), &[a, b], 0.0).remove(0);
        let tolerance = rounding(&y(&a, &b), &r, 0.5);
        let da = twin(&JoinBackward::left(n, left, right), &[&r], 0.0).remove(0);
        compare("first", &a, &da, 0.5, tolerance, |a| weighted(&y(a, &b), &r));
        let db = twin(&JoinBackward::right(n, left, right), &[&r], 0.0).remove(0);
        compare("second", &b, &db, 0.5, tolerance, |b| weighted(&y(&a, b), &r));
    }
}

#[test]
fn products() {
    for shape in [[1, 1, 1, 1], [3, 5, 1, 1], [2, 10, 5, 7]] {
        let shape = Shape::new(shape).unwrap();
        for over in [Broadcast::Elements, Broadcast::Channels, Broadcast::Places] {
            let (x, factor) = (noise(shape.elements() as usize, 1), noise(over.len(&shape) as usize, 2));
            let r = noise(x.len(), 3);
            let y = |x: &[f32], factor: &[f32]| twin(&Multiply::new(&shape, over, 0.5), &[x, factor], 0.0).remove(0);
            let tolerance = rounding(&y(&x, &factor), &r, 0.5);
            let dx = twin(&MultiplyAdd::new(&shape, over, 0.5), &[&r, &factor], 0.0).remove(0);
            compare("activation", &x, &dx, 0.5, tolerance, |x| weighted(&y(x, &factor), &r));
            let dfactor = twin(&MultiplySum::new(&shape, over, 0.5).unwrap(), &[&x, &r], 0.0).remove(0);
            compare("factor", &factor, &dfactor, 0.5, tolerance, |factor| weighted(&y(&x, factor), &r));
        }
    }
}

#[test]
fn activations() {
    let (x, r, h) = (off_zero(500, 1), noise(500, 2), 0.0625);
    for (slope, most) in [(0.0, f32::MAX), (0.2, f32::MAX), (0.2, 0.5)] {
        // Away from the limit, where the derivative jumps.
        let x: Vec<f32> = x.iter().map(|x| if (x - most).abs() < 2.0 * h { x + 4.0 * h } else { *x }).collect();
        let y = |x: &[f32]| twin(&Activation::relu(500, slope, most), &[x], 0.0).remove(0);
        let dx = twin(&ActivationBackward::relu(500, slope, most), &[&y(&x), &r], 0.0).remove(0);
        compare("relu", &x, &dx, h, rounding(&y(&x), &r, h), |x| weighted(&y(x), &r));
    }
    let y = |x: &[f32]| twin(&Activation::sigmoid(500), &[x], 0.0).remove(0);
    let dx = twin(&ActivationBackward::sigmoid(500), &[&y(&x), &r], 0.0).remove(0);
    // The sigmoid's third derivative is at most 1/8.
    let tolerance = rounding(&y(&x), &r, h) + f64::from(h * h) / 48.0;
    compare("sigmoid", &x, &dx, h, tolerance, |x| weighted(&y(x), &r));
}
