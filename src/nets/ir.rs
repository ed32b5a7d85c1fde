//! The residual unit of face recognisers, the "IR" unit of ArcFace's ResNets, and the encoders made of it
//! (section 2 of the recognition reference).

use super::graph::{Graph, NodeId};
use super::layer::{AddLayer, ConvolutionLayer, MeanPoolLayer, NormLayer, PoolWindows, Statistics};
use super::parameter::Initial;
use crate::record::State;
use crate::tensor::ShapeError;

/// Adds a residual unit: norm, convolution, norm, PReLU, convolution with `stride`, norm, plus a shortcut.
/// The shortcut takes every `stride`-th pixel or, if the number of channels changes, a 1x1 convolution with
/// `stride` and a norm. There is no activation after the sum. Tensors are called
/// `<name>.{bn1, conv1, bn2, prelu, conv2, bn3, shortcut, shortcut_bn}`.
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

/// Adds a `k x k` convolution without bias, padded so that `stride` 1 keeps the size.
pub(super) fn convolution(g: &mut Graph, name: &str, x: NodeId, out: u32, k: u32, stride: u32) -> Result<NodeId, ShapeError> {
    let shape = [out, g.node(x).shape.c(), k, k].map(|size| size as usize);
    let weight = g.tensor(State::plain(format!("{name}.weight"), shape), Initial::Weight { slope: None })?;
    g.add(ConvolutionLayer { stride, padding: k / 2, groups: 1 }, &[x, weight])
}

/// Adds a batch norm, followed by a PReLU named `prelu` if there is one.
fn norm(g: &mut Graph, name: &str, x: NodeId, prelu: Option<&str>, statistics: Statistics) -> Result<NodeId, ShapeError> {
    normalized(g, name, x, prelu, NormLayer::new(statistics))
}

/// Adds the batch norm `layer` with tensors called `name`, followed by a PReLU named `prelu` if there is one.
pub(super) fn normalized(g: &mut Graph, name: &str, x: NodeId, prelu: Option<&str>, layer: NormLayer) -> Result<NodeId, ShapeError> {
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
    g.add(layer, &inputs)
}

/// Sizes of an encoder: a stem (3 x 3 convolution, norm, PReLU) and four blocks of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoder {
    /// Number of channels of the stem.
    pub stem: u32,
    /// Stride of the stem.
    pub stem_stride: u32,
    /// Number of channels of each block.
    pub widths: [u32; 4],
    /// Number of units of each block.
    pub units: [u32; 4],
    /// Stride of the first unit of each block.
    pub strides: [u32; 4],
}

impl Encoder {
    const fn of_units(units: [u32; 4]) -> Self {
        Self { stem: 64, stem_stride: 1, widths: [64, 128, 256, 512], units, strides: [2; 4] }
    }

    /// IR-18.
    pub const IR18: Self = Self::of_units([2, 2, 2, 2]);
    /// IR-34.
    pub const IR34: Self = Self::of_units([3, 4, 6, 3]);
    /// IR-50, the encoder of the recognition reference, which has 24 units.
    pub const IR50: Self = Self::of_units([3, 4, 14, 3]);
    /// IR-64.
    pub const IR64: Self = Self::of_units([3, 4, 10, 3]);
    /// IR-101.
    pub const IR101: Self = Self::of_units([3, 13, 30, 3]);
    /// A small encoder of a quarter of the width, whose stem halves the picture.
    pub const LITE: Self = Self { stem: 16, stem_stride: 2, widths: [16, 32, 64, 128], units: [1, 2, 4, 1], strides: [1, 2, 2, 2] };

    /// Returns the encoder with all widths divided by `by`.
    #[must_use]
    pub const fn narrowed(self, by: u32) -> Self {
        let [a, b, c, d] = self.widths;
        Self { stem: self.stem / by, widths: [a / by, b / by, c / by, d / by], ..self }
    }

    /// Adds the encoder over the picture `x`; returns the results of the stem and of the four blocks. Tensors
    /// are called `stem.{conv, bn, prelu}` and `block<1 to 4>.<unit>`, as [`unit()`] says.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a width is 0 or `x` is too large to index.
    pub fn add(&self, g: &mut Graph, x: NodeId, statistics: Statistics) -> Result<[NodeId; 5], ShapeError> {
        let y = convolution(g, "stem.conv", x, self.stem, 3, self.stem_stride)?;
        let mut results = [norm(g, "stem.bn", y, Some("stem.prelu"), statistics)?; 5];
        for block in 0..4 {
            let mut y = results[block];
            for number in 0..self.units[block] {
                let stride = if number == 0 { self.strides[block] } else { 1 };
                y = unit(g, &format!("block{}.{number}", block + 1), y, self.widths[block], stride, statistics)?;
            }
            results[block + 1] = y;
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    /// Returns the shape of a batch of `n` images of `c` channels and `side x side` pixels.
    fn pictures(n: u32, c: u32, side: u32) -> Shape {
        Shape::new([n, c, side, side]).expect("a valid shape")
    }

    /// Number of parameters of a unit by the specification: `2i + 9 i d + 2d + d + 9 d² + 2d`, and `i d + 2d`
    /// for a shortcut.
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

    /// Returns the number of parameters of an encoder, and the shapes of its results for one picture.
    fn counted(encoder: Encoder) -> (usize, Vec<[u32; 2]>) {
        let mut g = Graph::new();
        let x = g.input("x", pictures(1, 3, 112));
        let results = encoder.add(&mut g, x, Statistics::Running).unwrap();
        let learned = g.parameters().filter(|(_, parameter)| parameter.can_learn());
        let count = learned.map(|(_, parameter)| parameter.state.len()).sum();
        (count, results.iter().map(|id| [g.node(*id).shape.c(), g.node(*id).shape.levels()[0].h]).collect())
    }

    #[test]
    fn encoders_have_the_sizes_of_the_specification() {
        let (ir50, shapes) = counted(Encoder::IR50);
        assert_eq!(ir50, 1_920 + 222_528 + 1_117_824 + 16_278_272 + 13_118_464);
        assert_eq!(shapes, [[64, 112], [64, 56], [128, 28], [256, 14], [512, 7]]);
        assert_eq!(counted(Encoder::LITE).1, [[16, 56], [16, 56], [32, 28], [64, 14], [128, 7]]);
        assert_eq!(counted(Encoder::IR101.narrowed(16)).1, [[4, 112], [4, 56], [8, 28], [16, 14], [32, 7]]);
    }
}
