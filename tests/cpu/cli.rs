//! The real binary, up to the point where a detector is needed: usage, inputs, errors, exit codes. All files
//! are made here.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use image::{DynamicImage, RgbImage};
use serde_json::Value;

/// A directory in which the binary runs; it goes with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cli-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn image(&self, name: &str, width: u32, height: u32) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        DynamicImage::from(RgbImage::new(width, height)).save(self.path(name)).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtcmcn"));
        command
            .args(args)
            .current_dir(&self.0)
            .env_remove("MTCMCN_LOG")
            .env_remove("MTCMCN_WEIGHTS")
            .env_remove("MTCMCN_RECOGNIZER")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ended {
        self.command(args).output().unwrap().into()
    }

    pub fn run_with_stdin(&self, args: &[&str], stdin: &[u8]) -> Ended {
        let mut child = self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        child.wait_with_output().unwrap().into()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// The JSON objects on stdout.
    pub fn objects(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asserts that nothing was found or printed, and that stderr is one line per text, containing it.
    pub fn refused(&self, lines: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.lines().count(), lines.len(), "{}", self.stderr);
        for (line, want) in self.stderr.lines().zip(lines) {
            assert!(line.starts_with("mtcmcn: ") && line.contains(want), "{line:?} has no {want:?}");
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ended
    }
}

#[test]
fn bad_settings_are_refused_before_any_work_and_name_their_flag() {
    let scratch = Scratch::new();
    for (flag, values) in [
        ("--min-face", ["0", "-5", "nan", "small"]),
        ("--factor", ["0", "1", "nan", "1e9"]),
        ("--thresholds", ["0.6,0.7,1.5", "0.6,nan,0.7", "0.6,0.7", "-1,0,0"]),
        ("--max-faces", ["0", "-1", "1.5", "4294967296"]),
        ("--max-pixels", ["0", "-1", "nan", "100000000"]),
    ] {
        for value in values {
            let ended = scratch.run(&["detect", "missing.png", "--annotate", "out", flag, value]);
            assert_eq!(ended.code, Some(2));
            assert!(ended.stderr.contains(flag) && ended.stderr.contains(value), "{flag} {value}: {}", ended.stderr);
            assert!(!ended.stderr.contains("missing.png"), "{}", ended.stderr);
            assert!(!scratch.path("out").exists());
        }
    }
}

#[test]
fn bad_usage_exits_with_2_and_help_with_0() {
    let scratch = Scratch::new();
    for args in [&["detect"][..], &["detect", "--json", "--csv", "x"], &["detect", "--no-such", "x"], &["nonsense"], &[]] {
        assert_eq!(scratch.run(args).code, Some(2), "{args:?}");
    }
    let help = scratch.run(&["detect", "--help"]);
    assert_eq!(help.code, Some(0));
    for flag in ["--json", "--csv", "--annotate", "--crops", "--min-face", "--device", "--weights", "--max-pixels", "MTCMCN_WEIGHTS"] {
        assert!(help.stdout.contains(flag), "{flag}");
    }
    assert_eq!(scratch.run(&["--version"]).stdout.trim(), concat!("mtcmcn ", env!("CARGO_PKG_VERSION")));
    let logged = scratch.command(&["detect", "x"]).env("MTCMCN_LOG", "a=b=c").output().unwrap();
    Ended::from(logged).refused(&["MTCMCN_LOG"]);
}

#[cfg(unix)]
#[test]
fn a_closed_stdout_is_an_error_and_one_that_nobody_reads_is_not() {
    let shell = |redirection: &str| {
        let line = format!("'{}' --version {redirection}", env!("CARGO_BIN_EXE_mtcmcn"));
        Ended::from(Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).output().unwrap())
    };
    shell(">&-").refused(&["stdout is closed"]);
    for redirection in [">/dev/null", ">/dev/null 2>&-", "| true", "<&-"] {
        assert_eq!(shell(redirection).code, Some(0), "{redirection}");
    }
}

