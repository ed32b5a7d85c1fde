//! ONNX models: a protobuf message with a list of nodes and the tensors that they read. Field numbers are
//! those of `onnx.proto3`; what no net needs is passed over.

use std::collections::BTreeMap;

use super::bytes::{Cursor, FormatError, elements, f16s, f32s};
use super::protobuf::{Field, next, varint};

const FORMAT: &str = "ONNX";

/// A model.
#[derive(Debug, Default)]
pub(crate) struct OnnxModel {
    /// Version of the default operator set.
    pub opset: u64,
    /// Nodes, each after those that it reads.
    pub nodes: Vec<OnnxNode>,
    /// Tensors by name.
    pub initializers: BTreeMap<String, OnnxTensor>,
    /// Inputs; older models list the initializers among them.
    pub inputs: Vec<OnnxInput>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
}

/// An input.
#[derive(Debug, Default)]
pub(crate) struct OnnxInput {
    pub name: String,
    /// Sizes, `None` where any size is allowed.
    pub shape: Vec<Option<usize>>,
}

/// One operation.
#[derive(Debug, Default)]
pub(crate) struct OnnxNode {
    pub name: String,
    pub operator: String,
    /// Domain of the operator; empty for the default one.
    pub domain: String,
    /// Names of values; an empty name is an input that is left out.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub attributes: BTreeMap<String, OnnxAttribute>,
}

/// An attribute of a node.
#[derive(Debug, Clone)]
pub(crate) enum OnnxAttribute {
    Float(f32),
    Int(i64),
    Text(String),
    Tensor(OnnxTensor),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    /// Of a kind that no net needs.
    Other,
}

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OnnxTensor {
    /// Sizes, slowest first; none for a single number.
    pub shape: Vec<usize>,
    pub values: OnnxValues,
}

/// Elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OnnxValues {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

/// Where the elements of a tensor lie outside the model.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OnnxExternal {
    /// Path of the file, relative to the model.
    pub location: String,
    pub offset: u64,
    /// Number of bytes; the rest of the file if it is not given.
    pub length: Option<u64>,
}

/// Returns the bytes of elements that lie outside the model, or what is wrong.
pub(crate) type External<'a> = dyn Fn(&OnnxExternal) -> Result<Vec<u8>, String> + 'a;

/// Whether `bytes` could be a model: a message with a version, a graph and an operator set, whole.
pub(crate) fn is(bytes: &[u8]) -> bool {
    let (mut cursor, mut seen) = (Cursor::new(FORMAT, bytes), [false; 3]);
    while let Ok(Some((number, field))) = next(&mut cursor) {
        match (number, field) {
            (1, Field::Varint(_)) => seen[0] = true,
            (7, Field::Bytes(_)) => seen[1] = true,
            (8, Field::Bytes(_)) => seen[2] = true,
            _ => {}
        }
    }
    seen == [true; 3] && cursor.rest().is_empty()
}

/// The model in `bytes`.
pub(crate) fn read(bytes: &[u8], external: &External<'_>) -> Result<OnnxModel, FormatError> {
    let (mut cursor, mut model) = (Cursor::new(FORMAT, bytes), OnnxModel::default());
    let mut has_graph = false;
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (7, Field::Bytes(bytes)) => {
                has_graph = true;
                read_graph(bytes, external, &mut model)?;
            }
            (8, Field::Bytes(bytes)) => {
                let (domain, version) = read_opset(bytes)?;
                if domain.is_empty() || domain == "ai.onnx" {
                    model.opset = version;
                }
            }
            _ => {}
        }
    }
    if has_graph { Ok(model) } else { Err(cursor.fail("no graph")) }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read_opset(bytes: &[u8]) -> Result<(String, u64), FormatError> {
    let (mut cursor, mut opset) = (Cursor::new(FORMAT, bytes), (String::new(), 0));
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => opset.0 = text(bytes),
            (2, Field::Varint(version)) => opset.1 = version,
            _ => {}
        }
    }
    Ok(opset)
}

fn read_graph(bytes: &[u8], external: &External<'_>, model: &mut OnnxModel) -> Result<(), FormatError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => model.nodes.push(read_node(bytes, external)?),
            (5, Field::Bytes(bytes)) => {
                let (name, tensor) = read_tensor(bytes, external)?;
                model.initializers.insert(name, tensor);
            }
            (11, Field::Bytes(bytes)) => model.inputs.push(read_value(bytes)?),
            (12, Field::Bytes(bytes)) => model.outputs.push(read_value(bytes)?.name),
            (15, _) => return Err(cursor.fail("a sparse tensor")),
            _ => {}
        }
    }
    Ok(())
}

