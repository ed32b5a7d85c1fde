//! Kernels alone, at the sizes that a frame and a training step give them: GFLOP/s, GB/s, and the fraction of what the engine does at best.
//!
//! ```text
//! cargo bench                                           the CPU engine, and a hardware GPU if there is one
//! MTCMCN_BENCH_DEVICES=cpu,vulkan cargo bench -- conv   these engines, kernels with `conv` in their name
//! ```
//!
//! The frame is `assets/astronaut.png` with faces from 20 px on, the training step O-Net's with a batch of 64. Weights are those that
//! `MTCMCN_WEIGHTS` names, else our own. Of the steps of one kernel, the one with the
//! most work stands for it. Criterion tells how times are spread and compares with the run before; the table at the end of each engine
//! tells the shortest time of a sample.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use mtcmcn::doctor::noise_weights;
use mtcmcn::engine::gpu::Gpu;
use mtcmcn::measure::{Ceilings, Rates};
use mtcmcn::nets::ONET;
use mtcmcn::train::{Batch, NetRecipe, Objective, Optimizer, Trainer};
use mtcmcn::{Config, Detector, Device, Engine, Frame, Weights};

/// Samples of a training step.
const BATCH: u32 = 64;
/// Plays of a step between two looks at the clock, at most: a GPU gets them as one submission.
const TOGETHER: u64 = 256;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    let (weights, source) = weights();
    for (name, engine) in engines() {
        let ceilings = Ceilings::measure(&engine).expect("the engine copies and multiplies");
        let mut table = table_heading(&engine, &ceilings, &source);
        let mut session = Detector::new(engine.clone(), &weights, Config::default())
            .and_then(|detector| detector.session(&portrait()))
            .expect("the portrait can be searched");
        session.play().expect("the cascade plays");
        measure(&mut criterion, &format!("{name}/frame"), &mut session, &ceilings, &mut table);

        let trainer =
            Trainer::new(&engine, NetRecipe::new(ONET, BATCH, Objective::of(ONET), Optimizer::default()), noise_weights().tensors(), 1);
        let mut trainer = trainer.expect("O-Net trains");
        trainer.step(&Batch::empty(BATCH, ONET.side), 1e-6).expect("a step plays");
        measure(&mut criterion, &format!("{name}/training"), trainer.session(), &ceilings, &mut table);
        println!("{table}");
    }
    criterion.final_summary();
}

/// Times the step with the most work of each kernel.
fn measure(criterion: &mut Criterion, group: &str, session: &mut mtcmcn::engine::Session, ceilings: &Ceilings, table: &mut String) {
    let items: Vec<u32> = session.profile().expect("steps play").steps.iter().map(|step| step.items).collect();
    let mut chosen: BTreeMap<&str, (u64, u64, usize)> = BTreeMap::new();
    for (index, (step, &items)) in session.recording().steps().iter().zip(&items).enumerate() {
        let work = (step.kernel.multiply_adds(items), step.bytes(session.recording(), items), index);
        chosen.entry(step.kernel.name()).and_modify(|most| *most = work.max(*most)).or_insert(work);
    }
    let mut group_of = criterion.benchmark_group(group);
    for (kernel, (multiply_adds, bytes, index)) in chosen {
        // What the step reads is as it leaves the steps before it, not as a whole play left it: slots are used again.
        (0..index).for_each(|before| session.play_step(before).expect("steps play"));
        let mut shortest: Option<Duration> = None;
        group_of.throughput(if multiply_adds > 0 { Throughput::Elements(2 * multiply_adds) } else { Throughput::Bytes(bytes) });
        group_of.bench_function(kernel, |bencher| {
            bencher.iter_custom(|times| {
                let each = |first: u64| session.time_step(index, (times - first).min(TOGETHER) as u32).expect("the step plays").0;
                let whole: Duration = (0..times).step_by(TOGETHER as usize).map(each).sum();
                let one = whole / u32::try_from(times).unwrap_or(u32::MAX);
                shortest = Some(shortest.map_or(one, |shortest| shortest.min(one)));
                whole
            });
        });
        if let Some(time) = shortest {
            row(table, group, kernel, items[index], time, &Rates::of(multiply_adds, bytes, time, Some(ceilings)));
        }
    }
    group_of.finish();
}

fn table_heading(engine: &Engine, ceilings: &Ceilings, weights: &str) -> String {
    let mut table = format!("\n{}; {weights}\n", engine.name());
    let (gflops, gbytes) = (ceilings.multiply_adds_per_second * 2e-9, ceilings.bytes_per_second * 1e-9);
    let _ = writeln!(table, "at best: {gflops:.1} GFLOP/s (multiply-adds alone), {gbytes:.1} GB/s (a copy larger than caches)");
    let _ = write!(table, "{:46} {:>8} {:>10} {:>9} {:>8} {:>8} {:>8}", "kernel", "items", "µs", "GFLOP/s", "of peak", "GB/s", "of copy");
    table
}

fn row(table: &mut String, group: &str, kernel: &str, items: u32, time: Duration, rates: &Rates) {
    let or_dash = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
    let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.0} %", value * 100.0));
    let _ = write!(
        table,
        "\n{:46} {items:8} {:10.1} {:>9} {:>8} {:>8} {:>8}",
        format!("{group}/{kernel}"),
        time.as_secs_f64() * 1e6,
        or_dash(rates.gflops, 1),
        percent(rates.of_peak),
        or_dash(rates.gbytes_per_second, 2),
        percent(rates.of_bandwidth)
    );
}

/// Engines with short names: criterion makes folders of them.
fn engines() -> Vec<(String, Engine)> {
    let Ok(list) = std::env::var("MTCMCN_BENCH_DEVICES") else {
        let gpu = Gpu::open(&Device::Auto).expect("a hardware GPU opens");
        let gpu = gpu.map(|gpu| ("gpu".to_owned(), gpu.into()));
        return std::iter::once(("cpu".to_owned(), Engine::cpu())).chain(gpu).collect();
    };
    let open = |name: &str| Engine::open(&name.parse().expect("any text names a device")).unwrap_or_else(|error| panic!("{name}: {error}"));
    list.split(',').map(|name| (name.trim().to_owned(), open(name.trim()))).collect()
}

fn portrait() -> Frame {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/astronaut.png");
    let image = image::open(path).expect("assets/astronaut.png is an image").into_rgba8();
    Frame::from_rgba(image.width(), image.height(), image.into_raw()).expect("four bytes a pixel")
}

/// Weights, and which.
fn weights() -> (Weights, String) {
    if let Some(path) = std::env::var_os("MTCMCN_WEIGHTS") {
        return (Weights::load(&path).expect("MTCMCN_WEIGHTS names weights"), format!("weights of {}", path.display()));
    }
    (Weights::builtin(), "our own weights".to_owned())
}
