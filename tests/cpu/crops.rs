//! Crops cut out of synthetic images: results do not depend on the number of threads, faults are named, and
//! no partial file is left.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use mtcmcn::cascade::{Depth, Proposer};
use mtcmcn::data::Faults;
use mtcmcn::tensor::noise;
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::crops::{
    CropJob, CropReport, CropsError, DataPart, Earlier, Photo, SampleKind, Shard, ShardBatches, label, photos, prepare,
};
use mtcmcn::train::initial_weights;
use mtcmcn::train::run::{Batches as _, Cause};
use mtcmcn::{Config, Detector, Engine, Frame, Weights};

/// A folder with a list of images, removed at the end of the test. The images are generated when they are
/// read.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("crops-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let scratch = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        fs::create_dir_all(&scratch.0).unwrap();
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Creates a list of `count` images with one or two faces each.
    fn with_list(count: usize) -> Self {
        let scratch = Self::new();
        let lines: Vec<String> = (0..count).map(line).collect();
        fs::write(scratch.path("list.ndjson"), lines.concat()).unwrap();
        scratch
    }

    fn config(&self, settings: &str) -> TrainConfig {
        self.config_with(settings, "")
    }

    /// Returns settings with additions to those of the crops.
    fn config_with(&self, settings: &str, crops: &str) -> TrainConfig {
        let sources = format!("[[data.sources]]\nformat = 'json'\nannotations = {:?}\n", self.path("list.ndjson"));
        let less = "[data.crops]\nnegatives_per_image = 8\ntries_per_face = 8\nlandmark_crops = 3\n";
        TrainConfig::from_toml(&format!("{settings}\n{sources}{less}{crops}"), "test").unwrap()
    }

    fn prepare(&self, config: &TrainConfig, net: &str, weights: Option<&Weights>, out: &str) -> Result<Option<CropReport>, CropsError> {
        self.prepare_with(config, net, weights, out, &picture, &AtomicBool::new(false))
    }

    fn prepare_with(
        &self,
        config: &TrainConfig,
        net: &str,
        weights: Option<&Weights>,
        out: &str,
        read: &(dyn Fn(&Path) -> Result<Frame, Cause> + Sync),
        stop: &AtomicBool,
    ) -> Result<Option<CropReport>, CropsError> {
        let engine = Engine::cpu();
        let earlier = weights.map(|weights| Earlier { engine: &engine, weights });
        prepare(&CropJob { net, config, earlier, teacher: None, read, stop }, &self.path(out), &mut |_| {})
    }

    /// Returns the names of all files in the folder, including hidden ones.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns left, top and side of the faces of an image.
fn faces(number: usize) -> Vec<[f64; 3]> {
    let first = [10.0 + (number % 7) as f64 * 5.0, 12.0 + (number % 5) as f64 * 4.0, 40.0];
    if number.is_multiple_of(3) { vec![first, [110.0, 60.0, 44.0]] } else { vec![first] }
}

fn line(number: usize) -> String {
    let face = |[x, y, side]: [f64; 3]| {
        let points = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]].map(|[u, v]| [x + side * u, y + side * v]);
        format!("{{\"box\": [{x}, {y}, {}, {}], \"landmarks\": {points:?}}}", x + side, y + side)
    };
    let faces: Vec<String> = faces(number).into_iter().map(face).collect();
    format!("{{\"path\": \"{number}.png\", \"faces\": [{}]}}\n", faces.join(", "))
}

/// Creates an image of noise with a bright square for each face.
fn picture(path: &Path) -> Result<Frame, Cause> {
    let number: usize = path.file_stem().unwrap().to_str().unwrap().parse()?;
    let (width, height) = (170 + (number % 2) as u32 * 10, 120);
    let mut rgba: Vec<u8> = noise((width * height * 4) as usize, number as u64).into_iter().map(|v| (110.0 + 70.0 * v) as u8).collect();
    for [x, y, side] in faces(number).into_iter().map(|face| face.map(|v| v as u32)) {
        for (px, py) in (0..side).flat_map(|dy| (0..side).map(move |dx| (x + dx, y + dy))) {
            rgba[4 * (py * width + px) as usize..][..3].copy_from_slice(&[230, 200, 180]);
        }
    }
    Frame::from_rgba(width, height, rgba).ok_or_else(|| "no pixels".into())
}

