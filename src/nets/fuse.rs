//! [`Fused`]: a net's graph for inference, with layers fused where one kernel computes several, and with
//! tensors as constants. Activations between fused layers are never stored; training needs them and walks the
//! graph with a [`Pass`](super::Pass).

use super::graph::{Graph, NodeId};
use super::layer::{ConvLayer, Layer, MaxPoolLayer, Op, Site, Value};
use super::net::{Net, NetError, NetGraph};
use super::parameters::packed;
use crate::kernels::nn::{Conv, ConvPool, ConvUniform, Dense, Propose};
use crate::kernels::select::Judge;
use crate::record::{DeviceFacts, Packing, Recording, Slot, State};
use crate::tensor::{Shape, ShapeError, Tensor};
use crate::weights::Weights;

/// Unit of work for one or more kernels, with its constants.
#[derive(Debug, Clone)]
enum FusedBlock {
    /// Convolution of an RGB image, activation and pooling.
    ConvPool { out: u32, pool: u32, parameters: Slot },
    /// Convolution with weights in uniform buffers, and activation. Each slice has its first group, its
    /// number of groups and its weights.
    ConvUniform { out: u32, k: u32, slices: Vec<(u32, u32, Slot)>, bias: Slot, slope: Slot },
    /// Any convolution, with its activation.
    Conv { out: u32, k: u32, weight: Slot, bias: Slot, slope: Slot },
    /// Fully connected layer with its activation.
    Dense { out: u32, weight: Slot, bias: Slot, slope: Slot },
    /// Pooling that keeps nothing for a backward pass.
    MaxPool(MaxPoolLayer),
    /// Another layer, as it is.
    Alone(Layer),
}

/// Origin of a block's input.
#[derive(Debug, Clone)]
enum BlockInput {
    /// Result of another block, or an input of the graph.
    Node(NodeId),
    /// A tensor of the net, as a constant.
    Tensor(Slot, Shape),
}

/// A block with the nodes of the graph that it connects.
#[derive(Debug, Clone)]
struct Placed {
    block: FusedBlock,
    inputs: Vec<BlockInput>,
    output: NodeId,
}

/// The last layers of a net, computed by one kernel that also selects candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// A convolution and heads, for [`crate::kernels::nn::Propose`].
    Propose {
        /// Packed parameters of the convolution and the heads.
        parameters: Slot,
    },
    /// A dense layer and heads, for [`Judge`].
    Judge {
        /// Packed weights of the dense layer.
        weight: Slot,
        /// Packed parameters of the heads, with bias and slopes of the dense layer.
        parameters: Slot,
        /// Number of outputs of the dense layer.
        hidden: u32,
        /// Number of outputs of the heads.
        outputs: u32,
    },
}

/// A net in one recording: blocks in order, each with an activation slot that all passes share.
#[derive(Debug, Clone)]
pub struct Fused {
    blocks: Vec<Placed>,
    input: NodeId,
    output: NodeId,
    tail: Option<Tail>,
    device: DeviceFacts,
}

/// Slots for activations, one per position in a net, shared by nets that run one after the other.
#[derive(Debug, Default)]
pub struct Activations(Vec<Slot>);

impl Activations {
    /// Returns the slot at `position`, with room for at least `len` elements.
    pub fn slot(&mut self, recording: &mut Recording, position: usize, len: u32) -> Slot {
        while self.0.len() <= position {
            let label = format!("activations {}", self.0.len());
            self.0.push(recording.scratch(label, 1));
        }
        recording.grow(self.0[position], len as usize);
        self.0[position]
    }
}

/// A convolution or dense layer with the tensors that it reads and the layers that are fused into it.
struct Linear<'a> {
    name: &'a str,
    weight: Tensor,
    bias: Vec<f32>,
    slope: Vec<f32>,
    /// Side of the pooling windows after the activation; `None` without pooling.
    pool: Option<u32>,
    input: NodeId,
    output: NodeId,
}

/// Walks a graph and fuses layers.
struct Fuser<'a> {
    graph: &'a Graph,
    recording: &'a mut Recording,
    weights: &'a Weights,
    device: DeviceFacts,
}

impl Fused {
    /// Creates the whole of `net`; its outputs are those of its heads.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite.
    pub fn whole(net: Net, recording: &mut Recording, weights: &Weights, device: DeviceFacts) -> Result<Self, NetError> {
        let NetGraph { graph, input, output, .. } = net.graph(1, 0.0)?;
        let blocks = Fuser { graph: &graph, recording, weights, device }.blocks(&[])?;
        Ok(Self { blocks, input, output, tail: None, device })
    }

