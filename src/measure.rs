//! Speed measurements: percentiles of times, peak rates of an engine, and forward passes of a net alone.

use std::time::Duration;

use crate::engine::{Engine, EngineError, Session};
use crate::kernels::ceiling::{Peak, Stream};
use crate::nets::{Fused, Net, NetError};
use crate::record::{Kernel, Recording};
use crate::tensor::{Shape, noise};

/// Distribution of a set of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Number of times.
    pub count: usize,
    /// The shortest.
    pub least: Duration,
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The longest.
    pub most: Duration,
    /// The arithmetic mean.
    pub mean: Duration,
}

impl Spread {
    /// Returns the distribution of `times`, given in any order, or `None` if there are none.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|part| percentile(&sorted, part));
        let mean = sorted.iter().sum::<Duration>() / u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        Some(Self { count: sorted.len(), least, p50, p90, p99, most, mean })
    }
}

/// Returns the quantile `part`, in `[0, 1]`, of `sorted`, interpolated linearly between neighbouring ranks
/// like the default of `numpy.percentile`. Zero if `sorted` is empty.
pub fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let Some(last) = sorted.len().checked_sub(1) else { return Duration::ZERO };
    let rank = part.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below).mul_f64(rank.fract())
}

/// Errors of a measurement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The net cannot be recorded.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Peak rates of an engine, of which the speed of kernels is expressed as a fraction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ceilings {
    /// Bytes read and written per second by a copy too large for caches.
    pub bytes_per_second: f64,
    /// Multiply-adds per second when they wait for nothing else.
    pub multiply_adds_per_second: f64,
}

impl Ceilings {
    /// Measures `engine`: takes the best of a few runs, in about a second in all.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn measure(engine: &Engine) -> Result<Self, EngineError> {
        // Copies 96 MiB: larger than caches, and below the largest binding of every device.
        let stream = Stream::new(8, 3 << 18);
        let bytes = stream.sizes().iter().sum::<usize>() as f64 * 4.0;
        let copying = best(engine, stream)?;
        // Increases the work until a run takes long enough to be reliable: first the turns, up to the limit
        // per invocation, then the elements.
        let (mut n, mut turns) = (1 << 16, 64);
        loop {
            let peak = Peak::new(n, turns);
            let time = best(engine, peak)?;
            if time > Duration::from_millis(5) || n == 1 << 20 {
                let done = Kernel::multiply_adds(&peak, 1) as f64;
                return Ok(Self {
                    bytes_per_second: bytes / copying.as_secs_f64().max(1e-9),
                    multiply_adds_per_second: done / time.as_secs_f64().max(1e-9),
                });
            }
            (n, turns) = if turns < 4096 { (n, turns * 4) } else { (n * 4, turns) };
        }
    }
}

impl Ceilings {
    /// Returns the shortest time in which an engine of these rates can do the given work: all its
    /// multiply-adds at the peak rate, or all its bytes at that of a copy, whichever takes longer.
    pub fn floor(&self, multiply_adds: u64, bytes: u64) -> Duration {
        let seconds = (multiply_adds as f64 / self.multiply_adds_per_second).max(bytes as f64 / self.bytes_per_second);
        Duration::from_secs_f64(seconds)
    }
}

/// Rates that a step achieves, in the units of its ceilings; `None` where the rate is unknown or there is no
/// such work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Billions of floating-point operations per second, counting two per multiply-add.
    pub gflops: Option<f64>,
    /// Billions of bytes per second.
    pub gbytes_per_second: Option<f64>,
    /// Fraction of the engine's peak rate of multiply-adds.
    pub of_peak: Option<f64>,
    /// Fraction of the engine's peak memory bandwidth.
    pub of_bandwidth: Option<f64>,
}

