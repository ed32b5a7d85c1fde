//! Checks every recording of the program against the limits that WebGPU guarantees on any device, without a
//! GPU.

use mtcmcn::cascade::recording;
use mtcmcn::kernels::nn::Add;
use mtcmcn::nets::rivals::{NET12, NET24, NET24_WITH_12, NET48, NET48_WITH_24};
use mtcmcn::nets::{Fused, Net, ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use mtcmcn::record::{DeviceFacts, Recording};
use mtcmcn::tensor::Shape;
use mtcmcn::train::{NetRecipe, Objective, Optimizer, Recipe as _};
use mtcmcn::{Config, Weights};

const MOST_BINDING_BYTES: usize = 128 << 20;
const MOST_UNIFORM_BYTES: usize = 64 << 10;
const MOST_BUFFER_BYTES: usize = 256 << 20;
const MOST_GROUPS: u32 = 65_535;
const MOST_STORAGE_BUFFERS: usize = 8;

/// Both kinds of adapters, with the default limits.
const DEVICES: [DeviceFacts; 2] = [DeviceFacts::adapter(false), DeviceFacts::adapter(true)];

/// Returns the items of `recording` that exceed the limits of some device.
fn excess(recording: &Recording) -> Vec<String> {
    let mut found = Vec::new();
    for info in recording.slots().iter().filter(|info| info.range.is_none() && info.len * 4 > MOST_BUFFER_BYTES) {
        found.push(format!("slot {:?} has {} MiB", info.label, info.len >> 18));
    }
    for (i, step) in recording.steps().iter().enumerate() {
        let (name, groups) = (step.kernel.name(), step.kernel.groups());
        if groups.iter().any(|groups| *groups > MOST_GROUPS) {
            found.push(format!("step {i}, {name}, has {groups:?} workgroups"));
        }
        let storage = step.bound().filter(|(_, binding)| !binding.uniform).count();
        if storage > MOST_STORAGE_BUFFERS {
            found.push(format!("step {i}, {name}, binds {storage} storage buffers"));
        }
        for (slot, binding) in step.bound() {
            let (info, most) = (&recording.slots()[slot.index()], if binding.uniform { MOST_UNIFORM_BYTES } else { MOST_BINDING_BYTES });
            if info.len * 4 > most {
                found.push(format!("step {i}, {name}, binds {} KiB of {:?}", info.len >> 8, info.label));
            }
        }
    }
    found
}

fn check(what: &str, recording: &Recording) {
    assert!(!recording.steps().is_empty(), "{what} has no steps");
    let found = excess(recording);
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn the_cascade_fits_every_device_from_vga_to_4k() {
    let (weights, config) = (Weights::builtin(), Config::default());
    for device in DEVICES {
        for size in [[640, 480], [1280, 720], [1920, 1080], [3840, 2160]] {
            check(&format!("the cascade at {size:?}"), &recording(1, size, &weights, &config, device).unwrap());
        }
        check("the cascade on eight frames", &recording(8, [640, 480], &weights, &config, device).unwrap());
    }
}

/// Returns the default number of samples per step in `train`.
#[cfg(feature = "toolkit")]
fn batch(net: Net) -> u32 {
    let config = mtcmcn::train::config::TrainConfig::default();
    config.net(net.name).unwrap_or_else(|| panic!("{} has no settings", net.name)).batch
}

#[cfg(feature = "toolkit")]
#[test]
fn training_fits_every_device_at_the_default_batch() {
    for device in DEVICES {
        for net in [PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS, ONET, NET12, NET24, NET48] {
            let recipe = NetRecipe::new(net, batch(net), Objective::of(net), Optimizer::default());
            check(&format!("training of {}", net.name), &recipe.program(device).unwrap().0.recording);
        }
        // A batch that no single binding holds is divided.
        let recipe = NetRecipe::new(ONET, 512, Objective::of(ONET), Optimizer::default()).in_micro_batches(128);
        check("training of O-Net in micro-batches", &recipe.program(device).unwrap().0.recording);
    }
}

#[test]
fn a_step_of_training_is_few_dispatches() {
    for (net, most) in [(PNET_WITH_LANDMARKS, 60), (RNET_WITH_LANDMARKS, 60), (ONET, 60)] {
        let recipe = NetRecipe::new(net, 32, Objective::of(net), Optimizer::default());
        let (program, _) = recipe.program(DeviceFacts::adapter(true)).unwrap();
        let steps = program.recording.parts().iter().find(|part| part.label == "step").unwrap().steps.len();
        assert!(steps <= most, "{} takes {steps} dispatches a step", net.name);
    }
}

#[test]
fn the_nets_of_table_1_fit_every_device() {
    for device in DEVICES {
        for net in [NET12, NET24, NET24_WITH_12, NET48, NET48_WITH_24] {
            let mut recording = Recording::new();
            let fused = Fused::whole(net, &mut recording, &net.noise_weights().unwrap(), device).unwrap();
            let x = recording.slot("x", (64 * 3 * net.side * net.side) as usize);
            fused.record(&mut recording, x, &Shape::new([64, 3, net.side, net.side]).unwrap()).unwrap();
            check(net.name, &recording);
        }
    }
}

#[test]
fn an_excess_is_found() {
    let sum = |len: u32| {
        let mut recording = Recording::new();
        let [a, b, y] = ["a", "b", "y"].map(|label| recording.slot(label, len as usize));
        recording.push(Add::new(len), &[a, b, y]);
        excess(&recording)
    };
    assert_eq!(sum(1 << 25), Vec::<String>::new());
    let found = sum((1 << 25) + 1);
    assert_eq!(found.len(), 3, "one binding each: {found:?}");
    assert!(sum((1 << 26) + 1).iter().any(|line| line.starts_with("slot")), "a buffer");
    // O-Net's first activations for a batch of 512 take 132 MiB.
    let whole = NetRecipe::new(ONET, 512, Objective::of(ONET), Optimizer::default());
    let found = excess(&whole.program(DeviceFacts::adapter(true)).unwrap().0.recording);
    assert!(found.iter().any(|line| line.contains("conv")), "{found:?}");
}
