//! Damaged files of every imported format: an error or, where only numbers changed, weights; never a panic.

use mtcmcn::tensor::noise;
use mtcmcn::weights::import::import_bytes;

use crate::weights_encode::{archive, caffe, numpy, synthetic, torch_new, torch_old};
use crate::weights_import::p_net_was_read;

/// Offsets to damage: all at both ends, where structure is dense, and every 31st between.
fn offsets(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |&at| at < 1500 || at + 500 > length || at % 31 == 0)
}

/// P-Net in every format.
fn files() -> [(&'static str, Vec<u8>); 7] {
    let weights = synthetic();
    let inner = torch_old(&weights, "pnet");
    [
        ("caffe, old", caffe(&weights, "pnet", false)),
        ("caffe, new", caffe(&weights, "pnet", true)),
        ("numpy, protocol 2", numpy(&weights, &["pnet"], true)),
        ("numpy, protocol 3", numpy(&weights, &["pnet"], false)),
        ("pytorch, new", torch_new(&weights, "pnet")),
        ("wheel", archive(&[("a/pnet.pt".into(), &inner)], zip::CompressionMethod::Deflated)),
        ("pytorch, old", inner),
    ]
}

#[test]
fn whole_files_are_read() {
    for (what, bytes) in files() {
        assert!(p_net_was_read(&bytes), "{what}");
    }
}

#[test]
fn truncated_files_are_errors() {
    for (what, bytes) in files() {
        let unused = if what.starts_with("caffe") { 64 } else { 1 }; // an unused layer at the end of the models
        for length in offsets(bytes.len() - unused) {
            assert!(!p_net_was_read(&bytes[..length]), "{what}: {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn flipped_bits_do_not_panic() {
    for (what, bytes) in files() {
        let bits = noise(bytes.len(), 5);
        let (mut damaged, mut noticed) = (bytes.clone(), 0);
        for at in offsets(bytes.len()) {
            let mask = 1 << ((bits[at] + 1.0) * 4.0) as u32;
            damaged[at] ^= mask;
            noticed += usize::from(!p_net_was_read(&damaged));
            damaged[at] ^= mask;
        }
        assert_eq!(damaged, bytes);
        assert!(noticed > 100, "{what}: only {noticed} of {} flips were noticed", bytes.len());
    }
}

#[test]
fn garbage_behind_a_good_start_does_not_panic() {
    for (what, bytes) in files() {
        for seed in 0..300 {
            let start = bytes.len().min(seed as usize);
            let garbage = noise(400, seed).into_iter().map(|value| (value * 128.0) as i8 as u8);
            let file: Vec<u8> = bytes[..start].iter().copied().chain(garbage).collect();
            assert!(import_bytes("test.caffemodel", &file).is_err(), "{what}");
        }
    }
}