    /// Creates `net` without its last hidden layer and its heads, which form its [`Tail`]. Convolutions take
    /// their weights from uniform buffers if `device` reads those faster and the weights fit.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite.
    ///
    /// # Panics
    ///
    /// If no kernel computes the last layers of the net, which is a programming error in the net.
    pub fn with_tail(net: Net, recording: &mut Recording, weights: &Weights, device: DeviceFacts) -> Result<Self, NetError> {
        let NetGraph { graph, input, trunk, output } = net.graph(1, 0.0)?;
        // The trunk ends in an activation; its input is the last hidden layer.
        let hidden = graph.node(trunk).inputs[0];
        let mut fuser = Fuser { graph: &graph, recording, weights, device };
        let tail = fuser.tail(hidden, output)?;
        let blocks = fuser.blocks(&[hidden, output])?;
        let end = graph.node(hidden).inputs[0];
        Ok(Self { blocks, input, output: end, tail: Some(tail), device })
    }

    /// Returns the last layers.
    ///
    /// # Panics
    ///
    /// If the net was recorded whole, which is a programming error of the caller.
    pub fn tail(&self) -> Tail {
        self.tail.expect("a net that was recorded with its tail apart")
    }

    /// Appends the net over `x`, with activations in `activations` from position 1 on (its input may be at
    /// 0). Returns slot and shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `shape` is smaller than the net's window or too large to index.
    pub fn record_in(
        &self,
        recording: &mut Recording,
        activations: &mut Activations,
        x: Slot,
        shape: &Shape,
    ) -> Result<(Slot, Shape), ShapeError> {
        let mut results = vec![(self.input, x, shape.clone())];
        for (i, joined) in self.blocks.iter().enumerate() {
            let of = |source: &'_ BlockInput| match source {
                BlockInput::Tensor(slot, shape) => (*slot, shape.clone()),
                BlockInput::Node(id) => {
                    let found = results.iter().find(|(other, ..)| other == id);
                    found.map(|(_, slot, shape)| (*slot, shape.clone())).expect("a block's inputs come before it")
                }
            };
            let owned: Vec<(Slot, Shape)> = joined.inputs.iter().map(of).collect();
            let inputs: Vec<(Slot, &Shape)> = owned.iter().map(|(slot, shape)| (*slot, shape)).collect();
            let (y, shape) = joined.block.record(recording, self.device, activations, i + 1, &inputs)?;
            results.push((joined.output, y, shape));
        }
        let (_, y, shape) = results.into_iter().find(|(id, ..)| *id == self.output).expect("the output is the last block's");
        Ok((y, shape))
    }

    /// Appends the net over `x` as [`Fused::record_in`] does, with activation slots of its own. The result
    /// persists.
    ///
    /// # Errors
    ///
    /// As for [`Fused::record_in`].
    pub fn record(&self, recording: &mut Recording, x: Slot, shape: &Shape) -> Result<(Slot, Shape), ShapeError> {
        let (y, shape) = self.record_in(recording, &mut Activations::default(), x, shape)?;
        recording.keep(y);
        Ok((y, shape))
    }
}

impl<'a> Fuser<'a> {
    /// Returns the blocks for all nodes except the linear layers `apart` and the layers fused into them.
    fn blocks(&mut self, apart: &[NodeId]) -> Result<Vec<Placed>, NetError> {
        let mut blocks = Vec::new();
        let mut done: Vec<NodeId> = Vec::new();
        for id in self.graph.ids() {
            let node = self.graph.node(id);
            if node.layer.is_given() || done.contains(&id) {
                continue;
            }
            if matches!(node.layer, Layer::Conv(_) | Layer::Dense(_)) {
                let linear = self.linear(id)?;
                done.push(linear.output);
                if !apart.contains(&id) {
                    self.linear_blocks(id, &linear, &mut blocks);
                }
            } else {
                let inputs = node.inputs.iter().map(|input| self.source(*input)).collect::<Result<_, _>>()?;
                let block = match &node.layer {
                    Layer::MaxPool(layer) => FusedBlock::MaxPool(*layer),
                    layer => FusedBlock::Alone(layer.clone()),
                };
                blocks.push(Placed { block, inputs, output: id });
            }
        }
        Ok(blocks)
    }

