//! `mtcmcn bench`: how fast, at which setting, on which engine; and the comparison of nets of the paper's
//! Table 1.

mod args;
mod chart;
mod engines;
mod frames;
mod platform;
mod probe;
mod report;
mod run;
mod table1;

use anyhow::{Context as _, Result, bail};
use mtcmcn::measure::Ceilings;
use mtcmcn::{Config, Detector, Engine, Weights};

pub use args::BenchArgs;
use args::{FrameArgs, Other};
use frames::FrameSource;
use platform::Energy;
use report::{NamedEngine, complain, print};
use run::{Bench, Measured};

use super::{Outcome, explain, fetch};

/// Measures what `args` ask for.
///
/// # Errors
///
/// If nothing could be measured or results cannot be written. An engine or frame that fails is no error here:
/// it is told, the others are measured, and the outcome is [`Outcome::Failed`].
pub fn run(args: &BenchArgs) -> Result<Outcome> {
    match &args.other {
        Some(Other::Table1(args)) => table1::run(args),
        Some(Other::Probe(args)) => probe::run(args).map(|()| Outcome::Found),
        None => frames(&args.frames),
    }
}

fn frames(args: &FrameArgs) -> Result<Outcome> {
    if let Some(directory) = &args.chart {
        // Before the work, not after it.
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let source = FrameSource::open(&args.paths, &args.size)?;
    let mut outcome = Outcome::Found;
    for (path, error) in &source.refused {
        outcome = Outcome::Failed;
        complain(&format!("{}: {error}", path.display()));
    }
    if source.groups.is_empty() {
        bail!("there is no frame to search");
    }
    let weights = fetch::default_weights(args.weights.as_deref())?;
    let energy = Energy::find();
    let settings = settings(args, &source, &weights);
    print(
        args.json,
        || report::heading(&platform::machine(), energy.is_some(), &settings),
        || vec![report::machine_json(engines::threads(&args.engines))],
    )?;
    let mut all = Vec::new();
    for candidate in engines::open(&args.engines) {
        match candidate.engine {
            Ok(engine) => {
                let (named, measured, failed) = one_engine(args, &source, &engine, &candidate.device, &weights, energy.as_ref())?;
                outcome = if failed { Outcome::Failed } else { outcome };
                all.push((named, measured));
            }
            Err(error) => {
                outcome = Outcome::Failed;
                complain(&explain(&error));
            }
        }
    }
    if all.iter().all(|(_, measured)| measured.is_empty()) {
        bail!("nothing could be measured");
    }
    print(args.json, || report::verdict(&all), Vec::new)?;
    if let Some(directory) = &args.chart {
        let note = format!("{}\n{settings}", platform::machine());
        for path in chart::write(directory, &note, &all)? {
            tracing::info!("wrote {}", path.display());
        }
    }
    Ok(outcome)
}

/// Every setting on one engine, printed as it comes; and whether one failed.
fn one_engine(
    args: &FrameArgs,
    source: &FrameSource,
    engine: &Engine,
    device: &str,
    weights: &Weights,
    energy: Option<&Energy>,
) -> Result<(NamedEngine, Vec<Measured>, bool)> {
    let adapter = engine.gpu().map(|gpu| gpu.report().clone());
    let ceilings = if args.profile { Some(Ceilings::measure(engine)?) } else { None };
    let named = NamedEngine { name: engine.name(), adapter, threads: engine.threads(), ceilings };
    let bench = Bench { args, engine, device, weights, energy };
    print(args.json, || report::engine_heading(&named, Detector::IN_FLIGHT, Detector::together_on(engine)), Vec::new)?;
    let (mut measured, mut failed) = (Vec::new(), false);
    for (group, &min_face) in source.groups.iter().flat_map(|group| args.min_face.iter().map(move |min_face| (group, min_face))) {
        match bench.measure(group, min_face) {
            Ok(m) => {
                print(args.json, || report::times_row(&m), || report::measured_json(&named, &source.name, &m))?;
                measured.push(m);
            }
            Err(error) => {
                failed = true;
                let (size, error) = (group.size, explain(&error));
                complain(&format!("{} at {size}, faces from {min_face} px: {error}", named.name));
                let object = serde_json::json!({
                    "kind": "failure", "engine": named.name, "width": size.width, "height": size.height, "min_face": min_face, "error": error,
                });
                print(args.json, String::new, || vec![object])?;
            }
        }
    }
    print(args.json, || report::costs(&measured, named.adapter.is_some()), Vec::new)?;
    let growth = report::growth(&measured);
    print(args.json, || report::growth_text(&growth), || report::growth_json(&named, &growth))?;
    for m in measured.iter().filter(|m| !m.profile.is_empty()) {
        print(args.json, || report::profile(m, named.ceilings.as_ref()), Vec::new)?;
    }
    Ok((named, measured, failed))
}

/// What every figure depends on, in words.
fn settings(args: &FrameArgs, source: &FrameSource, weights: &Weights) -> String {
    let Config { factor, thresholds: [p, r, o], .. } = Config::for_weights(weights);
    let long = match args.frames {
        Some(frames) => format!("{frames} frames"),
        None => format!("at least {} s and 10 frames", args.seconds),
    };
    let (name, warm_up, threads) = (&source.name, args.warm_up, engines::threads(&args.engines));
    format!(
        "{name}; factor {factor}, thresholds {p} {r} {o}; each timing over {long} after {warm_up} to warm up; CPU engine on {threads} threads"
    )
}
