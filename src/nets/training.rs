//! A net's training pass: every layer's forward recording with its backward one beside it. Gradients are named after what they belong to,
//! with a `d` before it, and accumulate: [`Training::clear`] comes first in every step.

use super::layer::{Layer, Net, NetError};
use super::packed::Packed;
use crate::kernels::nn::{
    Conv, ConvBackwardInput, ConvBackwardWeight, ConvFlip, Dense, DenseBackwardInput, DenseBackwardWeight, Dropout, Lrn, LrnBackward,
    Prelu, PreluBackward, PreluPool, PreluPoolBackward,
};
use crate::kernels::train::{Clear, Reduce};
use crate::record::{Recording, Slot};
use crate::tensor::Shape;
use crate::weights::Weights;

/// Values with their gradient.
#[derive(Debug, Clone, Copy)]
struct Pair {
    value: Slot,
    d: Slot,
    len: u32,
}

impl Pair {
    fn new(recording: &mut Recording, label: &str, len: u32) -> Self {
        let mut slot = |label: String| recording.slot(label, len as usize);
        Self { value: slot(label.to_owned()), d: slot(format!("d{label}")), len }
    }
}

/// What an optimizer updates: one packed tensor of one layer.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Such as `onet.conv1.weight`; the joined heads are `onet.heads.weight`.
    pub label: String,
    /// Packed as the layer's kernel reads it. Written by the host before the first step.
    pub value: Slot,
    /// Its gradient, packed alike; zero in the padding.
    pub gradient: Slot,
    /// Elements.
    pub len: u32,
    /// It is a kernel or matrix, which weight decay applies to, not a bias or slope.
    pub is_weight: bool,
}

/// One layer as it was recorded.
#[derive(Debug)]
enum Taped {
    /// `z` is what comes before the activation, of shape `out`; of `linear` heads it is `y`. `y` is pooled if the next layer says so.
    Conv {
        x: Pair,
        shape: Shape,
        k: u32,
        z: Pair,
        y: Pair,
        out: Shape,
        parameters: [Pair; 3],
        linear: bool,
        pooled: Option<(u32, Shape)>,
    },
    /// Likewise, with dropout between `z` and the activation.
    Dense {
        x: Pair,
        shape: Shape,
        z: Pair,
        y: Pair,
        out: Shape,
        parameters: [Pair; 3],
        linear: bool,
        dropout: Option<Dropout>,
    },
    /// Pooling apart from a convolution: that of PReLU with slopes of `ones`. The gradient of `x` is written, not added to.
    Pool {
        x: Pair,
        y: Pair,
        from: Shape,
        to: Shape,
        k: u32,
        ones: Slot,
    },
    Lrn {
        x: Pair,
        y: Pair,
        shape: Shape,
    },
}

/// A training pass over a batch of fixed size: slots and tape.
#[derive(Debug)]
pub struct Training {
    pub(super) net: Net,
    tape: Vec<Taped>,
    pub(super) packed: Vec<Option<Packed>>,
    pub(super) parameters: Vec<Parameter>,
    /// Everything that gradients are added up in.
    gradients: Vec<Pair>,
    output: Pair,
    schedule: Slot,
    scratch: Scratch,
}

/// Memory that every layer uses in turn.
#[derive(Debug, Clone, Copy)]
struct Scratch {
    weight: Slot,
    bias: Slot,
    slope: Slot,
    flipped: Slot,
    /// Gradients of what is not learned.
    unread: Slot,
}

