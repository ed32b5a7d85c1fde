//! Samples a second in training: `cargo run --release --example training_speed -- [net] [batch] [device] [steps]`.
//!
//! Prints one JSON line: the median over the steps after the first three, and with `--steps` the share of each kernel. The same net in
//! PyTorch: `tools/training_speed.py`.

use std::collections::BTreeMap;
use std::time::Instant;

use mtcmcn::kernels::train::Kind;
use mtcmcn::nets::{ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use mtcmcn::tensor::noise;
use mtcmcn::train::{Batch, Objective, Optimizer, Trainer, initial_weights};
use mtcmcn::{Device, Engine};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--steps").collect();
    let arg = |i: usize, or: &str| args.get(i).cloned().unwrap_or_else(|| or.to_owned());
    let net = match arg(0, "onet").as_str() {
        "pnet" => PNET_WITH_LANDMARKS,
        "rnet" => RNET_WITH_LANDMARKS,
        _ => ONET,
    };
    let (n, steps): (u32, usize) = (arg(1, "256").parse()?, arg(3, "12").parse()?);
    let engine = Engine::open(&arg(2, "cpu").parse::<Device>()?)?;
    let mut trainer = Trainer::new(&engine, net, &initial_weights(1)?, n, &Objective::of(net), Optimizer::default(), 1)?;
    let mut batch = Batch::empty(n, net.side);
    let random = noise(batch.rgba.len(), 1);
    batch.rgba.iter_mut().zip(random).for_each(|(byte, v)| *byte = ((v + 1.0) * 128.0) as u8);
    let kinds = [Kind::NEGATIVE, Kind::POSITIVE, Kind::PART, Kind::LANDMARKS];
    (0..n as usize).for_each(|i| batch.label(i, kinds[i % 4]));
    let mut times = Vec::new();
    for _ in 0..steps {
        let start = Instant::now();
        trainer.step(&batch, 1e-3)?;
        trainer.entries()?;
        times.push(start.elapsed().as_secs_f64());
    }
    let mut steady = times.split_off(3.min(times.len() - 1));
    steady.sort_by(f64::total_cmp);
    let median = steady[steady.len() / 2];
    println!(
        "{{\"net\":\"{}\",\"batch\":{n},\"engine\":\"{}\",\"step_ms\":{:.2},\"samples_per_s\":{:.0},\"dispatches\":{}}}",
        net.name,
        engine.name(),
        median * 1e3,
        f64::from(n) / median,
        trainer.session().recording().steps().len()
    );
    if std::env::args().any(|arg| arg == "--steps") {
        by_kernel(&mut trainer)?;
    }
    Ok(())
}

/// Milliseconds per kernel, played step by step.
fn by_kernel(trainer: &mut Trainer) -> Result<(), Box<dyn std::error::Error>> {
    let session = trainer.session();
    let mut sums = BTreeMap::new();
    for round in 0..3 {
        for i in 0..session.recording().steps().len() {
            let start = Instant::now();
            session.play_step(i)?;
            let step = &session.recording().steps()[i];
            let last = step.slots.last().map_or("", |slot| session.recording().slots()[slot.index()].label.as_str());
            if round > 0 {
                *sums.entry((step.kernel.name(), last.to_owned())).or_insert(0.0) += start.elapsed().as_secs_f64() * 500.0;
            }
        }
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    rows.iter().take(28).for_each(|((kernel, slot), ms)| println!("{ms:9.3} ms  {kernel} -> {slot}"));
    Ok(())
}
