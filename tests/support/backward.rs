//! A forward and a backward pass over the golden input, on any engine (spec section 2.5).

use std::collections::BTreeMap;

use mtcmcn::kernels::train::{CrossEntropy, CrossEntropyBackward, LossTask, Mine, MiningRule, SquaredError, SquaredErrorBackward, TARGETS};
use mtcmcn::nets::{Net, Parameters, Pass};
use mtcmcn::record::Recording;
use mtcmcn::tensor::Extent;
use mtcmcn::{Engine, Weights};

/// Relative tolerance for the golden numbers.
const RELATIVE: f64 = 1e-4;

/// Returns the golden input `v(c,y,x) = (((7c + 3y + 5x) mod 17) - 8) / 8`.
pub fn input(Extent { h, w }: Extent) -> Vec<f32> {
    let plane = |c: u32| (0..h).flat_map(move |y| (0..w).map(move |x| ((7 * c + 3 * y + 5 * x) % 17) as f32));
    (0..3).flat_map(plane).map(|v| (v - 8.0) / 8.0).collect()
}

/// Mean losses per task, and the L2 norm of the gradient of each tensor.
pub struct Gradients {
    pub losses: Vec<f64>,
    pub norms: BTreeMap<String, f64>,
}

fn norm(data: &[f32]) -> f64 {
    data.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Runs a forward and a backward pass over the golden input and its negative, with labels 1 and 0, box
/// targets of 0.1 and landmark targets of 0.5, with all samples kept.
pub fn gradients(engine: &Engine, net: Net, weights: &Weights) -> Gradients {
    let (n, outputs) = (2, net.outputs());
    let tasks = [(LossTask::Class, 0, 1.0), (LossTask::Box, 2, 0.5), (LossTask::Landmarks, 6, 1.0)];
    let tasks = &tasks[..net.heads.len()];
    let rows = tasks.len() as u32 + 1;
    let mut recording = Recording::new();
    let graph = net.graph(n, 0.0).expect("a valid net");
    let parameters = Parameters::states(&mut recording, [&graph.graph], |_| true);
    let mut slot = |label: &str, len: u32| recording.slot(label, len as usize);
    let (x, targets) = (slot("x", 3 * n * net.side * net.side), slot("targets", n * TARGETS as u32));
    let (kinds, faces) = (slot("kinds", n), slot("faces", n));
    let (figures, scales) = (slot("figures", rows * n), slot("scales", rows * n));
    let mut pass = Pass::new(&graph.graph, &parameters, engine.facts(), None);
    pass.bind(graph.input, x);
    pass.forward(&mut recording, &[graph.output]);
    let [_, gradients] = parameters.arenas().expect("the net learns");
    parameters.clear(&mut recording, gradients, engine.facts());
    let y = pass.value(graph.output);
    for &(task, first, _) in tasks {
        match task {
            LossTask::Class => recording.push(CrossEntropy::new(n, outputs, rows - 1), &[y, kinds, faces, figures]),
            _ => recording.push(SquaredError::new(task, n, outputs, first), &[y, kinds, targets, figures]),
        }
    }
    let rules: Vec<MiningRule> = tasks.iter().map(|(_, _, weight)| MiningRule::new(1.0, *weight)).collect();
    let rules = recording.table("rules", MiningRule::words(&rules));
    recording.push(Mine::new(n, rows - 1), &[figures, kinds, rules, scales]);
    let dy = pass.gradient(&mut recording, graph.output);
    for &(task, first, _) in tasks {
        match task {
            LossTask::Class => recording.push(CrossEntropyBackward::new(n, outputs), &[y, faces, scales, dy]),
            _ => recording.push(SquaredErrorBackward::new(task, n, outputs, first), &[y, targets, scales, dy]),
        }
    }
    let learned = pass.learned();
    pass.backward(&mut recording, &[graph.output], &learned);
    let mut session = engine.load(recording).expect("it loads");
    session.set(weights.tensors()).expect("the weights fit");
    let v = input(Extent { h: net.side, w: net.side });
    let both: Vec<f32> = v.iter().copied().chain(v.iter().map(|v| -v)).collect();
    session.write(x, bytemuck::cast_slice(&both));
    session.write(kinds, bytemuck::cast_slice(&[15_u32, 7]));
    session.write(faces, bytemuck::cast_slice(&[1.0_f32, 0.0]));
    let target: Vec<f32> = (0..TARGETS).map(|i| if i < 4 { 0.1 } else { 0.5 }).collect();
    session.write(targets, bytemuck::cast_slice(&[target.clone(), target].concat()));
    session.play().expect("it plays");
    let found = session.peek(figures).expect("losses");
    let gradients: Vec<_> = parameters.all_learned().iter().map(|learned| (learned.gradient, learned.state.clone())).collect();
    let gradients = session.read_as(&gradients).expect("gradients");
    Gradients {
        losses: found.chunks_exact(2).take(tasks.len()).map(|loss| f64::from(loss[0] + loss[1]) / 2.0).collect(),
        norms: gradients.iter().map(|(name, tensor)| (name.clone(), norm(&tensor.data))).collect(),
    }
}

/// Fails unless `got` equals `want` to within a ten-thousandth; NaN fails.
pub fn close(what: &str, got: f64, want: f64) {
    let within = (got - want).abs() <= RELATIVE * want.abs();
    assert!(within, "{what}: got {got}, want {want}");
}