impl Net {
    /// Appends the forward pass over `x`, a batch of `n` crops `[n, 3, side, side]`, keeping what the backward pass needs. `dropout` is the
    /// share dropped after the fully connected layer, by the step and seed in `schedule`; 0 for none.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite; [`NetError::Shape`] if the batch is too large to index;
    /// [`NetError::Branch`] for a net that has one.
    pub fn training(
        self,
        recording: &mut Recording,
        weights: &Weights,
        x: Slot,
        n: u32,
        dropout: f64,
        schedule: Slot,
    ) -> Result<Training, NetError> {
        if self.branch.is_some() {
            return Err(NetError::Branch { net: self.name });
        }
        let mut shape = Shape::new([n, 3, self.side, self.side])?;
        let scratch =
            ["weight", "bias", "slope", "flipped", "unread"].map(|part| recording.slot(format!("{}.scratch.{part}", self.name), 1));
        let [weight, bias, slope, flipped, unread] = scratch;
        let input = Pair { value: x, d: x, len: shape.elements() };
        let mut training = Training {
            net: self,
            tape: Vec::new(),
            packed: Vec::new(),
            parameters: Vec::new(),
            gradients: Vec::new(),
            output: input,
            schedule,
            scratch: Scratch { weight, bias, slope, flipped, unread },
        };
        for i in 0..self.layers.len() {
            shape = training.forward(recording, weights, i, &shape, dropout)?;
        }
        Ok(training)
    }
}

impl Training {
    /// Outputs `[n, outputs]` and their gradient, which the losses add to.
    pub fn output(&self) -> (Slot, Slot) {
        (self.output.value, self.output.d)
    }

    /// Outputs of an item.
    pub fn outputs(&self) -> u32 {
        self.net.outputs()
    }

    /// What an optimizer updates.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Appends the clearing of every gradient.
    pub fn clear(&self, recording: &mut Recording) {
        for gradient in &self.gradients {
            recording.push(Clear::new(gradient.len), &[gradient.d]);
        }
    }

    /// Appends the backward pass, last layer first, for a device of `width` ([`DeviceFacts::parallelism`](crate::record::DeviceFacts::parallelism)). The input's own
    /// gradient is not computed.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] never, for a pass that was recorded forward.
    pub fn backward(&self, recording: &mut Recording, width: u32) -> Result<(), NetError> {
        for (i, taped) in self.tape.iter().enumerate().rev() {
            taped.backward(recording, self, width, i == 0)?;
        }
        Ok(())
    }

    /// Values whose gradient is added up.
    fn pair(&mut self, recording: &mut Recording, label: &str, len: u32) -> Pair {
        let pair = Pair::new(recording, label, len);
        self.gradients.push(pair);
        pair
    }

    /// Slots of a layer's weight, bias and slope. Linear heads have no slope, and nothing looks at the third pair; ReLU's slopes are zeros, and
    /// nothing looks at their gradient.
    fn tensors(&mut self, recording: &mut Recording, packed: &Packed) -> [Pair; 3] {
        let trained: Vec<(String, u32)> = packed.parts(self.net.name).map(|(label, data)| (label, data.len() as u32)).collect();
        let mut pairs: Vec<Pair> = Vec::new();
        for (label, len) in trained {
            let pair = self.pair(recording, &label, len);
            let is_weight = pairs.is_empty();
            self.parameters.push(Parameter { label, value: pair.value, gradient: pair.d, len, is_weight });
            pairs.push(pair);
        }
        let slope = match pairs.get(2) {
            Some(slope) => *slope,
            None if !packed.heads.is_empty() => pairs[1],
            None => {
                recording.grow(self.scratch.unread, packed.slope.len());
                Pair { value: recording.table("zeros", vec![0; packed.slope.len()]), d: self.scratch.unread, len: pairs[1].len }
            }
        };
        [pairs[0], pairs[1], slope]
    }

    /// Layer `i` forward; returns the shape of its result.
    fn forward(&mut self, recording: &mut Recording, weights: &Weights, i: usize, shape: &Shape, dropout: f64) -> Result<Shape, NetError> {
        let layer = self.net.layers[i];
        let out = layer.output(shape)?;
        let packed = self.net.packed(i, &shape.with(1, shape.c())?, weights)?;
        let taped = match &packed {
            None if matches!((layer, self.tape.last()), (Layer::MaxPool { .. }, Some(Taped::Conv { pooled: Some(_), .. }))) => {
                self.packed.push(None);
                return Ok(out);
            }
            None => self.plain(recording, i, shape)?,
            Some(packed) if packed.dense => self.dense(recording, packed, i, shape, dropout)?,
            Some(packed) => self.conv(recording, packed, i, shape)?,
        };
        self.tape.push(taped);
        self.packed.push(packed);
        Ok(out)
    }

