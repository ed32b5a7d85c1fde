//! Settings of training, read from TOML on top of the defaults in `defaults.toml`, which also documents them.

mod check;
mod data;

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::Initialization;
use super::schedule::Schedule;

pub use data::{CropConfig, DataConfig, Lesson, Source, SourceFormat, TeacherConfig, Uses, folder_of};

/// Defaults with a comment on every key, as printed by `mtcmcn train config`.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Tables with settings of one net. They override those of the table `net`, which apply to all nets.
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

/// Training settings of one net.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<PathBuf>,
    pub dropout: f64,
    pub soft_targets: f64,
    pub landmarks_on_all: bool,
    pub loss: Tasks,
    pub mining: Tasks,
    pub optimizer: OptimizerConfig,
    pub schedule: Schedule,
    pub augment: AugmentConfig,
}

/// One number for each of the three tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are the tasks")]
pub struct Tasks {
    pub class: f64,
    pub r#box: f64,
    pub landmarks: f64,
}

/// Settings of the optimizer.
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

/// Kind of optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam (Kingma and Ba 2015); weight decay is added to the gradient.
    Adam,
    /// AdamW (Loshchilov and Hutter 2019); weight decay is applied separately from the gradient.
    AdamW,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// Augmentation of a crop each time it is drawn (spec section 4.7).
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
    pub motion: f64,
    pub noise: f64,
    pub jpeg: f64,
    pub downscale: f64,
    pub patch: f64,
    pub rotation: f64,
    pub rotation_degrees: f64,
}

/// Settings of the training loop.
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

/// Error for settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainConfigError {
    /// The settings file cannot be read.
    #[error("cannot read the settings in {path:?}; check that it is there and that you may read it")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The text is not valid TOML.
    #[error("{origin} is not TOML: line {line}: {message}")]
    Syntax {
        /// File or option that contains the text.
        origin: String,
        /// Line number, from 1.
        line: usize,
        /// Description of the fault.
        message: String,
    },
    /// A key does not exist, or its value has the wrong type.
    #[error("{origin}: {key}: {message} (`mtcmcn train config` lists every key)")]
    Key {
        /// File or option that contains the key.
        origin: String,
        /// Path of the key in the settings.
        key: String,
        /// Description of the fault.
        message: String,
    },
    /// A number is outside its range.
    #[error("{key} is {value}, but must be {range}")]
    Range {
        /// Path of the key in the settings.
        key: String,
        /// Value given.
        value: String,
        /// Description of the allowed values.
        range: &'static str,
    },
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self::from_toml("", "defaults").expect("a test reads the defaults")
    }
}

impl TrainConfig {
    /// Loads the defaults, overridden by the file at `path` if there is one, then by `settings`, each a line
    /// of TOML such as `onet.batch = 256`.
    ///
    /// Paths in the file are relative to its folder, except that paths of sources are relative to `data` if
    /// it is given; those in `settings` are relative to the current folder. All paths are absolute in the
    /// result.
    ///
    /// # Errors
    ///
    /// [`TrainConfigError`], which names the faulty key.
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
        let here = std::env::current_dir().unwrap_or_default();
        for setting in settings {
            let origin = format!("--set {setting}");
            let mut table = parse_setting(setting, &origin)?;
            resolve_paths(&mut table, &here, &here);
            layers.add(&table, &origin)?;
        }
        layers.finish()
    }

    /// Reads `text` on top of the defaults; errors refer to it as `origin`.
    ///
    /// # Errors
    ///
    /// As for [`TrainConfig::load`].
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, TrainConfigError> {
        let mut layers = Layers::defaults()?;
        layers.add(&parse(text, origin)?, origin)?;
        layers.finish()
    }

    /// Returns all settings as TOML that [`TrainConfig::from_toml`] can read.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("settings are tables of plain values")
    }

    /// Returns the settings of the net `name`: `pnet`, `rnet` or `onet`, or a rival net, which has the
    /// settings of its counterpart.
    pub fn net(&self, name: &str) -> Option<&NetConfig> {
        match name {
            "pnet" | "net12" => Some(&self.pnet),
            "rnet" | "net24" | "net24b" => Some(&self.rnet),
            "onet" | "net48" | "net48b" => Some(&self.onet),
            _ => None,
        }
    }

    /// Returns the settings of the net `name` as [`TrainConfig::net`] does, to be modified.
    pub fn net_mut(&mut self, name: &str) -> Option<&mut NetConfig> {
        match name {
            "pnet" => Some(&mut self.pnet),
            "rnet" => Some(&mut self.rnet),
            "onet" => Some(&mut self.onet),
            _ => None,
        }
    }
}

/// Settings read so far; later values override earlier ones.
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

    /// Merges `table` into the settings, if the result is valid.
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

/// Returns `message` with Rust type names replaced by plain words.
fn plain(message: &str) -> String {
    let whole = ["u32", "u64", "usize"]
        .iter()
        .fold(message.to_owned(), |m, name| m.replace(&format!("expected {name}"), "expected a whole number"));
    whole.replace("expected f64", "expected a number").replace("expected f32", "expected a number")
}

/// Returns `key` as it is written in `table`: a key in the table `net` is not reported under the name of one
/// net.
fn as_written(key: String, table: &Table) -> String {
    let Some((net, rest)) = key.split_once('.').filter(|(net, _)| NETS.contains(net)) else { return key };
    let first = rest.split(['.', '[']).next().unwrap_or_default();
    let has = |net: &str| table.get(net).is_some_and(|settings| settings.get(first).is_some());
    if has("net") && !has(net) { format!("net.{rest}") } else { key }
}

/// Replaces `old` by `new`; tables are merged key by key.
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

/// Parses `key = value`. A value that is not valid TOML is taken as a string, so that nested quotes are not
/// needed in a shell.
fn parse_setting(setting: &str, origin: &str) -> Result<Table, TrainConfigError> {
    parse(setting, origin).or_else(|error| match setting.split_once('=') {
        Some((key, value)) => parse(&format!("{key} = {value:?}", value = value.trim()), origin),
        None => Err(error),
    })
}

/// Makes paths absolute: those of sources relative to `data`, those of weights relative to `folder`.
fn resolve_paths(table: &mut Table, folder: &Path, data: &Path) {
    let resolve = |value: &mut Value, folder: &Path| {
        if let Value::String(path) = value {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    };
    for (of, key) in [("teacher", "weights")].into_iter().chain(["net"].into_iter().chain(NETS).map(|net| (net, "start"))) {
        if let Some(path) = table.get_mut(of).and_then(|settings| settings.get_mut(key)) {
            resolve(path, folder);
        }
    }
    let sources = table.get_mut("data").and_then(|data| data.get_mut("sources")).and_then(Value::as_array_mut);
    for source in sources.into_iter().flatten() {
        for key in ["annotations", "images", "landmarks", "detections"] {
            if let Some(path) = source.get_mut(key) {
                resolve(path, data);
            }
        }
        source.get_mut("except").and_then(Value::as_array_mut).into_iter().flatten().for_each(|path| resolve(path, data));
    }
}

#[cfg(test)]
mod tests;