impl Rates {
    /// Returns the rates of the given work done in `time`.
    pub fn of(multiply_adds: u64, bytes: u64, time: Duration, ceilings: Option<&Ceilings>) -> Self {
        let seconds = time.as_secs_f64();
        let per_second = |amount: u64| (amount > 0 && seconds > 0.0).then(|| amount as f64 / seconds);
        let (multiply_adds, bytes) = (per_second(multiply_adds), per_second(bytes));
        Self {
            gflops: multiply_adds.map(|rate| rate * 2e-9),
            gbytes_per_second: bytes.map(|rate| rate * 1e-9),
            of_peak: multiply_adds.zip(ceilings).map(|(rate, c)| rate / c.multiply_adds_per_second),
            of_bandwidth: bytes.zip(ceilings).map(|(rate, c)| rate / c.bytes_per_second),
        }
    }
}

/// A straight line fitted to times as a function of an amount of work, by relative error: it minimizes the
/// sum of the squares of `1 - line / time`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Seconds for an amount of zero.
    pub fixed: f64,
    /// Seconds per unit of the amount.
    pub each: f64,
    /// The largest `|1 - line / time|`.
    pub worst: f64,
}

impl Line {
    /// Fits a line to points `[amount, seconds]`. Returns `None` for less than three amounts, which any line
    /// would fit, or if a time is zero.
    pub fn through(points: &[[f64; 2]]) -> Option<Self> {
        let mut amounts: Vec<f64> = points.iter().map(|[x, _]| *x).collect();
        amounts.sort_by(f64::total_cmp);
        amounts.dedup();
        if amounts.len() < 3 || points.iter().any(|[_, time]| time.is_nan() || *time <= 0.0) {
            return None;
        }
        // Least squares of a u + b v against 1, with u = 1 / time and v = amount / time.
        let sum = |term: &dyn Fn(f64, f64) -> f64| points.iter().map(|[x, time]| term(1.0 / time, x / time)).sum::<f64>();
        let (uu, uv, vv) = (sum(&|u, _| u * u), sum(&|u, v| u * v), sum(&|_, v| v * v));
        let (u, v) = (sum(&|u, _| u), sum(&|_, v| v));
        let determinant = uu * vv - uv * uv;
        let (fixed, each) = ((u * vv - v * uv) / determinant, (v * uu - u * uv) / determinant);
        let worst = points.iter().map(|[x, time]| (1.0 - (fixed + each * x) / time).abs()).fold(0.0, f64::max);
        Some(Self { fixed, each, worst })
    }
}

/// Returns the shortest of five runs of one kernel on noise, after one warm-up run.
fn best<K: Kernel + 'static>(engine: &Engine, kernel: K) -> Result<Duration, EngineError> {
    let mut recording = Recording::new();
    let sizes = kernel.sizes();
    let slots: Vec<_> = sizes.iter().map(|&len| recording.slot("ceiling", len)).collect();
    recording.push(kernel, &slots);
    let mut session = engine.load(recording)?;
    session.write(slots[0], bytemuck::cast_slice(&noise(sizes[0], 1)));
    session.time_step(0, 1)?;
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        shortest = shortest.min(session.time_step(0, 1)?.0);
    }
    Ok(shortest)
}

