//! Weights of known values, in every format that is imported: what the importers must undo.
//!
//! Names and orders are written down here a second time, on purpose, so that a mistake in the importers'
//! tables shows.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use mtcmcn::Weights;
use mtcmcn::tensor::{Tensor, noise};
use zip::write::SimpleFileOptions;

/// A layer: name here, in Caffe, its slope in Caffe, in torch, its slope in torch, and the weight's shape as
/// `[o, c, y, x]`.
pub struct Layer(pub &'static str, pub &'static str, pub &'static str, &'static str, &'static str, pub [usize; 4]);

pub const NETS: [(&str, &[Layer]); 3] = [
    (
        "pnet",
        &[
            Layer("conv1", "conv1", "PReLU1", "conv1", "prelu1", [10, 3, 3, 3]),
            Layer("conv2", "conv2", "PReLU2", "conv2", "prelu2", [16, 10, 3, 3]),
            Layer("conv3", "conv3", "PReLU3", "conv3", "prelu3", [32, 16, 3, 3]),
            Layer("class", "conv4-1", "", "conv4_1", "", [2, 32, 1, 1]),
            Layer("box", "conv4-2", "", "conv4_2", "", [4, 32, 1, 1]),
        ],
    ),
    (
        "rnet",
        &[
            Layer("conv1", "conv1", "prelu1", "conv1", "prelu1", [28, 3, 3, 3]),
            Layer("conv2", "conv2", "prelu2", "conv2", "prelu2", [48, 28, 3, 3]),
            Layer("conv3", "conv3", "prelu3", "conv3", "prelu3", [64, 48, 2, 2]),
            Layer("fc4", "conv4", "prelu4", "dense4", "prelu4", [128, 64, 3, 3]),
            Layer("class", "conv5-1", "", "dense5_1", "", [2, 128, 1, 1]),
            Layer("box", "conv5-2", "", "dense5_2", "", [4, 128, 1, 1]),
        ],
    ),
    (
        "onet",
        &[
            Layer("conv1", "conv1", "prelu1", "conv1", "prelu1", [32, 3, 3, 3]),
            Layer("conv2", "conv2", "prelu2", "conv2", "prelu2", [64, 32, 3, 3]),
            Layer("conv3", "conv3", "prelu3", "conv3", "prelu3", [64, 64, 3, 3]),
            Layer("conv4", "conv4", "prelu4", "conv4", "prelu4", [128, 64, 2, 2]),
            Layer("fc5", "conv5", "prelu5", "dense5", "prelu5", [256, 128, 3, 3]),
            Layer("class", "conv6-1", "", "dense6_1", "", [2, 256, 1, 1]),
            Layer("box", "conv6-2", "", "dense6_2", "", [4, 256, 1, 1]),
            Layer("landmarks", "conv6-3", "", "dense6_3", "", [10, 256, 1, 1]),
        ],
    ),
];

impl Layer {
    pub fn dense(&self) -> bool {
        self.3.starts_with("dense")
    }

    pub fn slope(&self) -> bool {
        !self.2.is_empty()
    }
}

/// A complete set of noise.
pub fn synthetic() -> Weights {
    let mut tensors = BTreeMap::new();
    for (net, layers) in NETS {
        for layer in layers {
            let [o, c, y, x] = layer.5;
            let mut add = |part: &str, shape: Vec<usize>| {
                let data = noise(shape.iter().product(), tensors.len() as u64 + 1);
                tensors.insert(format!("{net}.{}.{part}", layer.0), Tensor { shape, data });
            };
            add("weight", if layer.dense() { vec![o, c * y * x] } else { vec![o, c, y, x] });
            add("bias", vec![o]);
            if layer.slope() {
                add("slope", vec![o]);
            }
        }
    }
    Weights::new(tensors, BTreeMap::new()).unwrap()
}

/// Elements of a row-major tensor whose axis `i` was axis `order[i]` of `data`.
pub fn transpose(data: &[f32], shape: [usize; 4], order: [usize; 4]) -> Vec<f32> {
    let strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1];
    let [a, b, c, d] = order;
    let mut out = vec![];
    for i in 0..shape[a] {
        for j in 0..shape[b] {
            for k in 0..shape[c] {
                out.extend((0..shape[d]).map(|l| data[i * strides[a] + j * strides[b] + k * strides[c] + l * strides[d]]));
            }
        }
    }
    out
}

fn bytes(data: &[f32]) -> Vec<u8> {
    data.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub fn layers(net: &str) -> &'static [Layer] {
    NETS.iter().find(|(name, _)| *name == net).unwrap().1
}

/// Opcodes of a pickle.
#[derive(Default)]
pub struct Pickle {
    pub bytes: Vec<u8>,
    modern: bool,
}

impl Pickle {
    /// An empty pickle; a modern one uses the opcodes of protocol 4.
    pub fn new(modern: bool) -> Self {
        Self { bytes: if modern { b"\x80\x04\x95\0\0\0\0\0\0\0\0".to_vec() } else { b"\x80\x02".to_vec() }, modern }
    }