    fn dense(&mut self, recording: &mut Recording, packed: &Packed, i: usize, shape: &Shape, dropout: f64) -> Result<Taped, NetError> {
        let (layer, x, label) = (self.net.layers[i], self.output, format!("{}.{i}", self.net.name));
        let (out, linear) = (layer.output(shape)?, matches!(layer, Layer::Heads(_)));
        let parameters = self.tensors(recording, packed);
        let [weight, bias, slope] = parameters.map(|pair| pair.value);
        let y = self.pair(recording, &label, out.elements());
        let z = if linear { y } else { self.pair(recording, &format!("{label}.z"), out.elements()) };
        let ones = ones(recording, parameters[1].len);
        recording.push(Dense::new(shape.n(), shape.item(), out.c()), &[x.value, weight, bias, ones, z.value]);
        let dropout = (dropout > 0.0 && !linear).then(|| Dropout::new(out.elements(), dropout));
        if let Some(dropout) = dropout {
            recording.push(dropout, &[self.schedule, z.value]);
        }
        if !linear {
            recording.push(Prelu::new(&out), &[z.value, slope, y.value]);
        }
        self.output = y;
        Ok(Taped::Dense { x, shape: shape.clone(), z, y, out, parameters, linear, dropout })
    }

    /// Pooling by itself, or normalization.
    fn plain(&mut self, recording: &mut Recording, i: usize, shape: &Shape) -> Result<Taped, NetError> {
        let (layer, x, label) = (self.net.layers[i], self.output, format!("{}.{i}", self.net.name));
        let y = self.pair(recording, &label, layer.output(shape)?.elements());
        self.output = y;
        let Layer::MaxPool { k, .. } = layer else {
            recording.push(Lrn::new(shape), &[x.value, y.value]);
            return Ok(Taped::Lrn { x, y, shape: shape.clone() });
        };
        let (kernel, to) = PreluPool::new(shape, k)?;
        let ones = ones(recording, shape.c());
        recording.push(kernel, &[x.value, ones, y.value]);
        Ok(Taped::Pool { x, y, from: shape.clone(), to, k, ones })
    }

    /// A convolution, with the pooling behind it.
    fn conv(&mut self, recording: &mut Recording, packed: &Packed, i: usize, shape: &Shape) -> Result<Taped, NetError> {
        let (layer, x, label) = (self.net.layers[i], self.output, format!("{}.{i}", self.net.name));
        let (out, linear) = (layer.output(shape)?, matches!(layer, Layer::Heads(_)));
        let parameters = self.tensors(recording, packed);
        let [weight, bias, slope] = parameters.map(|pair| pair.value);
        let k = if let Layer::Conv { k, .. } = layer { k } else { 1 };
        let pool = match self.net.layers.get(i + 1) {
            Some(&Layer::MaxPool { k, stride: 2 }) => Some(PreluPool::new(&out, k)?),
            _ => None,
        };
        let y = self.pair(recording, &label, pool.as_ref().map_or(out.elements(), |(_, pooled)| pooled.elements()));
        let z = match &pool {
            _ if linear => y,
            // Its gradient is written, not added to.
            Some(_) => Pair::new(recording, &format!("{label}.z"), out.elements()),
            None => self.pair(recording, &format!("{label}.z"), out.elements()),
        };
        let (kernel, table, _) = Conv::new(shape, out.c(), k)?;
        let (ones, levels) = (ones(recording, parameters[1].len), recording.table("levels", table));
        recording.push(kernel, &[x.value, weight, bias, ones, levels, z.value]);
        let mut pooled = None;
        if let Some((kernel, shape)) = pool {
            recording.push(kernel, &[z.value, slope, y.value]);
            pooled = Some((kernel.side(), shape));
        } else if !linear {
            recording.push(Prelu::new(&out), &[z.value, slope, y.value]);
        }
        self.output = y;
        Ok(Taped::Conv { x, shape: shape.clone(), k, z, y, out, parameters, linear, pooled })
    }
}

