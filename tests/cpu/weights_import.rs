//! Importers: every format gives the same tensors, and says what is wrong when it cannot.

use mtcmcn::Weights;
use mtcmcn::files::FileError;
use mtcmcn::weights::WeightsError;
use mtcmcn::weights::import::{Format, import, import_bytes};

use crate::weights::Directory;
use crate::weights_encode::{NETS, Pickle, archive, caffe, numpy, synthetic, torch_new, torch_old, torch_old_of, wheel};

const ALL: [&str; 3] = ["pnet", "rnet", "onet"];

/// Whether `bytes`, of P-Net alone, were read to the end: then the next net is what is missing.
pub fn p_net_was_read(bytes: &[u8]) -> bool {
    matches!(import_bytes("test.caffemodel", bytes).unwrap_err(), WeightsError::NoNet { net: "rnet", .. })
}

fn assert_same(got: &Weights, want: &Weights, what: &str) {
    for (name, tensor) in want.tensors() {
        let got = got.tensor(name, &tensor.shape).unwrap();
        let differs = got.data.iter().zip(&tensor.data).position(|(got, want)| got.to_bits() != want.to_bits());
        assert_eq!(differs, None, "{what}: first different element of {name}");
    }
    assert!(got.names().eq(want.names()), "{what}");
}

#[test]
fn names_and_shapes_are_these() {
    let weights = synthetic();
    weights.check().unwrap();
    assert_eq!(weights.names().count(), 50);
    assert_eq!(weights.tensors().values().map(|tensor| tensor.data.len()).sum::<usize>(), 6_632 + 100_178 + 389_040);
    for (name, shape) in [
        ("pnet.conv1.slope", &[10][..]),
        ("pnet.class.weight", &[2, 32, 1, 1]),
        ("rnet.conv3.weight", &[64, 48, 2, 2]),
        ("rnet.fc4.weight", &[128, 576]),
        ("rnet.box.weight", &[4, 128]),
        ("onet.fc5.weight", &[256, 1152]),
        ("onet.fc5.slope", &[256]),
        ("onet.landmarks.weight", &[10, 256]),
    ] {
        weights.tensor(name, shape).unwrap();
    }
}

#[test]
fn a_set_is_checked_tensor_by_tensor() {
    for name in synthetic().names() {
        let mut tensors = synthetic().tensors().clone();
        let mut tensor = tensors.remove(name).unwrap();
        let lacking = Weights::new(tensors.clone(), synthetic().metadata().clone()).unwrap();
        assert!(matches!(lacking.check().unwrap_err(), WeightsError::Missing { name: missing, .. } if missing == name));
        tensor.data[0] = f32::NAN;
        tensors.insert(name.into(), tensor);
        let spoilt = Weights::new(tensors, synthetic().metadata().clone()).unwrap();
        assert!(matches!(spoilt.check().unwrap_err(), WeightsError::NotFinite { name: bad, index: 0, .. } if bad == name));
    }
}

#[test]
fn every_format_gives_the_same_tensors() {
    let want = synthetic();
    let sources = [
        ("pytorch, old", "pytorch", wheel("pt", |net| torch_old(&want, net))),
        ("pytorch, new", "pytorch", wheel("pth", |net| torch_new(&want, net))),
        ("caffe, old", "caffe", wheel("caffemodel", |net| caffe(&want, net, false))),
        ("caffe, new", "caffe", wheel("caffemodel", |net| caffe(&want, net, true))),
        ("numpy, protocol 2", "numpy", numpy(&want, &ALL, true)),
        ("numpy, protocol 3", "numpy", numpy(&want, &ALL, false)),
        (
            "numpy in a wheel",
            "numpy",
            archive(&[("a/mtcnn_weights.npy".into(), &numpy(&want, &ALL, true))], zip::CompressionMethod::Stored),
        ),
    ];
    for (what, format, bytes) in sources {
        let got = import_bytes("test", &bytes).unwrap();
        assert_same(&got, &want, what);
        assert_eq!(got.metadata()["format"], format, "{what}");
    }
}

#[test]
fn directories_and_lists_of_files_are_searched_by_content() {
    let (want, directory) = (synthetic(), Directory::new("search"));
    let files = NETS.map(|(net, _)| directory.file(&format!("{net}-v1.pt"), &caffe(&want, net, true)));
    assert_same(&import(&files).unwrap(), &want, "three files");
    directory.file("README.txt", b"not weights");
    directory.file("other.npy", b"\x93NUMPY\x01\0\x10\0{'descr': '<f4'}");
    assert_same(&import(&[&directory.0]).unwrap(), &want, "directory");

    let twice = directory.file("det1.caffemodel", &caffe(&want, "pnet", false));
    let error = import(&[&directory.0]).unwrap_err();
    assert!(matches!(&error, WeightsError::Twice { net: "pnet", .. }), "{error}");
    assert!(error.to_string().contains("det1.caffemodel") && error.to_string().contains("pnet-v1.pt"), "{error}");
    let error = import(&[twice]).unwrap_err();
    assert!(matches!(&error, WeightsError::NoNet { net: "rnet", looked } if looked.len() == 1), "{error}");
    assert!(matches!(import(&[directory.0.join("absent")]).unwrap_err(), WeightsError::Access(FileError::Read { .. })));
}

#[test]
fn formats_are_told_by_content() {
    let weights = synthetic();
    assert_eq!(Format::of(&torch_old(&weights, "pnet")), Some(Format::PyTorch));
    assert_eq!(Format::of(&torch_new(&weights, "pnet")), Some(Format::Zip));
    assert_eq!(Format::of(&caffe(&weights, "pnet", false)), Some(Format::Caffe));
    assert_eq!(Format::of(&numpy(&weights, &["pnet"], true)), Some(Format::Numpy));
    for other in [&weights.to_bytes()[..], b"", b"\n\n\n\n", b"name: \"PNet\"\n", &[0; 64], b"\x0a\x04pnet"] {
        assert_eq!(Format::of(other), None);
    }
}