    pub fn op(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        if self.modern && text.len() < 256 {
            return self.op(&[0x8c, text.len() as u8]).op(text.as_bytes()).op(b"\x94");
        }
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes()).op(b"r\0\0\x01\0")
    }

    pub fn int(&mut self, value: usize) -> &mut Self {
        match value {
            0..256 => self.op(&[b'K', value as u8]),
            256..65536 => self.op(b"M").op(&(value as u16).to_le_bytes()),
            _ if value < 1 << 31 => self.op(b"J").op(&(value as i32).to_le_bytes()),
            _ => self.op(b"\x8a\x08").op(&value.to_le_bytes()),
        }
    }

    pub fn global(&mut self, module: &str, name: &str) -> &mut Self {
        if self.modern {
            return self.text(module).text(name).op(b"\x93");
        }
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn ints(&mut self, values: &[usize]) -> &mut Self {
        self.op(b"(");
        for &value in values {
            self.int(value);
        }
        self.op(b"t")
    }

    /// A tensor of `shape` and `strides` that starts at element `start` of storage `key`, which has `count`.
    pub fn tensor(&mut self, key: &str, count: usize, start: usize, [shape, strides]: [&[usize]; 2]) -> &mut Self {
        let whole: &[u8] = if self.modern { b"tQ" } else { b"NtQ" };
        self.global("torch._utils", "_rebuild_tensor_v2").op(b"((").text("storage").global("torch", "FloatStorage");
        self.text(key).text("cpu").int(count).op(whole);
        self.int(start).ints(shape).ints(strides).op(b"\x89").global("collections", "OrderedDict").op(b")RtR")
    }
}

/// Tensors of `net` as torch has them: name, shape and elements.
pub fn torch_tensors(weights: &Weights, net: &str) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut tensors = vec![];
    for layer in layers(net) {
        let part = |part: &str| &weights.tensors()[&format!("{net}.{}.{part}", layer.0)];
        let weight = part("weight");
        let data = if layer.dense() { transpose(&weight.data, layer.5, [0, 3, 2, 1]) } else { weight.data.clone() };
        tensors.push((format!("{}.weight", layer.3), weight.shape.clone(), data));
        tensors.push((format!("{}.bias", layer.3), part("bias").shape.clone(), part("bias").data.clone()));
        if layer.slope() {
            tensors.push((format!("{}.weight", layer.4), part("slope").shape.clone(), part("slope").data.clone()));
        }
    }
    tensors
}

/// The state dictionary of `net` and its storages. Kernels lie in memory last axis slowest, behind one
/// element of another tensor, as in published files that were permuted after training.
fn torch_state(weights: &Weights, net: &str, modern: bool) -> (Vec<u8>, Vec<Vec<f32>>) {
    let mut pickle = Pickle::new(modern);
    pickle.global("collections", "OrderedDict").op(b")R(");
    let mut storages = vec![];
    for (index, (name, shape, data)) in torch_tensors(weights, net).into_iter().enumerate() {
        let (strides, data) = match shape[..] {
            [a, b, c, d] => {
                let permuted = transpose(&data, [a, b, c, d], [3, 2, 1, 0]);
                (vec![1, a, a * b, a * b * c], [vec![f32::NAN], permuted].concat())
            }
            [_, inputs] => (vec![inputs, 1], data),
            _ => (vec![1], data),
        };
        let start = usize::from(shape.len() == 4);
        pickle.text(&name).tensor(&index.to_string(), data.len(), start, [&shape, &strides]);
        storages.push(data);
    }
    pickle.op(b"u.");
    (pickle.bytes, storages)
}

/// `net` as `torch.save` wrote it before torch 1.6.
pub fn torch_old(weights: &Weights, net: &str) -> Vec<u8> {
    let (state, storages) = torch_state(weights, net, false);
    torch_old_of(&state, &storages)
}

/// A file of the older format around a pickled `state`.
pub fn torch_old_of(state: &[u8], storages: &[Vec<f32>]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(&Pickle::new(false).int(1001).op(b".").bytes);
    file.extend(&Pickle::new(false).op(b"}(").text("little_endian").op(b"\x88u.").bytes);
    file.extend(state);
    let mut keys = Pickle::new(false);
    keys.op(b"](");
    for key in 0..storages.len() {
        keys.text(&key.to_string());
    }
    file.extend(&keys.op(b"e.").bytes);
    for storage in storages {
        file.extend((storage.len() as u64).to_le_bytes());
        file.extend(bytes(storage));
    }
    file
}

/// `net` as `torch.save` writes it since torch 1.6.
pub fn torch_new(weights: &Weights, net: &str) -> Vec<u8> {
    let (state, storages) = torch_state(weights, net, true);
    let storages: Vec<_> = storages.iter().map(|storage| bytes(storage)).collect();
    let names: Vec<_> = (0..storages.len()).map(|key| format!("{net}/data/{key}")).collect();
    let mut members = vec![(format!("{net}/data.pkl"), &state[..])];
    members.push((format!("{net}/byteorder"), b"little"));
    members.extend(names.into_iter().zip(storages.iter().map(|storage| &storage[..])));
    archive(&members, zip::CompressionMethod::Stored)
}

