//! Weights that others published, whatever format and order they are in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::archive::{Archive, MAX_FILE};
use super::layout::NetTensors;
use super::names::CascadeNet;
use super::{Weights, WeightsError, caffe, numpy, pytorch};
use crate::files::{self, FileError};
use crate::formats::npy;

/// What a file is, told by its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `torch.save` before torch 1.6.
    PyTorch,
    /// A numpy array file.
    Numpy,
    /// A zip archive: newer `torch.save` files and Python wheels.
    Zip,
    /// A Caffe model.
    Caffe,
}

impl Format {
    /// What `bytes`, a whole file, are. Caffe models have no signature: what reads as one is taken for one.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            _ if pytorch::is_old(bytes) => Some(Self::PyTorch),
            _ if npy::is(bytes) => Some(Self::Numpy),
            _ if bytes.starts_with(b"PK\x03\x04") => Some(Self::Zip),
            _ if caffe::is(bytes) => Some(Self::Caffe),
            _ => None,
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::PyTorch => "pytorch",
            Self::Numpy => "numpy",
            Self::Zip => "zip",
            Self::Caffe => "caffe",
        }
    }
}

/// Nets found so far, and where.
#[derive(Default)]
struct FoundNets {
    /// Which of the orders that names and shapes leave open.
    order: usize,
    nets: BTreeMap<CascadeNet, (String, &'static str, NetTensors)>,
    looked: Vec<String>,
}

impl FoundNets {
    fn add(&mut self, place: &str, format: Format, (net, tensors): (CascadeNet, NetTensors)) -> Result<(), WeightsError> {
        if let Some((first, ..)) = self.nets.get(&net) {
            return Err(WeightsError::Twice { net: net.name(), first: first.clone(), second: place.into() });
        }
        self.nets.insert(net, (place.into(), format.name(), tensors));
        Ok(())
    }

    /// Takes what nets `bytes` hold; in an archive, those of its members too.
    fn look(&mut self, place: &str, bytes: &[u8], in_archive: bool) -> Result<(), WeightsError> {
        self.looked.push(place.into());
        let caffe = || place.ends_with(".caffemodel").then_some(Format::Caffe);
        let Some(format) = Format::of(bytes).or_else(caffe) else { return Ok(()) };
        let nets = match format {
            Format::PyTorch => pytorch::read_old(bytes, self.order)?,
            Format::Numpy => numpy::read(bytes, self.order)?,
            Format::Caffe => caffe::read(bytes, self.order)?.into_iter().collect(),
            Format::Zip => return self.look_inside(place, bytes, in_archive),
        };
        nets.into_iter().try_for_each(|net| self.add(place, format, net))
    }

    fn look_inside(&mut self, place: &str, bytes: &[u8], in_archive: bool) -> Result<(), WeightsError> {
        let mut archive = Archive::open(bytes)?;
        if pytorch::is_new(&archive) {
            return pytorch::read_new(&mut archive, self.order)?.into_iter().try_for_each(|net| self.add(place, Format::PyTorch, net));
        }
        if in_archive {
            return Ok(());
        }
        let members: Vec<_> = archive.members.iter().filter(|name| may_hold_weights(name)).cloned().collect();
        members.iter().try_for_each(|member| self.look(&format!("{place}/{member}"), &archive.read(member)?, true))
    }

    fn finish(self) -> Result<Weights, WeightsError> {
        let (mut tensors, mut formats) = (BTreeMap::new(), vec![]);
        let Self { mut nets, looked, .. } = self;
        for net in CascadeNet::ALL {
            let Some((_, format, found)) = nets.remove(&net) else {
                return Err(WeightsError::NoNet { net: net.name(), looked });
            };
            tensors.extend(found);
            formats.push(format);
        }
        formats.dedup();
        let weights = Weights::new(tensors, BTreeMap::from([("format".into(), formats.join(", "))]))?;
        weights.check()?;
        Ok(weights)
    }
}

/// How many orders of elements files may have that look the same: kernels by rows or by columns, maps
/// flattened in one way or another.
pub const ORDERS: usize = 3;

/// Weights of all three nets, from what others published.
///
/// Each source is a torch file (`pnet.pt` of facenet-pytorch, either format of `torch.save`, one net or all),
/// a Caffe model (`det1.caffemodel`), a numpy file (`mtcnn_weights.npy`, `det1.npy`, `pnet.npy`), a wheel
/// that holds such files, or a directory of them. Files are told apart by what is in them; in directories and
/// archives, other files are passed over. Metadata say which format it was.
///
/// # Errors
///
/// [`WeightsError::NoNet`] or [`WeightsError::Twice`] if a net is in none or two of the sources; else what is
/// wrong with a file, wrapped in [`WeightsError::File`], or with the tensors, as [`Weights::check`] says.
pub fn import<P: AsRef<Path>>(sources: &[P]) -> Result<Weights, WeightsError> {
    import_in_order(sources, 0)
}

/// As [`import`], with elements in the order number `order` of [`ORDERS`]: 0 is that of the files that were
/// published first. Which it is only shows in what the nets find.
///
/// # Errors
///
/// As [`import`].
pub fn import_in_order<P: AsRef<Path>>(sources: &[P], order: usize) -> Result<Weights, WeightsError> {
    let mut found = FoundNets { order, ..FoundNets::default() };
    for source in sources {
        for path in files(source.as_ref())? {
            let place = path.display().to_string();
            let looked = files::read(&path, MAX_FILE).map_err(WeightsError::from).and_then(|bytes| found.look(&place, &bytes, false));
            looked.map_err(|source| match source {
                WeightsError::Access(_) | WeightsError::Twice { .. } => source,
                source => WeightsError::File { path, source: Box::new(source) },
            })?;
        }
    }
    found.finish()
}

/// Weights of all three nets, from the `bytes` of one file that errors call `name`.
///
/// # Errors
///
/// As [`import`].
pub fn import_bytes(name: &str, bytes: &[u8]) -> Result<Weights, WeightsError> {
    let mut found = FoundNets::default();
    found.look(name, bytes, false)?;
    found.finish()
}

/// `source` itself, or if it is a directory the files in it that may hold weights, sorted.
fn files(source: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let failed = |error| FileError::Read { path: source.into(), source: error };
    if !fs::metadata(source).map_err(failed)?.is_dir() {
        return Ok(vec![source.into()]);
    }
    let entries = fs::read_dir(source).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut paths: Vec<_> = entries.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.is_file() && may_hold_weights(&path.to_string_lossy()));
    paths.sort();
    Ok(paths)
}

/// Whether a file that was not named by the user is worth opening.
fn may_hold_weights(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default().to_ascii_lowercase();
    ["pt", "pth", "bin", "ckpt", "tar", "npy", "caffemodel", "whl", "zip"].iter().any(|known| extension == *known)
}