/// Loads `net` with random weights on `engine`, with a batch of `items` crops of noise on the device, ready
/// for [`Session::time_plays`].
///
/// # Errors
///
/// [`MeasureError`] if the batch is too large to index or the device fails.
pub fn forward_pass(engine: &Engine, net: Net, items: u32) -> Result<Session, MeasureError> {
    let mut recording = Recording::new();
    let forward = Fused::whole(net, &mut recording, &net.noise_weights()?, engine.facts())?;
    let shape = Shape::new([items, 3, net.side, net.side]).map_err(NetError::from)?;
    let x = recording.slot("input", shape.elements() as usize);
    let (y, _) = forward.record(&mut recording, x, &shape).map_err(NetError::from)?;
    recording.output(y);
    let mut session = engine.load(recording)?;
    session.write(x, bytemuck::cast_slice(&noise(shape.elements() as usize, 7)));
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        values.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn percentiles_are_those_of_numpy() {
        // np.percentile([1..=10], [50, 90, 99]) = 5.5, 9.1, 9.91
        let spread = Spread::of(&ms((1..=10).rev())).expect("there are some");
        assert_eq!((spread.count, spread.least, spread.most), (10, Duration::from_millis(1), Duration::from_millis(10)));
        assert_eq!(spread.mean, Duration::from_micros(5500));
        for (got, want) in [(spread.p50, 5500), (spread.p90, 9100), (spread.p99, 9910)] {
            assert!(got.abs_diff(Duration::from_micros(want)) < Duration::from_nanos(10), "{got:?}, want {want} µs");
        }
    }

    #[test]
    fn one_time_is_every_percentile_and_none_has_no_spread() {
        let spread = Spread::of(&ms([7])).expect("there is one");
        assert_eq!([spread.p50, spread.p90, spread.p99, spread.mean], [Duration::from_millis(7); 4]);
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_line_is_found_and_a_bend_is_told() {
        let line = Line::through(&[[1.0, 3.0], [2.0, 5.0], [10.0, 21.0]]).expect("three amounts");
        assert!((line.fixed - 1.0).abs() < 1e-12 && (line.each - 2.0).abs() < 1e-12 && line.worst < 1e-12, "{line:?}");
        let bend = Line::through(&[[1.0, 1.0], [2.0, 2.0], [4.0, 8.0]]).expect("three amounts");
        let loss = |a: f64, b: f64| {
            [[1.0, 1.0], [2.0, 2.0], [4.0, 8.0]].map(|[x, t]: [f64; 2]| (1.0 - (a + b * x) / t).powi(2)).iter().sum::<f64>()
        };
        assert!(bend.worst > 0.2, "{bend:?}");
        for [a, b] in [[0.01, 0.0], [-0.01, 0.0], [0.0, 0.01], [0.0, -0.01]] {
            assert!(loss(bend.fixed + a, bend.each + b) > loss(bend.fixed, bend.each), "{bend:?}");
        }
        assert_eq!(Line::through(&[[1.0, 3.0], [2.0, 5.0], [2.0, 6.0]]), None);
        assert_eq!(Line::through(&[[1.0, 3.0], [2.0, 0.0], [3.0, 6.0]]), None);
    }

    #[test]
    fn rates_are_fractions_of_the_ceilings() {
        let ceilings = Ceilings { bytes_per_second: 4e9, multiply_adds_per_second: 1e9 };
        let rates = Rates::of(500_000, 1_000_000, Duration::from_millis(1), Some(&ceilings));
        let near = |got: Option<f64>, want: f64| assert!(got.is_some_and(|got| (got - want).abs() < 1e-9), "{got:?}, want {want}");
        near(rates.gflops, 1.0);
        near(rates.of_peak, 0.5);
        near(rates.gbytes_per_second, 1.0);
        near(rates.of_bandwidth, 0.25);
        // Half a millisecond of multiply-adds, a quarter of bytes.
        assert_eq!(ceilings.floor(500_000, 1_000_000), Duration::from_micros(500));
        assert_eq!(ceilings.floor(0, 1_000_000), Duration::from_micros(250));
        let none = Rates::of(0, 8, Duration::ZERO, None);
        assert_eq!([none.gflops, none.of_peak, none.gbytes_per_second, none.of_bandwidth], [None; 4]);
    }

    #[test]
    fn ceilings_are_finite_and_above_nothing() {
        let ceilings = Ceilings::measure(&Engine::cpu()).expect("the CPU engine does not fail");
        assert!(ceilings.bytes_per_second.is_finite() && ceilings.bytes_per_second > 0.0);
        assert!(ceilings.multiply_adds_per_second.is_finite() && ceilings.multiply_adds_per_second > 0.0);
    }

    #[test]
    fn a_forward_pass_plays_and_gives_finite_numbers() {
        let mut session = forward_pass(&Engine::cpu(), crate::nets::rivals::NET48_WITH_24, 3).expect("a valid net");
        session.time_plays(2).expect("the CPU engine does not fail");
        let (_, logits) = session.play().expect("the CPU engine does not fail").pop().expect("one output");
        assert_eq!(logits.len(), 6);
        assert!(logits.iter().all(|x| x.is_finite()), "{logits:?}");
    }
}
