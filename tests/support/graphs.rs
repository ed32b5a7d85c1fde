//! Graphs on any engine: residual units against golden numbers, and a synthetic net with all features that a
//! list of layers cannot express.

use std::collections::BTreeMap;

use mtcmcn::Engine;
use mtcmcn::kernels::nn::Broadcast;
use mtcmcn::kernels::train::Status;
use mtcmcn::nets::layer::{
    ActivationLayer, AddLayer, ConvolutionLayer, LinearLayer, MeanPoolLayer, MultiplyLayer, PoolWindows, PreluLayer, ScaleLayer, Statistics,
};
use mtcmcn::nets::{Blocks, Fused, Graph, Initial, Net, NodeId, Nonlinearity, Parameters, Pass, ir};
use mtcmcn::record::{Recording, Slot, State};
use mtcmcn::tensor::{Shape, ShapeError, Tensor, noise};
use serde_json::Value;

/// Tolerance for the golden numbers, relative to the largest: sums of some hundred terms in f32.
const RELATIVE: f64 = 2e-5;

fn tensor(value: &Value) -> Tensor {
    let numbers = |key: &str| value[key].as_array().expect("numbers").iter();
    Tensor {
        shape: numbers("shape").map(|size| size.as_u64().expect("a size") as usize).collect(),
        data: numbers("values").map(|number| number.as_f64().expect("a number") as f32).collect(),
    }
}

fn tensors(value: &Value) -> BTreeMap<String, Tensor> {
    value.as_object().expect("tensors").iter().map(|(name, value)| (name.clone(), tensor(value))).collect()
}

fn close(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0_f64, |most, value| most.max(f64::from(value.abs())));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let within = f64::from((got - want).abs()) <= RELATIVE * largest;
        assert!(within, "{what}: element {i} is {got}, should be {want}");
    }
}

/// Checks a residual unit forward and backward in training, then forward with the resulting running
/// statistics.
pub fn check_units(engine: &Engine) {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/golden_units.json")).expect("the fixture is JSON");
    for case in fixture.as_array().expect("cases") {
        let name = format!("{} on {}", case["case"], engine.name());
        let (x, dy, want) = (tensor(&case["x"]), tensor(&case["dy"]), tensor(&case["y"]));
        let [n, c, h, w] = [0, 1, 2, 3].map(|i| x.shape[i] as u32);
        let stride = case["stride"].as_u64().expect("a stride") as u32;
        let graph = |statistics: Statistics| {
            let mut graph = Graph::new();
            let input = graph.input("x", Shape::new([n, c, h, w]).expect("a shape"));
            let unit = case["unit"].as_str().expect("a name");
            let y = ir::unit(&mut graph, unit, input, want.shape[1] as u32, stride, statistics).expect("the unit fits");
            (graph, input, y)
        };
        let ((learning, x_in, y), (judging, other_in, other_y)) = (graph(Statistics::Batch), graph(Statistics::Running));
        let mut recording = Recording::new();
        let slot = recording.slot("x", x.data.len());
        let status = recording.slot("status", Status::WORDS);
        let upstream = recording.slot("dy", dy.data.len());
        let dx = recording.slot("dx", x.data.len());
        let parameters = Parameters::states(&mut recording, [&learning, &judging], |_| true);
        let [_, gradients] = parameters.arenas().expect("the unit learns");
        let (learn, value) = recording.part("learn", |r| {
            let mut pass = Pass::new(&learning, &parameters, engine.facts(), None);
            pass.bind(x_in, slot);
            pass.forward(r, &[y]);
            parameters.clear(r, gradients, engine.facts());
            let gradient = pass.gradient(r, y);
            r.push(mtcmcn::kernels::nn::Axpy::new(dy.data.len() as u32, 1.0), &[upstream, gradient]);
            let into: Vec<NodeId> = pass.learned().into_iter().chain([x_in]).collect();
            pass.backward(r, &[y], &into);
            pass.track(r, status);
            let found = pass.gradient(r, x_in);
            r.push(mtcmcn::kernels::train::Clear::new(x.data.len() as u32), &[dx]);
            r.push(mtcmcn::kernels::nn::Axpy::new(x.data.len() as u32, 1.0), &[found, dx]);
            pass.value(y)
        });
        let (judge, later) = recording.part("judge", |r| {
            let mut pass = Pass::new(&judging, &parameters, engine.facts(), None);
            pass.bind(other_in, slot);
            pass.forward(r, &[other_y]);
            pass.value(other_y)
        });
        recording.output(value);
        recording.output(later);
        let mut session = engine.load(recording).expect("it loads");
        session.set(&tensors(&case["tensors"])).expect("the tensors fit");
        session.write(slot, bytemuck::cast_slice(&x.data));
        session.write(upstream, bytemuck::cast_slice(&dy.data));
        let flight = session.submit_parts(&[learn]).expect("it plays");
        session.collect(flight).expect("it ends");
        close(&format!("y of {name}"), &session.peek(value).expect("y"), &want.data);
        close(&format!("dx of {name}"), &session.peek(dx).expect("dx"), &tensor(&case["gradients"]["x"]).data);
        let gradients: Vec<_> = parameters.all_learned().iter().map(|learned| (learned.gradient, learned.state.clone())).collect();
        let got = session.read_as(&gradients).expect("gradients");
        for (tensor_name, want) in tensors(&case["gradients"]).into_iter().filter(|(key, _)| key != "x") {
            close(&format!("gradient of {tensor_name}, {name}"), &got[&tensor_name].data, &want.data);
        }
        let states = session.states().expect("states");
        for (tensor_name, want) in tensors(&case["running"]) {
            close(&format!("{tensor_name} of {name}"), &states[&tensor_name].data, &want.data);
        }
        let flight = session.submit_parts(&[judge]).expect("it plays");
        session.collect(flight).expect("it ends");
        let want = tensor(&case["y_with_running_statistics"]);
        close(&format!("y with running statistics of {name}"), &session.peek(later).expect("y"), &want.data);
    }
}