#[test]
fn crops_are_the_same_on_any_number_of_threads_and_for_the_same_seed_alone() {
    let scratch = Scratch::with_list(70);
    let weights = initial_weights(4).unwrap();
    let config = scratch.config_with("", "thresholds = [0.5, 0.4]\n");
    for net in ["pnet", "rnet", "onet"] {
        let mut files = Vec::new();
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let report = pool.install(|| scratch.prepare(&config, net, Some(&weights), "x.shard")).unwrap().unwrap();
            assert_eq!(report.images, [56, 7, 7]);
            files.push(fs::read(scratch.path("x.shard")).unwrap());
        }
        assert!(files.iter().all(|file| *file == files[0]), "{net}");
        let other = TrainConfig { seed: 2, ..config.clone() };
        scratch.prepare(&other, net, Some(&weights), "x.shard").unwrap().unwrap();
        assert!(fs::read(scratch.path("x.shard")).unwrap() != files[0], "{net}");
    }
    assert_eq!(scratch.names(), ["list.ndjson", "x.shard"]);
}

#[test]
fn no_image_is_in_two_parts_and_the_report_counts_what_is_there() {
    let scratch = Scratch::with_list(40);
    let report = scratch.prepare(&scratch.config(""), "pnet", None, "p.shard").unwrap().unwrap();
    let shard = Shard::open(&scratch.path("p.shard")).unwrap();
    let mut parts: HashMap<u32, DataPart> = HashMap::new();
    let mut counts = [[0; 4]; 3];
    for record in shard.records() {
        assert_eq!(*parts.entry(record.image).or_insert(record.part), record.part, "image {}", record.image);
        counts[record.part as usize][record.sample as usize] += 1;
    }
    assert_eq!(counts, report.crops);
    assert!(counts[0].iter().all(|count| *count > 30), "{counts:?}");
    assert!(report.faults.is_empty() && report.unreadable == 0);
    assert!(shard.notes().contains("\"net\":\"pnet\""), "{}", shard.notes());
}

/// Faces are bright and flat and the rest is noise, so the pixels of a crop show whether its label is right.
#[test]
fn pixels_belong_to_their_labels() {
    let scratch = Scratch::with_list(30);
    scratch.prepare(&scratch.config(""), "pnet", None, "p.shard").unwrap().unwrap();
    let shard = Shard::open(&scratch.path("p.shard")).unwrap();
    for (i, record) in shard.records().iter().enumerate() {
        let pixels = shard.pixels(i);
        let bright = pixels.chunks_exact(3).filter(|pixel| pixel[0] > 205 && pixel[2] < 205).count() as f64 / 144.0;
        match record.sample {
            // The limit of 0.3 on the overlap does not bound the bright share: a window smaller than a face
            // may lie within it.
            SampleKind::Negative => assert!(bright <= 1.0),
            SampleKind::Positive | SampleKind::Landmarks => assert!(bright > 0.45, "crop {i}: {bright}"),
            SampleKind::Part => assert!(bright > 0.3, "crop {i}: {bright}"),
        }
        if record.sample == SampleKind::Positive {
            let [x1, y1, x2, y2] = [0, 1, 2, 3].map(|k| f64::from(record.targets.values[k]));
            let inside = (x2 + 1.0).min(1.0) - x1.max(0.0);
            let share = inside * ((y2 + 1.0).min(1.0) - y1.max(0.0));
            // A window may contain two faces, and a pixel on each edge of the face may be mixed (one of 144).
            assert!(bright > share - 0.34, "crop {i}: {bright} bright, {share} of it is face");
        }
    }
}

