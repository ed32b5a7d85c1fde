//! The decomposition and the heads of recognisers on any engine against `tests/fixtures/golden_heads.json`,
//! which `tools/golden_heads.py` writes.

use std::collections::BTreeMap;

use mtcmcn::Engine;
use mtcmcn::kernels::nn::Axpy;
use mtcmcn::kernels::train::{Clear, Status};
use mtcmcn::nets::layer::Statistics;
use mtcmcn::nets::{Graph, NodeId, Parameters, Pass, attention, heads};
use mtcmcn::record::{Recording, Slot};
use mtcmcn::tensor::{Shape, Tensor};
use serde_json::Value;

/// How many times the difference of the same computation in float32 a result may be off: sums in another
/// order.
const TIMES: f64 = 30.0;
/// Smallest difference in float32 that is taken for typical: some results happen to be nearly exact.
const LEAST: f64 = 3e-7;

/// Returns numbers from `low` to `high` that follow from `name`: `SplitMix64`, seeded with its FNV-1a hash.
pub fn fill(name: &str, len: usize, low: f64, high: f64) -> Vec<f32> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let number = |k: u64| {
        let z = seed.wrapping_add(k.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (low + (high - low) * ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)) as f32
    };
    (1..=len as u64).map(number).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn sizes(value: &Value) -> Vec<usize> {
    numbers(&value["shape"]).into_iter().map(|size| size as usize).collect()
}

/// Describes where `got` differs from a digest: its length, its weighted sum, or an element.
fn difference(got: &[f32], want: &Value) -> Option<String> {
    let number = |key: &str| want[key].as_f64().expect("a number");
    let wide: Vec<f64> = got.iter().map(|value| f64::from(*value)).collect();
    let tolerance = TIMES * number("f32").max(LEAST) * number("length");
    let length = wide.iter().map(|value| value * value).sum::<f64>().sqrt();
    let probe: f64 = wide.iter().zip(fill("probe", got.len(), -1.0, 1.0)).map(|(value, weight)| value * f64::from(weight)).sum();
    let apart = |got: f64, want: f64, tolerance: f64| {
        let within = (got - want).abs() <= tolerance;
        !within
    };
    if apart(length, number("length"), tolerance) {
        return Some(format!("length {length}, should be {}", number("length")));
    }
    if apart(probe, number("probe"), tolerance * (got.len() as f64).sqrt()) {
        return Some(format!("weighted sum {probe}, should be {}", number("probe")));
    }
    let at = numbers(&want["at"]).into_iter().map(|at| at as usize);
    let mut elements = at.zip(numbers(&want["values"]));
    elements
        .find(|(at, want)| apart(wide[*at], *want, tolerance))
        .map(|(at, want)| format!("element {at} is {}, should be {want}", got[at]))
}