/// Number of items of the synthetic net.
const N: u32 = 4;
/// Side of its images, and number of channels.
const SIDE: u32 = 5;
const C: u32 = 3;

/// A synthetic net: a frozen convolution, then two convolutions that share a tensor, with a skip connection
/// around the second, and a head whose gradient is reversed on one of two paths: `y = head(reverse(s) + s')`
/// with `s = sigmoid(shared(t)) + t`, `s' = shared(sigmoid(t))`, `t = frozen(x)`.
struct MadeUp {
    graph: Graph,
    x: NodeId,
    y: NodeId,
}

impl MadeUp {
    /// Creates the net for `n` items; `scale` determines whether gradients are reversed or only scaled.
    fn new(n: u32, scale: ScaleLayer) -> Self {
        let mut g = Graph::new();
        let x = g.input("x", Shape::new([n, C, SIDE, SIDE]).expect("a shape"));
        let layer = ConvolutionLayer { stride: 1, padding: 1, groups: 1 };
        let kernel = |g: &mut Graph, name: &str| {
            g.tensor(State::plain(name, [C as usize, C as usize, 3, 3]), Initial::Weight { slope: None }).expect("a tensor")
        };
        let frozen = kernel(&mut g, "frozen.weight");
        let t = g.add(layer, &[x, frozen]).expect("it fits");
        let shared = kernel(&mut g, "shared.weight");
        let u = g.add(layer, &[t, shared]).expect("it fits");
        let u = g.add(ActivationLayer::Sigmoid, &[u]).expect("it fits");
        let skip = g.add(AddLayer, &[u, t]).expect("it fits");
        let v = g.add(ActivationLayer::Sigmoid, &[t]).expect("it fits");
        let v = g.add(layer, &[v, shared]).expect("it fits");
        let skip = g.add(scale, &[skip]).expect("it fits");
        let both = g.add(AddLayer, &[skip, v]).expect("it fits");
        let inputs = (C * SIDE * SIDE) as usize;
        let weight = g.tensor(State::plain("head.weight", [2, inputs]), Initial::Weight { slope: None }).expect("a tensor");
        let bias = g.tensor(State::plain("head.bias", [2]), Initial::Constant(0.0)).expect("a tensor");
        let y = g.add(LinearLayer, &[both, weight, bias]).expect("it fits");
        Self { graph: g, x, y }
    }
}

