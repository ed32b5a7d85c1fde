//! Every layer with weights, once: its names here and elsewhere, and its sizes.

/// One of the three nets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Net {
    /// Proposes windows.
    P,
    /// Refines them.
    R,
    /// Refines them again and finds landmarks.
    O,
}

impl Net {
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
    pub fn layers(self) -> impl Iterator<Item = &'static Entry> {
        LAYERS.iter().filter(move |entry| entry.net == self)
    }

    /// The net whose first convolution has `outputs` channels: all three differ there.
    pub fn with_first_outputs(outputs: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|net| net.layers().next().is_some_and(|entry| entry.outputs == outputs))
    }
}

/// What a layer's tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Kernel or matrix.
    Weight,
    /// Added to each output.
    Bias,
    /// Slope of the `PReLU` that follows, one per output.
    Slope,
}

/// One layer with weights.
///
/// A dense layer is a convolution whose kernel covers its whole input map, so both are `outputs x inputs x side x side` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Net it belongs to.
    pub net: Net,
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
    /// Its name in the Caffe models; torch's differ as [`Entry::torch`] says.
    pub caffe: &'static str,
}

impl Entry {
    /// Parts it has, in the order the numpy file lists them.
    pub fn parts(&self) -> &'static [Part] {
        if self.slope { &[Part::Weight, Part::Bias, Part::Slope] } else { &[Part::Weight, Part::Bias] }
    }

    /// Name of one of its tensors, such as `pnet.conv1.weight`.
    pub fn tensor(&self, part: Part) -> String {
        let part = match part {
            Part::Weight => "weight",
            Part::Bias => "bias",
            Part::Slope => "slope",
        };
        format!("{}.{}.{part}", self.net.name(), self.name)
    }

    /// Shape of one of its tensors.
    pub fn shape(&self, part: Part) -> Vec<usize> {
        match part {
            Part::Weight if self.dense => vec![self.outputs, self.inputs * self.side * self.side],
            Part::Weight => vec![self.outputs, self.inputs, self.side, self.side],
            Part::Bias | Part::Slope => vec![self.outputs],
        }
    }

    /// Name of one of its tensors in facenet-pytorch's files, such as `dense5_1.weight`.
    pub fn torch(&self, part: Part) -> String {
        let layer = self.caffe.replace('-', "_");
        let layer = if self.dense { layer.replace("conv", "dense") } else { layer };
        match part {
            Part::Weight => format!("{layer}.weight"),
            Part::Bias => format!("{layer}.bias"),
            Part::Slope => format!("{}.weight", self.prelu()),
        }
    }

    /// The same without a word on which layers are dense, as others write it: `conv5_1.weight`.
    pub fn torch_plain(&self, part: Part) -> String {
        let layer = self.caffe.replace('-', "_");
        match part {
            Part::Weight => format!("{layer}.weight"),
            Part::Bias => format!("{layer}.bias"),
            Part::Slope => format!("{}.weight", self.prelu()),
        }
    }

    /// Name of its `PReLU` in all published files, in lower case.
    pub fn prelu(&self) -> String {
        self.caffe.replace("conv", "prelu")
    }
}

const fn conv(net: Net, name: &'static str, outputs: usize, inputs: usize, side: usize) -> Entry {
    Entry { net, name, outputs, inputs, side, dense: false, slope: true, caffe: name }
}

const fn dense(net: Net, name: &'static str, [outputs, inputs, side]: [usize; 3], caffe: &'static str) -> Entry {
    Entry { net, name, outputs, inputs, side, dense: true, slope: true, caffe }
}

const fn head(net: Net, name: &'static str, outputs: usize, inputs: usize, caffe: &'static str) -> Entry {
    Entry { net, name, outputs, inputs, side: 1, dense: !matches!(net, Net::P), slope: false, caffe }
}

/// Every layer with weights, in the order of the nets.
pub const LAYERS: [Entry; 19] = [
    conv(Net::P, "conv1", 10, 3, 3),
    conv(Net::P, "conv2", 16, 10, 3),
    conv(Net::P, "conv3", 32, 16, 3),
    head(Net::P, "class", 2, 32, "conv4-1"),
    head(Net::P, "box", 4, 32, "conv4-2"),
    conv(Net::R, "conv1", 28, 3, 3),
    conv(Net::R, "conv2", 48, 28, 3),
    conv(Net::R, "conv3", 64, 48, 2),
    dense(Net::R, "fc4", [128, 64, 3], "conv4"),
    head(Net::R, "class", 2, 128, "conv5-1"),
    head(Net::R, "box", 4, 128, "conv5-2"),
    conv(Net::O, "conv1", 32, 3, 3),
    conv(Net::O, "conv2", 64, 32, 3),
    conv(Net::O, "conv3", 64, 64, 3),
    conv(Net::O, "conv4", 128, 64, 2),
    dense(Net::O, "fc5", [256, 128, 3], "conv5"),
    head(Net::O, "class", 2, 256, "conv6-1"),
    head(Net::O, "box", 4, 256, "conv6-2"),
    head(Net::O, "landmarks", 10, 256, "conv6-3"),
];
