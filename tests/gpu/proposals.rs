//! Inputs of R-Net and O-Net, as found by an adapter and by the CPU engine.

use mtcmcn::cascade::{Depth, Proposals, Proposer};
use mtcmcn::doctor::{noise_frame, noise_weights};
use mtcmcn::{Config, Engine};

use crate::engine;

fn proposals(engine: Engine, depth: Depth) -> Proposals {
    let mut config = Config::default();
    config.thresholds = [0.5, 0.4, 0.0];
    let mut proposer = Proposer::new(engine, &noise_weights(), config, depth).expect("settings and weights are fine");
    let found = proposer.propose(&noise_frame()).expect("it searches");
    assert_eq!(proposer.propose(&noise_frame()).expect("it searches again"), found);
    found
}

/// Compares scores within the accumulated rounding of three nets; corners are truncated afterwards, so they
/// may differ by a pixel.
fn alike(got: &Proposals, want: &Proposals) -> bool {
    let near = |(a, score): &(mtcmcn::geometry::BoundingBox, f32), (b, other): &(mtcmcn::geometry::BoundingBox, f32)| {
        let edges = [(a.x1, b.x1), (a.y1, b.y1), (a.x2, b.x2), (a.y2, b.y2)];
        edges.iter().all(|(a, b)| (a - b).abs() <= 1.0) && (score - other).abs() <= 1e-4
    };
    got.boxes.len() == want.boxes.len() && got.boxes.iter().zip(&want.boxes).all(|(got, want)| near(got, want))
}

#[test]
fn an_adapter_proposes_what_the_cpu_engine_does() {
    for depth in [Depth::Pnet, Depth::Rnet] {
        let (got, want) = (proposals(engine(), depth), proposals(Engine::cpu(), depth));
        assert!(want.boxes.len() > 5, "{} boxes are too few to compare", want.boxes.len());
        assert!(alike(&got, &want) && got.truncated == want.truncated, "{depth:?}: {got:?}, want {want:?}");
        let mut other = want.clone();
        other.boxes[0].0.x1 += 2.0;
        assert!(!alike(&got, &other), "a box that is elsewhere is not seen");
    }
}
