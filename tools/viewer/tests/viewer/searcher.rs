//! What searches: settings, weights and devices that come and go.

use mtcmcn::Device;
use mtcmcn::engine::gpu::Gpu;
use mtcmcn_viewer::searcher::Searcher;
use mtcmcn_viewer::settings::Detection;
use mtcmcn_viewer::source::Synthetic;

fn searcher() -> Searcher {
    Searcher::new(None)
}

fn cpu() -> Detection {
    Detection { device: "cpu".to_owned(), ..Detection::default() }
}

#[test]
fn an_adapter_that_is_not_there_falls_back_to_the_cpu_and_says_so() {
    let frame = Synthetic::new().expect("the portrait").frame(0).expect("a frame");
    let mut searcher = searcher();
    let settings = Detection { device: "no such adapter".to_owned(), ..Detection::default() };
    let found = searcher.search(&frame, None, &settings);
    assert_eq!(found.faces.len(), 1, "{:?}", searcher.messages);
    assert!(searcher.messages[0].contains("no such adapter") && searcher.messages[0].contains("CPU"), "{:?}", searcher.messages);
    assert!(searcher.engine().starts_with("CPU"));
}

#[test]
fn settings_act_on_the_next_frame() {
    let frame = Synthetic::new().expect("the portrait").frame(0).expect("a frame");
    let mut searcher = searcher();
    assert_eq!(searcher.search(&frame, None, &cpu()).faces.len(), 1);
    let strict = Detection { thresholds: [0.6, 0.7, 1.0], ..cpu() };
    assert_eq!(searcher.search(&frame, None, &strict).faces.len(), 0);
    let large = Detection { min_face_px: 400.0, ..cpu() };
    assert_eq!(searcher.search(&frame, None, &large).faces.len(), 0);
    assert_eq!(searcher.search(&frame, None, &cpu()).faces.len(), 1);
    assert_eq!(searcher.messages, Vec::<String>::new());
}

#[test]
fn weights_that_cannot_be_read_are_said_once_and_the_last_ones_stay() {
    let frame = Synthetic::new().expect("the portrait").frame(0).expect("a frame");
    let mut searcher = searcher();
    assert_eq!(searcher.search(&frame, None, &cpu()).faces.len(), 1);
    let missing = Detection { weights: Some("/nowhere/weights.safetensors".into()), ..cpu() };
    searcher.search(&frame, None, &missing);
    assert!(searcher.messages.len() == 1 && searcher.messages[0].contains("/nowhere/"), "{:?}", searcher.messages);
    assert_eq!(searcher.search(&frame, None, &missing).faces.len(), 1);
    assert_eq!(searcher.messages.len(), 1);
}

#[test]
fn a_trace_tells_the_same_faces() {
    let frame = Synthetic::new().expect("the portrait").frame(0).expect("a frame");
    let mut searcher = searcher();
    let found = searcher.search(&frame, None, &cpu());
    let trace = searcher.trace(&frame, &cpu()).expect("a trace");
    assert_eq!(trace.detections, found);
}

#[test]
fn a_device_that_is_lost_is_said_and_the_cpu_goes_on() {
    let frame = Synthetic::new().expect("the portrait").frame(0).expect("a frame");
    let gpu = Gpu::open(&Device::Gpu).expect("an adapter; on Debian: apt-get install mesa-vulkan-drivers").expect("an adapter");
    let mut searcher = Searcher::new(Some(gpu.clone()));
    gpu.destroy();
    let settings = Detection { device: "window".to_owned(), ..Detection::default() };
    for _ in 0..2 {
        assert_eq!(searcher.search(&frame, None, &settings).faces.len(), 1);
    }
    assert!(matches!(&searcher.messages[..], [said] if said.contains("the GPU failed") && said.contains("CPU")), "{:?}", searcher.messages);
}
