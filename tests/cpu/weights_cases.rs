//! `mtcmcn import` through the real binary: weights of every exporter, tried on a portrait, and files made to
//! need memory.

use std::fs;

use mtcmcn::Weights;

use crate::cli::{Ended, Scratch};
#[cfg(target_os = "linux")]
use crate::eval_cases::limited;
use crate::weights_encode::{caffe, synthetic};
#[cfg(target_os = "linux")]
use crate::weights_exporters::numpy_bomb;
use crate::weights_exporters::{exchanged, numpy_by_layers, numpy_by_torch_names, torch_whole};

#[cfg(target_os = "linux")]
#[test]
fn a_list_that_names_one_array_again_and_again_needs_no_memory() {
    let scratch = Scratch::new();
    for (name, elements, times) in [("a.npy", 1 << 20, 10_000), ("b.npy", 270, 500_000), ("c.npy", 1 << 24, 15)] {
        scratch.write(name, &numpy_bomb(elements, times));
        let ended = limited(&scratch, 1 << 20, &format!("import {name} --out out.safetensors"));
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains("pnet") && !ended.stderr.contains("memory"), "{name}: {}", ended.stderr);
    }
}

fn import(scratch: &Scratch, files: &[(&str, Vec<u8>)]) -> Ended {
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    files.iter().for_each(|(name, bytes)| scratch.write(name, bytes));
    scratch.run(&[&["import"], &names[..], &["--out", "out.safetensors"]].concat())
}

#[test]
fn weights_of_every_exporter_come_out_the_same() {
    let own = Weights::builtin();
    let rows = exchanged(&own);
    let nets = ["pnet", "rnet", "onet"];
    let of = |names: [&'static str; 3], encode: &dyn Fn(&str) -> Vec<u8>| [0, 1, 2].map(|at| (names[at], encode(nets[at]))).to_vec();
    let caffes = ["det1.caffemodel", "det2.caffemodel", "det3.caffemodel"];
    let numpys = ["pnet.npy", "rnet.npy", "onet.npy"];
    for (what, files, order) in [
        ("Caffe", of(caffes, &|net| caffe(&own, net, true)), false),
        ("Caffe by rows", of(caffes, &|net| caffe(&rows, net, true)), true),
        ("old Caffe by rows", of(caffes, &|net| caffe(&rows, net, false)), true),
        ("TropComplique", of(numpys, &|net| numpy_by_torch_names(&own, net)), false),
        ("davidsandberg", of(["det1.npy", "det2.npy", "det3.npy"], &|net| numpy_by_layers(&own, net)), false),
        ("one wrapped state", vec![("all.pt", torch_whole(&own))], false),
    ] {
        let scratch = Scratch::new();
        let ended = import(&scratch, &files);
        assert_eq!(ended.code, Some(0), "{what}: {}", ended.stderr);
        assert_eq!(ended.stderr.contains("in another order"), order, "{what}: {}", ended.stderr);
        let got = Weights::load(scratch.path("out.safetensors")).unwrap();
        for (name, tensor) in got.tensors() {
            assert_eq!(tensor, &own.tensors()[name], "{what}: {name}");
        }
    }
}

#[test]
fn weights_that_find_nothing_are_refused() {
    let scratch = Scratch::new();
    let noise = synthetic();
    let files: Vec<(&str, Vec<u8>)> = [("a.caffemodel", "pnet"), ("b.caffemodel", "rnet"), ("c.caffemodel", "onet")]
        .map(|(file, net)| (file, caffe(&noise, net, true)))
        .to_vec();
    let ended = import(&scratch, &files);
    assert!(ended.code == Some(2) && ended.stderr.contains("no face is found in the portrait"), "{}", ended.stderr);
    assert!(!scratch.path("out.safetensors").exists());
    let ended = scratch.run(&["import", "a.caffemodel", "b.caffemodel", "c.caffemodel", "--out", "out.safetensors", "--unchecked"]);
    assert!(ended.code == Some(0) && ended.stderr.contains("no face is found"), "{}", ended.stderr);
    fs::create_dir(scratch.path("empty")).unwrap();
    let ended = scratch.run(&["import", "empty", "--out", "x.safetensors"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("no pnet in what was given"), "{}", ended.stderr);
}
