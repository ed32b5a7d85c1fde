//! Frames on their way to the window's device: uploaded once, for the detector and for the picture.

use std::sync::Arc;

use mtcmcn::Frame;
use mtcmcn::engine::gpu::{Gpu, GpuFrame};

use crate::worker::reduced;

/// Frames that wait to be used again.
const KEPT: usize = 4;

/// A few frames on the device, used in turn.
#[derive(Debug)]
pub struct Uploads {
    gpu: Option<Gpu>,
    frames: Vec<Arc<GpuFrame>>,
    /// Why the last upload did not succeed, told once.
    pub trouble: Option<String>,
    failing: bool,
}

impl Uploads {
    /// Uploads to `gpu`, or nowhere.
    pub fn new(gpu: Option<Gpu>) -> Self {
        Self { gpu, frames: Vec::new(), trouble: None, failing: false }
    }

    /// Puts `frame` on the device, in a buffer that nobody reads any more. A frame too large for the device
    /// is thinned out.
    pub fn upload(&mut self, frame: &Frame) -> Option<Arc<GpuFrame>> {
        let gpu = self.gpu.as_ref()?;
        let small = reduced(frame, gpu.report().max_binding_bytes.min(128 << 20));
        let frame = small.as_ref().unwrap_or(frame);
        let size = [frame.width(), frame.height()];
        self.frames.retain(|kept| kept.size() == size);
        let free = self.frames.iter().position(|kept| Arc::strong_count(kept) == 1);
        let taken = free.map_or_else(|| GpuFrame::new(gpu, size[0], size[1]).map(Arc::new), |index| Ok(self.frames.swap_remove(index)));
        match taken {
            Ok(kept) => {
                kept.write(frame.rgba());
                if self.frames.len() < KEPT {
                    self.frames.push(kept.clone());
                }
                // A buffer of before is written without a look at the device.
                self.failing &= free.is_some();
                Some(kept)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    self.trouble = Some(format!("the picture cannot be drawn: {error}"));
                }
                None
            }
        }
    }
}
