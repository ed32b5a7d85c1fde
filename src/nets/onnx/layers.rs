//! Nodes that read results: one function for each family of operators, which adds our layer or says why it
//! cannot.

use super::constants::{constant, ints, sizes_after, turned};
use super::{Importer, NodeId, OnnxNode, OnnxValue, Refusal};
use crate::kernels::nn::Broadcast;
use crate::nets::layer::{
    ActivationLayer, AddLayer, ArgMaxPoolLayer, ConvolutionLayer, JoinLayer, Layer, LinearLayer, MeanPoolLayer, MultiplyLayer, NormLayer,
    PoolWindows, PreluLayer, ScaleLayer, Statistics, UnitRowsLayer,
};

/// What a node reads: results, constants, or nothing where an input is left out.
type Inputs<'a> = &'a [Option<OnnxValue>];

/// The result that input number `at` is, with its sizes.
fn result(inputs: Inputs<'_>, at: usize) -> Result<(NodeId, &[usize]), Refusal> {
    match inputs.get(at) {
        Some(Some(OnnxValue::Result(id, sizes))) => Ok((*id, sizes)),
        Some(Some(OnnxValue::Constant(_))) => Err(format!("its input {} is constant, where the result of a node is needed", at + 1)),
        _ => Err(format!("its input {} is missing", at + 1)),
    }
}

/// A window as our layers have it: a square, with one stride and one padding for all sides.
struct SquareWindow {
    k: u32,
    stride: u32,
    padding: u32,
}

/// The one number in `values`, all of which are equal.
fn same(what: &str, values: &[i64], count: usize) -> Result<u32, Refusal> {
    let first = values.first().copied().unwrap_or(0);
    if values.len() != count || values.iter().any(|value| *value != first) {
        return Err(format!("{what} of {values:?}: one number for all {count} is needed"));
    }
    u32::try_from(first).map_err(|_| format!("{what} of {values:?}"))
}

fn window(node: &OnnxNode, k: &[i64]) -> Result<SquareWindow, Refusal> {
    match node.text("auto_pad") {
        None | Some("NOTSET" | "VALID" | "") => {}
        Some(other) => return Err(format!("auto_pad {other}: padding given in numbers is needed")),
    }
    if let Some(dilations) = node.ints("dilations")
        && dilations.iter().any(|step| *step != 1)
    {
        return Err(format!("dilations of {dilations:?}, which no layer here has"));
    }
    Ok(SquareWindow {
        k: same("a window", k, 2)?,
        stride: same("strides", node.ints("strides").unwrap_or(&[1, 1]), 2)?,
        padding: same("pads", node.ints("pads").unwrap_or(&[0; 4]), 4)?,
    })
}

