//! Orders of elements in published files, undone here and nowhere else.

use std::collections::BTreeMap;

use super::WeightsError;
use super::names::{CascadeNet, NamedLayer, TensorPart};
use crate::tensor::Tensor;

/// Tensors of one net: canonical names, shapes and orders.
pub(super) type NetTensors = BTreeMap<String, Tensor>;

/// How a family of files lays out a weight. Here it is `[o, c, y, x]`, for kernels and flattened maps alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WeightLayout {
    /// Kernels `[o, c, y, x]`, matrices `[o, x, y, c]`: nets of upright images that flatten as the TensorFlow
    /// ones did.
    PyTorch,
    /// `[o, c, x, y]`: nets of images with rows and columns swapped.
    Caffe,
    /// `[x, y, c, o]`: TensorFlow order of the same swapped nets.
    Numpy,
    /// As here: nets of upright images that flatten channel, row, column.
    Upright,
    /// Kernels `[o, c, y, x]`, matrices `[o, c, x, y]`: nets of upright images whose maps are transposed
    /// before they are flattened.
    Transposed,
    /// `[y, x, c, o]`: TensorFlow order of nets of upright images.
    UprightNumpy,
}

impl WeightLayout {
    /// Another layout that files of this family may have, which their names and shapes do not tell: number 0
    /// is the layout itself.
    pub(super) fn alternative(self, number: usize) -> Self {
        let others: &[Self] = match self {
            Self::PyTorch => &[Self::Upright, Self::Transposed],
            Self::Transposed => &[Self::Upright, Self::PyTorch],
            Self::Numpy => &[Self::UprightNumpy],
            Self::Caffe => &[Self::Upright],
            Self::Upright | Self::UprightNumpy => &[],
        };
        number.checked_sub(1).and_then(|number| others.get(number)).copied().unwrap_or(self)
    }

    /// Shape of a part of `entry` in such files, leading ones left out.
    fn shape(self, entry: &NamedLayer, part: TensorPart) -> Vec<usize> {
        let &NamedLayer { outputs, inputs, side, dense, .. } = entry;
        let shape = match (self, part) {
            (Self::Numpy | Self::UprightNumpy, TensorPart::Weight) if dense => vec![inputs * side * side, outputs],
            (Self::Numpy | Self::UprightNumpy, TensorPart::Weight) => vec![side, side, inputs, outputs],
            _ => entry.shape(part),
        };
        without_leading_ones(&shape).to_vec()
    }

    /// Where the files have what is at `[o, c, y, x]` here.
    fn index(self, entry: &NamedLayer, [o, c, y, x]: [usize; 4]) -> usize {
        let &NamedLayer { outputs, inputs, side, dense, .. } = entry;
        match self {
            Self::PyTorch if dense => ((o * side + x) * side + y) * inputs + c,
            Self::Transposed if dense => ((o * inputs + c) * side + x) * side + y,
            Self::PyTorch | Self::Transposed | Self::Upright => ((o * inputs + c) * side + y) * side + x,
            Self::Caffe => ((o * inputs + c) * side + x) * side + y,
            Self::UprightNumpy => ((y * side + x) * inputs + c) * outputs + o,
            Self::Numpy => ((x * side + y) * inputs + c) * outputs + o,
        }
    }

    /// `theirs` in our order and shape.
    fn restore(self, entry: &NamedLayer, part: TensorPart, theirs: Tensor) -> Result<Tensor, WeightsError> {
        let want = self.shape(entry, part);
        if without_leading_ones(&theirs.shape) != want || theirs.data.len() != want.iter().product::<usize>() {
            return Err(WeightsError::Shape { name: entry.tensor(part), got: theirs.shape, want });
        }
        let shape = entry.shape(part);
        if part != TensorPart::Weight {
            return Ok(Tensor { shape, data: theirs.data });
        }
        let mut data = Vec::with_capacity(theirs.data.len());
        for o in 0..entry.outputs {
            for c in 0..entry.inputs {
                for y in 0..entry.side {
                    data.extend((0..entry.side).map(|x| theirs.data[self.index(entry, [o, c, y, x])]));
                }
            }
        }
        Ok(Tensor { shape, data })
    }
}

fn without_leading_ones(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|&&size| size == 1).count();
    &shape[ones..]
}

/// All tensors of `net`, each taken out of a file of the given layout by `take`.
pub(super) fn assemble(
    net: CascadeNet,
    layout: WeightLayout,
    mut take: impl FnMut(&NamedLayer, TensorPart) -> Option<Tensor>,
) -> Result<NetTensors, WeightsError> {
    let mut tensors = NetTensors::new();
    for entry in net.layers() {
        for &part in entry.parts() {
            let name = entry.tensor(part);
            let Some(theirs) = take(entry, part) else {
                return Err(WeightsError::Missing { name, want: entry.shape(part) });
            };
            tensors.insert(name, layout.restore(entry, part, theirs)?);
        }
    }
    Ok(tensors)
}
