//! Samples a second in training: `cargo run --release --example training_speed -- [net] [batch] [device] [steps] [micro-batch]`.
//!
//! Prints one JSON line, and with `--steps` the share of each kernel. After three steps to warm up, the steps are timed in five blocks that
//! are waited for at their end, as training does it; the median of the blocks counts. The same net in PyTorch: `tools/training_speed.py`.

use std::collections::BTreeMap;
use std::time::Instant;

use mtcmcn::kernels::train::SampleBits;
use mtcmcn::nets::{ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use mtcmcn::tensor::noise;
use mtcmcn::train::{Batch, NetRecipe, Objective, Optimizer, TrainError, Trainer, initial_weights};
use mtcmcn::{Device, Engine};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--steps").collect();
    let arg = |i: usize, or: &str| args.get(i).cloned().unwrap_or_else(|| or.to_owned());
    let net = match arg(0, "onet").as_str() {
        "pnet" => PNET_WITH_LANDMARKS,
        "rnet" => RNET_WITH_LANDMARKS,
        _ => ONET,
    };
    let (n, steps): (u32, usize) = (arg(1, "256").parse()?, arg(3, "10").parse()?);
    let engine = Engine::open(&arg(2, "cpu").parse::<Device>()?)?;
    let recipe = NetRecipe::new(net, n, Objective::of(net), Optimizer::default()).in_micro_batches(arg(4, &n.to_string()).parse()?);
    let mut trainer = Trainer::new(&engine, recipe, initial_weights(1)?.tensors(), 1)?;
    let mut batch = Batch::empty(n, net.side);
    let random = noise(batch.rgba.len(), 1);
    batch.rgba.iter_mut().zip(random).for_each(|(byte, v)| *byte = ((v + 1.0) * 128.0) as u8);
    let kinds = [SampleBits::NEGATIVE, SampleBits::POSITIVE, SampleBits::PART, SampleBits::LANDMARKS];
    (0..n as usize).for_each(|i| batch.label(i, kinds[i % 4]));
    let mut block = |steps: usize| -> Result<f64, TrainError> {
        let start = Instant::now();
        (0..steps).try_for_each(|_| trainer.step(&batch, 1e-3))?;
        trainer.reports()?;
        Ok(start.elapsed().as_secs_f64() / steps as f64)
    };
    block(3)?;
    let mut times = (0..5).map(|_| block(steps.div_ceil(5))).collect::<Result<Vec<_>, _>>()?;
    times.sort_by(f64::total_cmp);
    let median = times[2];
    println!(
        "{{\"net\":\"{}\",\"batch\":{n},\"engine\":\"{}\",\"step_ms\":{:.2},\"samples_per_s\":{:.0},\"dispatches\":{},\"memory_mib\":{:.1}}}",
        net.name,
        engine.name(),
        median * 1e3,
        f64::from(n) / median,
        trainer.dispatches().len(),
        trainer.session().memory() as f64 / f64::from(1 << 20)
    );
    if std::env::args().any(|arg| arg == "--steps") {
        by_kernel(&mut trainer)?;
    }
    Ok(())
}

/// Milliseconds of each kernel in a step, by the device's clock where it has one; the last slot tells its steps apart.
fn by_kernel(trainer: &mut Trainer<NetRecipe>) -> Result<(), Box<dyn std::error::Error>> {
    let played = trainer.dispatches();
    let session = trainer.session();
    let mut sums = BTreeMap::new();
    for round in 0..3 {
        let profile = session.profile()?;
        for &position in played.iter().filter(|_| round > 0) {
            let (step, timed) = (&session.recording().steps()[position], &profile.steps[position]);
            let last = step.slots.last().map_or("", |slot| session.recording().slots()[slot.index()].label.as_str());
            *sums.entry((step.kernel.name(), last.to_owned())).or_insert(0.0) += timed.time.as_secs_f64() * 500.0;
        }
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    println!("{:9.3} ms  in all", rows.iter().map(|(_, ms)| ms).sum::<f64>());
    rows.iter().take(40).for_each(|((kernel, slot), ms)| println!("{ms:9.3} ms  {kernel} -> {slot}"));
    Ok(())
}
