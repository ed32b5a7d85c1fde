//! `mtcnn_weights.npy` of the Python package mtcnn 0.1.1: a pickled dictionary of nets, each a list of arrays.

use super::WeightsError;
use super::layout::{Layout, NetTensors, assemble};
use super::names::Net;
use crate::formats::bytes::{Cursor, elements, f32s};
use crate::formats::npy::Header;
use crate::formats::pickle::{Id, Pickle, Value};
use crate::tensor::Tensor;

const FORMAT: &str = "numpy";

/// The nets in a `.npy` file; none if it is an array of numbers.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(Net, NetTensors)>, WeightsError> {
    let header = Header::read(bytes).map_err(|what| Cursor::new(FORMAT, bytes).fail(what))?;
    if header.kind().ok() != Some("|O") {
        return Ok(vec![]);
    }
    let mut cursor = Cursor::new(FORMAT, header.data);
    let pickle = Pickle::read(&mut cursor)?;
    let Some(nets) = dictionary(&pickle) else { return Err(cursor.fail("no dictionary of nets").into()) };
    let mut found = vec![];
    for net in Net::ALL {
        let Some((_, arrays)) = nets.iter().find(|(name, _)| *name == net.name()) else { continue };
        let Value::List(arrays) = pickle.get(*arrays) else {
            return Err(cursor.fail(format!("{} is not a list of arrays", net.name())).into());
        };
        let wanted: usize = net.layers().map(|entry| entry.parts().len()).sum();
        if arrays.len() != wanted {
            return Err(cursor.fail(format!("{} has {} arrays, {wanted} are expected", net.name(), arrays.len())).into());
        }
        // One at a time: a list may name the same large array again and again.
        let (mut ids, mut bad) = (arrays.iter(), false);
        let tensors = assemble(net, Layout::Numpy, |_, _| {
            let found = ids.next().and_then(|&id| array(&pickle, id));
            bad |= found.is_none();
            found
        });
        if bad {
            return Err(cursor.fail(format!("an array of {} is not little-endian float32 in C order, or not whole", net.name())).into());
        }
        found.push((net, tensors?));
    }
    Ok(found)
}

/// The dictionary in the array of one object that is the whole file.
fn dictionary<'a>(pickle: &Pickle<'a>) -> Option<Vec<(&'a str, Id)>> {
    let &[_, _, _, _, objects] = state(pickle, pickle.root())? else { return None };
    let Value::List(objects) = pickle.get(objects) else { return None };
    pickle.items(pickle.get(*objects.first()?))
}

/// The state of an array: version, shape, element type, whether in Fortran order, data.
fn state<'p>(pickle: &'p Pickle<'_>, array: &Value<'_>) -> Option<&'p [Id]> {
    let &Value::Call { function, state: Some(state), .. } = array else { return None };
    match *pickle.get(function) {
        Value::Global("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => pickle.tuple(state),
        _ => None,
    }
}

/// The array `id`, if it is of little-endian `float32` in C order.
fn array(pickle: &Pickle<'_>, id: Id) -> Option<Tensor> {
    let &[_, shape, kind, fortran, data] = state(pickle, pickle.get(id))? else { return None };
    (is_float32(pickle, pickle.get(kind))? && *pickle.get(fortran) == Value::Bool(false)).then_some(())?;
    let shape = pickle.sizes(shape)?;
    let data = match pickle.get(data) {
        &Value::Bytes(bytes) => f32s(bytes),
        encoded => f32s(&latin1(pickle, encoded)?),
    };
    (elements(&shape) == Some(data.len())).then_some(Tensor { shape, data })
}

/// Whether `value` is the element type `dtype("f4")`, little-endian.
fn is_float32(pickle: &Pickle<'_>, value: &Value<'_>) -> Option<bool> {
    let ("numpy", "dtype", arguments) = pickle.call(value)? else { return None };
    let &Value::Call { state: Some(state), .. } = value else { return None };
    let order = pickle.tuple(state)?.get(1)?;
    Some(pickle.text(*arguments.first()?)? == "f4" && pickle.text(*order)? == "<")
}

/// Bytes as protocol 2 keeps them: each as the character of its number.
fn latin1(pickle: &Pickle<'_>, value: &Value<'_>) -> Option<Vec<u8>> {
    let ("_codecs", "encode", &[text, codec]) = pickle.call(value)? else { return None };
    (pickle.text(codec)? == "latin1").then_some(())?;
    pickle.text(text)?.chars().map(|character| u8::try_from(character).ok()).collect()
}