#[test]
fn what_the_earlier_nets_find_is_what_the_cascade_would_show_the_next() {
    let weights = initial_weights(4).unwrap();
    let mut config = Config::default();
    (config.min_face_px, config.thresholds) = (20.0, [0.5, 0.45, 0.0]);
    let engine = Engine::cpu();
    let mut detector = Detector::new(engine.clone(), &weights, config.clone()).unwrap();
    let mut total = 0;
    for number in 0..4 {
        let frame = picture(Path::new(&format!("{number}.png"))).unwrap();
        let counts = detector.detect(&frame).unwrap().counts;
        let found = [Depth::Pnet, Depth::Rnet].map(|depth| {
            let mut proposer = Proposer::new(engine.clone(), &weights, config.clone(), depth).unwrap();
            assert_eq!(proposer.propose(&frame).unwrap(), proposer.propose(&frame).unwrap());
            proposer.propose(&frame).unwrap()
        });
        assert_eq!([found[0].boxes.len(), found[1].boxes.len()], [counts.merged as usize, counts.rnet_nms as usize]);
        total += found[1].boxes.len();
        for (found, score) in found.iter().flat_map(|found| &found.boxes) {
            assert!((0.4..=1.0).contains(score));
            assert!([found.x1, found.y1, found.x2, found.y2].iter().all(|edge| edge.fract() == 0.0), "{found:?}");
            // Truncation toward zero shrinks a side that begins below 0 and enlarges others.
            assert!((found.width() - found.height()).abs() <= 2.0, "{found:?}");
        }
    }
    assert!(total > 0, "nothing was compared");
    let least = Frame::from_rgba(5, 5, vec![0; 100]).unwrap();
    let mut proposer = Proposer::new(engine.clone(), &weights, config.clone(), Depth::Rnet).unwrap();
    assert!(proposer.propose(&least).unwrap().boxes.is_empty());
    let none = Weights::new([].into(), [].into()).unwrap();
    assert!(Proposer::new(engine, &none, config, Depth::Pnet).is_err());
}

#[test]
fn images_that_cannot_be_read_and_faces_outside_are_named_counted_and_skipped() {
    let scratch = Scratch::with_list(20);
    let outside = "{\"path\": \"20.png\", \"faces\": [{\"box\": [900, 900, 950, 950]}]}\n{\"path\": \"bad\n";
    let list = fs::read_to_string(scratch.path("list.ndjson")).unwrap() + outside;
    fs::write(scratch.path("list.ndjson"), list).unwrap();
    let read = |path: &Path| if path.ends_with("7.png") { Err(Cause::from("a torn file")) } else { picture(path) };
    let never = AtomicBool::new(false);
    let report = scratch.prepare_with(&scratch.config(""), "pnet", None, "p.shard", &read, &never).unwrap().unwrap();
    assert_eq!((report.unreadable, report.faults.skipped()), (1, 3));
    let text: Vec<String> = report.faults.list().iter().map(ToString::to_string).collect();
    let named = |needles: [&str; 4]| text.iter().any(|line| needles.iter().all(|needle| line.contains(needle)));
    assert!(named(["list.ndjson:8:", "7.png", "a torn file", "skipped"]), "{text:?}");
    assert!(named(["list.ndjson:21:", "20.png", "(900, 900)", "outside"]), "{text:?}");
    assert!(named(["list.ndjson:22:", "", "", "skipped"]), "{text:?}");
    // In strict mode the first fault ends the work, and no file is left.
    fs::remove_file(scratch.path("p.shard")).unwrap();
    fs::write(scratch.path("list.ndjson"), (0..20).map(line).collect::<String>()).unwrap();
    let error = scratch.prepare_with(&scratch.config("data.strict = true"), "pnet", None, "p.shard", &read, &never).unwrap_err();
    assert!(matches!(error, CropsError::Data(_)) && error.to_string().contains("list.ndjson:8:"), "{error}");
    assert_eq!(scratch.names(), ["list.ndjson"]);
}

#[test]
fn told_to_stop_or_failing_it_leaves_what_was_there() {
    let scratch = Scratch::with_list(100);
    let config = scratch.config("");
    fs::write(scratch.path("p.shard"), "before").unwrap();
    fs::write(scratch.path(".p.shard.1.0.tmp"), "of one that was killed").unwrap();
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let read = |path: &Path| {
        stop.store(done.fetch_add(1, Ordering::Relaxed) > 40, Ordering::Relaxed);
        picture(path)
    };
    assert!(scratch.prepare_with(&config, "pnet", None, "p.shard", &read, &stop).unwrap().is_none());
    assert!(done.load(Ordering::Relaxed) < 100, "it went on to the end");
    assert_eq!(fs::read(scratch.path("p.shard")).unwrap(), b"before");
    assert_eq!(scratch.names(), ["list.ndjson", "p.shard"]);
    let error = scratch.prepare(&config, "pnet", None, "gone/p.shard").unwrap_err().to_string();
    assert!(error.contains("gone/p.shard") && error.contains("free space"), "{error}");
}

