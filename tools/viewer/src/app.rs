//! The program without its window: what it holds, and what the user's wishes do to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Context, ScreenshotCallback, ThemePreference, ViewportCommand};
use mtcmcn::engine::gpu::Gpu;

use crate::args::Args;
use crate::feed::{Feed, Mailbox};
use crate::keep;
use crate::keys::Action;
use crate::lookup::{Cameras, Lookup, adapters};
use crate::report::{FrameTimes, Report};
use crate::settings::{Detection, Settings, Theme};
use crate::source::SourceSpec;
use crate::view::View;
use crate::walk::Walk;
use crate::worker::{Shown, Wanted, Worker};

/// Messages that are kept.
const MOST_MESSAGES: usize = 100;

/// How long changed settings wait to be written, so that a slider does not write a hundred times.
const SAVE_AFTER: Duration = Duration::from_secs(2);

/// From one frame of a display to the next: how often the window draws while it is measured.
const DISPLAY: Duration = Duration::from_micros(16_667);

/// A window's picture: columns, rows, R, G, B bytes.
type Photo = ([usize; 2], Vec<u8>);

/// The program.
pub struct App {
    /// What is remembered.
    pub settings: Settings,
    /// The source that runs.
    pub feed: Option<Feed>,
    /// The newest searched frame.
    pub shown: Option<Arc<Shown>>,
    /// What of it is on the screen.
    pub view: View,
    /// Held.
    pub paused: bool,
    /// Looking inside the cascade.
    pub walk: Option<Walk>,
    /// What the user was told and has not put away, oldest first.
    pub messages: Vec<String>,
    /// The list of keys is open.
    pub help: bool,
    /// The window fills the screen.
    pub full_screen: bool,
    /// What is typed as a source.
    pub path: String,
    /// What is typed as weights.
    pub weights: String,
    /// Names of the adapters.
    pub adapters: Lookup<Vec<String>>,
    /// Cameras with their modes, once they are asked for.
    pub cameras: Cameras,
    /// Times of the window's frames.
    pub frame_times: FrameTimes,
    /// What searches.
    pub worker: Worker,
    mailbox: Arc<Mailbox>,
    sources: u64,
    args: Args,
    saved: Settings,
    changed: Option<Instant>,
    photo: Option<Lookup<Photo>>,
    ending: bool,
}

impl App {
    /// The program for a window that draws with `window`, with the settings of before.
    pub fn new(ctx: &Context, args: Args, window: Option<Gpu>) -> Self {
        let path = args.settings.clone().or_else(Settings::default_path);
        let (mut settings, trouble) = path.as_deref().map_or_else(|| (Settings::default(), None), Settings::load);
        let saved = settings.clone();
        apply(&args, &mut settings);
        ctx.set_zoom_factor(settings.zoom);
        let wake = ctx.clone();
        let worker = Worker::start(window, Wanted::default(), move || wake.request_repaint());
        let source = args.source.as_deref().map(SourceSpec::parse).or_else(|| settings.recent.first().cloned());
        let mut app = Self {
            weights: settings.detection.weights.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
            paused: args.paused,
            args: Args { settings: path, ..args },
            settings,
            saved,
            worker,
            messages: trouble.into_iter().collect(),
            adapters: Lookup::start(ctx, adapters),
            cameras: Cameras::default(),
            feed: None,
            shown: None,
            view: View::default(),
            walk: None,
            help: false,
            full_screen: false,
            path: String::new(),
            frame_times: FrameTimes::default(),
            mailbox: Arc::default(),
            sources: 0,
            changed: None,
            photo: None,
            ending: false,
        };
        app.open(ctx, source.unwrap_or(SourceSpec::Synthetic));
        app
    }