#[test]
fn files_that_are_no_images_are_named_each_with_its_reason() {
    let scratch = Scratch::new();
    scratch.write("empty.png", b"");
    scratch.write("text.jpg", b"not a picture at all");
    fs::create_dir(scratch.path("folder.png")).unwrap();
    let args = ["detect", "missing.png", "empty.png", "text.jpg", "folder.png"];
    scratch.run(&args).refused(&["missing.png: ", "empty.png: the file is empty", "text.jpg: not an image", "folder.png: no images in"]);
    // CSV has a header in any case, JSON the errors too.
    assert_eq!(scratch.run(&[&args[..], &["--csv"]].concat()).stdout.lines().count(), 1);
    let json = scratch.run(&[&args[..], &["--json"]].concat());
    assert_eq!(json.code, Some(2));
    assert_eq!(json.stderr.lines().count(), 4);
    for (object, name) in json.objects().iter().zip(&args[1..]) {
        assert_eq!(object["path"], *name);
        assert!(object["error"].as_str().is_some_and(|error| !error.is_empty() && json.stderr.contains(error)), "{object}");
        assert_eq!(object.as_object().unwrap().len(), 2);
    }
    assert_eq!(json.objects().len(), 4);
}

#[test]
fn damaged_images_of_every_format_are_refused() {
    let scratch = Scratch::new();
    let mut names = Vec::new();
    for extension in ["jpg", "png", "webp", "bmp", "gif", "tiff"] {
        let name = format!("whole.{extension}");
        scratch.image(&name, 40, 30);
        let bytes = fs::read(scratch.path(&name)).unwrap();
        fs::remove_file(scratch.path(&name)).unwrap();
        for (kind, damaged) in
            [("half", &bytes[..bytes.len() / 2]), ("stub", &bytes[..12]), ("hollow", &[&bytes[..12], &[0xa5; 500]].concat())]
        {
            let name = format!("{kind}.{extension}");
            scratch.write(&name, damaged);
            names.push(name);
        }
    }
    names.sort();
    let ended = scratch.run(&["detect", "."]);
    ended.refused(&names.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let scratch = Scratch::new();
    scratch.write("bomb.png", &png_header(60_000, 60_000));
    scratch.run(&["detect", "bomb.png"]).refused(&["bomb.png: 60000x60000 is more than 100 million pixels (see --max-pixels)"]);
    scratch.image("small.bmp", 40, 30);
    scratch.run(&["detect", "small.bmp", "--max-pixels", "0.001"]).refused(&["40x30 is more than 0.001 million"]);
}

/// A PNG with the header of a large picture and next to no data.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [&kind[..], data].concat();
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&body);
        png.extend(crc32(&body).to_be_bytes());
    };
    chunk(b"IHDR", &[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat());
    chunk(b"IDAT", &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]);
    chunk(b"IEND", &[]);
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[test]
fn lists_may_have_blank_lines_crlf_and_missing_files() {
    let scratch = Scratch::new();
    scratch.write("a b.png", b"");
    let list = b"\r\na b.png\r\n\n   \nlost.png\na b.png";
    scratch.write("list.txt", list);
    let want = ["a b.png: the file is empty", "lost.png: ", "a b.png: the file is empty"];
    scratch.run(&["detect", "--list", "list.txt"]).refused(&want);
    scratch.run_with_stdin(&["detect", "-"], list).refused(&want);
    scratch.run(&["detect", "x.png", "--list", "list.txt"]).refused(&[&["x.png: "], &want[..]].concat());
    scratch.run(&["detect", "--list", "no-list.txt"]).refused(&["no-list.txt: "]);
    scratch.run_with_stdin(&["detect", "-"], b"\n\n").refused(&["-: the list names no file"]);
}