#[test]
fn wrong_tensors_are_named() {
    let weights = synthetic();
    let without = |name: &str| {
        let model = caffe(&weights, "pnet", true);
        let at = model.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        let mut model = model.clone();
        model[at] = b'x';
        import_bytes("test", &model).unwrap_err()
    };
    assert!(matches!(without("conv4-2"), WeightsError::Missing { name, .. } if name == "pnet.box.weight"));
    assert!(matches!(without("PReLU2"), WeightsError::Missing { name, .. } if name == "pnet.conv2.slope"));

    let mut tensors = weights.tensors().clone();
    tensors.get_mut("onet.box.bias").unwrap().data[3] = f32::INFINITY;
    let spoilt = Weights::new(tensors, weights.metadata().clone()).unwrap();
    let error = import_bytes("test", &numpy(&spoilt, &ALL, true)).unwrap_err();
    assert!(matches!(error, WeightsError::NotFinite { name, index: 3, .. } if name == "onet.box.bias"));

    let mut file = numpy(&weights, &["pnet"], false);
    let at = file.windows(7).position(|window| window == b"(K\x01(K\x0at").unwrap();
    file[at + 5] = 5; // conv1.bias claims five elements
    assert!(matches!(import_bytes("test", &file).unwrap_err(), WeightsError::Malformed { format: "numpy", .. }));
}

/// The error for an old torch file whose first kernel is a view of `count` elements with this start, shape
/// and strides.
fn view_error(count: usize, start: usize, shape_and_strides: [&[usize]; 2]) -> WeightsError {
    let mut state = Pickle::new(false);
    state.op(b"}").text("conv1.weight").tensor("0", count, start, shape_and_strides).op(b"s.");
    import_bytes("test", &torch_old_of(&state.bytes, &[vec![0.0; count]])).unwrap_err()
}

#[test]
fn views_cannot_leave_their_storage_or_blow_up() {
    // As many elements as there are, exactly: the first complaint is about the next tensor.
    let fits = view_error(270, 0, [&[10, 3, 3, 3], &[27, 9, 3, 1]]);
    assert!(matches!(&fits, WeightsError::Missing { name, .. } if name == "pnet.conv1.bias"), "{fits}");
    for (count, start, shape, strides) in [
        (269, 0, [10, 3, 3, 3], [27, 9, 3, 1]),
        (270, 1, [10, 3, 3, 3], [27, 9, 3, 1]),
        (270, 0, [10, 3, 3, 3], [28, 9, 3, 1]),
        (270, usize::MAX >> 1, [10, 3, 3, 3], [27, 9, 3, 1]),
        (270, 0, [10, 3, 3, 3], [usize::MAX >> 1, 9, 3, 1]),
    ] {
        let error = view_error(count, start, [&shape, &strides]);
        assert!(error.to_string().contains("outside its storage"), "{shape:?} {strides:?}: {error}");
    }
    // One value seen as many lies inside its storage: the shape is refused before anything is made.
    for shape in [[10, 1 << 40, 1, 1], [10, 1 << 40, 1 << 40, 1]] {
        let error = view_error(1, 0, [&shape, &[0, 0, 0, 0]]);
        assert!(matches!(error, WeightsError::Shape { .. }), "{error}");
    }
    // Too many dimensions, or not as many strides: no tensor, so nothing tells which net this is.
    for (shape, strides) in [(&[10; 9][..], &[1; 9][..]), (&[10, 3, 3, 3], &[1])] {
        assert!(matches!(view_error(270, 0, [shape, strides]), WeightsError::NoNet { net: "pnet", .. }));
    }
}

#[test]
fn pickles_are_described_not_run() {
    let file = |state: &[u8]| import_bytes("test", &torch_old_of(state, &[])).unwrap_err();
    // Would be a shell command if anyone called it.
    let mut call = Pickle::new(false);
    call.global("os", "system").op(b"(").text("exit 1").op(b"tR.");
    assert!(matches!(file(&call.bytes), WeightsError::NoNet { .. }));
    let mut cycle = Pickle::new(false);
    cycle.op(b"}q\x01").text("conv1.weight").op(b"h\x01s.");
    assert!(matches!(file(&cycle.bytes), WeightsError::NoNet { .. }));
    for (state, what) in [
        (&b"\x80\x02i."[..], "opcode 0x69"),
        (b"\x80\x02.", "operand missing"),
        (b"\x80\x02(t", "bytes expected"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02N(R.", "operand missing"),
        (b"\x80\x02h\x07.", "memo 7"),
        (b"\x80\x02NNa.", "holds none"),
        (b"\x80\x02}(Nu.", "holds none"),
        (b"\x80\x02X\xff\xff\xff\xffabc.", "bytes expected"),
        (b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "bytes expected"),
        (b"\x80\x02X\x02\0\0\0\xff\xfe.", "not UTF-8"),
        (b"\x80\x02cno newline", "without end"),
        (b"\x80\x02NN\x93.", "not text"),
    ] {
        let error = file(state);
        assert!(matches!(error, WeightsError::Malformed { format: "PyTorch", .. }) && error.to_string().contains(what), "{error}");
    }
    let many = [b"\x80\x02(".to_vec(), vec![b'N'; (1 << 20) + 1], b"t.".to_vec()].concat();
    assert!(file(&many).to_string().contains("more than 1048576 values"));
}
