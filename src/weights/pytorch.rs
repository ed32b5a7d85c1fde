//! `torch.save` files of a net's state: the format before 1.6, and the zip of later ones.

use std::collections::BTreeMap;

use super::WeightsError;
use super::import::Archive;
use super::layout::{Layout, NetTensors, assemble};
use super::names::Net;
use crate::formats::bytes::{Cursor, elements, f16s, f32s};
use crate::formats::pickle::{Id, Pickle, Value};
use crate::tensor::Tensor;

const FORMAT: &str = "PyTorch";

/// Start of the older format: a pickle of protocol 2 that holds this ten-byte number.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Most dimensions of a tensor; ours have four.
const MAX_RANK: usize = 8;

/// Whether `bytes` start as the older format does.
pub(super) fn is_old(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The net in a file of the older format, if it is one of ours.
pub(super) fn read_old(bytes: &[u8]) -> Result<Option<(Net, NetTensors)>, WeightsError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    cursor.take(MAGIC.len())?;
    if *Pickle::read(&mut cursor)?.root() != Value::Int(1001) {
        return Err(cursor.fail("version of the format is not 1001").into());
    }
    let system = Pickle::read(&mut cursor)?;
    let items = system.items(system.root()).unwrap_or_default();
    if !items.iter().any(|&(key, id)| key == "little_endian" && *system.get(id) == Value::Bool(true)) {
        return Err(cursor.fail("not written by a little-endian machine").into());
    }
    let state = Pickle::read(&mut cursor)?;
    let keys = Pickle::read(&mut cursor)?;
    let Value::List(keys_in_order) = keys.root() else { return Err(cursor.fail("no list of storages").into()) };
    let kinds: BTreeMap<_, _> = state.values().filter_map(|value| Storage::of(&state, value)).map(|it| (it.key, it.kind)).collect();
    let mut storages = BTreeMap::new();
    for &id in keys_in_order {
        let key = keys.text(id).ok_or_else(|| cursor.fail("key of a storage is not text"))?;
        let kind = kinds.get(key).ok_or_else(|| cursor.fail(format!("storage {key:?} is of no tensor")))?;
        let size = element_size(kind).ok_or_else(|| cursor.fail(format!("storage {key:?} is a {kind}")))?;
        let count = cursor.length::<8>()?;
        let length = count.checked_mul(size).ok_or_else(|| cursor.fail("storage beyond memory"))?;
        storages.insert(key, cursor.take(length)?);
    }
    read_state(&cursor, &state, |key| Ok(storages.get(key).map(|bytes| bytes.to_vec())))
}

/// Whether `archive` is of the newer format.
pub(super) fn is_new(archive: &Archive<'_>) -> bool {
    archive.find("/data.pkl").is_some()
}

/// The net in a file of the newer format, if it is one of ours.
pub(super) fn read_new(archive: &mut Archive<'_>) -> Result<Option<(Net, NetTensors)>, WeightsError> {
    let member = archive.find("/data.pkl").unwrap_or_default();
    let pickle = archive.read(&member)?;
    let folder = member.trim_end_matches("data.pkl");
    let mut cursor = Cursor::new(FORMAT, &pickle);
    if let Some(member) = archive.find("/byteorder")
        && archive.read(&member)? != b"little"
    {
        return Err(cursor.fail("not written by a little-endian machine").into());
    }
    let state = Pickle::read(&mut cursor)?;
    read_state(&cursor, &state, |key| {
        let member = format!("{folder}data/{key}");
        if archive.find(&member).is_some() { archive.read(&member).map(Some) } else { Ok(None) }
    })
}

