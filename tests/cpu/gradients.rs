//! Every backward kernel's twin, compared with central differences of the corresponding forward twin.
//!
//! With `L = Σ r_i y_i` for random `r`, the gradient for `dy = r` is `dL/dx`, which
//! `(L(x + h) - L(x - h)) / 2h` approximates. Where `y` is linear in the varied input, the difference is
//! exact except for rounding, for any `h`.

mod elementwise;
mod norm;
mod pools;

use mtcmcn::kernels::Samples;
use mtcmcn::kernels::nn::{
    ActivationBackward, ArgMaxPoolBackward, Axpy, BatchNormBackward, BatchNormGradients, ChannelPoolBackward, Conv, ConvBackwardInput,
    ConvBackwardWeight, ConvFlip, Convolution, ConvolutionBackwardBias, ConvolutionBackwardInput, ConvolutionBackwardWeight, Dense,
    DenseBackwardInput, DenseBackwardWeight, JoinBackward, Lrn, LrnBackward, MeanPoolBackward, MultiplyAdd, MultiplySum, Prelu,
    PreluBackward, PreluPool, PreluPoolBackward, Sizes, Tiling, UnitRowsBackward, UpsampleBackward,
};
use mtcmcn::kernels::train::{
    CrossEntropy, CrossEntropyBackward, LossTask, Mine, MiningRule, Reduce, SampleBits, SquaredError, SquaredErrorBackward, TARGETS,
};
use mtcmcn::record::{Access, Kernel};
use mtcmcn::tensor::{Shape, Tensor, noise};

/// Runs the twin of `kernel`; written slots start as NaN, updated ones as `updated`.
fn twin<K: Kernel>(kernel: &K, read: &[&[f32]], updated: f32) -> Vec<Vec<f32>> {
    let sizes = kernel.sizes();
    let written = K::BINDINGS.iter().zip(&sizes).filter(|(binding, _)| binding.access != Access::Read);
    let mut slots: Vec<Vec<f32>> =
        written.map(|(binding, size)| vec![if binding.access == Access::Write { f32::NAN } else { updated }; *size]).collect();
    let mut write: Vec<&mut [f32]> = slots.iter_mut().map(Vec::as_mut_slice).collect();
    kernel.reference(kernel.work().most(), read, &mut write);
    slots
}

fn words(data: &[u32]) -> Vec<f32> {
    data.iter().map(|word| f32::from_bits(*word)).collect()
}

fn weighted(y: &[f32], r: &[f32]) -> f64 {
    y.iter().zip(r).map(|(y, r)| f64::from(*y) * f64::from(*r)).sum()
}

/// Returns some positions in a slot: the first, the last, and some between.
fn places(len: usize) -> Vec<usize> {
    let step = (len / 23).max(1);
    (0..len).step_by(step).chain([len - 1]).collect()
}

/// Compares `gradient` with differences of `loss` over `x`. `tolerance` covers the rounding of `y` to f32
/// and, if `y` is not linear, an error of order h².
fn compare(name: &str, x: &[f32], gradient: &[f32], h: f32, tolerance: f64, loss: impl Fn(&[f32]) -> f64) {
    for i in places(x.len()) {
        let [more, less] = [h, -h].map(|h| {
            let mut moved = x.to_vec();
            moved[i] += h;
            (loss(&moved), f64::from(moved[i]))
        });
        let want = (more.0 - less.0) / (more.1 - less.1);
        let within = (f64::from(gradient[i]) - want).abs() <= tolerance;
        assert!(within, "{name}: element {i} of {} is {}, differences say {want} within {tolerance:e}", x.len(), gradient[i]);
    }
}

/// Compares as [`compare`] does, but with differences of fourth order, whose error is h⁴/30 times the fifth
/// derivative, for functions that are not linear.
fn compare_curved(name: &str, x: &[f32], gradient: &[f32], h: f32, tolerance: f64, loss: impl Fn(&[f32]) -> f64) {
    for i in places(x.len()) {
        let difference = |h: f32| {
            let [more, less] = [h, -h].map(|h| {
                let mut moved = x.to_vec();
                moved[i] += h;
                (loss(&moved), f64::from(moved[i]))
            });
            (more.0 - less.0) / (more.1 - less.1)
        };
        let want = (4.0 * difference(h) - difference(2.0 * h)) / 3.0;
        let within = (f64::from(gradient[i]) - want).abs() <= tolerance;
        assert!(within, "{name}: element {i} of {} is {}, differences say {want} within {tolerance:e}", x.len(), gradient[i]);
    }
}

