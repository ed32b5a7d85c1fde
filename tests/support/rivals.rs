//! The rival nets on any engine, compared with an independent implementation that uses only the formulas of
//! spec section 5.

use mtcmcn::nets::rivals::{NET12, NET24_WITH_12, NET48_WITH_24};
use mtcmcn::tensor::{Shape, noise};
use mtcmcn::{Engine, Weights};

use crate::golden::forward;

/// Feature map `[c, side, side]`.
struct Map {
    c: usize,
    side: usize,
    data: Vec<f64>,
}

impl Map {
    fn new(c: usize, side: usize, mut value: impl FnMut(usize, usize, usize) -> f64) -> Self {
        let mut data = Vec::with_capacity(c * side * side);
        for channel in 0..c {
            for i in 0..side * side {
                data.push(value(channel, i / side, i % side));
            }
        }
        Self { c, side, data }
    }

    fn at(&self, c: usize, i: usize, j: usize) -> f64 {
        self.data[(c * self.side + i) * self.side + j]
    }

    fn conv(&self, weights: &Weights, name: &str, k: usize) -> Self {
        let (weight, bias) = parameters(weights, name);
        Self::new(bias.len(), self.side + 1 - k, |o, i, j| {
            let mut sum = bias[o];
            for tap in 0..self.c * k * k {
                let (c, u, v) = (tap / (k * k), tap / k % k, tap % k);
                sum += weight[o * self.c * k * k + tap] * self.at(c, i + u, j + v);
            }
            sum.max(0.0)
        })
    }

    fn pool(&self) -> Self {
        let side = (self.side - 3).div_ceil(2) + 1;
        Self::new(self.c, side, |c, i, j| {
            let window = (0..9).map(|t| (2 * i + t / 3, 2 * j + t % 3)).filter(|&(i, j)| i < self.side && j < self.side);
            window.map(|(i, j)| self.at(c, i, j)).fold(f64::MIN, f64::max)
        })
    }

    fn normalized(&self) -> Self {
        Self::new(self.c, self.side, |c, i, j| {
            let squares: f64 = (0..self.c).filter(|other| other.abs_diff(c) <= 4).map(|other| self.at(other, i, j).powi(2)).sum();
            self.at(c, i, j) / (1.0 + 1e-4 / 9.0 * squares).powf(0.75)
        })
    }

    fn halved(&self) -> Self {
        let four = |c, i, j| self.at(c, i, j) + self.at(c, i, j + 1) + self.at(c, i + 1, j) + self.at(c, i + 1, j + 1);
        Self::new(self.c, self.side / 2, |c, i, j| four(c, 2 * i, 2 * j) / 4.0)
    }
}

fn parameters(weights: &Weights, name: &str) -> (Vec<f64>, Vec<f64>) {
    let get = |part: &str| weights.tensors()[&format!("{name}.{part}")].data.iter().map(|&x| f64::from(x)).collect();
    (get("weight"), get("bias"))
}

fn dense(x: &[f64], weights: &Weights, name: &str) -> Vec<f64> {
    let (weight, bias) = parameters(weights, name);
    let rows = weight.chunks_exact(x.len());
    rows.zip(bias).map(|(row, bias)| bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).collect()
}

fn relu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|x| x.max(0.0)).collect()
}

fn features(net: usize, x: &Map, weights: &Weights) -> Vec<f64> {
    match net {
        12 => relu(dense(&x.conv(weights, "net12.conv1", 3).pool().data, weights, "net12.fc2")),
        24 => {
            let mut own = relu(dense(&x.conv(weights, "net24b.conv1", 5).pool().data, weights, "net24b.fc2"));
            own.extend(features(12, &x.halved(), weights));
            own
        }
        _ => {
            let maps = x.conv(weights, "net48b.conv1", 5).pool().normalized().conv(weights, "net48b.conv2", 5).normalized().pool();
            let mut own = relu(dense(&maps.data, weights, "net48b.fc3"));
            own.extend(features(24, &x.halved(), weights));
            own
        }
    }
}

/// Compares the logits of two items for all three nets.
pub fn check(engine: &Engine) {
    for (net, side) in [(NET12, 12), (NET24_WITH_12, 24), (NET48_WITH_24, 48)] {
        let weights = net.noise_weights().expect("a valid net");
        let item = 3 * side * side;
        // The values are large enough for the normalization to have an effect.
        let input: Vec<f32> = noise(2 * item, 5).iter().map(|x| 40.0 * x).collect();
        let shape = Shape::new([2, 3, side as u32, side as u32]).expect("a valid shape");
        let got = forward(engine, net, &weights, &input, &shape);
        assert_eq!(got.len(), 4);
        for (got, x) in got.chunks_exact(2).zip(input.chunks_exact(item)) {
            let x = Map { c: 3, side, data: x.iter().map(|&x| f64::from(x)).collect() };
            let want = dense(&features(side, &x, &weights), &weights, &format!("{}.class", net.name));
            let scale = want.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            for (got, want) in got.iter().zip(want) {
                let within = (f64::from(*got) - want).abs() <= 1e-4 * scale;
                assert!(within, "{} on {}: {got}, want {want}", net.name, engine.name());
            }
        }
    }
}
