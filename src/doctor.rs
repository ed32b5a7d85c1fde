//! Is this machine to be trusted? Every kernel and the whole cascade, on every adapter, against the twin.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cascade::{Config, DetectError, Detector, Frame};
use crate::engine::compare::{Difference, replay};
use crate::engine::gpu::{AdapterReport, Gpu};
use crate::engine::{Engine, EngineError};
use crate::for_each_kernel;
use crate::kernels::canary::Loops;
use crate::kernels::{Sample, Samples};
use crate::tensor::{Tensor, noise};
use crate::weights::Weights;
use crate::weights::names::{LAYERS, TensorPart};

/// What was found on one adapter.
#[derive(Debug, Clone)]
pub struct Examination {
    /// Name of the engine.
    pub engine: String,
    /// The adapter; `None` for the CPU engine.
    pub adapter: Option<AdapterReport>,
    /// Every check, in order; empty if the adapter did not open.
    pub checks: Vec<Check>,
    /// Why the adapter did not open.
    pub refused: Option<EngineError>,
}

/// One kernel over its samples, or the cascade over a frame.
#[derive(Debug, Clone)]
pub struct Check {
    /// Kernel, `cascade` or `loops past 65535`.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// Steps compared.
    pub steps: usize,
    /// Largest share of its tolerance that any number used.
    pub worst: f64,
    /// How long it took, twin and compilation included.
    pub time: Duration,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Engine and twin are equal within tolerance.
    Equal,
    /// They differ, here first.
    Differs(Difference),
    /// They differ as the driver is known to.
    KnownFault(&'static KnownFault),
    /// A fault that the driver is known for did not show: the list of faults is out of date.
    Mended(&'static KnownFault),
    /// The check could not run.
    Failed(String),
}

impl Verdict {
    /// Whether nothing is wrong, or nothing but what is known.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Equal | Self::KnownFault(_))
    }
}

/// A fault of a driver that this program lives with.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownFault {
    /// Part of the adapter's name.
    pub adapter: &'static str,
    /// Part of the driver's name and version.
    pub driver: &'static str,
    /// The check that shows it.
    pub check: &'static str,
    /// What happens, and how the program avoids it.
    pub symptom: &'static str,
}

/// Known faults by driver. An entry whose fault no longer shows fails the check, so that the list stays true.
pub const KNOWN_FAULTS: &[KnownFault] = &[KnownFault {
    adapter: "llvmpipe",
    driver: "Mesa 22.",
    check: LONG_LOOP,
    symptom: "a loop ends silently after 65,535 turns; here only R-Net's crop of a box over 5,800 px takes more (gone in Mesa 25)",
}];

const LONG_LOOP: &str = "loops past 65535";

