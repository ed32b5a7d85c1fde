//! `torch.save` files of the state of one net or of all three: the format before 1.6, and the zip of later
//! ones.
//!
//! A state may lie in a dictionary under `state_dict` or the like, and its names may begin with `module.`,
//! with the net (`pnet.`), or with `features.`.

use std::collections::BTreeMap;

use super::WeightsError;
use super::archive::Archive;
use super::layout::{NetTensors, WeightLayout, assemble};
use super::names::{CascadeNet, NamedLayer, TensorPart};
use crate::formats::bytes::{Cursor, elements, f16s, f32s};
use crate::formats::pickle::{Pickle, PickleValue, ValueId};
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

/// The nets in a file of the older format that are ours.
pub(super) fn read_old(bytes: &[u8], order: usize) -> Result<Vec<(CascadeNet, NetTensors)>, WeightsError> {
    let mut cursor = Cursor::new(FORMAT, bytes);
    cursor.take(MAGIC.len())?;
    if *Pickle::read(&mut cursor)?.root() != PickleValue::Int(1001) {
        return Err(cursor.fail("version of the format is not 1001").into());
    }
    let system = Pickle::read(&mut cursor)?;
    let items = system.items(system.root()).unwrap_or_default();
    if !items.iter().any(|&(key, id)| key == "little_endian" && *system.get(id) == PickleValue::Bool(true)) {
        return Err(cursor.fail("not written by a little-endian machine").into());
    }
    let state = Pickle::read(&mut cursor)?;
    let keys = Pickle::read(&mut cursor)?;
    let PickleValue::List(keys_in_order) = keys.root() else { return Err(cursor.fail("no list of storages").into()) };
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
    read_state(&cursor, &state, order, |key| Ok(storages.get(key).map(|bytes| bytes.to_vec())))
}

/// Whether `archive` is of the newer format.
pub(super) fn is_new(archive: &Archive<'_>) -> bool {
    archive.find("/data.pkl").is_some()
}

/// The nets in a file of the newer format that are ours.
pub(super) fn read_new(archive: &mut Archive<'_>, order: usize) -> Result<Vec<(CascadeNet, NetTensors)>, WeightsError> {
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
    read_state(&cursor, &state, order, |key| {
        let member = format!("{folder}data/{key}");
        if archive.find(&member).is_some() { archive.read(&member).map(Some) } else { Ok(None) }
    })
}

/// Keys under which training programs keep a state beside other things.
const WRAPPERS: [&str; 6] = ["state_dict", "model_state_dict", "model", "net", "network", "weights"];

/// The entries of the state in `value`, out of whatever it is wrapped in. A dictionary in itself would go on
/// for ever, so depth is limited.
fn entries<'a>(state: &Pickle<'a>, value: &PickleValue<'a>, depth: usize) -> Option<Vec<(&'a str, ValueId)>> {
    let (PickleValue::Dict(items) | PickleValue::Call { items, .. }) = value else { return None };
    let entries: Vec<(&str, ValueId)> = items.iter().filter_map(|&(key, value)| Some((state.text(key)?, value))).collect();
    let wrapped = entries.iter().find(|(key, _)| WRAPPERS.contains(key)).filter(|_| depth < 4);
    wrapped.and_then(|(_, id)| entries_of(state, *id, depth)).or(Some(entries))
}

fn entries_of<'a>(state: &Pickle<'a>, id: ValueId, depth: usize) -> Option<Vec<(&'a str, ValueId)>> {
    entries(state, state.get(id), depth + 1)
}

/// The nets in the state dictionary `state`; `bytes` gives a storage by its key. `end` is where errors point.
fn read_state<'a>(
    end: &Cursor<'_>,
    state: &Pickle<'a>,
    order: usize,
    mut bytes: impl FnMut(&'a str) -> Result<Option<Vec<u8>>, WeightsError>,
) -> Result<Vec<(CascadeNet, NetTensors)>, WeightsError> {
    let Some(items) = entries(state, state.root(), 0) else { return Ok(vec![]) };
    // By net, if names begin with it.
    let mut groups: BTreeMap<&str, BTreeMap<&str, ValueId>> = BTreeMap::new();
    for (name, id) in items {
        let mut name = name;
        while let Some(rest) = name.strip_prefix("module.") {
            name = rest;
        }
        let net = CascadeNet::ALL
            .into_iter()
            .find(|net| name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(&format!("{}.", net.name()))));
        let (group, name) = net.map_or(("", name), |net| (net.name(), &name[5..]));
        let name = name.strip_prefix("module.").unwrap_or(name);
        groups.entry(group).or_default().insert(name.strip_prefix("features.").unwrap_or(name), id);
    }
    let mut found = vec![];
    for ids in groups.values() {
        let first = ids.get("conv1.weight").and_then(|&id| TensorView::of(state, id));
        let Some(net) = first.and_then(|view| CascadeNet::with_first_outputs(*view.shape.first()?)) else { continue };
        found.push((net, read_net(end, state, order, net, ids, &mut bytes)?));
    }
    Ok(found)
}

/// The tensors of `net`, whose names and values are `ids`.
fn read_net<'a>(
    end: &Cursor<'_>,
    state: &Pickle<'a>,
    order: usize,
    net: CascadeNet,
    ids: &BTreeMap<&str, ValueId>,
    bytes: &mut impl FnMut(&'a str) -> Result<Option<Vec<u8>>, WeightsError>,
) -> Result<NetTensors, WeightsError> {
    let is_plain = net.layers().any(|entry| {
        entry.torch(TensorPart::Weight) != entry.torch_plain(TensorPart::Weight)
            && ids.contains_key(&*entry.torch_plain(TensorPart::Weight))
    });
    let called = |entry: &NamedLayer, kind: TensorPart| if is_plain { entry.torch_plain(kind) } else { entry.torch(kind) };
    let layout = if is_plain { WeightLayout::Transposed } else { WeightLayout::PyTorch };
    let mut tensors = BTreeMap::new();
    for (entry, kind) in net.layers().flat_map(|entry| entry.parts().iter().map(move |&kind| (entry, kind))) {
        let part = called(entry, kind);
        let Some(&id) = ids.get(part.as_str()) else { continue };
        let view = TensorView::of(state, id).ok_or_else(|| end.fail(format!("{part:?} is no tensor that is understood")))?;
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
    assemble(net, layout.alternative(order), |entry, part| tensors.remove(&called(entry, part)))
}

/// Elements kept outside the pickle.
#[derive(Debug, Clone, Copy)]
struct Storage<'a> {
    kind: &'a str,
    key: &'a str,
}

impl<'a> Storage<'a> {
    /// The storage that `value` refers to: `("storage", kind, key, location, elements)`, and once a sixth,
    /// `None`.
    fn of(pickle: &Pickle<'a>, value: &PickleValue<'a>) -> Option<Self> {
        let &PickleValue::Persistent(id) = value else { return None };
        let (&[tag, kind, key, _, _], rest) = pickle.tuple(id)?.split_first_chunk()?;
        let PickleValue::Global("torch", kind) = *pickle.get(kind) else { return None };
        let whole = rest.iter().all(|&id| *pickle.get(id) == PickleValue::None);
        (whole && pickle.text(tag)? == "storage").then_some(Self { kind, key: pickle.text(key)? })
    }
}

/// A tensor: some elements of a storage.
#[derive(Debug)]
struct TensorView<'a> {
    storage: Storage<'a>,
    start: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> TensorView<'a> {
    fn of(pickle: &Pickle<'a>, id: ValueId) -> Option<Self> {
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
