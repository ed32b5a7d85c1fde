//! Gradients with the public weights: the golden numbers of spec section 2.5.

use mtcmcn::nets::{ONET, PNET, RNET};

use super::{backward, engine, weights};

/// Net, losses, norms of the gradients of weights, of slopes, and of the first bias.
type Row = (mtcmcn::nets::Net, &'static [f64], &'static [(&'static str, f64)]);

const ROWS: [Row; 3] = [
    (
        PNET,
        &[2.3124135, 0.0990641],
        &[
            ("conv1.weight", 1.147523),
            ("conv2.weight", 5.172515),
            ("conv3.weight", 15.010305),
            ("class.weight", 9.623058),
            ("box.weight", 4.338960),
            ("conv1.slope", 0.448996),
            ("conv2.slope", 10.751088),
            ("conv3.slope", 6.356255),
            ("conv1.bias", 0.468528),
        ],
    ),
    (
        RNET,
        &[3.7866531, 0.0343980],
        &[
            ("conv1.weight", 10.519219),
            ("conv2.weight", 46.693821),
            ("conv3.weight", 38.477700),
            ("fc4.weight", 23.897608),
            ("class.weight", 2.360198),
            ("box.weight", 0.553515),
            ("conv1.slope", 0.436986),
            ("conv2.slope", 8.970680),
            ("conv3.slope", 2.208353),
            ("fc4.slope", 1.644792),
            ("conv1.bias", 3.513609),
        ],
    ),
    (
        ONET,
        &[3.7259977, 0.0612565, 0.4965520],
        &[
            ("conv1.weight", 14.754352),
            ("conv2.weight", 38.124791),
            ("conv3.weight", 57.841872),
            ("conv4.weight", 51.476952),
            ("fc5.weight", 22.031203),
            ("class.weight", 1.798996),
            ("box.weight", 0.571527),
            ("landmarks.weight", 3.309063),
            ("conv1.slope", 2.853318),
            ("conv2.slope", 6.543825),
            ("conv3.slope", 2.404893),
            ("conv4.slope", 3.611664),
            ("fc5.slope", 0.298421),
            ("conv1.bias", 5.861632),
        ],
    ),
];

#[test]
fn losses_and_gradient_norms_are_the_golden_ones_on_every_engine() {
    for name in ["twin", "cpu", "software", "gl"] {
        let engine = engine(name);
        for (net, losses, norms) in ROWS {
            let got = backward::gradients(&engine, net, weights());
            assert_eq!(got.losses.len(), losses.len());
            for (got, want) in got.losses.iter().zip(losses) {
                backward::close(&format!("a loss of {} on {name}", net.name), *got, *want);
            }
            for (tensor, want) in norms {
                backward::close(&format!("{}.{tensor} on {name}", net.name), got.norms[&format!("{}.{tensor}", net.name)], *want);
            }
        }
    }
}
