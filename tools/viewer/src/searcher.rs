//! A detector that follows the settings, and goes on on the CPU when a device fails.

use std::path::{Path, PathBuf};

use mtcmcn::cascade::Trace;
use mtcmcn::engine::gpu::{Gpu, GpuFrame};
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

    /// Finds the faces of `frame`, of which `uploaded` is a copy on the window's device. Where that is
    /// impossible, none are found and [`Searcher::messages`] says why.
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
            match weights(settings.weights.as_deref()) {
                Ok(weights) => (self.weights, self.detector) = (Some(weights), None),
                Err(message) => return Err(Trouble::Other(message)),
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
            ("auto", Some(gpu)) if gpu.report().hardware => Ok(gpu.clone().into()),
            // Software that draws should not also search: the CPU engine is faster. It leaves a core to
            // whoever draws.
            ("auto", _) => Engine::open_with_threads(&parsed, Some(cores().saturating_sub(1))),
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

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The weights in `file`, else in the one that `MTCMCN_WEIGHTS` names, else our own.
///
/// # Errors
///
/// What is wrong with them, in words.
fn weights(file: Option<&Path>) -> Result<Weights, String> {
    let variable = || std::env::var_os("MTCMCN_WEIGHTS").filter(|name| !name.is_empty()).map(PathBuf::from);
    let Some(path) = file.map(Path::to_owned).or_else(variable) else { return Ok(Weights::builtin()) };
    let weights = Weights::load(&path).map_err(|error| chain(&error))?;
    weights.check().map_err(|error| format!("weights {} are not complete: {}", path.display(), chain(&error)))?;
    Ok(weights)
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
