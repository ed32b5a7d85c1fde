//! The residual unit that face recognisers are made of: the "IR" unit of ArcFace's ResNets.

use super::graph::{Graph, NodeId};
use super::layer::{AddLayer, ConvolutionLayer, MeanPoolLayer, NormLayer, PoolWindows, Statistics};
use super::parameter::Initial;
use crate::record::State;
use crate::tensor::ShapeError;

/// Norm - convolution - norm - PReLU - convolution of `stride` - norm, plus a shortcut: every `stride`-th pixel, or if the number of channels
/// changes a 1x1 convolution of `stride` and a norm. No activation after the sum. Tensors are called `<name>.{bn1, conv1, bn2, prelu,
/// conv2, bn3, shortcut, shortcut_bn}`.
///
/// # Errors
///
/// [`ShapeError`] if `x` does not fit.
pub fn unit(g: &mut Graph, name: &str, x: NodeId, out: u32, stride: u32, statistics: Statistics) -> Result<NodeId, ShapeError> {
    let c = g.node(x).shape.c();
    let y = norm(g, &format!("{name}.bn1"), x, None, statistics)?;
    let y = convolution(g, &format!("{name}.conv1"), y, out, 3, 1)?;
    let y = norm(g, &format!("{name}.bn2"), y, Some(&format!("{name}.prelu")), statistics)?;
    let y = convolution(g, &format!("{name}.conv2"), y, out, 3, stride)?;
    let y = norm(g, &format!("{name}.bn3"), y, None, statistics)?;
    let shortcut = match (c == out, stride) {
        (true, 1) => x,
        (true, _) => g.add(MeanPoolLayer(PoolWindows::Sliding { k: 1, stride, padding: 0 }), &[x])?,
        (false, _) => {
            let y = convolution(g, &format!("{name}.shortcut"), x, out, 1, stride)?;
            norm(g, &format!("{name}.shortcut_bn"), y, None, statistics)?
        }
    };
    g.add(AddLayer, &[y, shortcut])
}

/// A `k x k` convolution without bias, padded so that `stride` 1 keeps the size.
fn convolution(g: &mut Graph, name: &str, x: NodeId, out: u32, k: u32, stride: u32) -> Result<NodeId, ShapeError> {
    let shape = [out, g.node(x).shape.c(), k, k].map(|size| size as usize);
    let weight = g.tensor(State::plain(format!("{name}.weight"), shape), Initial::Weight { slope: None })?;
    g.add(ConvolutionLayer { stride, padding: k / 2, groups: 1 }, &[x, weight])
}

/// Batch norm, with a PReLU of that name behind it.
fn norm(g: &mut Graph, name: &str, x: NodeId, prelu: Option<&str>, statistics: Statistics) -> Result<NodeId, ShapeError> {
    let c = g.node(x).shape.c() as usize;
    let mut tensor = |name: String, start: Initial| g.tensor(State::plain(name, [c]), start);
    let mut inputs = vec![
        x,
        tensor(format!("{name}.running_mean"), Initial::Running(0.0))?,
        tensor(format!("{name}.running_var"), Initial::Running(1.0))?,
        tensor(format!("{name}.weight"), Initial::Constant(1.0))?,
        tensor(format!("{name}.bias"), Initial::Constant(0.0))?,
    ];
    if let Some(prelu) = prelu {
        inputs.push(tensor(format!("{prelu}.weight"), Initial::Constant(0.25))?);
    }
    g.add(NormLayer::new(statistics), &inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    /// Shape of a batch of `n` pictures of `side` pixels.
    fn pictures(n: u32, c: u32, side: u32) -> Shape {
        Shape::new([n, c, side, side]).expect("a valid shape")
    }

    /// Parameters of a unit by the specification: `2i + 9 i d + 2d + d + 9 d² + 2d`, and `i d + 2d` of a shortcut.
    #[test]
    fn a_unit_has_the_parameters_and_the_shape_of_the_specification() {
        for (i, d, stride) in [(4, 4, 1), (4, 4, 2), (4, 8, 2)] {
            let mut g = Graph::new();
            let x = g.input("x", pictures(2, i, 6));
            let y = unit(&mut g, "u", x, d, stride, Statistics::Batch).unwrap();
            assert_eq!(g.node(y).shape, pictures(2, d, 6 / stride));
            let learned = g.parameters().filter(|(_, parameter)| parameter.can_learn());
            let count: usize = learned.map(|(_, parameter)| parameter.state.len()).sum();
            let shortcut = if i == d { 0 } else { i * d + 2 * d };
            assert_eq!(count as u32, 2 * i + 9 * i * d + 3 * d + 9 * d * d + 2 * d + shortcut);
        }
    }
}