fn made_up_tensors() -> BTreeMap<String, Tensor> {
    let named = MadeUp::new(1, ScaleLayer::REVERSE).graph.tensors().cloned().collect::<Vec<_>>();
    let tensor = |(named, seed): (mtcmcn::record::Named, u64)| {
        let len: usize = named.shape.iter().product();
        let scale = if len > 3 { 0.3 } else { 0.2 };
        (named.name, Tensor { shape: named.shape, data: noise(len, seed).iter().map(|v| v * scale).collect() })
    };
    named.into_iter().zip(1..).map(tensor).collect()
}

/// Returns the loss `Σ r y` and the gradients of learned tensors, in micro-batches of `micro` items whose
/// gradients are added.
fn gradients(engine: &Engine, tensors: &BTreeMap<String, Tensor>, micro: u32, scale: ScaleLayer) -> (f64, BTreeMap<String, Tensor>) {
    let net = MadeUp::new(micro, scale);
    let mut recording = Recording::new();
    let x = recording.input("x", (micro * C * SIDE * SIDE) as usize);
    let r = recording.input("r", 2 * micro as usize);
    let frozen = |name: &str| name == "frozen.weight";
    let parameters = Parameters::states(&mut recording, [&net.graph], |parameter| !frozen(&parameter.state.tensors[0].name));
    let [_, own] = parameters.arenas().expect("some learn");
    let len = recording.slots()[own.index()].len;
    let sums = recording.slot("sums", len);
    let (learn, y) = recording.part("learn", |recording| {
        parameters.clear(recording, own, engine.facts());
        let mut pass = Pass::new(&net.graph, &parameters, engine.facts(), None);
        pass.bind(net.x, x);
        pass.forward(recording, &[net.y]);
        let dy = pass.gradient(recording, net.y);
        recording.push(mtcmcn::kernels::nn::Axpy::new(2 * micro, 1.0), &[r, dy]);
        pass.backward(recording, &[net.y], &pass.learned());
        recording.push(mtcmcn::kernels::nn::Axpy::new(len as u32, 1.0), &[own, sums]);
        pass.value(net.y)
    });
    recording.output(y);
    let slots: Vec<(Slot, State)> = parameters.all_learned().iter().map(|learned| (learned.gradient, learned.state.clone())).collect();
    assert!(slots.iter().all(|(_, state)| !frozen(&state.tensors[0].name)));
    let ranges: Vec<_> =
        slots.iter().map(|(slot, state)| (recording.slots()[slot.index()].range.expect("a range").1, state.clone())).collect();
    let mut session = engine.load(recording).expect("it loads");
    session.set(tensors).expect("they fit");
    let (pictures, weights) = (noise((N * C * SIDE * SIDE) as usize, 50), noise(2 * N as usize, 51));
    let mut loss = 0.0;
    for first in (0..N).step_by(micro as usize) {
        let [from, to] = [first, first + micro].map(|i| i as usize);
        let item = (C * SIDE * SIDE) as usize;
        session.write(x, bytemuck::cast_slice(&pictures[from * item..to * item]));
        session.write(r, bytemuck::cast_slice(&weights[2 * from..2 * to]));
        let flight = session.submit_parts(&[learn]).expect("it plays");
        let y = session.collect(flight).expect("it ends").remove(0).1;
        loss += y.iter().zip(&weights[2 * from..]).map(|(y, r)| f64::from(*y) * f64::from(*r)).sum::<f64>();
    }
    let sums = session.peek(sums).expect("sums");
    let found = ranges.iter().flat_map(|(start, state)| state.unpack(&sums[*start..])).collect();
    let states = session.states().expect("states");
    assert_eq!(states, *tensors, "nothing was updated");
    (loss, found)
}