fn read_node(bytes: &[u8], external: &External<'_>) -> Result<OnnxNode, FormatError> {
    let (mut cursor, mut node) = (Cursor::new(FORMAT, bytes), OnnxNode::default());
    while let Some((number, field)) = next(&mut cursor)? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 => node.inputs.push(text(bytes)),
            2 => node.outputs.push(text(bytes)),
            3 => node.name = text(bytes),
            4 => node.operator = text(bytes),
            5 => {
                let (name, attribute) = read_attribute(bytes, external)?;
                node.attributes.insert(name, attribute);
            }
            7 => node.domain = text(bytes),
            _ => {}
        }
    }
    Ok(node)
}

/// Which of the fields holds the value is told by a kind in newer models, and by its being there in older
/// ones.
fn read_attribute(bytes: &[u8], external: &External<'_>) -> Result<(String, OnnxAttribute), FormatError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    let (mut name, mut value) = (String::new(), None);
    let (mut floats, mut ints, mut kind) = (Vec::new(), Vec::new(), 0);
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = text(bytes),
            (2, Field::Fixed32(bytes)) => value = Some(OnnxAttribute::Float(f32::from_le_bytes(bytes))),
            (3, Field::Varint(int)) => value = Some(OnnxAttribute::Int(int as i64)),
            (4, Field::Bytes(bytes)) => value = Some(OnnxAttribute::Text(text(bytes))),
            (5, Field::Bytes(bytes)) => value = Some(OnnxAttribute::Tensor(read_tensor(bytes, external)?.1)),
            (6, _) => value = Some(OnnxAttribute::Other),
            (7, Field::Fixed32(bytes)) => floats.push(f32::from_le_bytes(bytes)),
            (7, Field::Bytes(bytes)) => floats.extend(f32s(bytes)),
            (8, field) => integers(&cursor, field, &mut ints)?,
            (20, Field::Varint(of)) => kind = of,
            _ => {}
        }
    }
    // 6 and 7 are the kinds of lists, which may be empty.
    let value = match (value, kind) {
        (Some(value), _) => value,
        (None, 7) => OnnxAttribute::Ints(ints),
        (None, 6) => OnnxAttribute::Floats(floats),
        (None, 1) => OnnxAttribute::Float(0.0),
        (None, 2) => OnnxAttribute::Int(0),
        (None, _) if !ints.is_empty() => OnnxAttribute::Ints(ints),
        (None, _) if !floats.is_empty() => OnnxAttribute::Floats(floats),
        (None, _) => OnnxAttribute::Other,
    };
    Ok((name, value))
}

/// Adds the integers of a field that may be packed.
fn integers(cursor: &Cursor<'_>, field: Field<'_>, to: &mut Vec<i64>) -> Result<(), FormatError> {
    match field {
        Field::Varint(int) => to.push(int as i64),
        Field::Bytes(packed) => {
            let mut packed = Cursor::new(FORMAT, packed);
            while !packed.rest().is_empty() {
                to.push(varint(&mut packed)? as i64);
            }
        }
        _ => return Err(cursor.fail("an integer that is none")),
    }
    Ok(())
}

/// Fields of a tensor as they come.
#[derive(Default)]
struct Parts<'a> {
    name: String,
    shape: Vec<i64>,
    kind: u64,
    raw: Option<&'a [u8]>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    doubles: Vec<f32>,
    external: OnnxExternal,
    is_external: bool,
}

fn read_tensor(bytes: &[u8], external: &External<'_>) -> Result<(String, OnnxTensor), FormatError> {
    let (mut cursor, mut parts) = (Cursor::new(FORMAT, bytes), Parts::default());
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1, field) => integers(&cursor, field, &mut parts.shape)?,
            (2, Field::Varint(kind)) => parts.kind = kind,
            (4, Field::Bytes(packed)) => parts.floats.extend(f32s(packed)),
            (4, Field::Fixed32(bytes)) => parts.floats.push(f32::from_le_bytes(bytes)),
            (5 | 7, field) => integers(&cursor, field, &mut parts.ints)?,
            (8, Field::Bytes(bytes)) => parts.name = text(bytes),
            (9, Field::Bytes(bytes)) => parts.raw = Some(bytes),
            (10, Field::Bytes(packed)) => parts.doubles.extend(f64s(packed)),
            (13, Field::Bytes(bytes)) => read_external(bytes, &mut parts.external)?,
            (14, Field::Varint(1)) => parts.is_external = true,
            _ => {}
        }
    }
    let fail = |what: String| cursor.fail(format!("tensor {:?}: {what}", parts.name));
    let shape: Vec<usize> = parts.shape.iter().filter_map(|size| usize::try_from(*size).ok()).collect();
    let count = elements(&shape).filter(|_| shape.len() == parts.shape.len()).ok_or_else(|| fail(format!("shape {:?}", parts.shape)))?;
    let held;
    let raw = if parts.is_external {
        held = external(&parts.external).map_err(fail)?;
        Some(&held[..])
    } else {
        parts.raw
    };
    let values = values(parts.kind, raw, parts.floats, parts.ints, parts.doubles).map_err(fail)?;
    let length = match &values {
        OnnxValues::Floats(floats) => floats.len(),
        OnnxValues::Ints(ints) => ints.len(),
    };
    if length != count {
        return Err(fail(format!("{length} elements for shape {shape:?}")));
    }
    Ok((parts.name, OnnxTensor { shape, values }))
}