    /// Returns the origin of the input `id` of a layer.
    fn source(&mut self, id: NodeId) -> Result<BlockInput, NetError> {
        let node = self.graph.node(id);
        let Layer::Tensor(parameter) = &node.layer else { return Ok(BlockInput::Node(id)) };
        let data = packed(&parameter.state, self.weights)?;
        Ok(BlockInput::Tensor(self.constant(&node.label, data), node.shape.clone()))
    }

    /// Returns the linear layer `id` with its tensors, and with the activation if nothing else reads the
    /// layer's result.
    fn linear(&self, id: NodeId) -> Result<Linear<'a>, NetError> {
        let node = self.graph.node(id);
        let [weight, bias] = [node.inputs[1], node.inputs[2]].map(|tensor| self.tensor(tensor));
        let (weight, bias) = (weight?, bias?.data);
        let readers: Vec<NodeId> = self.graph.readers(id).collect();
        let (mut output, mut pool, mut slope) = (id, None, vec![1.0; bias.len()]);
        if let [reader] = readers[..] {
            let next = self.graph.node(reader);
            if let Layer::Prelu(_) | Layer::PreluPool(_) = &next.layer {
                output = reader;
                slope = next.inputs.get(1).map_or_else(|| Ok(vec![0.0; bias.len()]), |slope| self.tensor(*slope).map(|t| t.data))?;
                pool = if let Layer::PreluPool(layer) = &next.layer { Some(layer.k) } else { None };
            }
        }
        let name = &self.graph.node(node.inputs[1]).label;
        Ok(Linear { name, weight, bias, slope, pool, input: node.inputs[0], output })
    }

    /// Returns the values of a tensor node from the weights, all its tensors side by side.
    fn tensor(&self, id: NodeId) -> Result<Tensor, NetError> {
        let Layer::Tensor(parameter) = &self.graph.node(id).layer else { unreachable!("tensors come second") };
        let plain = State { packing: Packing::PLAIN, ..parameter.state.clone() };
        Ok(Tensor { shape: plain.shape(), data: packed(&plain, self.weights)? })
    }

    fn constant(&mut self, name: &str, data: Vec<f32>) -> Slot {
        self.recording.constant(name, data)
    }

    /// Appends the block or blocks of one linear layer with its activation and pooling.
    fn linear_blocks(&mut self, id: NodeId, linear: &Linear<'_>, blocks: &mut Vec<Placed>) {
        let (name, input, output) = (linear.name, linear.input, linear.output);
        let shape = &self.graph.node(input).shape;
        let out = linear.bias.len() as u32;
        if matches!(self.graph.node(id).layer, Layer::Dense(_)) {
            let [bias, slope] = [&linear.bias, &linear.slope].map(|part| self.constant(name, Dense::pad(part)));
            let block = FusedBlock::Dense { out, weight: self.constant(name, Dense::pack(&linear.weight)), bias, slope };
            return blocks.push(Placed { block, inputs: vec![BlockInput::Node(input)], output });
        }
        let k = linear.weight.shape[2] as u32;
        if let (3, 3, Some(pool @ 2..=3), true) = (k, shape.c(), linear.pool, out <= ConvPool::MOST) {
            let parameters = self.constant(name, ConvPool::pack(&linear.weight, &linear.bias, &linear.slope));
            return blocks.push(Placed {
                block: FusedBlock::ConvPool { out, pool, parameters },
                inputs: vec![BlockInput::Node(input)],
                output,
            });
        }
        // If pooling is a kernel of its own, the convolution's result is stored under the node of the
        // convolution.
        let between = if linear.pool.is_some() { id } else { output };
        let block = self.convolution(linear, shape.c(), k);
        blocks.push(Placed { block, inputs: vec![BlockInput::Node(input)], output: between });
        if let Some(k) = linear.pool {
            let block = FusedBlock::MaxPool(MaxPoolLayer { k });
            blocks.push(Placed { block, inputs: vec![BlockInput::Node(between)], output });
        }
    }

    fn convolution(&mut self, linear: &Linear<'_>, c: u32, k: u32) -> FusedBlock {
        let (name, out) = (linear.name, linear.bias.len() as u32);
        let [bias, slope] = [&linear.bias, &linear.slope].map(|part| self.constant(name, Conv::pad(part)));
        let packed = Conv::pack(&linear.weight);
        let fits = self.device.uniforms_are_fast() && ConvUniform::fits(c, k);
        let slices = if fits { ConvUniform::slices(&packed, c, k) } else { Vec::new() };
        // A third pass over the input would cost more than reading weights from storage.
        if !(1..=2).contains(&slices.len()) {
            return FusedBlock::Conv { out, k, weight: self.constant(name, packed), bias, slope };
        }
        let slices = slices.into_iter().map(|(first, groups, data)| (first, groups, self.constant(name, data))).collect();
        FusedBlock::ConvUniform { out, k, slices, bias, slope }
    }

    /// Creates the tail from the linear layer `hidden`, its activation, and the heads `output`.
    fn tail(&mut self, hidden: NodeId, output: NodeId) -> Result<Tail, NetError> {
        let (last, heads) = (self.linear(hidden)?, self.linear(output)?);
        let (hidden_outputs, outputs) = (last.bias.len() as u32, heads.bias.len() as u32);
        let is_conv = matches!(self.graph.node(hidden).layer, Layer::Conv(ConvLayer));
        if is_conv {
            assert!(hidden_outputs == 32 && outputs == 6, "{}: no kernel for the last layers", last.name);
            let packed = Propose::pack(&last.weight, &last.bias, &last.slope, &heads.weight, &heads.bias);
            return Ok(Tail::Propose { parameters: self.constant("tail", packed) });
        }
        assert!(Judge::fits(hidden_outputs, outputs), "{}: no kernel for the last layers", last.name);
        let parameters = self.constant("tail", Judge::pack(&last.bias, &last.slope, &heads.weight, &heads.bias));
        let weight = self.constant(last.name, Dense::pack(&last.weight));
        Ok(Tail::Judge { weight, parameters, hidden: hidden_outputs, outputs })
    }
}

