//! Every setting of training, read from TOML over the defaults of `defaults.toml`, which is also their documentation.

mod check;
mod data;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::Initialization;
use super::schedule::Schedule;

pub use data::{CropConfig, DataConfig, Lesson, Source, SourceFormat, TeacherConfig, Uses, folder_of};

/// The defaults, with a comment on every key: what `mtcmcn train config` prints.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// The tables that give settings of one net, after `net`, which gives those of all.
const NETS: [&str; 3] = ["pnet", "rnet", "onet"];

/// Settings of a run. Each field is described in [`DEFAULTS`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct TrainConfig {
    pub seed: u32,
    pub data: DataConfig,
    pub teacher: TeacherConfig,
    pub pnet: NetConfig,
    pub rnet: NetConfig,
    pub onet: NetConfig,
    pub run: RunConfig,
}

/// Settings of the training of one net.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct NetConfig {
    pub epochs: u64,
    pub epoch_samples: u64,
    pub batch: u32,
    pub micro_batch: u32,
    pub ratio: [u32; 4],
    pub initialization: Initialization,
    pub dropout: f64,
    pub soft_targets: f64,
    pub landmarks_on_all: bool,
    pub loss: Tasks,
    pub mining: Tasks,
    pub optimizer: OptimizerConfig,
    pub schedule: Schedule,
    pub augment: AugmentConfig,
}

/// A number for each of the three tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are the tasks")]
pub struct Tasks {
    pub class: f64,
    pub r#box: f64,
    pub landmarks: f64,
}

/// What moves the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct OptimizerConfig {
    pub kind: OptimizerKind,
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub momentum: f64,
    pub weight_decay: f64,
}

/// Which rule moves them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma and Ba 2015; weight decay is added to the gradient.
    Adam,
    /// Loshchilov and Hutter 2019; weight decay apart from the gradient.
    AdamW,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// What happens to a crop each time it is drawn (spec section 4.7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct AugmentConfig {
    pub flip: f64,
    pub colour: f64,
    pub contrast: [f64; 2],
    pub saturation: [f64; 2],
    pub brightness: f64,
    pub hue: f64,
    pub grey: f64,
    pub blur: f64,
    pub noise: f64,
    pub jpeg: f64,
    pub downscale: f64,
    pub patch: f64,
    pub rotation: f64,
    pub rotation_degrees: f64,
}

/// How a run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "defaults.toml says what each key means")]
pub struct RunConfig {
    pub device: String,
    pub log_steps: u64,
    pub checkpoint_seconds: u64,
    pub checkpoint_steps: u64,
    pub keep: usize,
    pub prefetch: usize,
    pub tensorboard: bool,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings in {path:?}; check that it is there and that you may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML.
    #[error("{origin} is not TOML: line {line}: {message}")]
    Syntax {
        /// File or option.
        origin: String,
        /// Where, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A key that does not exist, or a value of the wrong kind.
    #[error("{origin}: {key}: {message} (`mtcmcn train config` lists every key)")]
    Key {
        /// File or option.
        origin: String,
        /// Where in the settings.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// A number outside its range.
    #[error("{key} is {value}, but must be {range}")]
    Range {
        /// Where in the settings.
        key: String,
        /// What was given.
        value: String,
        /// What is allowed, in words.
        range: &'static str,
    },
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self::from_toml("", "defaults").expect("a test reads the defaults")
    }
}

impl TrainConfig {
    /// The defaults, changed by the file at `path` if there is one, then by `settings`, each a line of TOML such as `onet.batch = 256`.
    ///
    /// Paths in the file are relative to its folder, those of sources to `data` if it is given, and absolute afterwards.
    ///
    /// # Errors
    ///
    /// [`TrainConfigError`], which names the key.
    pub fn load(path: Option<&Path>, settings: &[String], data: Option<&Path>) -> Result<Self, TrainConfigError> {
        let mut layers = Layers::defaults()?;
        if let Some(path) = path {
            let text = fs::read_to_string(path).map_err(|source| TrainConfigError::Read { path: path.into(), source })?;
            let mut file = parse(&text, &path.display().to_string())?;
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let folder = whole.parent().unwrap_or(Path::new(""));
            let data = data.map(|data| std::path::absolute(data).unwrap_or_else(|_| data.to_owned()));
            resolve_paths(&mut file, folder, data.as_deref().unwrap_or(folder));
            layers.add(&file, &path.display().to_string())?;
        }
        for setting in settings {
            let origin = format!("--set {setting}");
            layers.add(&parse_setting(setting, &origin)?, &origin)?;
        }
        layers.finish()
    }

    /// The defaults, changed by `text`, which is called `origin` in errors.
    ///
    /// # Errors
    ///
    /// As [`TrainConfig::load`].
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, TrainConfigError> {
        let mut layers = Layers::defaults()?;
        layers.add(&parse(text, origin)?, origin)?;
        layers.finish()
    }

