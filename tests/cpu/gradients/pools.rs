//! Pools over windows and over channels, and upsampling.

use mtcmcn::kernels::nn::{
    ArgMaxPool, ArgMaxPoolBackward, ChannelPool, ChannelPoolBackward, MeanPool, MeanPoolBackward, Upsample, UpsampleBackward, Windows,
};
use mtcmcn::tensor::{Shape, noise};

use super::{compare, rounding, twin, weighted};

/// Every kind of window: adaptive bins that overlap and the whole plane; squares with and without padding,
/// overlapping and apart; strided copies.
fn windows() -> Vec<(Windows, Shape, Shape)> {
    let shape = |nchw| Shape::new(nchw).unwrap();
    let adaptive = [([1, 1, 1, 1], 1), ([2, 3, 7, 7], 1), ([2, 3, 7, 7], 2), ([1, 2, 7, 7], 3), ([1, 1, 3, 5], 4)];
    let sliding =
        [([2, 3, 8, 7], 1, 2, 0), ([1, 2, 9, 6], 3, 2, 1), ([1, 2, 8, 8], 2, 2, 0), ([2, 1, 7, 9], 5, 1, 2), ([1, 1, 9, 9], 2, 3, 1)];
    let adaptive = adaptive.map(|(x, bins)| (Windows::adaptive(&shape(x), bins).unwrap(), shape(x)));
    let sliding = sliding.map(|(x, k, stride, padding)| (Windows::sliding(&shape(x), k, stride, padding).unwrap(), shape(x)));
    adaptive.into_iter().chain(sliding).map(|((windows, y), x)| (windows, x, y)).collect()
}

/// `len` values that are a quarter apart, in no order.
fn apart(len: usize) -> Vec<f32> {
    let keys = noise(len, 1);
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
    let mut x = vec![0.0; len];
    order.iter().enumerate().for_each(|(rank, place)| x[*place] = (rank as f32 - 0.5 * len as f32) * 0.25);
    x
}

#[test]
fn means_of_windows() {
    for (windows, x, y) in windows() {
        let (x, r) = (noise(x.elements() as usize, 1), noise(y.elements() as usize, 2));
        let y = |x: &[f32]| twin(&MeanPool::new(windows), &[x], 0.0).remove(0);
        let dx = twin(&MeanPoolBackward::new(windows), &[&r], 0.0).remove(0);
        compare("mean", &x, &dx, 0.5, rounding(&y(&x), &r, 0.5), |x| weighted(&y(x), &r));
    }
}

#[test]
fn maxima_of_windows() {
    for (windows, x, y) in windows() {
        let (x, r, h) = (apart(x.elements() as usize), noise(y.elements() as usize, 2), 0.0625);
        let y = |x: &[f32]| twin(&ArgMaxPool::new(windows), &[x], 0.0);
        let dx = twin(&ArgMaxPoolBackward::new(windows), &[&r, &y(&x)[1]], 0.0).remove(0);
        compare("maximum", &x, &dx, h, rounding(&y(&x)[0], &r, h), |x| weighted(&y(x)[0], &r));
    }
}

#[test]
fn a_strided_copy_is_every_other_element() {
    let (windows, y) = Windows::strided(&Shape::new([1, 1, 3, 4]).unwrap(), 2).unwrap();
    let x: Vec<f32> = (0..12_u8).map(f32::from).collect();
    assert_eq!(y, Shape::new([1, 1, 2, 2]).unwrap());
    assert_eq!(twin(&MeanPool::new(windows), &[&x], 0.0)[0], [0.0, 2.0, 8.0, 10.0]);
    let want = [4.0, 3.0, 5.0, 3.0, 3.0, 3.0, 3.0, 3.0, 6.0, 3.0, 7.0, 3.0];
    assert_eq!(twin(&MeanPoolBackward::new(windows), &[&[1.0, 2.0, 3.0, 4.0]], 3.0)[0], want);
}

#[test]
fn largest_and_mean_over_channels() {
    for shape in [[1, 1, 1, 1], [2, 5, 3, 4], [3, 64, 1, 2]] {
        let shape = Shape::new(shape).unwrap();
        let (x, h) = (apart(shape.elements() as usize), 0.0625);
        let y = |x: &[f32]| twin(&ChannelPool::new(&shape).unwrap(), &[x], 0.0);
        let r = noise(y(&x)[0].len(), 2);
        let dx = twin(&ChannelPoolBackward::new(&shape), &[&r, &y(&x)[1]], 0.0).remove(0);
        compare("channels", &x, &dx, h, rounding(&y(&x)[0], &r, h), |x| weighted(&y(x)[0], &r));
    }
    let y = twin(&ChannelPool::new(&Shape::new([1, 3, 1, 2]).unwrap()).unwrap(), &[&[1.0, 4.0, 7.0, 4.0, 4.0, -2.0]], 0.0);
    assert_eq!((y[0].as_slice(), y[1][0].to_bits(), y[1][1].to_bits()), ([7.0, 4.0, 4.0, 2.0].as_slice(), 1, 0));
}

#[test]
fn upsampling() {
    for shape in [[1, 1, 1, 1], [2, 3, 4, 5], [1, 2, 1, 6], [1, 1, 7, 2]] {
        let shape = Shape::new(shape).unwrap();
        let (forward, y_shape) = Upsample::new(&shape).unwrap();
        let (x, r) = (noise(shape.elements() as usize, 1), noise(y_shape.elements() as usize, 2));
        let y = |x: &[f32]| twin(&forward, &[x], 0.0).remove(0);
        let dx = twin(&UpsampleBackward::new(&shape), &[&r], 0.0).remove(0);
        compare("upsampling", &x, &dx, 0.5, rounding(&y(&x), &r, 0.5), |x| weighted(&y(x), &r));
    }
}