impl FusedBlock {
    /// Appends the block over `inputs`; returns slot and shape of the result.
    fn record(
        &self,
        r: &mut Recording,
        device: DeviceFacts,
        activations: &mut Activations,
        position: usize,
        inputs: &[(Slot, &Shape)],
    ) -> Result<(Slot, Shape), ShapeError> {
        let (x, shape) = inputs[0];
        Ok(match self {
            Self::ConvPool { out, pool, parameters } => {
                let (kernel, table, result) = ConvPool::new(shape, *out, *pool)?;
                let (levels, y) = (r.table("levels", table), activations.slot(r, position, result.elements()));
                r.push(kernel, &[x, *parameters, levels, y]);
                (y, result)
            }
            Self::ConvUniform { out, k, slices, bias, slope } => {
                let (_, _, result) = Conv::new(shape, *out, *k)?;
                let y = activations.slot(r, position, result.elements());
                for (first, groups, weight) in slices {
                    let (kernel, table, _) = ConvUniform::new(shape, *out, *k, *first, *groups)?;
                    let levels = r.table("levels", table);
                    r.push(kernel, &[x, *weight, *bias, *slope, levels, y]);
                }
                (y, result)
            }
            Self::Conv { out, k, weight, bias, slope } => {
                let (kernel, table, result) = Conv::new(shape, *out, *k)?;
                let (levels, y) = (r.table("levels", table), activations.slot(r, position, result.elements()));
                r.push(kernel, &[x, *weight, *bias, *slope, levels, y]);
                (y, result)
            }
            Self::Dense { out, weight, bias, slope } => {
                let result = Shape::new([shape.n(), *out, 1, 1])?;
                let y = activations.slot(r, position, result.elements());
                r.push(Dense::new(shape.n(), shape.item(), *out), &[x, *weight, *bias, *slope, y]);
                (y, result)
            }
            Self::MaxPool(layer) => {
                let result = layer.output(&[shape])?;
                let y = activations.slot(r, position, result.elements());
                layer.record(r, Value { slot: x, shape }, y);
                (y, result)
            }
            Self::Alone(layer) => {
                let shapes: Vec<&Shape> = inputs.iter().map(|(_, shape)| *shape).collect();
                let result = layer.op().output(&shapes)?;
                let y = activations.slot(r, position, result.elements());
                let x: Vec<Value<'_>> = inputs.iter().map(|&(slot, shape)| Value { slot, shape }).collect();
                let mut site = Site { recording: r, device, schedule: None };
                layer.op().forward(&mut site, &x, Value { slot: y, shape: &result });
                (y, result)
            }
        })
    }
}