#[test]
fn directories_are_searched_in_order_and_only_for_images() {
    let scratch = Scratch::new();
    for name in ["d/b.png", "d/a/z.jpeg", "d/c.TIFF", "d/e.txt", "d/.hidden.png", "d/.cache/x.png", "none/readme.md"] {
        scratch.write(name, b"");
    }
    scratch.write("d/d", b"GIF89a but no more"); // an image by content
    scratch.write("d/bm.txt", b"BM is how this text begins");
    let slash = |name: &str| name.replace('/', std::path::MAIN_SEPARATOR_STR);
    let want = ["d/a/z.jpeg", "d/b.png", "d/c.TIFF", "d/d", "none"].map(slash);
    scratch.run(&["detect", "d", "none"]).refused(&want.each_ref().map(String::as_str));
}

#[cfg(unix)]
#[test]
fn a_loop_of_links_is_searched_once() {
    let scratch = Scratch::new();
    scratch.write("d/a.png", b"");
    std::os::unix::fs::symlink(scratch.path("d"), scratch.path("d/again")).unwrap();
    scratch.run(&["detect", "d"]).refused(&["d/a.png: the file is empty"]);
}

#[cfg(target_os = "linux")] // file systems of others may hold only UTF-8 names
#[test]
fn paths_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt as _;

    let scratch = Scratch::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
    File::create(scratch.0.join(name)).unwrap();
    let ended = Ended::from(scratch.command(&["detect", "--json"]).arg(name).output().unwrap());
    assert_eq!(ended.objects()[0]["error"], "the file is empty");
    assert_eq!(scratch.run_with_stdin(&["detect", "-"], b"caf\xe9.png\n").stderr, "mtcmcn: caf\u{fffd}.png: the file is empty\n");
}

#[test]
fn directories_that_cannot_be_made_are_named_with_their_flag() {
    let scratch = Scratch::new();
    scratch.write("file", b"in the way");
    for flag in ["--annotate", "--crops"] {
        scratch.run(&["detect", "x.png", flag, "file"]).refused(&[flag]);
        scratch.run(&["detect", "x.png", flag, "file/below"]).refused(&[flag]);
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let scratch = Scratch::new();
    // More output than a pipe holds, so that the program is still writing when the reader goes.
    scratch.write("list", "missing.png\n".repeat(20_000).as_bytes());
    let mut child = scratch.command(&["detect", "--json", "--list", "list"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("missing.png"));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let scratch = Scratch::new();
    let full = || File::create("/dev/full").unwrap();
    let command = |args: &[&str]| Ended::from(scratch.command(args).stdout(full()).output().unwrap());
    for args in [&["detect", "--csv", "missing.png"][..], &["man"], &["completions", "bash"]] {
        let ended = command(args);
        assert_eq!(ended.code, Some(2), "{args:?}");
        assert!(ended.stderr.contains("standard output: No space left"), "{}", ended.stderr);
    }
}

#[test]
fn completions_and_manual_pages_know_the_flags() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ended = scratch.run(&["completions", shell]);
        assert_eq!(ended.code, Some(0));
        assert!(ended.stdout.contains("min-face"), "{shell}");
    }
    assert!(scratch.run(&["man"]).stdout.starts_with(".ie"));
    assert_eq!(scratch.run(&["man", "pages/man1"]).code, Some(0));
    let page = fs::read_to_string(scratch.path("pages/man1/mtcmcn-detect.1")).unwrap();
    assert!(page.contains("min\\-face"), "{page}");
    scratch.write("file", b"");
    scratch.run(&["man", "file"]).refused(&["file"]);
}