/// Returns the tolerance for rounding every `y` to f32 in a difference of `Σ r y` with step `h`, and for the
/// gradient's own rounding.
fn rounding(y: &[f32], r: &[f32], h: f32) -> f64 {
    let magnitude: f64 = y.iter().zip(r).map(|(y, r)| f64::from((y * r).abs())).sum();
    let random_walk = magnitude / (y.len() as f64).sqrt();
    f64::from(f32::EPSILON) * (4.0 * random_walk / f64::from(h) + 4.0 * magnitude.sqrt() + 1.0)
}

/// Items, channels, rows, columns, output channels, kernel side: includes one element, odd sizes, and more
/// than a group of 16 channels.
const CONVS: [[u32; 6]; 6] =
    [[1, 1, 1, 1, 1, 1], [2, 3, 5, 7, 10, 3], [3, 17, 4, 4, 18, 2], [2, 33, 1, 1, 6, 1], [1, 2, 33, 6, 17, 3], [2, 3, 8, 6, 17, 5]];

#[test]
fn convolution() {
    for [n, c, h, w, out, k] in CONVS {
        let shape = Shape::new([n, c, h, w]).unwrap();
        let (forward, table, y_shape) = Conv::new(&shape, out, k).unwrap();
        let (x, table) = (noise(shape.elements() as usize, 1), words(&table));
        let weight = noise((out * c * k * k) as usize, 2);
        let (bias, linear, r) = (noise(out as usize, 3), Conv::pad(&vec![1.0; out as usize]), noise(y_shape.elements() as usize, 4));
        let pack = |data: &[f32]| Conv::pack(&Tensor { shape: [out, c, k, k].map(|s| s as usize).to_vec(), data: data.to_vec() });
        let y =
            |x: &[f32], weight: &[f32], bias: &[f32]| twin(&forward, &[x, &pack(weight), &Conv::pad(bias), &linear, &table], 0.0).remove(0);
        let tolerance = rounding(&y(&x, &weight, &bias), &r, 0.5);

        let flipped = twin(&ConvFlip::new(c, out, k), &[&pack(&weight)], 0.0).remove(0);
        let dx = twin(&ConvBackwardInput::new(c, &y_shape, k), &[&r, &flipped], 0.0).remove(0);
        compare("input", &x, &dx, 0.5, tolerance, |x| weighted(&y(x, &weight, &bias), &r));

        let kernel = ConvBackwardWeight::new(c, &y_shape, k, 1 << 12);
        let partial = twin(&kernel, &[&x, &r], 0.0);
        let sums: Vec<Vec<f32>> = (partial.iter().zip(kernel.lens()))
            .map(|(partial, len)| twin(&Reduce::slabs_first(kernel.slabs(), len as u32), &[partial], 0.0).remove(0))
            .collect();
        let unpacked = Conv::unpack(&sums[0], &[out, c, k, k].map(|s| s as usize));
        compare("weight", &weight, &unpacked.data, 0.5, tolerance, |weight| weighted(&y(&x, weight, &bias), &r));
        compare("bias", &bias, &sums[1], 0.5, tolerance, |bias| weighted(&y(&x, &weight, bias), &r));
        assert!(sums[1][out as usize..].iter().all(|d| *d == 0.0), "padding has no gradient");
    }
}

#[test]
fn dense() {
    for [n, inputs, out] in [[1, 1, 1], [3, 5, 2], [9, 70, 6], [5, 66, 33]] {
        let forward = Dense::new(n, inputs, out);
        let (x, weight, bias) = (noise((n * inputs) as usize, 1), noise((inputs * out) as usize, 2), noise(out as usize, 3));
        let (linear, r) = (Dense::pad(&vec![1.0; out as usize]), noise((n * out) as usize, 4));
        let pack = |data: &[f32]| Dense::pack(&Tensor { shape: vec![out as usize, inputs as usize], data: data.to_vec() });
        let y = |x: &[f32], weight: &[f32], bias: &[f32]| twin(&forward, &[x, &pack(weight), &Dense::pad(bias), &linear], 0.0).remove(0);
        let tolerance = rounding(&y(&x, &weight, &bias), &r, 0.5);

        let dx = twin(&DenseBackwardInput::new(n, inputs, out), &[&r, &pack(&weight)], 0.0).remove(0);
        compare("input", &x, &dx, 0.5, tolerance, |x| weighted(&y(x, &weight, &bias), &r));

        let sums = twin(&DenseBackwardWeight::new(n, inputs, out), &[&x, &r], 0.0);
        let unpacked = Dense::unpack(&sums[0], &[out as usize, inputs as usize]);
        compare("weight", &weight, &unpacked.data, 0.5, tolerance, |weight| weighted(&y(&x, weight, &bias), &r));
        compare("bias", &bias, &sums[1], 0.5, tolerance, |bias| weighted(&y(&x, &weight, bias), &r));
    }
}