    /// All settings as TOML, which [`TrainConfig::from_toml`] reads back.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are tables of plain values")
    }

    /// Settings of the net called `name`: `pnet`, `rnet` or `onet`. The nets that they are compared with have the same.
    pub fn net(&self, name: &str) -> Option<&NetConfig> {
        match name {
            "pnet" | "net12" => Some(&self.pnet),
            "rnet" | "net24" => Some(&self.rnet),
            "onet" | "net48" => Some(&self.onet),
            _ => None,
        }
    }

    /// As [`TrainConfig::net`], to be changed.
    pub fn net_mut(&mut self, name: &str) -> Option<&mut NetConfig> {
        match name {
            "pnet" => Some(&mut self.pnet),
            "rnet" => Some(&mut self.rnet),
            "onet" => Some(&mut self.onet),
            _ => None,
        }
    }
}

/// Settings read so far, the later over the earlier.
struct Layers(Table);

impl Layers {
    fn defaults() -> Result<Self, TrainConfigError> {
        let mut layers = Self(Table::new());
        layers.merge(parse(DEFAULTS, "defaults")?);
        Ok(layers)
    }

    fn merge(&mut self, mut table: Table) {
        if let Some(shared) = table.remove("net") {
            for name in NETS {
                merge(self.0.entry(name).or_insert_with(|| Value::Table(Table::new())), shared.clone());
            }
        }
        for (key, value) in table {
            match self.0.get_mut(&key) {
                Some(old) => merge(old, value),
                None => drop(self.0.insert(key, value)),
            }
        }
    }

    /// Puts `table` over what is there, if the result can be read.
    fn add(&mut self, table: &Table, origin: &str) -> Result<(), TrainConfigError> {
        self.merge(table.clone());
        self.read(origin).map(drop).map_err(|error| match error {
            TrainConfigError::Key { origin, key, message } => TrainConfigError::Key { origin, key: as_written(key, table), message },
            other => other,
        })
    }

    fn read(&self, origin: &str) -> Result<TrainConfig, TrainConfigError> {
        serde_path_to_error::deserialize(self.0.clone()).map_err(|error| TrainConfigError::Key {
            origin: origin.into(),
            key: error.path().to_string(),
            message: plain(error.inner().message().trim()),
        })
    }

    fn finish(self) -> Result<TrainConfig, TrainConfigError> {
        let config = self.read("settings")?;
        config.check()?;
        Ok(config)
    }
}

/// `message` without the names of Rust's types.
fn plain(message: &str) -> String {
    let whole = ["u32", "u64", "usize"]
        .iter()
        .fold(message.to_owned(), |m, name| m.replace(&format!("expected {name}"), "expected a whole number"));
    whole.replace("expected f64", "expected a number").replace("expected f32", "expected a number")
}

/// `key` under the name that `table` gives it: what was written for all nets is not called after one of them.
fn as_written(key: String, table: &Table) -> String {
    let Some((net, rest)) = key.split_once('.').filter(|(net, _)| NETS.contains(net)) else { return key };
    let first = rest.split(['.', '[']).next().unwrap_or_default();
    let has = |net: &str| table.get(net).is_some_and(|settings| settings.get(first).is_some());
    if has("net") && !has(net) { format!("net.{rest}") } else { key }
}

/// Puts `new` in the place of `old`, tables key by key.
fn merge(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Table(old), Value::Table(new)) => {
            for (key, value) in new {
                match old.get_mut(&key) {
                    Some(old) => merge(old, value),
                    None => drop(old.insert(key, value)),
                }
            }
        }
        (old, new) => *old = new,
    }
}

fn parse(text: &str, origin: &str) -> Result<Table, TrainConfigError> {
    text.parse::<Table>().map_err(|error| TrainConfigError::Syntax {
        origin: origin.into(),
        line: error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1),
        message: error.message().to_owned(),
    })
}

/// `key = value`; a value that is no TOML is taken as text, so that a shell needs no quotes within quotes.
fn parse_setting(setting: &str, origin: &str) -> Result<Table, TrainConfigError> {
    parse(setting, origin).or_else(|error| match setting.split_once('=') {
        Some((key, value)) => parse(&format!("{key} = {value:?}", value = value.trim()), origin),
        None => Err(error),
    })
}

/// Makes the paths of sources, relative to `data`, and of the teacher, relative to `folder`, absolute.
fn resolve_paths(table: &mut Table, folder: &Path, data: &Path) {
    if let Some(Value::String(path)) = table.get_mut("teacher").and_then(|teacher| teacher.get_mut("weights")) {
        *path = folder.join(&*path).to_string_lossy().into_owned();
    }
    let sources = table.get_mut("data").and_then(|data| data.get_mut("sources")).and_then(Value::as_array_mut);
    for source in sources.into_iter().flatten() {
        for key in ["annotations", "images", "landmarks"] {
            if let Some(Value::String(path)) = source.get_mut(key) {
                *path = data.join(&*path).to_string_lossy().into_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests;