    /// Opens another source and forgets the frames of the last.
    pub fn open(&mut self, ctx: &Context, spec: SourceSpec) {
        match &spec {
            SourceSpec::Files(path) => self.path = path.display().to_string(),
            SourceSpec::Video(input) => self.path.clone_from(input),
            _ => {}
        }
        self.settings.remember(&spec);
        self.sources += 1;
        self.mailbox = Arc::default();
        self.want();
        self.worker.look_at(self.mailbox.clone(), self.sources);
        let wake = ctx.clone();
        let feed = Feed::start(spec, self.mailbox.clone(), move || wake.request_repaint());
        feed.pause(self.paused);
        self.feed = Some(feed);
        self.shown = None;
        self.view = View::default();
    }

    /// Frames that the source gave, and those that nobody saw.
    pub fn counts(&self) -> (u64, u64) {
        self.mailbox.counts()
    }

    /// Fetches what is new; once for every frame of the window.
    pub fn follow(&mut self, ctx: &Context) {
        let mut board = self.worker.board();
        if board.shown.as_ref().is_some_and(|shown| shown.source == self.sources) {
            self.shown.clone_from(&board.shown);
        }
        let old = self.messages.len();
        self.messages.append(&mut board.messages);
        let enough = self.args.frames.is_some_and(|frames| board.searched >= frames);
        drop(board);
        self.messages.extend(self.feed.as_ref().and_then(Feed::trouble));
        self.messages[old..].iter().for_each(|message| tracing::info!("{message}"));
        // The same trouble with every frame is one message.
        self.messages.dedup();
        let excess = self.messages.len().saturating_sub(MOST_MESSAGES);
        self.messages.drain(..excess);
        if enough && !std::mem::replace(&mut self.ending, true) {
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
        if let Some((size, rgb)) = self.photo.as_mut().and_then(Lookup::take) {
            self.photo = None;
            let written = keep::view(&self.output(), size, &rgb);
            self.tell(written.map(|path| format!("window saved: {}", path.display())));
        }
        if let (Some(walk), Some(trace)) = (&mut self.walk, self.shown.as_ref().and_then(|shown| shown.trace.as_ref())) {
            walk.follow(ctx, trace);
        }
        if self.args.report.is_some() {
            ctx.request_repaint_after(DISPLAY);
        }
    }

    /// Tells the search what is wanted, and writes settings that have rested for a while; after the window's
    /// widgets have run.
    pub fn settle(&mut self, ctx: &Context) {
        self.want();
        let theme = match self.settings.theme {
            Theme::System => ThemePreference::System,
            Theme::Light => ThemePreference::Light,
            Theme::Dark => ThemePreference::Dark,
        };
        ctx.set_theme(theme);
        // egui's own keys change it too.
        self.settings.zoom = ctx.zoom_factor();
        if self.settings == self.saved {
            self.changed = None;
        } else if self.changed.get_or_insert_with(Instant::now).elapsed() >= SAVE_AFTER {
            self.save();
        } else {
            ctx.request_repaint_after(SAVE_AFTER);
        }
    }

    fn want(&self) {
        self.worker.want(Wanted {
            detection: self.settings.detection.clone(),
            tracking: self.settings.show.tracking,
            trace: self.walk.is_some(),
            times: self.settings.show.stage_times,
        });
    }

    fn save(&mut self) {
        self.changed = None;
        self.saved = self.settings.clone();
        if let Some(path) = &self.args.settings
            && let Err(error) = self.settings.save(path)
        {
            self.messages.push(format!("settings are not remembered: {}: {error}", path.display()));
        }
    }

    /// The end: settings are written, a recording is finished, a report made.
    pub fn end(&mut self) {
        if self.settings != self.saved {
            self.save();
        }
        if let Err(error) = self.worker.stop_recording() {
            tracing::error!("the recording did not end well: {error}");
        }
        if let Some(path) = &self.args.report {
            let board = self.worker.board();
            let (given, dropped) = self.mailbox.counts();
            let report = Report {
                engine: board.engine.clone(),
                searched: board.searched,
                given,
                dropped,
                latency_ms_p50: board.stats.latency_ms(0.5),
                latency_ms_p95: board.stats.latency_ms(0.95),
                ..Report::new(&self.frame_times)
            };
            if let Err(error) = report.save(path) {
                tracing::error!("no report: {}: {error}", path.display());
            }
        }
    }

    fn output(&self) -> PathBuf {
        self.settings.output.clone().unwrap_or_else(|| PathBuf::from("."))
    }

    fn tell(&mut self, outcome: std::io::Result<String>) {
        self.messages.push(outcome.unwrap_or_else(|error| format!("nothing was saved: {error}")));
    }

    /// Does what the user asks for.
    pub fn act(&mut self, ctx: &Context, action: Action) {
        match action {
            Action::Open(spec) => self.open(ctx, spec),
            Action::Pause => self.pause(!self.paused),
            Action::Frame(by) => {
                self.pause(true);
                if let Some(feed) = &self.feed {
                    feed.step(by);
                }
            }
            Action::Cascade => {
                let open = self.walk.is_none();
                self.walk = open.then(Walk::default);
                if open {
                    self.pause(true);
                }
            }
            Action::Stage(by) => {
                if let (Some(walk), Some(trace)) = (&mut self.walk, self.shown.as_ref().and_then(|shown| shown.trace.as_ref())) {
                    walk.step(by, trace);
                }
            }
            Action::Snapshot | Action::Crops | Action::Record | Action::View => self.keep(ctx, &action),
            Action::Mirror => self.settings.show.mirror ^= true,
            Action::Boxes => self.settings.show.boxes ^= true,
            Action::Landmarks => self.settings.show.landmarks ^= true,
            Action::Tracking => self.settings.show.tracking ^= true,
            Action::Speed => self.settings.show.speed ^= true,
            Action::FullScreen => {
                self.full_screen ^= true;
                ctx.send_viewport_cmd(ViewportCommand::Fullscreen(self.full_screen));
            }
            Action::Zoom(factor) => self.view.magnify(factor),
            Action::Fit => self.view = View::default(),
            Action::Reset => {
                self.settings.detection = Detection::default();
                self.weights.clear();
            }
            Action::Help => self.help ^= true,
            Action::Quit => ctx.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    fn pause(&mut self, paused: bool) {
        self.paused = paused;
        if let Some(feed) = &self.feed {
            feed.pause(paused);
        }
    }

    fn keep(&mut self, ctx: &Context, action: &Action) {
        let (folder, shown) = (self.output(), self.shown.clone());
        match (action, shown) {
            (Action::View, _) => {
                let (look, send) = Lookup::pair(ctx);
                self.photo = Some(look);
                let photo = move |image: Arc<egui::ColorImage>| {
                    send((image.size, image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect()));
                };
                ctx.send_viewport_cmd(ViewportCommand::Screenshot(ScreenshotCallback::new(photo)));
            }
            (Action::Record, _) => {
                let recording = self.worker.board().recorded.is_some();
                let outcome = if recording {
                    self.worker.stop_recording().map(|path| path.map(|path| format!("recording saved: {}", path.display())))
                } else {
                    self.worker.record(&folder).map(|()| None)
                };
                match outcome {
                    Ok(text) => self.messages.extend(text),
                    Err(error) => self.tell(Err(error)),
                }
            }
            (_, None) => self.messages.push("there is no frame to save yet".to_owned()),
            (Action::Crops, Some(shown)) => {
                let written = keep::crops(&folder, &shown.taken.frame, &shown.detections.faces);
                self.tell(written.map(|count| format!("{count} aligned faces saved in {}", folder.display())));
            }
            (_, Some(shown)) => {
                let written = keep::snapshot(&folder, &shown.taken.frame, &shown.detections);
                self.tell(written.map(|path| format!("frame saved: {}", path.display())));
            }
        }
    }
}

/// What was typed goes over what is remembered.
fn apply(args: &Args, settings: &mut Settings) {
    let detection = &mut settings.detection;
    if let Some(device) = &args.device {
        detection.device.clone_from(device);
    }
    if let Some(weights) = &args.weights {
        detection.weights = Some(weights.clone());
    }
    if let Some(min_face) = args.min_face {
        detection.min_face_px = min_face;
    }
    *detection = detection.clone().sane();
    if let Some(output) = &args.output {
        settings.output = Some(output.clone());
    }
}