/// The net whose state dictionary is `state`; `bytes` gives a storage by its key. `end` is where errors point.
fn read_state<'a>(
    end: &Cursor<'_>,
    state: &Pickle<'a>,
    mut bytes: impl FnMut(&'a str) -> Result<Option<Vec<u8>>, WeightsError>,
) -> Result<Option<(Net, NetTensors)>, WeightsError> {
    let Some(items) = state.items(state.root()) else { return Ok(None) };
    let ids: BTreeMap<_, _> = items.into_iter().collect();
    let first = ids.get("conv1.weight").and_then(|&id| View::of(state, id));
    let Some(net) = first.and_then(|view| Net::with_first_outputs(*view.shape.first()?)) else { return Ok(None) };
    let mut tensors = BTreeMap::new();
    for (entry, kind) in net.layers().flat_map(|entry| entry.parts().iter().map(move |&kind| (entry, kind))) {
        let part = entry.torch(kind);
        let Some(&id) = ids.get(part.as_str()) else { continue };
        let view = View::of(state, id).ok_or_else(|| end.fail(format!("{part:?} is no tensor that is understood")))?;
        let want = entry.shape(kind);
        if elements(&view.shape) != elements(&want) {
            return Err(WeightsError::Shape { name: entry.tensor(kind), got: view.shape, want });
        }
        let storage = bytes(view.storage.key)?.ok_or_else(|| end.fail(format!("storage of {part:?} is missing")))?;
        let storage = match view.storage.kind {
            "FloatStorage" => f32s(&storage),
            "HalfStorage" => f16s(&storage),
            kind => return Err(WeightsError::Dtype { name: part, dtype: kind.into() }),
        };
        let tensor = view.gather(&storage).ok_or_else(|| end.fail(format!("{part:?} reaches outside its storage")))?;
        tensors.insert(part, tensor);
    }
    assemble(net, Layout::PyTorch, |entry, part| tensors.remove(&entry.torch(part))).map(|tensors| Some((net, tensors)))
}

/// Elements kept outside the pickle.
#[derive(Debug, Clone, Copy)]
struct Storage<'a> {
    kind: &'a str,
    key: &'a str,
}

impl<'a> Storage<'a> {
    /// The storage that `value` refers to: `("storage", kind, key, location, elements)`, and once a sixth, `None`.
    fn of(pickle: &Pickle<'a>, value: &Value<'a>) -> Option<Self> {
        let &Value::Persistent(id) = value else { return None };
        let (&[tag, kind, key, _, _], rest) = pickle.tuple(id)?.split_first_chunk()?;
        let Value::Global("torch", kind) = *pickle.get(kind) else { return None };
        let whole = rest.iter().all(|&id| *pickle.get(id) == Value::None);
        (whole && pickle.text(tag)? == "storage").then_some(Self { kind, key: pickle.text(key)? })
    }
}

/// A tensor: some elements of a storage.
#[derive(Debug)]
struct View<'a> {
    storage: Storage<'a>,
    start: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> View<'a> {
    fn of(pickle: &Pickle<'a>, id: Id) -> Option<Self> {
        let (module, mut name, mut arguments) = pickle.call(pickle.get(id))?;
        if (module, name) == ("torch._utils", "_rebuild_parameter") {
            (_, name, arguments) = pickle.call(pickle.get(*arguments.first()?))?;
        }
        let &[storage, start, shape, strides] = arguments.first_chunk()?;
        let storage = Storage::of(pickle, pickle.get(storage))?;
        let (shape, strides) = (pickle.sizes(shape)?, pickle.sizes(strides)?);
        (name == "_rebuild_tensor_v2" && shape.len() == strides.len() && shape.len() <= MAX_RANK).then_some(())?;
        Some(Self { storage, start: pickle.size(start)?, shape, strides })
    }

    /// Its elements in row-major order, if they are all in `storage`.
    fn gather(self, storage: &[f32]) -> Option<Tensor> {
        let count = elements(&self.shape).filter(|&count| count <= storage.len())?;
        let mut data = Vec::with_capacity(count);
        for index in 0..count {
            let (mut rest, mut at) = (index, self.start);
            for (&size, &stride) in self.shape.iter().zip(&self.strides).rev() {
                at = (rest % size).checked_mul(stride)?.checked_add(at)?;
                rest /= size;
            }
            data.push(*storage.get(at)?);
        }
        Some(Tensor { shape: self.shape, data })
    }
}

/// Bytes of one element of a kind of storage.
fn element_size(kind: &str) -> Option<usize> {
    Some(match kind {
        "DoubleStorage" | "LongStorage" => 8,
        "FloatStorage" | "IntStorage" => 4,
        "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
        "ByteStorage" | "CharStorage" | "BoolStorage" => 1,
        _ => return None,
    })
}
