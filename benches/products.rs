//! Matrix products alone: convolutions and dense layers, forward and backward, as fractions of the multiply-adds that the engine does at best.
//!
//! ```text
//! cargo bench --bench products                                    the CPU engine
//! MTCMCN_BENCH_DEVICES=cpu,llvmpipe cargo bench --bench products  these engines; GPUs with both tilings
//! cargo bench --bench products -- 256                             rows with `256` in their name
//! ```
//!
//! Multiply-adds alone and the kernel run in turn, so that both see the same machine; of all turns the best counts. Operations are nominal: what
//! the formula says, whatever the kernel does.

use std::time::Duration;

use mtcmcn::kernels::ceiling::Peak;
use mtcmcn::kernels::nn::{Convolution, ConvolutionBackwardInput, ConvolutionBackwardWeight, Sizes, Tiling};
use mtcmcn::record::{Kernel, Recording};
use mtcmcn::tensor::{Shape, noise};
use mtcmcn::{Engine, engine::Session};

/// Items of a batch.
const BATCH: u32 = 32;
/// Input channels, rows and columns; outputs, kernel side, stride and padding.
const CONVOLUTIONS: [([u32; 2], [u32; 4]); 9] = [
    ([256, 14], [256, 3, 1, 1]),
    ([512, 7], [800, 1, 1, 0]),
    ([3, 112], [64, 3, 1, 1]),
    ([64, 56], [64, 3, 1, 1]),
    ([128, 28], [128, 3, 1, 1]),
    ([512, 7], [512, 3, 1, 1]),
    ([256, 28], [256, 3, 2, 1]),
    ([128, 28], [256, 4, 2, 1]),
    ([128, 28], [256, 1, 2, 0]),
];
/// Inputs and outputs.
const DENSE: [[u32; 2]; 2] = [[25_088, 512], [7168, 448]];

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let devices = std::env::var("MTCMCN_BENCH_DEVICES").unwrap_or_else(|_| "cpu".to_owned());
    let items = |text: &str| std::env::var(text).ok().and_then(|value| value.parse().ok());
    let batch = items("MTCMCN_BENCH_BATCH").unwrap_or(BATCH);
    for name in devices.split(',').map(str::trim) {
        let engine = Engine::open(&name.parse().expect("any text names a device")).unwrap_or_else(|error| panic!("{name}: {error}"));
        println!("{}; batch of {batch}", engine.name());
        println!("{:44} {:>10} {:>9} {:>9} {:>8}", "product", "µs", "GFLOP/s", "at best", "of peak");
        let mut peak = session(&engine, &|r| push(r, Peak::new(1 << 16, if name == "cpu" { 4096 } else { 1024 })));
        for (label, sizes) in all(batch).into_iter().filter(|(label, _)| label.contains(&filter)) {
            let tilings: &[(Tiling, &str)] = if name == "cpu" {
                &[(Tiling::Registers, "")]
            } else {
                &[(Tiling::Workgroup, ", tiles"), (Tiling::Registers, ", registers")]
            };
            for (tiling, with) in tilings {
                row(&format!("{label} forward{with}"), &mut peak, session(&engine, &|r| push(r, Convolution::new(&sizes, true, *tiling))));
                row(
                    &format!("{label} input{with}"),
                    &mut peak,
                    session(&engine, &|r| push(r, ConvolutionBackwardInput::new(&sizes, *tiling))),
                );
                row(&format!("{label} weight{with}"), &mut peak, session(&engine, &|r| weight(r, &sizes, *tiling)));
            }
        }
    }
}

fn all(batch: u32) -> Vec<(String, Sizes)> {
    let convolution = |([c, side], [out, k, stride, padding]): ([u32; 2], [u32; 4])| {
        let x = Shape::new([batch, c, side, side]).expect("a valid shape");
        let sizes = Sizes::new(&x, out, k, stride, padding, 1).expect("a valid convolution");
        (format!("{k}x{k} {c}->{out} at {side}x{side}, stride {stride}"), sizes)
    };
    let dense =
        |[inputs, outputs]: [u32; 2]| (format!("dense {inputs}x{outputs}"), Sizes::dense(batch, inputs, outputs).expect("a valid layer"));
    let mut all: Vec<(String, Sizes)> = CONVOLUTIONS.into_iter().map(convolution).collect();
    all.splice(2..2, DENSE.into_iter().map(dense));
    all
}

fn push<K: Kernel + 'static>(recording: &mut Recording, kernel: K) {
    let slots: Vec<_> = kernel.sizes().into_iter().map(|len| recording.slot("operand", len)).collect();
    recording.push(kernel, &slots);
}

/// With the sum of partial sums, where there are some.
fn weight(recording: &mut Recording, sizes: &Sizes, tiling: Tiling) {
    let [x, dy, dweight] = [sizes.x_len(), sizes.y_len(), sizes.weight_len()].map(|len| recording.slot("operand", len));
    ConvolutionBackwardWeight::new(sizes, tiling).record(recording, x, dy, dweight);
}

/// A recording over noise, played once.
fn session(engine: &Engine, record: &dyn Fn(&mut Recording)) -> Session {
    let mut recording = Recording::new();
    record(&mut recording);
    let slots: Vec<_> = recording.steps()[0].slots.clone();
    let lens: Vec<usize> = slots.iter().map(|slot| recording.slots()[slot.index()].len).collect();
    let mut session = engine.load(recording).expect("the product loads");
    for (i, (slot, len)) in slots.into_iter().zip(lens).enumerate() {
        session.write(slot, bytemuck::cast_slice(&noise(len, i as u64 + 1)));
    }
    time(&mut session);
    session
}

/// One play of all steps.
fn time(session: &mut Session) -> Duration {
    (0..session.recording().steps().len()).map(|step| session.time_step(step, 1).expect("the step plays").0).sum()
}

fn multiply_adds(session: &Session) -> f64 {
    session.recording().steps().iter().map(|step| step.kernel.multiply_adds(step.kernel.work().most())).sum::<u64>() as f64
}

fn row(label: &str, peak: &mut Session, mut kernel: Session) {
    let (work, all) = (multiply_adds(&kernel), multiply_adds(peak));
    let (mut shortest, mut best, mut ratio, mut spent) = (f64::INFINITY, 0.0_f64, 0.0_f64, 0.0);
    // The best of ten turns, or of as many as a second has.
    let mut turns = 0;
    while turns < 3 || (turns < 10 && spent < 1.0) {
        let at_best = all / time(peak).as_secs_f64();
        let taken = time(&mut kernel).as_secs_f64();
        (shortest, best, ratio) = (shortest.min(taken), best.max(at_best), ratio.max(work / taken / at_best));
        (turns, spent) = (turns + 1, spent + taken);
    }
    println!("{label:44} {:10.0} {:9.1} {:9.1} {:6.0} %", shortest * 1e6, work / shortest * 2e-9, best * 2e-9, ratio * 100.0);
}