/// General convolutions: `[n, c, h, w]` and `[out, k, stride, padding, groups]`; the last has several slabs.
const SIZES: [([u32; 4], [u32; 5]); 12] = [
    ([1, 1, 1, 1], [1, 1, 1, 0, 1]),
    ([2, 3, 5, 7], [10, 3, 1, 1, 1]),
    ([3, 5, 6, 9], [4, 3, 2, 1, 1]),
    ([2, 3, 8, 9], [5, 4, 2, 1, 1]),
    ([1, 2, 7, 7], [1, 7, 1, 3, 1]),
    ([1, 2, 9, 11], [2, 7, 3, 3, 1]),
    ([2, 9, 5, 4], [7, 1, 2, 0, 1]),
    ([2, 4, 5, 6], [6, 3, 1, 1, 2]),
    ([2, 6, 7, 5], [6, 3, 2, 1, 6]),
    ([2, 3, 4, 4], [6, 2, 1, 0, 3]),
    ([5, 70, 1, 1], [33, 1, 1, 0, 1]),
    ([3, 2, 29, 31], [3, 3, 1, 1, 1]),
];

#[test]
fn convolution_of_any_sizes() {
    for (x, [out, k, stride, padding, groups]) in SIZES {
        let sizes = Sizes::new(&Shape::new(x).unwrap(), out, k, stride, padding, groups).unwrap();
        let [x, weight, bias, r] =
            [(sizes.x_len(), 1), (sizes.weight_len(), 2), (out as usize, 3), (sizes.y_len(), 4)].map(|(len, seed)| noise(len, seed));
        let forward = Convolution::new(&sizes, true, Tiling::Registers);
        let y = |x: &[f32], weight: &[f32], bias: &[f32]| twin(&forward, &[x, weight, bias, &[f32::NAN]], 0.0).remove(0);
        let tolerance = rounding(&y(&x, &weight, &bias), &r, 0.5);

        let dx = twin(&ConvolutionBackwardInput::new(&sizes, Tiling::Registers), &[&r, &weight], 0.0).remove(0);
        compare("input", &x, &dx, 0.5, tolerance, |x| weighted(&y(x, &weight, &bias), &r));

        let kernel = ConvolutionBackwardWeight::new(&sizes, Tiling::Registers);
        let mut dweight = twin(&kernel, &[&x, &r], 0.0).remove(0);
        if kernel.slabs() > 1 {
            dweight = twin(&Reduce::slabs_first(kernel.slabs(), weight.len() as u32), &[&dweight], 0.0).remove(0);
        }
        compare("weight", &weight, &dweight, 0.5, tolerance, |weight| weighted(&y(&x, weight, &bias), &r));
        let dbias = twin(&ConvolutionBackwardBias::new(&sizes), &[&r], 0.0).remove(0);
        compare("bias", &bias, &dbias, 0.5, tolerance, |bias| weighted(&y(&x, &weight, bias), &r));
    }
}

/// Creates values that are at least 1/8 away from 0, so that a step of 1/16 does not change their sign.
fn off_zero(len: usize, seed: u64) -> Vec<f32> {
    noise(len, seed).into_iter().map(|v| v + 0.125_f32.copysign(v)).collect()
}

#[test]
fn prelu() {
    for shape in [[1, 1, 1, 1], [3, 5, 1, 1], [2, 10, 5, 7], [70, 33, 1, 1], [2, 3, 67, 65]] {
        let shape = Shape::new(shape).unwrap();
        let (x, r, h) = (off_zero(shape.elements() as usize, 1), noise(shape.elements() as usize, 3), 0.0625);
        let slope = noise(shape.c() as usize, 2);
        let y = |x: &[f32], slope: &[f32]| twin(&Prelu::new(&shape), &[x, slope], 0.0).remove(0);
        let tolerance = rounding(&y(&x, &slope), &r, h);
        let kernel = PreluBackward::new(&shape);
        let got = twin(&kernel, &[&x, &slope, &r], 0.0);
        compare("input", &x, &got[0], h, tolerance, |x| weighted(&y(x, &slope), &r));
        let sums = twin(&Reduce::slabs_last(shape.c(), kernel.slabs()), &[&got[1]], 0.0).remove(0);
        compare("slope", &slope, &sums, h, tolerance, |slope| weighted(&y(&x, slope), &r));
    }
}

