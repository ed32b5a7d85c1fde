//! GPU errors are returned as values, and kernels that are wrong on purpose are detected by the comparison.

use std::process::Command;

use mtcmcn::cascade::Config;
use mtcmcn::doctor::{noise_frame, noise_weights};
use mtcmcn::engine::compare::replay;
use mtcmcn::record::{Binding, Kernel, Recording, Work};
use mtcmcn::{Detector, Device, Engine, EngineError};

use crate::engine;

/// Creates a separate device, so that destroying it does not affect other tests.
pub fn own_engine() -> Engine {
    let report = engine().gpu().expect("a GPU engine").report().clone();
    Engine::open(&Device::Named(report.to_string())).expect("what opened once opens again")
}

pub fn detector(engine: Engine) -> Detector {
    let mut config = Config::default();
    config.thresholds = [0.5, 0.4, 0.3];
    Detector::new(engine, &noise_weights(), config).expect("settings and weights are fine")
}

#[test]
fn a_lost_device_is_an_error_and_a_new_engine_goes_on() {
    let engine = own_engine();
    let mut lost = detector(engine.clone());
    let before = lost.detect(&noise_frame()).expect("the device is there");
    assert!(!before.faces.is_empty());
    engine.gpu().expect("a GPU engine").destroy();
    for _ in 0..2 {
        let error = lost.detect(&noise_frame()).expect_err("the device is gone").to_string();
        assert!(error.contains("the GPU failed"), "{error}");
    }
    assert!(matches!(engine.load(Recording::new()), Err(EngineError::Lost { .. })));
    assert_eq!(detector(own_engine()).detect(&noise_frame()).expect("a new device"), before);
}

#[test]
fn threads_share_an_engine() {
    let plays = |n: usize| {
        let mut detector = detector(engine());
        (0..n).map(|_| detector.detect(&noise_frame()).expect("a result")).collect::<Vec<_>>()
    };
    let want = plays(1).remove(0);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| plays(40))).collect();
        for run in runs {
            assert!(run.join().expect("no panic").iter().all(|found| *found == want));
        }
    });
}

#[test]
fn an_unknown_adapter_is_named_beside_those_present() {
    let Err(EngineError::NoAdapter { wanted, present }) = Engine::open(&Device::Named("no such card".to_owned())) else {
        panic!("opened an adapter that is not there");
    };
    assert_eq!(wanted, "no such card");
    assert!(!present.is_empty());
}

#[test]
fn a_slot_beyond_the_devices_limit_is_named() {
    let most = engine().gpu().expect("an adapter").report().max_binding_bytes;
    let mut recording = Recording::new();
    recording.slot("all and one", (most / 4 + 1) as usize);
    let Err(EngineError::TooLarge { slot, bytes, limit }) = engine().load(recording) else { panic!("allocated it") };
    assert_eq!((slot.as_str(), bytes, limit), ("all and one", (most / 4 + 1) * 4, most));
}

/// Declares a kernel over `x: [2, 3]` whose twin triples channel 1 and copies the others, with the given WGSL
/// body.
macro_rules! planted {
    ($name:ident, $body:literal) => {
        mtcmcn::uniform! {
            /// A kernel for tests.
            pub struct $name { rows: u32, channels: u32 }
        }

        impl Kernel for $name {
            const NAME: &'static str = stringify!($name);
            const WGSL: &'static [&'static str] = &[concat!(
                "struct P { rows: u32, channels: u32 }
                @group(0) @binding(0) var<uniform> p: P;
                @group(0) @binding(1) var<storage, read> x: array<f32>;
                @group(0) @binding(2) var<storage, read_write> y: array<f32>;
                @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
                    let i = id.x; if i >= p.rows * p.channels { return; }",
                $body,
                "}"
            )];
            const WORKGROUP: [u32; 3] = [64, 1, 1];
            const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
            const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

            fn work(&self) -> Work {
                Work::linear(self.rows * self.channels)
            }

            fn sizes(&self) -> Vec<usize> {
                vec![(self.rows * self.channels) as usize; 2]
            }

            fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
                for (i, (x, y)) in read[0].iter().zip(write[0].iter_mut()).enumerate() {
                    *y = if i % self.channels as usize == 1 { 3.0 * x } else { *x };
                }
            }
        }
    };
}

planted!(Right, "y[i] = select(x[i], 3.0 * x[i], i % p.channels == 1u);");
planted!(WrongChannel, "y[i] = select(x[i], 3.0 * x[i], i / p.rows == 1u);");
planted!(Forgetful, "if i != 4u { y[i] = select(x[i], 3.0 * x[i], i % p.channels == 1u); }");
planted!(NotANumber, "y[i] = select(x[i], 3.0 * x[i], i % p.channels == 1u) + bitcast<f32>(select(0u, 0x7fc00000u, i == 5u));");
planted!(Broken, "y[i] = undeclared;");

/// Returns the position of the first of six values that differs; outputs start as NaN.
fn first(kernel: impl Kernel + 'static) -> Result<Option<usize>, EngineError> {
    let mut recording = Recording::new();
    let (x, y) = (recording.slot("x", 6), recording.slot("y", 6));
    recording.push(kernel, &[x, y]);
    let mut session = engine().load(recording)?;
    session.write(x, bytemuck::cast_slice(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]));
    session.write(y, bytemuck::cast_slice(&[f32::NAN; 6]));
    Ok(replay(&mut session)?.first.map(|difference| difference.element))
}

#[test]
fn planted_faults_are_caught() {
    assert_eq!(first(Right { rows: 2, channels: 3 }), Ok(None));
    assert_eq!(first(WrongChannel { rows: 2, channels: 3 }), Ok(Some(1)));
    assert_eq!(first(Forgetful { rows: 2, channels: 3 }), Ok(Some(4)));
    assert_eq!(first(NotANumber { rows: 2, channels: 3 }), Ok(Some(5)));
    let Err(EngineError::Rejected { what, message }) = first(Broken { rows: 2, channels: 3 }) else { panic!("compiled") };
    assert_eq!(what, "Broken");
    assert!(message.contains("undeclared"), "{message}");
}

#[test]
fn a_kernel_of_too_many_workgroups_is_named() {
    let most = 65_535;
    let kernel = Right { rows: 64 * (most + 1), channels: 1 };
    let mut recording = Recording::new();
    let slots = ["x", "y"].map(|label| recording.slot(label, kernel.rows as usize));
    recording.push(kernel, &slots);
    let Err(EngineError::TooManyGroups { kernel, groups, limit }) = engine().load(recording) else { panic!("bound it") };
    assert_eq!((kernel, groups, limit), ("Right", most + 1, most));
}

#[test]
fn doctor_finds_this_adapter_healthy() {
    let name = engine().gpu().expect("a GPU engine").report().to_string();
    let run = Command::new(env!("CARGO_BIN_EXE_mtcmcn")).args(["doctor", "--json", "--device", &name]).output().expect("it runs");
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).expect("one JSON object");
    assert_eq!(report["healthy"], true, "{report:#}");
    let checks = report["adapters"][0]["checks"].as_array().expect("checks");
    assert!(checks.len() > 15 && checks.iter().all(|check| check["steps"].as_u64() > Some(0)), "{report:#}");
    assert_eq!(run.status.code(), Some(0));
}
