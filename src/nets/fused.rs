//! A net's forward pass with layers joined where one kernel does several: what the cascade records. The activations in between do not exist;
//! training wants them and uses [`super::Forward`].

use super::layer::{Layer, Net, NetError};
use crate::kernels::nn::{Conv, ConvPool, ConvUniform, Dense, MaxPool, Propose};
use crate::kernels::select::Judge;
use crate::record::{DeviceFacts, Recording, Slot};
use crate::tensor::{Shape, ShapeError};
use crate::weights::Weights;

/// One kernel of the trunk, with its parameters.
#[derive(Debug, Clone)]
enum Block {
    /// Convolution of pixels, PReLU, pooling.
    ConvPool {
        out: u32,
        pool: u32,
        parameters: Slot,
    },
    /// Convolution with weights in uniform buffers: first group, groups, weights.
    ConvUniform {
        out: u32,
        k: u32,
        slices: Vec<(u32, u32, Slot)>,
        bias: Slot,
        slope: Slot,
    },
    /// Any convolution.
    Conv {
        out: u32,
        k: u32,
        weight: Slot,
        bias: Slot,
        slope: Slot,
    },
    MaxPool {
        k: u32,
        stride: u32,
    },
}

/// The last layers of a net, for the kernel that does them together with the choice of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// A convolution and heads, for [`crate::kernels::nn::Propose`]: its parameters.
    Propose {
        /// Packed.
        parameters: Slot,
    },
    /// A dense layer and heads, for [`Judge`].
    Judge {
        /// Of the dense layer, packed.
        weight: Slot,
        /// Packed.
        parameters: Slot,
        /// Outputs of the dense layer.
        hidden: u32,
        /// Outputs of the heads.
        outputs: u32,
    },
}

/// A net in one recording: its trunk as kernels, and its tail.
#[derive(Debug, Clone)]
pub struct Fused {
    blocks: Vec<Block>,
    tail: Tail,
}

/// Slots for activations, one per position in a trunk: nets that run one after the other share them.
#[derive(Debug, Default)]
pub struct Scratch(Vec<Slot>);

impl Scratch {
    /// The slot at `position`, with room for `len` elements.
    pub fn slot(&mut self, recording: &mut Recording, position: usize, len: u32) -> Slot {
        while self.0.len() <= position {
            let label = format!("activations {}", self.0.len());
            self.0.push(recording.slot(label, 1));
        }
        recording.grow(self.0[position], len as usize);
        self.0[position]
    }
}