#[test]
fn prelu_and_max_pool() {
    for (shape, k) in [([1, 1, 1, 1], 2), ([2, 3, 22, 22], 3), ([3, 10, 9, 13], 2), ([1, 2, 5, 70], 3), ([80, 2, 4, 33], 2)] {
        let z_shape = Shape::new(shape).unwrap();
        let (forward, y_shape) = PreluPool::new(&z_shape, k).unwrap();
        let (len, h) = (z_shape.elements() as usize, 0.0625);
        // All positive activations differ by more than the step; there are few of them, so that some windows
        // have a negative maximum.
        let mut order: Vec<usize> = (0..len).collect();
        let keys = noise(len, 1);
        order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
        let mut z = vec![0.0; len];
        order.iter().enumerate().for_each(|(rank, place)| z[*place] = (rank as f32 - (0.9 * len as f32).floor()) * 0.5 + 0.25);
        let slope: Vec<f32> = (0..shape[1]).map(|c| 0.5 + 0.25 * c as f32 / shape[1] as f32).collect();
        let r = noise(y_shape.elements() as usize, 3);
        let y = |z: &[f32], slope: &[f32]| twin(&forward, &[z, slope], 0.0).remove(0);
        let tolerance = rounding(&y(&z, &slope), &r, h);
        let kernel = PreluPoolBackward::new(&z_shape, &y_shape, k, 1 << 12);
        let kept = twin(&forward, &[&z, &slope], 0.0);
        let got = twin(&kernel, &[&kept[1], &kept[2], &slope, &r], 0.0);
        compare("input", &z, &got[0], h, tolerance, |z| weighted(&y(z, &slope), &r));
        let sums = twin(&Reduce::slabs_first(kernel.slabs(), z_shape.c()), &[&got[1]], 0.0).remove(0);
        compare("slope", &slope, &sums, h, tolerance, |slope| weighted(&y(&z, slope), &r));
    }
}

#[test]
fn normalization() {
    for shape in [[1, 1, 1, 1], [2, 3, 5, 7], [3, 20, 1, 3], [1, 64, 5, 5]] {
        let shape = Shape::new(shape).unwrap();
        // The values are large enough for the divisor to have an effect.
        let x: Vec<f32> = noise(shape.elements() as usize, 1).iter().map(|v| 400.0 * v).collect();
        let (r, h) = (noise(x.len(), 2), 1.0);
        let y = |x: &[f32]| twin(&Lrn::new(&shape), &[x], 0.0).remove(0);
        // Each element affects nine results, whose third derivatives are below 1e-4: 5 alpha, for lengths of
        // 1 / sqrt(alpha).
        let tolerance = rounding(&y(&x), &r, h) + 9.0 * 1e-4 * f64::from(h * h) / 6.0;
        let dx = twin(&LrnBackward::new(&shape), &[&x, &r], 0.0).remove(0);
        compare("input", &x, &dx, h, tolerance, |x| weighted(&y(x), &r));
    }
}

#[test]
fn of_equal_values_the_first_in_raster_order_takes_the_gradient() {
    let shape = Shape::new([1, 1, 2, 2]).unwrap();
    let (forward, y) = PreluPool::new(&shape, 2).unwrap();
    for (z, want) in [([5.0, 5.0, 5.0, 5.0], [1.0, 0.0, 0.0, 0.0]), ([1.0, 2.0, 2.0, 0.0], [0.0, 1.0, 0.0, 0.0])] {
        let kept = twin(&forward, &[&z, &[0.5]], 0.0);
        assert_eq!(twin(&PreluPoolBackward::new(&shape, &y, 2, 1 << 12), &[&kept[1], &kept[2], &[0.5], &[1.0]], 0.0)[0], want);
    }
}

#[test]
fn gradients_accumulate() {
    assert_eq!(twin(&DenseBackwardInput::new(1, 1, 1), &[&[2.0], &[1.0, 0.0, 0.0, 0.0]], 3.0)[0], [5.0]);
    assert_eq!(twin(&DenseBackwardWeight::new(1, 1, 1), &[&[1.0], &[2.0]], 3.0)[0][0], 5.0);
    assert_eq!(twin(&Reduce::slabs_first(2, 1), &[&[1.0, 1.0]], 3.0)[0], [5.0]);
    let sizes = Sizes::dense(1, 1, 1).unwrap();
    assert_eq!(twin(&ConvolutionBackwardInput::new(&sizes, Tiling::Registers), &[&[2.0], &[1.0]], 3.0)[0], [5.0]);
    assert_eq!(twin(&ConvolutionBackwardWeight::new(&sizes, Tiling::Registers), &[&[1.0], &[2.0]], 3.0)[0], [5.0]);
    assert_eq!(twin(&ConvolutionBackwardBias::new(&sizes), &[&[2.0]], 3.0)[0], [5.0]);
}

