//! `mtcmcn doctor`: is this machine to be trusted?

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use mtcmcn::doctor::{Check, Examination, Verdict, examine};
use mtcmcn::engine::compare::Difference;
use serde_json::{Value, json};

use super::{Outcome, decode, fetch};

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 all equal, 1 something differs, 2 could not run.")]
pub struct DoctorArgs {
    /// Examine only adapters whose name or backend contains this ("cpu" for the CPU engine)
    #[arg(long, value_name = "NAME", default_value = "")]
    device: String,

    /// Also run the cascade on this photo, with the weights that `detect` uses
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Weights for --image, as for `detect`
    #[arg(long, value_name = "FILE", requires = "image")]
    weights: Option<PathBuf>,

    /// One JSON report instead of a table
    #[arg(long)]
    json: bool,
}

/// Examines and reports.
///
/// # Errors
///
/// If the photo or weights cannot be read, no adapter fits, or stdout cannot be written.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let photo = match &args.image {
        Some(path) => {
            let frame = decode::read(path, MAX_PIXELS).with_context(|| path.display().to_string())?;
            Some((fetch::default_weights(args.weights.as_deref())?, frame))
        }
        None => None,
    };
    let mut out = io::stdout().lock();
    let mut written = Ok(());
    let examinations = examine(&args.device, photo.as_ref().map(|(weights, frame)| (weights, frame)), |examination| {
        if !args.json && written.is_ok() {
            written = out.write_all(text(examination).as_bytes());
        }
    });
    written?;
    if examinations.is_empty() {
        bail!("no adapter's name contains {:?}; `mtcmcn doctor` without --device lists all", args.device);
    }
    let good = |e: &Examination| e.checks.iter().all(|check| check.verdict.is_good());
    let all_good = examinations.iter().all(good);
    if args.json {
        let report = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "healthy": all_good,
            "adapters": examinations.iter().map(json_of).collect::<Vec<_>>(),
        });
        writeln!(out, "{report}")?;
    } else if !examinations.iter().any(|e| e.adapter.is_some()) {
        writeln!(out, "no GPU adapter was examined; the CPU engine needs none")?;
    }
    out.flush()?;
    Ok(if all_good { Outcome::Found } else { Outcome::Nothing }.into())
}

/// The largest photo that is decoded.
const MAX_PIXELS: u64 = 100_000_000;

fn text(examination: &Examination) -> String {
    let mut text = format!("{}\n", examination.engine);
    if let Some(adapter) = &examination.adapter {
        let kind = if adapter.hardware { "hardware" } else { "software" };
        let features = if adapter.features.is_empty() { "none".to_owned() } else { adapter.features.join(", ") };
        text += &format!("  driver    {} ({kind})\n  features  {features} (none is needed)\n", adapter.driver);
        let (binding, workgroup) = (adapter.max_binding_bytes >> 20, adapter.workgroup_bytes >> 10);
        text += &format!("  limits    {binding} MiB a binding, {} invocations and {workgroup} KiB a workgroup\n", adapter.max_invocations);
    }
    if let Some(refused) = &examination.refused {
        text += &format!("  could not be examined: {refused}\n");
    }
    for check in &examination.checks {
        text += &format!("  {:22} {:4} steps {:7.0} ms  {}\n", check.name, check.steps, check.time.as_secs_f64() * 1e3, verdict(check));
    }
    text + "\n"
}

fn verdict(check: &Check) -> String {
    match &check.verdict {
        Verdict::Equal => format!("equal, {:.0} % of tolerance", check.worst * 100.0),
        Verdict::Differs(d) => format!("DIFFERS: {}", difference(d)),
        Verdict::KnownFault(fault) => format!("known fault: {}", fault.symptom),
        Verdict::Mended(fault) => format!("MENDED: the driver no longer shows its known fault ({}); please report it", fault.symptom),
        Verdict::Failed(message) => format!("FAILED: {message}"),
    }
}

fn difference(d: &Difference) -> String {
    format!("step {} ({}), {} [{}]: got {}, want {} within {:e}", d.step, d.kernel, d.slot, d.element, d.got, d.want, d.tolerance)
}

fn json_of(examination: &Examination) -> Value {
    json!({
        "engine": examination.engine,
        "adapter": examination.adapter.as_ref().map(|a| json!({
            "name": a.name, "backend": a.backend, "driver": a.driver, "hardware": a.hardware, "features": a.features,
            "limits": { "binding_bytes": a.max_binding_bytes, "workgroup_invocations": a.max_invocations, "workgroup_bytes": a.workgroup_bytes },
        })),
        "refused": examination.refused.as_ref().map(ToString::to_string),
        "checks": examination.checks.iter().map(check_json).collect::<Vec<_>>(),
    })
}

fn check_json(check: &Check) -> Value {
    let (verdict, detail) = match &check.verdict {
        Verdict::Equal => ("equal", Value::Null),
        Verdict::Differs(d) => ("differs", difference_json(d)),
        Verdict::KnownFault(fault) => ("known fault", json!(fault.symptom)),
        Verdict::Mended(fault) => ("mended", json!(fault.symptom)),
        Verdict::Failed(message) => ("failed", json!(message)),
    };
    let milliseconds = check.time.as_secs_f64() * 1e3;
    json!({
        "name": check.name, "verdict": verdict, "detail": detail, "good": check.verdict.is_good(), "steps": check.steps,
        "tolerance_used": check.worst, "milliseconds": milliseconds,
    })
}

fn difference_json(d: &Difference) -> Value {
    json!({
        "step": d.step, "kernel": d.kernel, "slot": d.slot, "element": d.element, "got": d.got, "want": d.want, "tolerance": d.tolerance,
    })
}