/// Checks that gradients with skips, a shared tensor and a frozen trunk agree with finite differences, for
/// any micro-batch.
pub fn check_made_up(engine: &Engine) {
    let tensors = made_up_tensors();
    // An unscaled gradient can be checked by differences of the loss; a reversed gradient is checked against
    // it.
    let plain = ScaleLayer { forward: 1.0, backward: 1.0 };
    let (_, whole) = gradients(engine, &tensors, N, plain);
    assert!(!whole.contains_key("frozen.weight"));
    let h = 0.02;
    for (name, gradient) in &whole {
        for i in [0, gradient.data.len() / 2, gradient.data.len() - 1] {
            let [more, less] = [h, -h].map(|h| {
                let mut moved = tensors.clone();
                moved.get_mut(name).expect("it is there").data[i] += h;
                gradients(&Engine::twin(), &moved, N, plain).0
            });
            let want = (more - less) / f64::from(2.0 * h);
            // The error covers losses of a few units, rounded to f32, over 2 h; and the third derivative of
            // sigmoids, below h² / 6.
            let within = (f64::from(gradient.data[i]) - want).abs() <= 1e-3 * (1.0 + want.abs());
            assert!(within, "{name}[{i}] on {}: {} where differences say {want}", engine.name(), gradient.data[i]);
        }
    }
    for micro in [1, 2] {
        let (_, cut) = gradients(engine, &tensors, micro, plain);
        for (name, want) in &whole {
            close(&format!("gradient of {name} in micro-batches of {micro} on {}", engine.name()), &cut[name].data, &want.data);
        }
        assert_eq!(gradients(engine, &tensors, micro, plain).1, cut, "the same cut gives the same bits");
    }
    let (_, reversed) = gradients(engine, &tensors, N, ScaleLayer::REVERSE);
    let (head, shared) = ("head.weight", "shared.weight");
    assert_eq!(reversed[head], whole[head], "behind the reversal nothing changes");
    assert_ne!(reversed[shared], whole[shared]);
}

/// Adds a residual connection and squeeze-and-excitation to blocks of the cascade.
fn excited(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    let a = b.conv(x, "conv1", 3, 8)?;
    let c = b.conv(a, "conv2", 1, 8)?;
    let sum = b.graph.add(AddLayer, &[a, c])?;
    let means = b.graph.add(MeanPoolLayer(PoolWindows::Adaptive { bins: 1 }), &[sum])?;
    let gate = b.graph.add(ActivationLayer::Sigmoid, &[means])?;
    let y = b.graph.add(MultiplyLayer { over: Broadcast::Channels }, &[sum, gate])?;
    // This PReLU has a tensor of its own and cannot be fused into a convolution.
    let slope = b.graph.tensor(State::plain("excited.last.slope", [8]), Initial::Constant(0.25))?;
    let y = b.graph.add(PreluLayer, &[y, slope])?;
    b.dense(y, "fc3", 16)
}

const EXCITED: Net = Net { name: "excited", side: 7, activation: Nonlinearity::PRelu, trunk: excited, heads: &[("class", 2)] };

/// Checks that a graph fused for inference gives the same result as a pass over it.
pub fn check_fused(engine: &Engine) {
    let (n, weights) = (3, EXCITED.noise_weights().expect("a valid net"));
    let shape = Shape::new([n, 3, EXCITED.side, EXCITED.side]).expect("a shape");
    let picture = noise(shape.elements() as usize, 60);
    let mut recording = Recording::new();
    let x = recording.input("x", picture.len());
    let fused = Fused::whole(EXCITED, &mut recording, &weights, engine.facts()).expect("the weights fit");
    let (fused_y, _) = fused.record(&mut recording, x, &shape).expect("it fits");
    let net = EXCITED.graph(n, 0.0).expect("a valid net");
    let parameters = Parameters::states(&mut recording, [&net.graph], |_| true);
    let mut pass = Pass::new(&net.graph, &parameters, engine.facts(), None);
    pass.bind(net.input, x);
    pass.forward(&mut recording, &[net.output]);
    let y = pass.value(net.output);
    recording.output(y);
    recording.output(fused_y);
    let mut session = engine.load(recording).expect("it loads");
    session.set(weights.tensors()).expect("they fit");
    session.write(x, bytemuck::cast_slice(&picture));
    session.play().expect("it plays");
    let (got, want) = (session.peek(fused_y).expect("y"), session.peek(y).expect("y"));
    assert!(want.iter().any(|value| *value != 0.0));
    close(&format!("the fused net on {}", engine.name()), &got[..want.len()], &want);
}