/// A zip archive.
pub fn archive(members: &[(String, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    for (name, bytes) in members {
        writer.start_file(name.as_str(), SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A wheel with a file of each net, by `encode`.
pub fn wheel(extension: &str, encode: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
    let files = NETS.map(|(net, _)| (format!("package/data/{net}.{extension}"), encode(net)));
    let mut members: Vec<_> = files.iter().map(|(name, bytes)| (name.clone(), &bytes[..])).collect();
    members.push(("package/__init__.py".into(), b"import nothing"));
    archive(&members, zip::CompressionMethod::Deflated)
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![];
    while value > 127 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn message(number: u64, contents: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | 2)[..], &varint(contents.len() as u64), contents].concat()
}

fn caffe_blob(shape: &[usize], data: &[f32], new: bool) -> Vec<u8> {
    if new {
        let sizes: Vec<u8> = shape.iter().flat_map(|&size| varint(size as u64)).collect();
        return [message(7, &message(1, &sizes)), message(5, &bytes(data))].concat();
    }
    let four = [&vec![1; 4 - shape.len()], shape].concat();
    let mut blob: Vec<u8> = four.iter().zip(1..).flat_map(|(&size, number)| [varint(number << 3), varint(size as u64)].concat()).collect();
    blob.extend(data.iter().flat_map(|value| [varint(5 << 3 | 5), value.to_le_bytes().to_vec()].concat()));
    blob
}

/// `net` as a Caffe model: with layer messages of the older kind and unpacked numbers, or of the newer and
/// packed.
pub fn caffe(weights: &Weights, net: &str, new: bool) -> Vec<u8> {
    let mut model = message(1, net.as_bytes());
    let mut add = |name: &str, blobs: &[(Vec<usize>, Vec<f32>)]| {
        let mut layer = message(if new { 1 } else { 4 }, name.as_bytes());
        for (shape, data) in blobs {
            layer.extend(message(if new { 7 } else { 6 }, &caffe_blob(shape, data, new)));
        }
        model.extend(message(if new { 100 } else { 2 }, &layer));
    };
    add("data", &[]);
    for layer in layers(net) {
        let part = |part: &str| &weights.tensors()[&format!("{net}.{}.{part}", layer.0)];
        let (weight, bias) = (part("weight"), part("bias"));
        let swapped = transpose(&weight.data, layer.5, [0, 1, 3, 2]);
        add(layer.1, &[(weight.shape.clone(), swapped), (bias.shape.clone(), bias.data.clone())]);
        if layer.slope() {
            add(layer.2, &[(part("slope").shape.clone(), part("slope").data.clone())]);
        }
    }
    add("conv9-unused", &[(vec![1, 2], vec![0.0; 2])]);
    model
}

pub fn numpy_array(pickle: &mut Pickle, shape: &[usize], data: &[f32], latin1: bool) {
    pickle.global("numpy.core.multiarray", "_reconstruct").op(b"(").global("numpy", "ndarray").ints(&[0]).op(b"C\x01btR");
    pickle.op(b"(K\x01").ints(shape);
    pickle.global("numpy", "dtype").op(b"(").text("f4").op(b"K\0K\x01tR(K\x03").text("<");
    pickle.op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89");
    let data = bytes(data);
    if latin1 {
        let text: String = data.iter().map(|&byte| char::from(byte)).collect();
        pickle.global("_codecs", "encode").text(&text).text("latin1").op(b"\x86R");
    } else {
        pickle.op(b"B").op(&(data.len() as u32).to_le_bytes()).op(&data);
    }
    pickle.op(b"tb");
}

/// Those of `nets` as one `.npy` file; `latin1` is how protocol 2 writes bytes.
pub fn numpy(weights: &Weights, nets: &[&str], latin1: bool) -> Vec<u8> {
    let mut pickle = Pickle::new(false);
    pickle.global("numpy.core.multiarray", "_reconstruct").op(b"(").global("numpy", "ndarray").ints(&[0]).op(b"C\x01btR");
    pickle.op(b"(K\x01)").global("numpy", "dtype").op(b"(").text("O8").op(b"K\0K\x01tR(K\x03").text("|");
    pickle.op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]}(");
    for net in nets {
        pickle.text(net).op(b"](");
        for layer in layers(net) {
            let part = |part: &str| &weights.tensors()[&format!("{net}.{}.{part}", layer.0)].data;
            let [o, c, y, x] = layer.5;
            let shape = if layer.dense() { vec![x * y * c, o] } else { vec![x, y, c, o] };
            numpy_array(&mut pickle, &shape, &transpose(part("weight"), layer.5, [3, 2, 1, 0]), latin1);
            numpy_array(&mut pickle, &[o], part("bias"), latin1);
            if layer.slope() {
                let shape: &[usize] = if layer.dense() { &[o] } else { &[1, 1, o] };
                numpy_array(&mut pickle, shape, part("slope"), latin1);
            }
        }
        pickle.op(b"e");
    }
    pickle.op(b"uatb.");
    let mut header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".to_vec();
    header.resize(117, b' ');
    header.push(b'\n');
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], &header, &pickle.bytes].concat()
}
