//! Every layer with weights, once: its names here and elsewhere, and its sizes.

/// One of the three nets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CascadeNet {
    /// Proposes windows.
    P,
    /// Refines them.
    R,
    /// Refines them again and finds landmarks.
    O,
}

impl CascadeNet {
    /// The nets in the order they run.
    pub const ALL: [Self; 3] = [Self::P, Self::R, Self::O];

    /// What the names of its tensors start with.
    pub fn name(self) -> &'static str {
        match self {
            Self::P => "pnet",
            Self::R => "rnet",
            Self::O => "onet",
        }
    }

    /// Its layers, first to last.
    pub fn layers(self) -> impl Iterator<Item = &'static NamedLayer> {
        LAYERS.iter().filter(move |entry| entry.net == self)
    }

    /// The net whose first convolution has `outputs` channels: all three differ there.
    pub fn with_first_outputs(outputs: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|net| net.layers().next().is_some_and(|entry| entry.outputs == outputs))
    }
}

/// What a layer's tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorPart {
    /// Kernel or matrix.
    Weight,
    /// Added to each output.
    Bias,
    /// Slope of the `PReLU` that follows, one per output.
    Slope,
}

/// One layer with weights.
///
/// A dense layer is a convolution whose kernel covers its whole input map, so both are
/// `outputs x inputs x side x side` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedLayer {
    /// Net it belongs to.
    pub net: CascadeNet,
    /// Its name here.
    pub name: &'static str,
    /// Output channels or neurons.
    pub outputs: usize,
    /// Input channels.
    pub inputs: usize,
    /// Rows and columns of the kernel, or of the map that a dense layer flattens.
    pub side: usize,
    /// Its weight is the matrix `[outputs, inputs * side * side]`, not a kernel.
    pub dense: bool,
    /// A `PReLU` follows.
    pub slope: bool,
    /// Its name in the Caffe models; torch's differ as [`NamedLayer::torch`] says.
    pub caffe: &'static str,
}

impl NamedLayer {
    /// Parts it has, in the order the numpy file lists them.
    pub fn parts(&self) -> &'static [TensorPart] {
        if self.slope { &[TensorPart::Weight, TensorPart::Bias, TensorPart::Slope] } else { &[TensorPart::Weight, TensorPart::Bias] }
    }

    /// Name of one of its tensors, such as `pnet.conv1.weight`.
    pub fn tensor(&self, part: TensorPart) -> String {
        let part = match part {
            TensorPart::Weight => "weight",
            TensorPart::Bias => "bias",
            TensorPart::Slope => "slope",
        };
        format!("{}.{}.{part}", self.net.name(), self.name)
    }

    /// Shape of one of its tensors.
    pub fn shape(&self, part: TensorPart) -> Vec<usize> {
        match part {
            TensorPart::Weight if self.dense => vec![self.outputs, self.inputs * self.side * self.side],
            TensorPart::Weight => vec![self.outputs, self.inputs, self.side, self.side],
            TensorPart::Bias | TensorPart::Slope => vec![self.outputs],
        }
    }

    /// Name of one of its tensors in facenet-pytorch's files, such as `dense5_1.weight`.
    pub fn torch(&self, part: TensorPart) -> String {
        let layer = self.caffe.replace('-', "_");
        let layer = if self.dense { layer.replace("conv", "dense") } else { layer };
        match part {
            TensorPart::Weight => format!("{layer}.weight"),
            TensorPart::Bias => format!("{layer}.bias"),
            TensorPart::Slope => format!("{}.weight", self.prelu()),
        }
    }

    /// The same without a word on which layers are dense, as others write it: `conv5_1.weight`.
    pub fn torch_plain(&self, part: TensorPart) -> String {
        let layer = self.caffe.replace('-', "_");
        match part {
            TensorPart::Weight => format!("{layer}.weight"),
            TensorPart::Bias => format!("{layer}.bias"),
            TensorPart::Slope => format!("{}.weight", self.prelu()),
        }
    }

    /// Name of its `PReLU` in all published files, in lower case.
    pub fn prelu(&self) -> String {
        self.caffe.replace("conv", "prelu")
    }
}

const fn conv(net: CascadeNet, name: &'static str, outputs: usize, inputs: usize, side: usize) -> NamedLayer {
    NamedLayer { net, name, outputs, inputs, side, dense: false, slope: true, caffe: name }
}

const fn dense(net: CascadeNet, name: &'static str, [outputs, inputs, side]: [usize; 3], caffe: &'static str) -> NamedLayer {
    NamedLayer { net, name, outputs, inputs, side, dense: true, slope: true, caffe }
}

const fn head(net: CascadeNet, name: &'static str, outputs: usize, inputs: usize, caffe: &'static str) -> NamedLayer {
    NamedLayer { net, name, outputs, inputs, side: 1, dense: !matches!(net, CascadeNet::P), slope: false, caffe }
}

/// Every layer with weights, in the order of the nets.
pub const LAYERS: [NamedLayer; 19] = [
    conv(CascadeNet::P, "conv1", 10, 3, 3),
    conv(CascadeNet::P, "conv2", 16, 10, 3),
    conv(CascadeNet::P, "conv3", 32, 16, 3),
    head(CascadeNet::P, "class", 2, 32, "conv4-1"),
    head(CascadeNet::P, "box", 4, 32, "conv4-2"),
    conv(CascadeNet::R, "conv1", 28, 3, 3),
    conv(CascadeNet::R, "conv2", 48, 28, 3),
    conv(CascadeNet::R, "conv3", 64, 48, 2),
    dense(CascadeNet::R, "fc4", [128, 64, 3], "conv4"),
    head(CascadeNet::R, "class", 2, 128, "conv5-1"),
    head(CascadeNet::R, "box", 4, 128, "conv5-2"),
    conv(CascadeNet::O, "conv1", 32, 3, 3),
    conv(CascadeNet::O, "conv2", 64, 32, 3),
    conv(CascadeNet::O, "conv3", 64, 64, 3),
    conv(CascadeNet::O, "conv4", 128, 64, 2),
    dense(CascadeNet::O, "fc5", [256, 128, 3], "conv5"),
    head(CascadeNet::O, "class", 2, 256, "conv6-1"),
    head(CascadeNet::O, "box", 4, 256, "conv6-2"),
    head(CascadeNet::O, "landmarks", 10, 256, "conv6-3"),
];
