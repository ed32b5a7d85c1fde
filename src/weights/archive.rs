//! Zip archives: newer `torch.save` files and Python wheels.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use super::WeightsError;
use crate::files::FileError;

/// Most bytes of a file or of a member of an archive that are read: all weights of the three nets are 2 MB.
pub const MAX_FILE: u64 = 256 << 20;

/// A zip archive in memory.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// Names of all members, sorted.
    pub members: Vec<String>,
}

impl<'a> Archive<'a> {
    /// The archive in `bytes`.
    pub fn open(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Zip { member: String::new(), source };
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(failed)?;
        let names = zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
        let mut members = names.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        members.sort();
        Ok(Self { zip, members })
    }

    /// Name of the first member whose name ends in `suffix`.
    pub fn find(&self, suffix: &str) -> Option<String> {
        self.members.iter().find(|name| name.ends_with(suffix)).cloned()
    }

    /// Contents of `member`, at most 256 MiB.
    pub fn read(&mut self, member: &str) -> Result<Vec<u8>, WeightsError> {
        let failed = |source| WeightsError::Zip { member: member.into(), source };
        let mut bytes = Vec::new();
        let file = self.zip.by_name(member).map_err(failed)?;
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| failed(error.into()))?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(FileError::TooLarge { path: member.into(), limit: MAX_FILE }.into());
        }
        Ok(bytes)
    }
}
