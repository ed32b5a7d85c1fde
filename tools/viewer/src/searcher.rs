//! A detector that follows the settings, and goes on on the CPU when a device fails.

use std::path::PathBuf;

use mtcmcn::cascade::Trace;
use mtcmcn::engine::gpu::{Gpu, GpuFrame};
use mtcmcn::weights::fetch;
use mtcmcn::{DetectError, Detections, Detector, Device, Engine, Frame, Weights};

use crate::settings::Detection;

/// Searches frames with whatever settings come with them.
#[derive(Default)]
pub struct Searcher {
    /// The device that draws the window.
    window: Option<Gpu>,
    /// What `engine` was opened for.
    device: Option<String>,
    engine: Option<Engine>,
    /// What `weights` was read from.
    source: Option<Option<PathBuf>>,
    weights: Option<Weights>,
    detector: Option<Detector>,
    /// What the user should know, oldest first; emptied by the caller.
    pub messages: Vec<String>,
}

impl Searcher {
    /// A searcher beside a window that draws with `window`.
    pub fn new(window: Option<Gpu>) -> Self {
        Self { window, ..Self::default() }
    }

    /// What it runs on, in words.
    pub fn engine(&self) -> String {
        match &self.engine {
            Some(engine) if engine.gpu().is_some() && self.shares_window() => format!("{}, the window's device", engine.name()),
            Some(engine) => engine.name(),
            None => "no engine".to_owned(),
        }
    }

    fn shares_window(&self) -> bool {
        let window = self.window.as_ref().map(Gpu::report);
        let own = self.engine.as_ref().and_then(Engine::gpu).map(Gpu::report);
        window.is_some() && window == own && self.device.as_deref().is_some_and(|device| matches!(device, "auto" | "window"))
    }

    /// Finds the faces of `frame`, of which `uploaded` is a copy on the window's device. Where that is impossible, none are found and
    /// [`Searcher::messages`] says why.
    pub fn search(&mut self, frame: &Frame, uploaded: Option<&GpuFrame>, settings: &Detection) -> Detections {
        let first = self.attempt(frame, uploaded, settings);
        match first {
            Ok(detections) => detections,
            Err(Trouble::Engine(message)) => {
                self.messages.push(format!("{message}; searching on the CPU"));
                self.fall_back();
                self.attempt(frame, None, settings).unwrap_or_else(|trouble| {
                    self.messages.extend(trouble.text());
                    Detections::default()
                })
            }
            Err(trouble) => {
                self.messages.extend(trouble.text());
                Detections::default()
            }
        }
    }

    /// Every stage of the search of `frame`.
    pub fn trace(&mut self, frame: &Frame, settings: &Detection) -> Option<Trace> {
        let traced = self.follow(settings).and_then(|detector| Ok(detector.trace(frame)?));
        traced.map_err(|trouble| self.messages.extend(trouble.text())).ok()
    }

    fn attempt(&mut self, frame: &Frame, uploaded: Option<&GpuFrame>, settings: &Detection) -> Result<Detections, Trouble> {
        let detector = self.follow(settings)?;
        let ticket = match uploaded {
            Some(uploaded) => detector.submit_uploaded(frame, uploaded)?,
            None => detector.submit(frame)?,
        };
        Ok(detector.collect(ticket)?)
    }

    fn fall_back(&mut self) {
        self.engine = Some(Engine::cpu());
        self.detector = None;
    }

    /// The detector for `settings`; what has not changed is kept.
    fn follow(&mut self, settings: &Detection) -> Result<&mut Detector, Trouble> {
        if self.device.as_ref() != Some(&settings.device) {
            self.device = Some(settings.device.clone());
            self.detector = None;
            self.engine = None;
            self.engine = Some(self.open(&settings.device).unwrap_or_else(|error| {
                self.messages.push(format!("{error}; searching on the CPU"));
                Engine::cpu()
            }));
        }
        if self.source.as_ref() != Some(&settings.weights) {
            self.source = Some(settings.weights.clone());
            // Weights that cannot be read leave the last ones in place.
            match fetch::default_weights(settings.weights.as_deref()) {
                Ok(weights) => (self.weights, self.detector) = (Some(weights), None),
                Err(error) => return Err(Trouble::Other(chain(&error))),
            }
        }
        let config = settings.config();
        if self.detector.as_ref().is_none_or(|detector| detector.config() != &config) {
            let Some(weights) = &self.weights else { return Err(Trouble::Told) };
            let engine = self.engine.clone().unwrap_or_else(Engine::cpu);
            self.detector = Some(Detector::new(engine, weights, config)?);
        }
        self.detector.as_mut().ok_or(Trouble::Told)
    }

    fn open(&self, device: &str) -> Result<Engine, mtcmcn::EngineError> {
        // The parser of devices takes any text.
        let parsed: Device = device.parse().unwrap_or_default();
        match (device, &self.window) {
            ("window", Some(gpu)) => Ok(gpu.clone().into()),
            ("window", None) => Engine::open(&Device::Gpu),
            // Software that draws should not also search: the CPU engine is faster.
            ("auto", Some(gpu)) if gpu.report().hardware => Ok(gpu.clone().into()),
            _ => Engine::open(&parsed),
        }
    }
}

enum Trouble {
    /// The engine's fault: another one may do.
    Engine(String),
    /// Nothing that another engine would change.
    Other(String),
    /// Said before, and nothing has changed.
    Told,
}

impl Trouble {
    fn text(self) -> Option<String> {
        match self {
            Self::Engine(text) | Self::Other(text) => Some(text),
            Self::Told => None,
        }
    }
}

impl From<DetectError> for Trouble {
    fn from(error: DetectError) -> Self {
        match &error {
            DetectError::Engine(_) | DetectError::NotANumber => Self::Engine(chain(&error)),
            _ => Self::Other(chain(&error)),
        }
    }
}

/// `error` and its causes on one line, without the causes that it quotes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text += ": ";
            text += &more;
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Synthetic;

    fn cpu() -> Detection {
        Detection { device: "cpu".to_owned(), ..Detection::default() }
    }

    #[test]
    fn an_adapter_that_is_not_there_falls_back_to_the_cpu_and_says_so() {
        let frame = Synthetic::new().expect("the portrait").frame(0).expect("a frame");
        let mut searcher = Searcher::new(None);
        let settings = Detection { device: "no such adapter".to_owned(), ..Detection::default() };
        let found = searcher.search(&frame, None, &settings);
        assert_eq!(found.faces.len(), 1, "{:?}", searcher.messages);
        assert!(searcher.messages[0].contains("no such adapter") && searcher.messages[0].contains("CPU"), "{:?}", searcher.messages);
        assert!(searcher.engine().starts_with("CPU"));
    }

    #[test]
    fn settings_act_on_the_next_frame() {
        let frame = Synthetic::new().expect("the portrait").frame(0).expect("a frame");
        let mut searcher = Searcher::new(None);
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
        let mut searcher = Searcher::new(None);
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
        let mut searcher = Searcher::new(None);
        let found = searcher.search(&frame, None, &cpu());
        let trace = searcher.trace(&frame, &cpu()).expect("a trace");
        assert_eq!(trace.detections, found);
        assert_eq!(trace.cells.len(), found.counts.cells as usize);
        assert_eq!(trace.rnet.len(), found.counts.merged as usize);
        assert_eq!(trace.rnet.iter().filter(|judged| judged.passed).count(), found.counts.rnet as usize);
        assert_eq!(trace.onet_passed.len(), found.counts.onet as usize);
        assert!(trace.heat.iter().all(|map| map.probabilities.iter().all(|p| (0.0..=1.0).contains(p))));
    }
}
