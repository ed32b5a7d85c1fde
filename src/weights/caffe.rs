//! `.caffemodel` files: a protobuf message of layers, each with blobs of weights.

use std::collections::BTreeMap;

use super::WeightsError;
use super::layout::{NetTensors, WeightLayout, assemble};
use super::names::{CascadeNet, TensorPart};
use crate::formats::bytes::{Cursor, elements, f32s};
use crate::formats::protobuf::{Field, next, varint};
use crate::tensor::Tensor;

const FORMAT: &str = "Caffe";

/// Blobs by the name of their layer, in lower case: releases differ in it.
type CaffeLayers = BTreeMap<String, Vec<Tensor>>;

/// Whether `bytes` could be a net: it starts with a name or a layer, and all of it is fields.
pub(super) fn is(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(FORMAT, bytes);
    let mut layers = 0;
    while let Ok(Some((number, field))) = next(&mut cursor) {
        layers += usize::from(matches!((number, field), (2 | 100, Field::Bytes(_))));
    }
    layers > 0 && cursor.rest().is_empty()
}

/// The net in `bytes`, if it is one of ours.
pub(super) fn read(bytes: &[u8], order: usize) -> Result<Option<(CascadeNet, NetTensors)>, WeightsError> {
    let mut layers = CaffeLayers::new();
    let mut cursor = Cursor::new(FORMAT, bytes);
    while let Some((number, field)) = next(&mut cursor)? {
        let (name, blobs) = match (number, field) {
            (2, Field::Bytes(bytes)) => read_layer(bytes, 4, 6)?,
            (100, Field::Bytes(bytes)) => read_layer(bytes, 1, 7)?,
            _ => continue,
        };
        if !blobs.is_empty() {
            layers.insert(name.to_ascii_lowercase(), blobs);
        }
    }
    let first = layers.get("conv1").and_then(|blobs| blobs.first());
    let Some(net) = first.and_then(|kernel| CascadeNet::with_first_outputs(*kernel.shape.first()?)) else { return Ok(None) };
    let tensors = assemble(net, WeightLayout::Caffe.alternative(order), |entry, part| {
        let (name, index) = match part {
            TensorPart::Weight => (entry.caffe.to_owned(), 0),
            TensorPart::Bias => (entry.caffe.to_owned(), 1),
            TensorPart::Slope => (entry.prelu(), 0),
        };
        layers.get_mut(&name)?.get_mut(index).map(|blob| std::mem::replace(blob, Tensor { shape: vec![], data: vec![] }))
    })?;
    Ok(Some((net, tensors)))
}

/// Name and blobs of a layer: the older and the newer message number these fields differently.
fn read_layer(bytes: &[u8], name_field: u64, blob_field: u64) -> Result<(String, Vec<Tensor>), WeightsError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    let (mut name, mut blobs) = (String::new(), vec![]);
    while let Some((number, field)) = next(&mut cursor)? {
        match field {
            Field::Bytes(bytes) if number == name_field => name = String::from_utf8_lossy(bytes).into_owned(),
            Field::Bytes(bytes) if number == blob_field => blobs.push(read_blob(bytes)?),
            _ => {}
        }
    }
    Ok((name, blobs))
}

/// A blob: older files give four sizes (fields 1 to 4), newer ones a list of sizes (field 7).
fn read_blob(bytes: &[u8]) -> Result<Tensor, WeightsError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    let (mut four, mut shape, mut data) = ([1; 4], None, vec![]);
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1..=4, Field::Varint(size)) => four[number as usize - 1] = to_size(&cursor, size)?,
            (5, Field::Bytes(packed)) => data.extend(f32s(packed)),
            (5, Field::Fixed32(bytes)) => data.push(f32::from_le_bytes(bytes)),
            (7, Field::Bytes(bytes)) => shape = Some(read_shape(bytes)?),
            (8, _) => return Err(cursor.fail("weights in double precision").into()),
            _ => {}
        }
    }
    let shape = shape.unwrap_or_else(|| four.to_vec());
    if elements(&shape) != Some(data.len()) {
        return Err(cursor.fail(format!("a blob of shape {shape:?} has {} elements", data.len())).into());
    }
    Ok(Tensor { shape, data })
}

fn read_shape(bytes: &[u8]) -> Result<Vec<usize>, WeightsError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    let mut shape = vec![];
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1, Field::Varint(size)) => shape.push(to_size(&cursor, size)?),
            (1, Field::Bytes(packed)) => {
                let mut packed = Cursor::new(FORMAT, packed);
                while !packed.rest().is_empty() {
                    let size = varint(&mut packed)?;
                    shape.push(to_size(&packed, size)?);
                }
            }
            _ => {}
        }
    }
    Ok(shape)
}

fn to_size(cursor: &Cursor<'_>, size: u64) -> Result<usize, WeightsError> {
    usize::try_from(size).map_err(|_| cursor.fail("size beyond memory").into())
}