#[test]
fn the_cpu_engine_is_healthy_with_every_set_of_vector_instructions() {
    let scratch = Scratch::new();
    let mut names = Vec::new();
    for simd in ["portable", "avx2", "avx512"] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_mtcmcn"));
        let run =
            run.current_dir(scratch.path("")).env("MTCMCN_SIMD", simd).args(["doctor", "--json", "--device", "cpu"]).output().unwrap();
        let report: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!((run.status.code(), &report["healthy"]), (Some(0), &Value::Bool(true)), "{simd}: {report:#}");
        names.push(report["adapters"][0]["engine"].as_str().unwrap().to_owned());
    }
    assert_eq!(names[0], "CPU (portable)");
    // What the machine lacks is replaced by the best that it has, which then shows in the name.
    assert!(!cfg!(target_arch = "x86_64") || !is_x86_avx2() || names[1] == "CPU (avx2)", "{names:?}");
}

fn is_x86_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[test]
fn trained_weights_are_made_ready_to_pass_on_and_detect_takes_their_thresholds() {
    let scratch = Scratch::new();
    let mut weights = mtcmcn::train::initial_weights(1).unwrap();
    weights = weights.with_metadata("pnet.config", "annotations = '/home/someone'");
    weights.save(scratch.path("run.safetensors")).unwrap();
    let out = ["--out", "out.safetensors"];
    let ended = scratch.run(
        &[&["import", "run.safetensors", "--note", "thresholds=0.1,0.2,0.3", "--note", "data=a, b", "--face-bias", "0.5,-1,0"][..], &out]
            .concat(),
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ready = mtcmcn::Weights::load(scratch.path("out.safetensors")).unwrap();
    ready.check().unwrap();
    assert_eq!(ready.thresholds(), Some([0.1, 0.2, 0.3]));
    let keys: Vec<&str> = ready.metadata().keys().map(String::as_str).collect();
    assert_eq!(keys, ["data", "face_bias", "format", "thresholds"], "nothing of the training is passed on");
    assert_eq!(ready.tensor("onet.conv1.bias", &[32]).unwrap(), weights.tensor("onet.conv1.bias", &[32]).unwrap());
    for (net, bias) in [("pnet", 0.5), ("rnet", -1.0), ("onet", 0.0)] {
        let of = |weights: &mtcmcn::Weights| weights.tensor(&format!("{net}.class.bias"), &[2]).unwrap().data.clone();
        let (was, is) = (of(&weights), of(&ready));
        assert_eq!(is, [was[0], was[1] + bias], "{net}");
    }
    assert!(weights.names().count() > ready.names().count(), "P- and R-Net's landmarks are for training alone");
    let other = mtcmcn::train::initial_weights(2).unwrap();
    let onet = other.tensors().clone().into_iter().filter(|(name, _)| name.starts_with("onet.")).collect();
    mtcmcn::Weights::new(onet, [].into()).unwrap().save(scratch.path("onet.safetensors")).unwrap();
    assert_eq!(scratch.run(&[&["import", "run.safetensors", "onet.safetensors"][..], &out].concat()).code, Some(0));
    let ready = mtcmcn::Weights::load(scratch.path("out.safetensors")).unwrap();
    for (name, from) in [("rnet.fc4.weight", &weights), ("onet.fc5.weight", &other)] {
        assert_eq!(ready.tensors()[name], from.tensors()[name], "of a net that both have, that of the last");
    }
    fs::remove_file(scratch.path("out.safetensors")).unwrap();
    scratch.run(&[&["import", "run.safetensors", "--note", "thresholds=0.1,0.2"][..], &out].concat()).refused(&["thresholds="]);
    for biases in ["1,2", "1,2,3,4", "a,b,c", "nan,0,0"] {
        assert_eq!(scratch.run(&[&["import", "run.safetensors", "--face-bias", biases][..], &out].concat()).code, Some(2));
    }
    for note in ["thresholds", "=x"] {
        assert_eq!(scratch.run(&[&["import", "run.safetensors", "--note", note][..], &out].concat()).code, Some(2));
    }
    assert!(!scratch.path("out.safetensors").exists());
    scratch.write("broken.safetensors", b"no tensors");
    scratch.run(&[&["import", "broken.safetensors"][..], &out].concat()).refused(&["broken.safetensors"]);
}