#[test]
fn nothing_to_learn_from_is_an_error_that_says_so() {
    let scratch = Scratch::with_list(10);
    let config = scratch.config("");
    let fails = |read: &(dyn Fn(&Path) -> Result<Frame, Cause> + Sync), config: &TrainConfig, net: &str| {
        let error = scratch.prepare_with(config, net, None, "p.shard", read, &AtomicBool::new(false)).unwrap_err();
        assert_eq!(scratch.names(), ["list.ndjson"]);
        error
    };
    let error = fails(&|_| Err("no such picture".into()), &config, "pnet").to_string();
    assert!(["none of the 10 images", "list.ndjson:1:", "no such picture"].iter().all(|needle| error.contains(needle)), "{error}");
    let small = |_: &Path| Frame::from_rgba(4, 4, vec![0; 64]).ok_or_else(|| "no pixels".into());
    assert!(matches!(fails(&small, &config, "pnet"), CropsError::NoCrop { images: 8 }));
    assert!(matches!(fails(&picture, &TrainConfig::default(), "pnet"), CropsError::NoSource));
    assert!(matches!(fails(&picture, &config, "rnet"), CropsError::NoWeights { .. }));
    assert!(matches!(fails(&picture, &config, "net"), CropsError::NoNet { .. }));
    fs::write(scratch.path("list.ndjson"), "\n").unwrap();
    let error = fails(&picture, &config, "pnet");
    assert!(matches!(error, CropsError::NoImage { .. }) && error.to_string().contains("list.ndjson"), "{error}");
}

#[test]
fn a_kind_that_the_data_lacks_is_named_when_batches_are_made() {
    let scratch = Scratch::with_list(12);
    let list = fs::read_to_string(scratch.path("list.ndjson")).unwrap().replace("landmarks", "unknown");
    fs::write(scratch.path("list.ndjson"), list).unwrap();
    let config = scratch.config("");
    let report = scratch.prepare(&config, "pnet", None, "p.shard").unwrap().unwrap();
    assert_eq!(report.crops[0][SampleKind::Landmarks as usize], 0);
    let error = ShardBatches::open(&scratch.path("p.shard"), "pnet", &config).err().unwrap();
    assert!(matches!(error, CropsError::Missing { sample: SampleKind::Landmarks, .. }), "{error}");
    let without = scratch.config("net.ratio = [3, 1, 1, 0]");
    let batches = ShardBatches::open(&scratch.path("p.shard"), "pnet", &without).unwrap();
    assert!(batches.validation_batches() > 0);
    let used: Vec<u32> = batches.batch(0).unwrap().kinds;
    assert_eq!((used.len(), used.iter().filter(|kind| **kind == 0).count()), (32, 0));
}

