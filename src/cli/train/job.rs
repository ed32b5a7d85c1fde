//! What a folder of runs is for, written down in it so that `resume` needs no more than the folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use mtcmcn::files::write_whole;
use mtcmcn::train::config::TrainConfig;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::args::NetName;
use mtcmcn::files::hex;

/// The command that began it.
const JOB: &str = "run.toml";
/// All its settings.
const SETTINGS: &str = "settings.toml";

/// One command that trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    pub command: TrainCommand,
    /// Given crops; absolute, as all paths here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crops: Option<PathBuf>,
    /// Given weights of other nets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Of an experiment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainCommand {
    Pnet,
    Rnet,
    Onet,
    All,
    Mining,
    Landmarks,
    Table1,
}

impl From<NetName> for TrainCommand {
    fn from(net: NetName) -> Self {
        match net {
            NetName::Pnet => Self::Pnet,
            NetName::Rnet => Self::Rnet,
            NetName::Onet => Self::Onet,
        }
    }
}

impl Job {
    /// A job without given files.
    pub fn new(command: impl Into<TrainCommand>) -> Self {
        Self { command: command.into(), crops: None, weights: None, seeds: None }
    }

    /// Begins in `folder`, which must not hold crops or checkpoints of a run.
    pub fn begin(&self, folder: &Path, config: &TrainConfig) -> Result<()> {
        let kept = |path: &Path| path.extension().is_some_and(|extension| extension == "safetensors" || extension == "shard");
        let holds_work = || WalkDir::new(folder).into_iter().flatten().any(|entry| kept(entry.path()));
        if folder.join(JOB).exists() && holds_work() {
            let folder = folder.display();
            bail!("{folder} holds a run already; go on with it by `mtcmcn train resume {folder}`, or give another folder with --out");
        }
        self.write(folder, config)
    }

    /// Writes the job and all settings into `folder`, which is made if it is not there.
    pub fn write(&self, folder: &Path, config: &TrainConfig) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {folder:?}"))?;
        write_settings(folder, config)?;
        let text = toml::to_string(self).context("writing down the run")?;
        // Last: a folder with it has all that `resume` needs.
        Ok(write_whole(&folder.join(JOB), text.as_bytes())?)
    }

    /// The job and settings in `folder`, the latter changed by `set` for good.
    pub fn read(folder: &Path, set: &[String]) -> Result<(Self, TrainConfig)> {
        let path = folder.join(JOB);
        let text =
            fs::read_to_string(&path).with_context(|| format!("{folder:?} holds no run that could be resumed: cannot read {path:?}"))?;
        let job = toml::from_str(&text).with_context(|| format!("{path:?} is not what `mtcmcn train` writes"))?;
        check_seal(&folder.join(SETTINGS))?;
        let config = TrainConfig::load(Some(&folder.join(SETTINGS)), set, None)?;
        if !set.is_empty() {
            write_settings(folder, &config)?;
        }
        Ok((job, config))
    }
}

fn write_settings(folder: &Path, config: &TrainConfig) -> Result<()> {
    let (path, text) = (folder.join(SETTINGS), config.to_toml());
    Ok(write_whole(&path, format!("{SEAL}{}\n{text}", hex(&Sha256::digest(&text))).as_bytes())?)
}

/// What the first line of a run's settings begins with; then comes the sum of all lines after it.
const SEAL: &str = "# Changed by `mtcmcn train resume --set` alone: sha256 ";

/// That the settings of a run are as they were written: others would go on with another run without a word.
fn check_seal(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the settings of the run, {path:?}"))?;
    if !text.starts_with(SEAL) && text.contains("\n[run]\n") {
        tracing::warn!("{path:?} is of a version that did not seal its settings: whether they were changed cannot be told");
        return Ok(());
    }
    let sealed = text.strip_prefix(SEAL).and_then(|rest| rest.split_once('\n'));
    let whole = sealed.is_some_and(|(sum, rest)| sum.trim() == hex(&Sha256::digest(rest)));
    ensure!(
        whole,
        "{path:?} is not as this run wrote it: emptied, cut off or changed. Put it back as it was; to change a setting of a run, give \
         `mtcmcn train resume` --set KEY=VALUE"
    );
    Ok(())
}