impl Net {
    /// Puts the parameters of the net's kernels into `recording`. Convolutions take their weights from uniform buffers where
    /// `device` reads those faster and they fit.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite.
    ///
    /// # Panics
    ///
    /// If the net does not end in heads after a convolution or dense layer that [`Tail`] has a kernel for: a mistake in the net's list.
    pub fn fused(self, recording: &mut Recording, weights: &Weights, device: DeviceFacts) -> Result<Fused, NetError> {
        let (mut blocks, mut shape) = (Vec::new(), Shape::new([1, 3, self.side, self.side])?);
        let mut layers = (0..self.layers.len()).peekable();
        loop {
            let i = layers.next().expect("a net ends in heads");
            let after = layers.peek().map(|&next| self.layers[next]);
            let tensors = self.unpacked(i, &shape, weights)?;
            let out = self.layers[i].output(&shape)?;
            let mut constant = |name: &str, data: Vec<f32>| recording.constant(format!("{}.{name}", self.name), data);
            match (self.layers[i], tensors, after) {
                (Layer::Conv { .. } | Layer::Dense { .. }, Some(last), Some(Layer::Heads(_))) => {
                    let heads = self.unpacked(i + 1, &out, weights)?.expect("heads have tensors");
                    let outputs = heads.bias.len() as u32;
                    let tail = if last.dense {
                        assert!(Judge::fits(out.c(), outputs), "{}: no kernel for its last layers", self.name);
                        let parameters = constant("tail", Judge::pack(&last.bias, &last.slope, &heads.weight, &heads.bias));
                        let weight = constant(last.name, Dense::pack(&last.weight));
                        Tail::Judge { weight, parameters, hidden: out.c(), outputs }
                    } else {
                        assert!(out.c() == 32 && outputs == 6, "{}: no kernel for its last layers", self.name);
                        let packed = Propose::pack(&last.weight, &last.bias, &last.slope, &heads.weight, &heads.bias);
                        Tail::Propose { parameters: constant("tail", packed) }
                    };
                    return Ok(Fused { blocks, tail });
                }
                (Layer::Conv { k: 3, .. }, Some(t), Some(Layer::MaxPool { k: pool @ 2..=3, stride: 2 }))
                    if shape.c() == 3 && out.c() <= ConvPool::MOST =>
                {
                    let parameters = constant(t.name, ConvPool::pack(&t.weight, &t.bias, &t.slope));
                    blocks.push(Block::ConvPool { out: out.c(), pool, parameters });
                    layers.next();
                    shape = self.layers[i + 1].output(&out)?;
                    continue;
                }
                (Layer::Conv { k, .. }, Some(t), _) => {
                    let [bias, slope] = [&t.bias, &t.slope].map(|part| constant(t.name, Conv::pad(part)));
                    let (packed, out) = (Conv::pack(&t.weight), out.c());
                    let slices = if device.uniforms_are_fast() && ConvUniform::fits(shape.c(), k) {
                        ConvUniform::slices(&packed, shape.c(), k)
                    } else {
                        Vec::new()
                    };
                    // A third pass over the input costs more than the slower weights.
                    blocks.push(if (1..=2).contains(&slices.len()) {
                        let slices = slices.into_iter().map(|(first, groups, data)| (first, groups, constant(t.name, data))).collect();
                        Block::ConvUniform { out, k, slices, bias, slope }
                    } else {
                        Block::Conv { out, k, weight: constant(t.name, packed), bias, slope }
                    });
                }
                (Layer::MaxPool { k, stride }, ..) => blocks.push(Block::MaxPool { k, stride }),
                (layer, ..) => panic!("{}: no kernel for {layer:?} here", self.name),
            }
            shape = out;
        }
    }
}

impl Fused {
    /// The last layers.
    pub fn tail(&self) -> Tail {
        self.tail
    }

    /// Appends the trunk over `x`, with activations in `scratch` from position 1 on (its input may be at 0); returns slot and shape of the
    /// result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `shape` is smaller than the net's window or too large to index.
    pub fn record(&self, recording: &mut Recording, scratch: &mut Scratch, x: Slot, shape: &Shape) -> Result<(Slot, Shape), ShapeError> {
        let (mut x, mut shape) = (x, shape.clone());
        for (i, block) in self.blocks.iter().enumerate() {
            let (y, out) = block.record(recording, scratch, i + 1, x, &shape)?;
            (x, shape) = (y, out);
        }
        Ok((x, shape))
    }
}

impl Block {
    fn record(
        &self,
        r: &mut Recording,
        scratch: &mut Scratch,
        position: usize,
        x: Slot,
        shape: &Shape,
    ) -> Result<(Slot, Shape), ShapeError> {
        Ok(match self {
            Self::ConvPool { out, pool, parameters } => {
                let (kernel, table, result) = ConvPool::new(shape, *out, *pool)?;
                let (levels, y) = (r.table("levels", table), scratch.slot(r, position, result.elements()));
                r.push(kernel, &[x, *parameters, levels, y]);
                (y, result)
            }
            Self::ConvUniform { out, k, slices, bias, slope } => {
                let (_, _, result) = Conv::new(shape, *out, *k)?;
                let y = scratch.slot(r, position, result.elements());
                for (first, groups, weight) in slices {
                    let (kernel, table, _) = ConvUniform::new(shape, *out, *k, *first, *groups)?;
                    let levels = r.table("levels", table);
                    r.push(kernel, &[x, *weight, *bias, *slope, levels, y]);
                }
                (y, result)
            }
            Self::Conv { out, k, weight, bias, slope } => {
                let (kernel, table, result) = Conv::new(shape, *out, *k)?;
                let (levels, y) = (r.table("levels", table), scratch.slot(r, position, result.elements()));
                r.push(kernel, &[x, *weight, *bias, *slope, levels, y]);
                (y, result)
            }
            Self::MaxPool { k, stride } => {
                let (kernel, table, result) = MaxPool::new(shape, *k, *stride)?;
                let (levels, y) = (r.table("levels", table), scratch.slot(r, position, result.elements()));
                r.push(kernel, &[x, levels, y]);
                (y, result)
            }
        })
    }
}