/// The elements of a tensor of the data type `kind`.
fn values(kind: u64, raw: Option<&[u8]>, floats: Vec<f32>, ints: Vec<i64>, doubles: Vec<f32>) -> Result<OnnxValues, String> {
    let wide = |raw: &[u8]| raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    let narrow = |raw: &[u8]| raw.as_chunks().0.iter().map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect();
    let halves = |ints: Vec<i64>| f16s(&ints.into_iter().flat_map(|bits| (bits as u16).to_le_bytes()).collect::<Vec<u8>>());
    Ok(match (kind, raw) {
        (1, Some(raw)) => OnnxValues::Floats(f32s(raw)),
        (1, None) => OnnxValues::Floats(floats),
        (10, Some(raw)) => OnnxValues::Floats(f16s(raw)),
        (10, None) => OnnxValues::Floats(halves(ints)),
        (11, Some(raw)) => OnnxValues::Floats(f64s(raw)),
        (11, None) => OnnxValues::Floats(doubles),
        (6, Some(raw)) => OnnxValues::Ints(narrow(raw)),
        (7, Some(raw)) => OnnxValues::Ints(wide(raw)),
        (9, Some(raw)) => OnnxValues::Ints(raw.iter().map(|byte| i64::from(*byte)).collect()),
        (6 | 7 | 9, None) => OnnxValues::Ints(ints),
        _ => return Err(format!("elements of the data type {kind}; float, double, float16, int32, int64 and bool are read")),
    })
}

fn f64s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
}

/// One key and its value.
fn read_external(bytes: &[u8], to: &mut OnnxExternal) -> Result<(), FormatError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    let (mut key, mut value) = (String::new(), String::new());
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => key = text(bytes),
            (2, Field::Bytes(bytes)) => value = text(bytes),
            _ => {}
        }
    }
    let number = |cursor: &Cursor<'_>| value.parse().map_err(|_| cursor.fail(format!("external data with {key} {value:?}")));
    match key.as_str() {
        "location" => to.location = value,
        "offset" => to.offset = number(&cursor)?,
        "length" => to.length = Some(number(&cursor)?),
        _ => {}
    }
    Ok(())
}

/// Name and shape of an input or output.
fn read_value(bytes: &[u8]) -> Result<OnnxInput, FormatError> {
    let (mut cursor, mut value) = (Cursor::new(FORMAT, bytes), OnnxInput::default());
    while let Some((number, field)) = next(&mut cursor)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => value.name = text(bytes),
            // Type, type of a tensor, shape: each a message of which one field is wanted.
            (2, Field::Bytes(bytes)) => {
                let Some(tensor) = inner(bytes, 1)? else { continue };
                let Some(shape) = inner(tensor, 2)? else { continue };
                value.shape = read_sizes(shape)?;
            }
            _ => {}
        }
    }
    Ok(value)
}

/// The message in the field `wanted` of a message.
fn inner(bytes: &[u8], wanted: u64) -> Result<Option<&[u8]>, FormatError> {
    let (mut cursor, mut found) = (Cursor::new(FORMAT, bytes), None);
    while let Some((number, field)) = next(&mut cursor)? {
        if let Field::Bytes(bytes) = field
            && number == wanted
        {
            found = Some(bytes);
        }
    }
    Ok(found)
}

fn read_sizes(bytes: &[u8]) -> Result<Vec<Option<usize>>, FormatError> {
    let (mut cursor, mut sizes) = (Cursor::new(FORMAT, bytes), Vec::new());
    while let Some((number, field)) = next(&mut cursor)? {
        let (1, Field::Bytes(bytes)) = (number, field) else { continue };
        let (mut dimension, mut size) = (Cursor::new(FORMAT, bytes), None);
        while let Some((number, field)) = next(&mut dimension)? {
            if let (1, Field::Varint(value)) = (number, field) {
                size = usize::try_from(value).ok().filter(|size| *size > 0 && *size < 1 << 31);
            }
        }
        sizes.push(size);
    }
    Ok(sizes)
}