/// Slopes that make a layer's kernel linear: the activation is a step of its own.
fn ones(recording: &mut Recording, len: u32) -> Slot {
    recording.table("linear", vec![1.0_f32.to_bits(); len as usize])
}

impl Taped {
    /// The same layer backward: from the gradient of its result to those of its parameters and, unless it is the `first`, of its input.
    fn backward(&self, recording: &mut Recording, training: &Training, width: u32, first: bool) -> Result<(), NetError> {
        match self {
            Self::Lrn { x, y, shape } => recording.push(LrnBackward::new(shape), &[x.value, y.d, x.d]),
            Self::Pool { x, y, from, to, k, ones } => {
                let kernel = PreluPoolBackward::new(from, to, *k, width);
                recording.grow(training.scratch.slope, (from.c() * kernel.slabs()) as usize);
                recording.push(kernel, &[x.value, *ones, y.d, x.d, training.scratch.slope]);
            }
            Self::Dense { x, shape, z, y, out, parameters: [weight, bias, slope], linear, dropout } => {
                if !linear {
                    prelu_backward(recording, training.scratch, out, *z, *y, *slope);
                }
                if let Some(dropout) = dropout {
                    recording.push(*dropout, &[training.schedule, z.d]);
                }
                let (n, inputs) = (shape.n(), shape.item());
                recording.push(DenseBackwardWeight::new(n, inputs, out.c()), &[x.value, z.d, weight.d, bias.d]);
                if !first {
                    recording.push(DenseBackwardInput::new(n, inputs, out.c()), &[z.d, weight.value, x.d]);
                }
            }
            Self::Conv { x, shape, k, z, y, out, parameters: [weight, bias, slope], linear, pooled } => {
                let scratch = training.scratch;
                if let Some((side, to)) = pooled {
                    let kernel = PreluPoolBackward::new(out, to, *side, width);
                    recording.grow(scratch.slope, (out.c() * kernel.slabs()) as usize);
                    recording.push(kernel, &[z.value, slope.value, y.d, z.d, scratch.slope]);
                    recording.push(Reduce::slabs_first(kernel.slabs(), out.c()), &[scratch.slope, slope.d]);
                } else if !linear {
                    prelu_backward(recording, scratch, out, *z, *y, *slope);
                }
                let kernel = ConvBackwardWeight::new(shape.c(), out, *k, width);
                for (pair, slot) in [(weight, scratch.weight), (bias, scratch.bias)] {
                    recording.grow(slot, (pair.len * kernel.slabs()) as usize);
                }
                recording.push(kernel, &[x.value, z.d, scratch.weight, scratch.bias]);
                recording.push(Reduce::slabs_first(kernel.slabs(), weight.len), &[scratch.weight, weight.d]);
                recording.push(Reduce::slabs_first(kernel.slabs(), bias.len), &[scratch.bias, bias.d]);
                if !first {
                    let flip = ConvFlip::new(shape.c(), out.c(), *k);
                    recording.grow(scratch.flipped, flip.elements());
                    recording.push(flip, &[weight.value, scratch.flipped]);
                    recording.push(ConvBackwardInput::new(shape.c(), out, *k), &[z.d, scratch.flipped, x.d]);
                }
            }
        }
        Ok(())
    }
}

fn prelu_backward(recording: &mut Recording, scratch: Scratch, shape: &Shape, z: Pair, y: Pair, slope: Pair) {
    let kernel = PreluBackward::new(shape);
    recording.grow(scratch.slope, (shape.c() * kernel.slabs()) as usize);
    recording.push(kernel, &[z.value, slope.value, y.d, z.d, scratch.slope]);
    recording.push(Reduce::slabs_last(shape.c(), kernel.slabs()), &[scratch.slope, slope.d]);
}
