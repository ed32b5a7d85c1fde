//! A run as seen on stderr: a bar where there is a terminal, a line an epoch where there is none.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use mtcmcn::train::metrics::{Kind, Record};
use mtcmcn::train::run::Event;

/// Where there is no terminal to draw a bar on, a line every ten seconds says what is going on.
pub struct Now {
    last: Option<Instant>,
}

impl Now {
    /// Lines now and then, none if `quiet` or if there is a terminal.
    pub fn and_then(quiet: bool) -> Self {
        Self { last: (!quiet && !io::stderr().is_terminal()).then(Instant::now) }
    }

    /// Says what `text` gives if it is time to; a file or a pipe that cannot be written is no reason to stop.
    pub fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(last) = self.last.as_mut().filter(|last| last.elapsed() >= Duration::from_secs(10)) {
            *last = Instant::now();
            let _ = writeln!(io::stderr(), "{}", text());
        }
    }
}

/// Shows the events of one run.
pub struct RunWatch {
    bar: ProgressBar,
    title: String,
    quiet: bool,
    epochs: u64,
    last_train: Option<Record>,
    steps: u64,
    step: u64,
    now: Now,
}

impl RunWatch {
    /// Nothing shown yet; `title` names the run.
    pub fn new(title: impl Into<String>, quiet: bool) -> Self {
        Self {
            bar: ProgressBar::hidden(),
            title: title.into(),
            quiet,
            epochs: 0,
            last_train: None,
            steps: 0,
            step: 0,
            now: Now::and_then(quiet),
        }
    }

    /// Shows what happened.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Begin { step, steps, per_epoch, batch } => self.begin(*step, *steps, *per_epoch, *batch),
            Event::Unreadable(error) => self.say(&format!("{}: passed over: {error}", self.title)),
            Event::Step => {
                self.bar.inc(1);
                self.step += 1;
                let Self { title, step, steps, last_train, now, .. } = self;
                let figures = || last_train.as_ref().map_or_else(String::new, |train| format!(": {}", figures(train)));
                now.say(|| format!("{title} step {step} of {steps}{}", figures()));
            }
            Event::Measured(record) => self.measured(record),
            Event::Saved(path) => tracing::debug!("saved {path:?}"),
            Event::Best => tracing::info!("{}: best validation so far", self.title),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn begin(&mut self, step: u64, steps: u64, per_epoch: u64, batch: u32) {
        self.epochs = steps / per_epoch.max(1);
        (self.step, self.steps) = (step, steps);
        if !self.quiet && io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{prefix} {bar:16} {pos}/{len}, {eta} left; {wide_msg}");
            self.bar = ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            self.bar.set_prefix(self.title.clone());
            self.bar.enable_steady_tick(Duration::from_millis(500));
        }
        self.bar.set_position(step);
        self.bar.reset_eta();
        let from = if step > 0 { format!("after step {step} ") } else { String::new() };
        self.say(&format!("{}: {} epochs of {per_epoch} steps of {batch} samples, beginning {from}now", self.title, self.epochs));
    }

    fn measured(&mut self, record: &Record) {
        match record.kind {
            Kind::Train => {
                let (speed, figures) = (record.samples_per_second, figures(record));
                tracing::info!("{} step {}, epoch {:.2}: {figures}, {speed:.0} samples/s", self.title, record.step, record.epoch);
                // A narrow terminal cuts off its end, which should not be that of a whole number.
                self.bar.set_message(format!("{speed:.0} samples/s, {figures}"));
                self.last_train = Some(record.clone());
            }
            Kind::Validation => {
                let told = |train: &Record| format!("; training {}, {:.0} samples/s", figures(train), train.samples_per_second);
                let train = self.last_train.as_ref().map_or_else(String::new, told);
                self.say(&format!("{} epoch {:.0}/{}: validation {}{train}", self.title, record.epoch, self.epochs, figures(record)));
            }
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }
}

/// Loss and accuracy, as far as there are any.
fn figures(record: &Record) -> String {
    let number = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value:.4}"));
    let parts = [number("loss", record.loss), number("accuracy", record.get("accuracy"))];
    let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "no samples".to_owned() } else { text }
}