impl Importer {
    /// Adds the layer of a node that reads at least one result.
    pub(super) fn layer(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        match node.operator.as_str() {
            "Conv" => self.convolution(node, inputs),
            "Gemm" | "MatMul" => self.linear(node, inputs),
            "BatchNormalization" => self.norm(node, inputs),
            "PRelu" => self.prelu(node, inputs),
            "Relu" | "LeakyRelu" | "Sigmoid" | "Clip" => self.activation(node, inputs),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node, inputs),
            "Concat" => self.joined(node, inputs),
            "GlobalAveragePool" | "GlobalMaxPool" | "AveragePool" | "MaxPool" | "ReduceMean" => self.pool(node, inputs),
            "LpNormalization" => self.unit_rows(node, inputs),
            "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" => {
                let (id, sizes) = result(inputs, 0)?;
                let after = sizes_after(node, sizes, inputs)?;
                // Items must stay apart.
                if after.first() == Some(&1) {
                    Ok(OnnxValue::Result(id, after))
                } else {
                    Err(format!("sizes {after:?}, of which the first is not that of the images"))
                }
            }
            "Identity" | "Dropout" | "Cast" => inputs[0].clone().ok_or_else(|| "its input is missing".to_owned()),
            _ => Err("an operator that has no layer here".to_owned()),
        }
    }

    fn add(&mut self, layer: impl Into<Layer>, inputs: &[NodeId]) -> Result<NodeId, Refusal> {
        self.graph.add(layer, inputs).map_err(|error| error.to_string())
    }

    /// A new result, of the sizes that its node has.
    fn sized(&self, id: NodeId) -> OnnxValue {
        let shape = &self.graph.node(id).shape;
        let level = shape.levels()[0];
        OnnxValue::Result(id, [1, shape.c(), level.h, level.w].map(|size| size as usize).to_vec())
    }

    /// Input number `at`, whose channels are those of the node: not flattened.
    fn planes(&self, inputs: Inputs<'_>, at: usize) -> Result<NodeId, Refusal> {
        let (id, sizes) = result(inputs, at)?;
        let shape = &self.graph.node(id).shape;
        let [c, plane] = [shape.c(), shape.plane()].map(|size| size as usize);
        let fits = sizes.get(1) == Some(&c) && sizes[2..].iter().product::<usize>() == plane;
        if fits {
            Ok(id)
        } else {
            Err(format!("it reads {sizes:?}, reshaped from {c} channels of {plane} places, which only dense layers here can"))
        }
    }

    /// The constant of input number `at`, as a tensor of `shape`.
    fn weights(&mut self, node: &OnnxNode, inputs: Inputs<'_>, at: usize, shape: &[usize]) -> Result<NodeId, Refusal> {
        let tensor = constant(inputs, at).ok_or_else(|| format!("its input {} is not constant", at + 1))?;
        let (count, data) = (shape.iter().product::<usize>(), tensor.floats()?);
        let data = match data.len() {
            len if len == count => data.to_vec(),
            1 => vec![data[0]; count],
            len => return Err(format!("its input {} has {len} elements where {count} are needed", at + 1)),
        };
        self.tensor(&node.inputs[at], shape.to_vec(), data)
    }

    fn convolution(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let x = self.planes(inputs, 0)?;
        let weight = constant(inputs, 1).ok_or("weights that are not constant")?;
        let &[out, c, h, w] = &weight.shape[..] else { return Err(format!("weights of the shape {:?}: images are needed", weight.shape)) };
        let shape = [out, c, h, w];
        let SquareWindow { stride, padding, .. } = window(node, &[h as i64, w as i64])?;
        let groups = u32::try_from(node.int("group", 1)).map_err(|_| "a negative number of groups")?;
        let mut read = vec![x, self.weights(node, inputs, 1, &shape)?];
        if matches!(inputs.get(2), Some(Some(_))) {
            read.push(self.weights(node, inputs, 2, &[out])?);
        }
        let y = self.add(ConvolutionLayer { stride, padding, groups }, &read)?;
        Ok(self.sized(y))
    }

    /// `alpha x W + beta bias`, W as it is or turned over.
    fn linear(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let (x, sizes) = result(inputs, 0)?;
        if sizes.len() != 2 || node.int("transA", 0) != 0 {
            return Err(format!("a product with a result of the sizes {sizes:?}: a vector an image is needed"));
        }
        let weight = constant(inputs, 1).ok_or("a product of two results")?;
        let &[rows, columns] = &weight.shape[..] else { return Err(format!("weights of the shape {:?}", weight.shape)) };
        let alpha = node.float("alpha", 1.0);
        let data = weight.floats()?;
        let (out, mut data) = if node.int("transB", 0) != 0 { (rows, data.to_vec()) } else { (columns, turned(data, rows, columns)) };
        data.iter_mut().for_each(|value| *value *= alpha);
        let inner = data.len() / out.max(1);
        let mut read = vec![x, self.tensor(&node.inputs[1], vec![out, inner], data)?];
        if let Some(bias) = constant(inputs, 2) {
            let (values, beta) = (bias.floats()?, node.float("beta", 1.0));
            if values.len() != out && values.len() != 1 {
                return Err(format!("a bias of {} elements for {out} results", values.len()));
            }
            let values = (0..out).map(|o| beta * values[o % values.len()]).collect();
            read.push(self.tensor(&node.inputs[2], vec![out], values)?);
        } else if matches!(inputs.get(2), Some(Some(_))) {
            return Err("a bias that is not constant".to_owned());
        }
        Ok(OnnxValue::Result(self.add(LinearLayer, &read)?, vec![1, out]))
    }

    fn norm(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let x = self.planes(inputs, 0)?;
        if node.int("training_mode", 0) != 0 {
            return Err("a batch norm in training mode; export the model for inference".to_owned());
        }
        let c = self.graph.node(x).shape.c() as usize;
        let [scale, shift, mean, variance] = [1, 2, 3, 4].map(|at| self.weights(node, inputs, at, &[c]));
        let layer = NormLayer { epsilon: f64::from(node.float("epsilon", 1e-5)), ..NormLayer::new(Statistics::Running) };
        let y = self.add(layer, &[x, mean?, variance?, scale?, shift?])?;
        Ok(OnnxValue::Result(y, result(inputs, 0)?.1.to_vec()))
    }

    fn prelu(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let x = self.planes(inputs, 0)?;
        let c = self.graph.node(x).shape.c() as usize;
        let slope = self.weights(node, inputs, 1, &[c])?;
        Ok(OnnxValue::Result(self.add(PreluLayer, &[x, slope])?, result(inputs, 0)?.1.to_vec()))
    }

    fn activation(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let (x, sizes) = result(inputs, 0)?;
        let y = match node.operator.as_str() {
            "Relu" => self.add(ActivationLayer::RELU, &[x])?,
            "Sigmoid" => self.add(ActivationLayer::Sigmoid, &[x])?,
            "LeakyRelu" => {
                let slope = node.float("alpha", 0.01);
                if slope < 0.0 {
                    return Err(format!("a negative slope of {slope}"));
                }
                self.add(ActivationLayer::Relu { slope, most: f32::MAX }, &[x])?
            }
            _ => self.clipped(node, inputs, x)?,
        };
        Ok(OnnxValue::Result(y, sizes.to_vec()))
    }

    /// `min(max(x, low), high)`, as a ReLU with a limit between two shifts.
    fn clipped(&mut self, node: &OnnxNode, inputs: Inputs<'_>, x: NodeId) -> Result<NodeId, Refusal> {
        let limit = |name: &str, at: usize, default: f32| match (constant(inputs, at), inputs.get(at)) {
            (Some(tensor), _) => tensor.floats().map(|values| values.first().copied().unwrap_or(default)),
            (None, Some(Some(_))) => Err(format!("its limit {name} is not constant")),
            _ => Ok(node.float(name, default)),
        };
        let (low, high) = (limit("min", 1, f32::MIN)?.max(f32::MIN), limit("max", 2, f32::MAX)?.min(f32::MAX));
        if low == f32::MIN || low >= high {
            return Err(format!("limits of {low:e} and {high:e}: a lower one, and an upper one above it, are needed"));
        }
        let relu = |high: f32| ActivationLayer::Relu { slope: 0.0, most: high };
        if low == 0.0 {
            return self.add(relu(high), &[x]);
        }
        let x = self.affine(&format!("{} shifted", node.outputs[0]), x, &[1.0], &[-low])?;
        let y = self.add(relu(if high == f32::MAX { high } else { high - low }), &[x])?;
        self.affine(&format!("{} shifted back", node.outputs[0]), y, &[1.0], &[low])
    }

    /// `scale x + shift`, each one number or one for each channel: a norm by a mean of 0 and a variance of 1.
    fn affine(&mut self, name: &str, x: NodeId, scale: &[f32], shift: &[f32]) -> Result<NodeId, Refusal> {
        let c = self.graph.node(x).shape.c() as usize;
        let mut inputs = vec![x];
        for (part, values) in [("mean", &[0.0][..]), ("variance", &[1.0]), ("scale", scale), ("shift", shift)] {
            let values = (0..c).map(|c| values[c % values.len()]).collect();
            inputs.push(self.tensor(&format!("{name}.{part}"), vec![c], values)?);
        }
        self.add(NormLayer { epsilon: 0.0, ..NormLayer::new(Statistics::Running) }, &inputs)
    }

    fn arithmetic(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let known = [constant(inputs, 0), constant(inputs, 1)];
        if let [None, None] = known {
            return self.of_two_results(node, inputs);
        }
        let at = usize::from(known[0].is_some());
        let (x, sizes) = result(inputs, at)?;
        let tensor = known[1 - at].ok_or("an input is missing")?;
        let values = tensor.floats()?;
        if values.len() != 1 {
            let (c, rank) = (self.graph.node(self.planes(inputs, at)?).shape.c() as usize, tensor.shape.len());
            // Sizes are compared from the last on; that of the channels is number 1 of the result's.
            let lies_by_channel = (rank + 1).checked_sub(sizes.len()).is_some_and(|at| tensor.shape.get(at) == Some(&c));
            if values.len() != c || !lies_by_channel {
                return Err(format!("a constant of the shape {:?}: one number, or one for each of {c} channels, is needed", tensor.shape));
            }
        }
        let map = |each: fn(f32) -> f32| values.iter().map(|value| each(*value)).collect::<Vec<f32>>();
        let (scale, shift) = match (node.operator.as_str(), at) {
            ("Add", _) => (vec![1.0], values.to_vec()),
            ("Sub", 0) => (vec![1.0], map(|value| -value)),
            ("Sub", _) => (vec![-1.0], values.to_vec()),
            ("Mul", _) => (values.to_vec(), vec![0.0]),
            ("Div", 0) => (map(f32::recip), vec![0.0]),
            _ => return Err("a constant divided by a result".to_owned()),
        };
        Ok(OnnxValue::Result(self.affine(&node.outputs[0], x, &scale, &shift)?, sizes.to_vec()))
    }

    fn of_two_results(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let ((a, a_sizes), (b, b_sizes)) = (result(inputs, 0)?, result(inputs, 1)?);
        match node.operator.as_str() {
            "Add" => Ok(OnnxValue::Result(self.add(AddLayer, &[a, b])?, a_sizes.to_vec())),
            "Sub" => {
                let minus = self.add(ScaleLayer { forward: -1.0, backward: -1.0 }, &[b])?;
                Ok(OnnxValue::Result(self.add(AddLayer, &[a, minus])?, a_sizes.to_vec()))
            }
            "Mul" => {
                // The larger comes first; sizes of the other are those of it, or 1.
                let large = a_sizes.iter().product::<usize>() >= b_sizes.iter().product();
                let (x, sizes, factor, of) = if large { (a, a_sizes, b, b_sizes) } else { (b, b_sizes, a, a_sizes) };
                let over = match (sizes, of) {
                    _ if sizes == of => Broadcast::Elements,
                    ([1, c, _, _], [1, other, 1, 1]) if c == other => Broadcast::Channels,
                    ([1, _, h, w], [1, 1, y, x]) if [h, w] == [y, x] => Broadcast::Places,
                    _ => return Err(format!("a product of the sizes {a_sizes:?} and {b_sizes:?}")),
                };
                Ok(OnnxValue::Result(self.add(MultiplyLayer { over }, &[x, factor])?, sizes.to_vec()))
            }
            _ => Err("a quotient of two results".to_owned()),
        }
    }

    fn joined(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let (mut y, first) = result(inputs, 0)?;
        let (rank, axis) = (first.len() as i64, node.int("axis", 1));
        if axis != 1 && axis + rank != 1 {
            return Err(format!("parts side by side along axis {axis}: only channels are joined"));
        }
        let mut sizes = first.to_vec();
        for at in 1..inputs.len() {
            let (part, of) = result(inputs, at)?;
            if of.len() != sizes.len() || of[2..] != sizes[2..] {
                return Err(format!("parts of the sizes {sizes:?} and {of:?}"));
            }
            sizes[1] += of[1];
            y = self.add(JoinLayer, &[y, part])?;
        }
        Ok(OnnxValue::Result(y, sizes))
    }

    fn pool(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let x = self.planes(inputs, 0)?;
        let largest = matches!(node.operator.as_str(), "GlobalMaxPool" | "MaxPool");
        let windows = match node.operator.as_str() {
            "AveragePool" | "MaxPool" => {
                let k = node.ints("kernel_shape").ok_or("a pool without a window")?;
                let SquareWindow { k, stride, padding } = window(node, k)?;
                if padding > 0 && node.int("count_include_pad", 0) != 0 {
                    return Err("means that count the padding".to_owned());
                }
                let level = self.graph.node(x).shape.levels()[0];
                let rest = |size: u32| (size + 2 * padding).checked_sub(k).is_some_and(|left| left % stride.max(1) != 0);
                if node.int("ceil_mode", 0) != 0 && (rest(level.h) || rest(level.w)) {
                    return Err("windows that stick out at the end (ceil_mode)".to_owned());
                }
                PoolWindows::Sliding { k, stride, padding }
            }
            "ReduceMean" => {
                let axes = ints(node, inputs, "axes", 1)?.ok_or("means over axes that are not constant")?;
                if !matches!(axes, [2, 3] | [3, 2] | [-2, -1] | [-1, -2]) {
                    return Err(format!("means over the axes {axes:?}: those over rows and columns are read"));
                }
                PoolWindows::Adaptive { bins: 1 }
            }
            _ => PoolWindows::Adaptive { bins: 1 },
        };
        let y = if largest { self.add(ArgMaxPoolLayer(windows), &[x])? } else { self.add(MeanPoolLayer(windows), &[x])? };
        if node.operator == "ReduceMean" && node.int("keepdims", 1) == 0 {
            let c = self.graph.node(y).shape.c() as usize;
            return Ok(OnnxValue::Result(y, vec![1, c]));
        }
        Ok(self.sized(y))
    }

    fn unit_rows(&mut self, node: &OnnxNode, inputs: Inputs<'_>) -> Result<OnnxValue, Refusal> {
        let (x, sizes) = result(inputs, 0)?;
        let axis = node.int("axis", -1);
        if sizes.len() != 2 || !matches!(axis, 1 | -1) || node.int("p", 2) != 2 {
            return Err(format!("lengths along axis {axis} of {sizes:?}: those of whole vectors are read"));
        }
        Ok(OnnxValue::Result(self.add(UnitRowsLayer { epsilon: 1e-12 }, &[x])?, sizes.to_vec()))
    }
}