/// Checks every kernel whose updated slots are gradients, at its samples: the previous contents of the slots
/// are included in the sums.
#[test]
fn gradients_of_general_layers_accumulate() {
    fn check<K: Samples>() {
        for sample in K::samples().into_iter().take(3) {
            let reads = K::BINDINGS.iter().filter(|binding| binding.access == Access::Read).count();
            let read: Vec<&[f32]> = sample.read.iter().take(reads).map(Vec::as_slice).collect();
            let [from_zero, from_three] = [0.0, 3.0].map(|before| twin(&sample.kernel, &read, before));
            let written = K::BINDINGS.iter().filter(|binding| binding.access != Access::Read);
            for (binding, (zero, three)) in written.zip(from_zero.iter().zip(&from_three)) {
                let more = if binding.access == Access::Update { 3.0 } else { 0.0 };
                let fits = |(zero, three): (&f32, &f32)| (three - zero - more).abs() <= 4.0 * f32::EPSILON * (3.0 + zero.abs());
                assert!(zero.iter().zip(three).all(fits), "{:?}", sample.kernel);
            }
        }
    }
    macro_rules! all {
        ($($kernel:ty),+) => { $(check::<$kernel>();)+ };
    }
    all!(Axpy, JoinBackward, MultiplyAdd, MultiplySum, ActivationBackward, BatchNormBackward, BatchNormGradients, MeanPoolBackward);
    all!(ArgMaxPoolBackward, ChannelPoolBackward, UpsampleBackward, UnitRowsBackward);
}

/// Compares the weighted losses of `n` samples, with all of them kept by `mine`, with the gradient of one
/// task.
#[test]
fn losses() {
    for n in [1, 5, 70] {
        let outputs = 16;
        let (y, targets) = (noise(n * outputs, 1), noise(n * TARGETS, 2));
        let all = [SampleBits::POSITIVE, SampleBits::NEGATIVE, SampleBits::PART, SampleBits::LANDMARKS];
        let kinds = words(&(0..n).map(|i| all[i % 4].0).collect::<Vec<_>>());
        // Includes labels and targets as given by a teacher.
        let faces: Vec<f32> = (0..n).map(|i| [1.0, 0.0, 0.3, 0.9][i / 4 % 4]).collect();
        let rules = words(&MiningRule::words(&[MiningRule::new(1.0, 0.5); 3]));
        let n = n as u32;
        for (task, first) in [(LossTask::Class, 0), (LossTask::Box, 2), (LossTask::Landmarks, 6)] {
            // There are rows for the three tasks and for correct classification; those of the other tasks are
            // zero.
            let figures = |y: &[f32]| {
                let mut rows = match task {
                    LossTask::Class => twin(&CrossEntropy::new(n, 16, 3), &[y, &kinds, &faces], 0.0).remove(0),
                    task => twin(&SquaredError::new(task, n, 16, first), &[y, &kinds, &targets], 0.0).remove(0),
                };
                rows.resize(3 * n as usize, 0.0);
                rows
            };
            let scales = twin(&Mine::new(n, 3), &[&figures(&y), &kinds, &rules], 0.0).remove(0);
            let gradient = match task {
                LossTask::Class => twin(&CrossEntropyBackward::new(n, 16), &[&y, &faces, &scales], 0.0).remove(0),
                task => twin(&SquaredErrorBackward::new(task, n, 16, first), &[&y, &targets, &scales], 0.0).remove(0),
            };
            // The third derivative of ln(1 + eˣ) is below 0.1, so the error of the difference is at most h² /
            // 60.
            let h = 0.015_625;
            let tolerance = rounding(&figures(&y), &scales[..3 * n as usize], h) + f64::from(h * h) / 60.0;
            compare(task.name(), &y, &gradient, h, tolerance, |y| weighted(&figures(y), &scales));
        }
    }
}

#[test]
fn a_wrong_gradient_and_a_nan_are_found() {
    let wrong =
        |gradient: f32| std::panic::catch_unwind(|| compare("x²", &[3.0], &[gradient], 0.5, 1e-4, |x| f64::from(x[0] * x[0]))).is_err();
    assert!(!wrong(6.0));
    assert!(wrong(6.001) && wrong(f32::NAN));
    let cubed = |gradient: f32| {
        std::panic::catch_unwind(|| compare_curved("x³", &[3.0], &[gradient], 0.5, 1e-4, |x| f64::from(x[0]).powi(3))).is_err()
    };
    assert!(!cubed(27.0));
    assert!(cubed(27.001) && cubed(f32::NAN));
}