/// A case as a graph.
struct Built {
    graph: Graph,
    x: NodeId,
    dropout: Option<NodeId>,
    results: Vec<(&'static str, NodeId)>,
}

fn build(case: &Value, shape: &Shape, statistics: Statistics) -> Built {
    let mut g = Graph::new();
    let x = g.input("x", shape.clone());
    let dropped = statistics == Statistics::Batch && case["mask"].is_string();
    let dropout = dropped.then(|| g.input("dropout", shape.clone()));
    let results = match case["case"].as_str().expect("a name") {
        "afd" => {
            let parts = attention::decompose(&mut g, "afd", x, statistics).expect("it fits");
            vec![("x_id", parts.identity), ("x_age", parts.age)]
        }
        "id" => vec![("f", heads::identity(&mut g, "id", x, 32, dropout, statistics).expect("it fits"))],
        _ => {
            let logits = heads::age(&mut g, "age", x, 32, statistics).expect("it fits");
            vec![("z", logits.years), ("g", logits.groups)]
        }
    };
    Built { graph: g, x, dropout, results }
}

/// Returns the gradient from outside for the result `key`.
fn upstream(case: &Value, key: &str, len: usize) -> Vec<f32> {
    match &case["upstream"][key] {
        Value::String(name) => fill(name, len, -1.0, 1.0),
        given => numbers(&given["values"]).into_iter().map(|value| value as f32).collect(),
    }
}

fn check_case(engine: &Engine, case: &Value) {
    let name = case["case"].as_str().expect("a name");
    let what = |part: &str| format!("{part} of {name} on {}", engine.name());
    let dims = sizes(&case["x"]);
    let shape = Shape::new([dims[0], dims[1], dims[2], dims[3]].map(|size| size as u32)).expect("a shape");
    let len = shape.elements() as usize;
    let (learning, judging) = (build(case, &shape, Statistics::Batch), build(case, &shape, Statistics::Running));
    let mut r = Recording::new();
    let [x, factors, dx] = ["x", "dropout", "dx"].map(|label| r.slot(label, len));
    let status = r.slot("status", Status::WORDS);
    let parameters = Parameters::states(&mut r, [&learning.graph, &judging.graph], |_| true);
    let [_, gradients] = parameters.arenas().expect("something learns");
    let mut given: Vec<(Slot, Vec<f32>)> = vec![(x, fill(&format!("{name}.x"), len, -1.0, 1.0))];
    if let Some(mask) = case["mask"].as_str() {
        given.push((factors, fill(mask, len, 0.0, 1.0).iter().map(|share| if *share < 0.5 { 0.0 } else { 2.0 }).collect()));
    }
    let part = r.begin("learn");
    let mut pass = Pass::new(&learning.graph, &parameters, engine.facts(), None);
    pass.bind(learning.x, x);
    learning.dropout.iter().for_each(|id| pass.bind(*id, factors));
    let ends: Vec<NodeId> = learning.results.iter().map(|(_, id)| *id).collect();
    pass.forward(&mut r, &ends);
    parameters.clear(&mut r, gradients, engine.facts());
    for (key, id) in &learning.results {
        let own = learning.graph.node(*id).shape.elements();
        let from = r.slot("upstream", own as usize);
        let gradient = pass.gradient(&mut r, *id);
        r.push(Axpy::new(own, 1.0), &[from, gradient]);
        given.push((from, upstream(case, key, own as usize)));
    }
    let into: Vec<NodeId> = pass.learned().into_iter().chain([learning.x]).collect();
    pass.backward(&mut r, &ends, &into);
    pass.track(&mut r, status);
    let found = pass.gradient(&mut r, learning.x);
    r.push(Clear::new(len as u32), &[dx]);
    r.push(Axpy::new(len as u32, 1.0), &[found, dx]);
    let learned: Vec<(&str, Slot)> = learning.results.iter().map(|(key, id)| (*key, pass.value(*id))).collect();
    let learn = r.end(part);
    let part = r.begin("judge");
    let mut pass = Pass::new(&judging.graph, &parameters, engine.facts(), None);
    pass.bind(judging.x, x);
    pass.forward(&mut r, &judging.results.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    let judged: Vec<(&str, Slot)> = judging.results.iter().map(|(key, id)| (*key, pass.value(*id))).collect();
    let judge = r.end(part);
    learned.iter().chain(&judged).for_each(|(_, slot)| r.output(*slot));

    let mut session = engine.load(r).expect("it loads");
    let tensors = case["parameters"].as_object().expect("parameters").iter().map(|(name, of)| {
        let (shape, [low, high]) = (sizes(of), ["low", "high"].map(|key| of[key].as_f64().expect("a number")));
        (name.clone(), Tensor { data: fill(name, shape.iter().product(), low, high), shape })
    });
    session.set(&tensors.collect::<BTreeMap<_, _>>()).expect("the tensors fit");
    given.iter().for_each(|(slot, data)| session.write(*slot, bytemuck::cast_slice(data)));
    let flight = session.submit_parts(&[learn]).expect("it plays");
    session.collect(flight).expect("it ends");
    for (key, slot) in learned {
        let data = session.peek(slot).expect("a result");
        assert_eq!(difference(&data, &case["results"][key]), None, "{}", what(key));
        if key == "z" {
            let ages: Vec<f32> = data.chunks_exact(heads::AGES as usize).map(|logits| heads::expected_age(logits) as f32).collect();
            assert_eq!(difference(&ages, &case["results"]["expected_age"]), None, "{}", what("expected age"));
        }
    }
    assert_eq!(difference(&session.peek(dx).expect("dx"), &case["gradients"]["x"]), None, "{}", what("dx"));
    let slots: Vec<_> = parameters.all_learned().iter().map(|learned| (learned.gradient, learned.state.clone())).collect();
    for (tensor, gradient) in session.read_as(&slots).expect("gradients") {
        assert_eq!(difference(&gradient.data, &case["gradients"][&tensor]), None, "{}", what(&tensor));
    }
    let states = session.states().expect("states");
    for (tensor, want) in case["running"].as_object().expect("running statistics") {
        assert_eq!(difference(&states[tensor].data, want), None, "{}", what(tensor));
    }
    let flight = session.submit_parts(&[judge]).expect("it plays");
    session.collect(flight).expect("it ends");
    for (key, slot) in judged {
        if let Some(want) = case["results_with_running_statistics"].get(key) {
            assert_eq!(difference(&session.peek(slot).expect("a result"), want), None, "{}", what(key));
        }
    }
}

/// Checks results, gradients and running statistics of every case.
pub fn check(engine: &Engine) {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/golden_heads.json")).expect("the fixture is JSON");
    fixture.as_array().expect("cases").iter().for_each(|case| check_case(engine, case));
}

#[test]
fn a_difference_from_a_digest_is_found() {
    let want = serde_json::json!({ "length": 5.0, "probe": 3.0 * -0.508_836_15 + 4.0 * -0.959_699_27, "at": [0, 1], "values": [3.0, 4.0], "f32": 0.0 });
    assert_eq!(difference(&[3.0, 4.0], &want), None);
    for wrong in [[4.0, 3.0], [3.0, 4.001], [f32::NAN, 4.0], [-3.0, 4.0]] {
        assert!(difference(&wrong, &want).is_some(), "{wrong:?}");
    }
}
