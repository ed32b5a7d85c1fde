//! What can be typed after `mtcmcn train`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use mtcmcn::train::config::TrainConfig;
use serde::{Deserialize, Serialize};

/// Train P-, R- and O-Net on annotated images, with online hard sample mining
///
/// `all` makes the whole cascade: crops for P-Net, P-Net, crops that it finds for R-Net, R-Net, and so on. A
/// run lives in a folder: its settings, crops, checkpoints, measurements (JSON lines and TensorBoard), and at
/// the end `weights.safetensors`, which `detect --weights` takes. Ctrl-C finishes the step, saves and ends;
/// `resume` goes on as if nothing had happened.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub struct TrainArgs {
    #[command(subcommand)]
    pub what: What,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 stopped by Ctrl-C and saved, 2 bad usage or something failed; the last good checkpoint is kept.";

#[derive(Debug, clap::Subcommand)]
pub enum What {
    /// Print every setting with its meaning and default, or those that a file gives
    Config(SettingsArgs),
    /// Cut crops for one net out of annotated images, without training
    Prepare(PrepareArgs),
    /// Train P-Net
    Pnet(NetArgs),
    /// Train R-Net, on what a trained P-Net finds
    Rnet(NetArgs),
    /// Train O-Net, on what trained P- and R-Nets find
    Onet(NetArgs),
    /// Train the whole cascade, each net on what those before it find
    All(AllArgs),
    /// Go on with a run that was stopped or killed, or has failed
    Resume(ResumeArgs),
    /// Draw the curves of one or more runs, as PNG and SVG
    Plot(PlotArgs),
    /// Repeat an experiment of the paper
    #[command(subcommand)]
    Experiment(Experiment),
}

/// Where settings come from.
#[derive(Debug, Clone, clap::Args)]
pub struct SettingsArgs {
    /// Settings in TOML; those not in it have their defaults
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub config: Option<PathBuf>,

    /// Change one setting, such as `onet.batch=256` or `net.optimizer.kind=sgd`; may be given again, the last
    /// wins
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "Settings")]
    pub set: Vec<String>,

    /// Short for `--set run.device=...`: auto, gpu, cpu, a backend, or part of an adapter's name
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    pub device: Option<String>,

    /// Folder that relative paths of sources start from, instead of the folder of the settings
    #[arg(long, value_name = "DIR", requires = "config", help_heading = "Settings")]
    pub data: Option<PathBuf>,

    /// A cascade that labels images and crops: short for `--set teacher.weights=...`
    #[arg(long, value_name = "WEIGHTS", help_heading = "Settings")]
    pub teacher: Option<PathBuf>,
}

impl SettingsArgs {
    /// The settings.
    pub fn load(&self) -> Result<TrainConfig> {
        let mut config = TrainConfig::load(self.config.as_deref(), &with_device(&self.set, self.device.as_deref()), self.data.as_deref())?;
        if let Some(teacher) = absolute(self.teacher.as_deref())? {
            config.teacher.weights = Some(teacher);
        }
        Ok(config)
    }
}

/// `set` with what `--device` is short for.
pub fn with_device(set: &[String], device: Option<&str>) -> Vec<String> {
    set.iter().cloned().chain(device.map(|device| format!("run.device = {device:?}"))).collect()
}

/// `path` from the root, so that it means the same after `cd`.
pub fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>> {
    path.map(|path| std::path::absolute(path).with_context(|| format!("finding {path:?}"))).transpose()
}

/// One of the three nets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetName {
    Pnet,
    Rnet,
    Onet,
}

impl NetName {
    /// The nets in the order they are trained.
    pub const ALL: [Self; 3] = [Self::Pnet, Self::Rnet, Self::Onet];

    /// Its name in settings, tensors and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pnet => "pnet",
            Self::Rnet => "rnet",
            Self::Onet => "onet",
        }
    }

    /// Nets that find its crops.
    pub fn before(self) -> &'static [Self] {
        match self {
            Self::Pnet => &[],
            Self::Rnet => &[Self::Pnet],
            Self::Onet => &[Self::Pnet, Self::Rnet],
        }
    }
}

#[derive(Debug, Clone, clap::Args)]
pub struct PrepareArgs {
    /// For which net
    #[arg(value_enum)]
    pub net: NetName,

    /// File of crops to write, whole or not at all
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Weights of the nets before it: a safetensors file or a finished run's; not needed for P-Net
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub struct NetArgs {
    /// Folder of the run, which must not hold one yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Crops that `prepare` made; cut into the folder of the run if not given
    #[arg(long, value_name = "FILE")]
    pub crops: Option<PathBuf>,

    /// Weights of the other nets: those before this one find its crops, and all are kept in its checkpoints
    /// so that `detect` takes them
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub struct AllArgs {
    /// Folder of the runs; must not hold any yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub struct ResumeArgs {
    /// Folder of a run of one net, of `all`, or of an experiment
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// Change one setting from here on, such as `onet.epochs=200`; the resumed run then differs from an
    /// uninterrupted one
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Short for `--set run.device=...`
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub struct PlotArgs {
    /// Folders of runs; a folder of `all` or of an experiment stands for the runs in it
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,

    /// What to draw
    #[arg(long, value_enum, default_value_t = Quantity::Loss)]
    pub quantity: Quantity,

    /// Name of the files, without `.png` and `.svg`; the quantity, in the first folder, if not given
    #[arg(long, value_name = "STEM")]
    pub out: Option<PathBuf>,

    /// Even instead of logarithmic losses
    #[arg(long)]
    pub linear: bool,
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Quantity {
    Loss,
    Class,
    Box,
    Landmarks,
    Accuracy,
    LearningRate,
    SamplesPerSecond,
}

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Experiment {
    /// Figure 6a: O-Net on classification alone, with and without hard sample mining, from equal first
    /// weights in equal order
    Mining(ExperimentArgs),
    /// Figure 6b: O-Net with and without the landmark task, from equal first weights in equal order
    Landmarks(ExperimentArgs),
    /// Table 1: 12-, 24- and 48-Net against P-, R- and O-Net on face classification alone, each pair on the
    /// same crops in equal order; its `accuracy.json` is what `mtcmcn bench table1 --accuracy` takes
    Table1(ExperimentArgs),
}

#[derive(Debug, Clone, clap::Args)]
pub struct ExperimentArgs {
    /// Folder of the runs; must not hold any yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Crops for O-Net that `prepare` made; for `table1` a folder that `all` made, or with such
    /// `pnet/crops.shard`, `rnet/...`, `onet/...`
    #[arg(long, value_name = "PATH")]
    pub crops: PathBuf,

    /// Weights of P- and R-Net, to be kept in each checkpoint so that `detect` and `eval` take them
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// How many runs of each net, from seeds of their own
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub seeds: u32,

    #[command(flatten)]
    pub settings: SettingsArgs,
}