/// Examines every adapter of every backend whose engine's name contains `filter`, ignoring case, and the CPU engine; `each` sees every result as
/// it comes. `cascade` is what to look for faces in, beside a frame and weights of noise.
pub fn examine(filter: &str, cascade: Option<(&Weights, &Frame)>, mut each: impl FnMut(&Examination)) -> Vec<Examination> {
    let fits = |name: &str| name.to_lowercase().contains(&filter.to_lowercase());
    let mut examinations = Vec::new();
    let cpu = Some(Engine::cpu()).filter(|cpu| fits(&cpu.name())).map(|cpu| (None, Ok(cpu)));
    let gpus = Gpu::open_all(|report| fits(&report.to_string())).into_iter().map(|(report, gpu)| (Some(report), gpu.map(Engine::from)));
    for (adapter, engine) in cpu.into_iter().chain(gpus) {
        let name = adapter.as_ref().map_or_else(|| Engine::cpu().name(), ToString::to_string);
        let (checks, refused) = match engine {
            Ok(engine) => (checks(&engine, adapter.as_ref(), cascade), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let examination = Examination { engine: name, adapter, checks, refused };
        each(&examination);
        examinations.push(examination);
    }
    examinations
}

/// Every check on one engine.
pub fn checks(engine: &Engine, adapter: Option<&AdapterReport>, cascade: Option<(&Weights, &Frame)>) -> Vec<Check> {
    let mut checks = Vec::new();
    macro_rules! kernel {
        ($kernel:ty) => {
            checks.push(check_kernel(engine, <$kernel as crate::record::Kernel>::NAME, &<$kernel as Samples>::samples()));
        };
    }
    for_each_kernel!(kernel);
    checks.push(long_loop(engine, adapter));
    checks.push(check_cascade(engine, "cascade on noise", (&noise_weights(), &noise_frame()), lenient(), true));
    if let Some(photo) = cascade {
        checks.push(check_cascade(engine, "cascade on the photo", photo, Config::default(), false));
    }
    checks
}

fn timed(name: &str, run: impl FnOnce() -> Result<(Verdict, usize, f64), String>) -> Check {
    let start = Instant::now();
    let (verdict, steps, worst) = run().unwrap_or_else(|message| (Verdict::Failed(message), 0, 0.0));
    Check { name: name.to_owned(), verdict, steps, worst, time: start.elapsed() }
}

fn check_kernel<K: crate::record::Kernel + 'static>(engine: &Engine, name: &str, samples: &[Sample<K>]) -> Check {
    timed(name, || {
        let (mut steps, mut worst) = (0, 0.0_f64);
        for sample in samples {
            let (recording, presets) = sample.record();
            let mut session = engine.load(recording).map_err(|error| error.to_string())?;
            presets.iter().for_each(|(slot, data)| session.write(*slot, bytemuck::cast_slice(data)));
            let replayed = replay(&mut session).map_err(|error| error.to_string())?;
            (steps, worst) = (steps + replayed.steps, worst.max(replayed.worst));
            if let Some(difference) = replayed.first {
                return Ok((Verdict::Differs(difference), steps, worst));
            }
        }
        Ok((Verdict::Equal, steps, worst))
    })
}

/// More turns than some drivers take.
fn long_loop(engine: &Engine, adapter: Option<&AdapterReport>) -> Check {
    let mut check = check_kernel(engine, LONG_LOOP, &[Sample { kernel: Loops::new(100_000), read: Vec::new() }]);
    let known = adapter.and_then(|adapter| {
        KNOWN_FAULTS.iter().find(|f| f.check == LONG_LOOP && adapter.name.contains(f.adapter) && adapter.driver.contains(f.driver))
    });
    check.verdict = settle(check.verdict, known);
    check
}

/// What a verdict means where a fault is known.
fn settle(verdict: Verdict, known: Option<&'static KnownFault>) -> Verdict {
    match (verdict, known) {
        (Verdict::Differs(_), Some(fault)) => Verdict::KnownFault(fault),
        (Verdict::Equal, Some(fault)) => Verdict::Mended(fault),
        (verdict, _) => verdict,
    }
}

/// The cascade step by step over `frame`; `through` demands that candidates come through every stage.
fn check_cascade(engine: &Engine, name: &str, (weights, frame): (&Weights, &Frame), config: Config, through: bool) -> Check {
    timed(name, || {
        let text = |error: DetectError| error.to_string();
        let mut detector = Detector::new(engine.clone(), weights, config).map_err(text)?;
        let mut session = detector.session(frame).map_err(text)?;
        let replayed = replay(&mut session).map_err(|error| error.to_string())?;
        if let Some(difference) = replayed.first {
            return Ok((Verdict::Differs(difference), replayed.steps, replayed.worst));
        }
        // A run without candidates would prove little.
        if through && detector.detect(frame).map_err(text)?.faces.is_empty() {
            return Err("no candidate came through the cascade".to_owned());
        }
        Ok((Verdict::Equal, replayed.steps, replayed.worst))
    })
}

/// Settings that let many of noise's candidates through every stage.
fn lenient() -> Config {
    Config { thresholds: [0.5, 0.4, 0.3], ..Config::default() }
}

/// Weights of noise for all nets, tensor by tensor in the order of [`LAYERS`], scaled so that activations keep their size.
pub fn noise_weights() -> Weights {
    let parts = LAYERS.iter().flat_map(|entry| entry.parts().iter().map(move |&part| (entry, part)));
    let tensors: BTreeMap<String, Tensor> = parts
        .zip(1..)
        .map(|((entry, part), seed)| {
            let shape = entry.shape(part);
            let scale = match part {
                TensorPart::Weight => (3.0 / (entry.inputs * entry.side * entry.side) as f64).sqrt() as f32,
                TensorPart::Bias => 0.125,
                TensorPart::Slope => 0.25,
            };
            let data = noise(shape.iter().product(), seed).iter().map(|x| x * scale).collect();
            (entry.tensor(part), Tensor { shape, data })
        })
        .collect();
    Weights::new(tensors, BTreeMap::new()).expect("every tensor has its shape's elements")
}

/// A small frame of noise with structure at several scales.
pub fn noise_frame() -> Frame {
    let (width, height) = (97_u32, 75_u32);
    let grain = noise((width * height * 4) as usize, 99);
    let patch = noise(32 * 32 * 4, 98);
    let pixel = |i: usize| {
        let (x, y, c) = (i / 4 % width as usize, i / 4 / width as usize, i % 4);
        let coarse = patch[(y / 8 * 32 + x / 8) * 4 + c];
        (127.5 + 90.0 * coarse + 37.0 * grain[i]) as u8
    };
    Frame::from_rgba(width, height, (0..grain.len()).map(pixel).collect()).expect("four bytes a pixel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_fault_that_no_longer_shows_is_reported() {
        let fault = &KNOWN_FAULTS[0];
        assert_eq!(settle(Verdict::Equal, None), Verdict::Equal);
        assert!(!settle(Verdict::Equal, Some(fault)).is_good());
        let difference =
            Difference { step: 0, kernel: "loops", slot: "y".to_owned(), element: 0, got: 65_535.0, want: 100_000.0, tolerance: 0.0 };
        assert!(settle(Verdict::Differs(difference.clone()), Some(fault)).is_good());
        assert!(!settle(Verdict::Differs(difference), None).is_good());
    }

    #[test]
    fn the_cpu_engine_is_healthy_and_candidates_reach_every_stage() {
        for check in checks(&Engine::cpu(), None, None) {
            assert_eq!(check.verdict, Verdict::Equal, "{}", check.name);
            assert!(check.steps > 0, "{}", check.name);
        }
    }
}