#[test]
fn a_source_leaves_images_out_by_list_and_is_drawn_from() {
    let scratch = Scratch::with_list(30);
    fs::write(scratch.path("held.txt"), (10..30).map(|number| format!("{number}.png\n")).collect::<String>()).unwrap();
    let mut config = scratch.config("");
    let names = |config: &TrainConfig| -> Vec<String> {
        pool(config).iter().map(|photo| photo.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    config.data.sources[0].except = vec![scratch.path("held.txt")];
    let kept: Vec<String> = (0..10).map(|number| format!("{number}.png")).collect();
    assert_eq!(names(&config), kept);
    config.data.sources[0].most_images = Some(4);
    let drawn = names(&config);
    assert!(drawn.len() == 4 && drawn.is_sorted() && drawn.iter().all(|name| kept.contains(name)), "{drawn:?}");
    assert_ne!(names(&TrainConfig { seed: 2, ..config.clone() }), drawn);
    config.data.sources[0].except = vec![scratch.path("gone.txt")];
    let error = photos(&config.data, 1, &mut Faults::strict()).unwrap_err().to_string();
    assert!(error.contains("gone.txt"), "{error}");
}

#[test]
fn faces_of_an_image_are_capped_and_small_ones_are_left_out_by_source() {
    let scratch = Scratch::with_list(12);
    let counts = |config: &TrainConfig| {
        scratch.prepare(config, "pnet", None, "p.shard").unwrap().unwrap();
        let mut counts: HashMap<(u32, SampleKind), usize> = HashMap::new();
        let shard = Shard::open(&scratch.path("p.shard")).unwrap();
        shard.records().iter().for_each(|record| *counts.entry((record.image, record.sample)).or_default() += 1);
        counts
    };
    let all = counts(&scratch.config(""));
    let capped = counts(&scratch.config_with("", "faces_per_image = 2\n"));
    for (key, count) in &all {
        let most = if key.1 == SampleKind::Negative { usize::MAX } else { 2 };
        assert_eq!(capped[key], (*count).min(most), "{key:?}");
    }
    assert!(all.iter().any(|((_, sample), count)| *sample == SampleKind::Positive && *count > 2));
    // The second face of every third image is of 44 px, all others of 40 px.
    let mut config = scratch.config("");
    config.data.sources[0].min_face_px = Some(42.0);
    assert!(counts(&config).keys().all(|(image, sample)| *sample == SampleKind::Negative || image % 3 == 0));
}

#[test]
fn what_an_earlier_pnet_finds_is_cut_beside_the_random_crops() {
    let (scratch, weights) = (Scratch::with_list(12), initial_weights(4).unwrap());
    let config = scratch.config_with("", "thresholds = [0.4, 0.4]\n");
    let crops = |weights| scratch.prepare(&config, "pnet", weights, "p.shard").unwrap().unwrap().crops[0];
    let ([negatives, ..], [more, ..]) = (crops(None), crops(Some(&weights)));
    assert!(more > negatives, "{more} negatives, {negatives} without");
}

/// Labels the images of `scratch` with a teacher that has random weights.
fn labelled(scratch: &Scratch, settings: &str, engine: &Engine) -> Result<Option<TrainConfig>, CropsError> {
    let weights = initial_weights(4).unwrap();
    let (config, folder) = (scratch.config(settings), scratch.path("labels"));
    fs::create_dir_all(&folder).unwrap();
    let teacher = Some(Earlier { engine, weights: &weights });
    let job = CropJob { net: "", config: &config, earlier: None, teacher, read: &picture, stop: &AtomicBool::new(false) };
    label(&job, &folder, &mut Faults::strict(), &mut |_| {})
}

fn pool(config: &TrainConfig) -> Vec<Photo> {
    photos(&config.data, config.seed, &mut Faults::strict()).unwrap()
}

#[test]
fn a_teacher_that_agrees_with_nobody_leaves_labels_and_parts_as_they_are() {
    let scratch = Scratch::with_list(23);
    // No overlap and no score reaches these limits.
    let settings = "[teacher]\noverlap = 1.0\naccept = 1.0\nignore = 1.0";
    let config = labelled(&scratch, settings, &Engine::cpu()).unwrap().unwrap();
    let (was, is) = (pool(&scratch.config(settings)), pool(&config));
    assert_eq!(was.len(), 23);
    for (was, is) in was.iter().zip(&is) {
        assert_eq!((&was.path, was.part, was.uses), (&is.path, is.part, is.uses));
        let boxes = |photo: &Photo| photo.faces.iter().map(|face| (face.bounding_box, face.landmarks)).collect::<Vec<_>>();
        assert_eq!(boxes(was), boxes(is));
    }
    assert!(!config.teacher.labels, "these are labels already");
}

#[test]
fn labels_complete_the_list_and_are_made_once() {
    let settings = "[teacher]\nthresholds = [0.4, 0.4, 0.4]\naccept = 0.5\nignore = 0.4\nlandmarks = 0.5";
    let scratch = Scratch::with_list(9);
    let config = labelled(&scratch, settings, &Engine::cpu()).unwrap().unwrap();
    let faces = pool(&config).iter().map(|photo| photo.faces.len()).sum::<usize>();
    assert!(faces > 12, "{faces} faces: it sees more than the 12 of the list");
    let path = &config.data.sources[0].annotations;
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{text}\n")).unwrap();
    labelled(&scratch, settings, &Engine::cpu()).unwrap().unwrap();
    assert!(fs::read_to_string(path).unwrap() == format!("{text}\n"), "made once");
}

#[test]
fn another_detector_is_a_second_teacher() {
    let settings = "[teacher]\nother_landmarks = 0.8";
    let scratch = Scratch::with_list(3);
    let list = fs::read_to_string(scratch.path("list.ndjson")).unwrap();
    let without = list.lines().map(|line| format!("{}}}]}}\n", &line[..line.find(", \"landmarks").unwrap()]));
    fs::write(scratch.path("list.ndjson"), without.collect::<String>()).unwrap();
    let points = "[[1, 1], [2, 1], [1.5, 2], [1, 3], [2, 3]]";
    let face = |x: f64, y: f64, side: f64, score: f64| {
        format!("{{\"box\": [{x}, {y}, {}, {}], \"score\": {score}, \"landmarks\": {points}}}", x + side, y + side)
    };
    // On the face of 0.png and beside it, a doubtful one on the face of 1.png, nothing of 2.png.
    let [x, y, side] = faces(0)[0];
    let first = format!("{}, {}", face(x + 1.0, y, side, 0.9), face(120.0, 5.0, 30.0, 0.9));
    let [x, y, side] = faces(1)[0];
    let second = face(x, y, side, 0.5);
    let lines = format!("{{\"path\": \"a/0.png\", \"faces\": [{first}]}}\n{{\"path\": \"a/1.png\", \"faces\": [{second}]}}\n");
    fs::write(scratch.path("theirs.ndjson"), lines).unwrap();
    let (mut config, weights, engine) = (scratch.config(settings), initial_weights(4).unwrap(), Engine::cpu());
    config.data.sources[0].unseen = true;
    config.data.sources[0].detections = Some(scratch.path("theirs.ndjson"));
    let teacher = Some(Earlier { engine: &engine, weights: &weights });
    let job =
        CropJob { net: "", config: &config, earlier: None, teacher, read: &|_| panic!("nobody looks"), stop: &AtomicBool::new(false) };
    let told = label(&job, &scratch.path(""), &mut Faults::lenient(), &mut |_| {}).unwrap().unwrap();
    let photos = pool(&told);
    let faces_of = |at: usize| -> Vec<_> {
        photos[at].faces.iter().map(|face| (face.bounding_box.x1, face.landmarks.is_some(), face.ignore)).collect()
    };
    // The label keeps its box and takes the points of a sure detection; what is seen beside labels is of no
    // use.
    assert_eq!(faces_of(0), [(10.0, true, false), (120.0, false, true)]);
    assert_eq!(faces_of(1), [(15.0, false, false)]);
    assert_eq!(faces_of(2), [(20.0, false, false)]);
}

#[test]
fn crops_carry_what_the_teacher_says_of_them() {
    let scratch = Scratch::with_list(12);
    let (config, engine, weights) = (scratch.config(""), Engine::cpu(), initial_weights(4).unwrap());
    let without = scratch.prepare(&config, "pnet", None, "without.shard").unwrap().unwrap();
    let teacher = Some(Earlier { engine: &engine, weights: &weights });
    let job = CropJob { net: "pnet", config: &config, earlier: None, teacher, read: &picture, stop: &AtomicBool::new(false) };
    let with = prepare(&job, &scratch.path("with.shard"), &mut |_| {}).unwrap().unwrap();
    assert_eq!(without.crops, with.crops);
    let [without, with] = ["without.shard", "with.shard"].map(|name| Shard::open(&scratch.path(name)).unwrap());
    assert!(without.records().iter().all(|record| record.teacher.is_none()));
    let logits: Vec<f32> = with.records().iter().map(|record| record.teacher.unwrap()).collect();
    assert!(logits.iter().any(|logit| *logit != logits[0]), "it does not say the same of all");
    for i in 0..without.records().len() {
        assert_eq!(without.pixels(i), with.pixels(i));
    }
}

#[test]
fn a_teacher_of_other_nets_and_a_folder_without_one_are_refused() {
    let scratch = Scratch::with_list(3);
    let empty = Weights::new(std::collections::BTreeMap::new(), std::collections::BTreeMap::new()).unwrap();
    let (config, engine) = (scratch.config(""), Engine::cpu());
    let teacher = Some(Earlier { engine: &engine, weights: &empty });
    let job = CropJob { net: "pnet", config: &config, earlier: None, teacher, read: &picture, stop: &AtomicBool::new(false) };
    let error = prepare(&job, &scratch.path("out.shard"), &mut |_| {}).unwrap_err();
    assert!(matches!(error, CropsError::NoTeacher { .. }), "{error}");
    assert!(matches!(label(&job, &scratch.path(""), &mut Faults::strict(), &mut |_| {}), Err(CropsError::NoTeacher { .. })));
    assert_eq!(scratch.names(), ["list.ndjson"]);
}
