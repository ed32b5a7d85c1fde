//! Things that take a while to find out, found out on a thread of their own.

use std::sync::mpsc::{Receiver, channel};

use egui::Context;
use mtcmcn::engine::gpu::Gpu;

use crate::source::CameraSpec;

/// Something that is being found out.
pub struct Lookup<T> {
    found: Option<T>,
    coming: Receiver<T>,
}

impl<T: Send + 'static> Lookup<T> {
    /// What `look` finds out.
    pub fn start(ctx: &Context, look: impl FnOnce() -> T + Send + 'static) -> Self {
        let (lookup, send) = Self::pair(ctx);
        std::thread::spawn(move || send(look()));
        lookup
    }

    /// A lookup, and what answers it.
    pub fn pair(ctx: &Context) -> (Self, impl FnOnce(T) + Send + 'static) {
        let (sender, coming) = channel();
        let ctx = ctx.clone();
        let send = move |found| {
            let _ = sender.send(found);
            ctx.request_repaint();
        };
        (Self { found: None, coming }, send)
    }

    /// What was found, once it is.
    pub fn get(&mut self) -> Option<&T> {
        if let Ok(found) = self.coming.try_recv() {
            self.found = Some(found);
        }
        self.found.as_ref()
    }

    /// The same, handed over.
    pub fn take(&mut self) -> Option<T> {
        self.get();
        self.found.take()
    }
}

/// Names of the adapters that a detector can be opened on.
pub fn adapters() -> Vec<String> {
    let names = std::cell::RefCell::new(Vec::new());
    // None is opened: they are only looked at.
    Gpu::open_all(|report| {
        names.borrow_mut().push(report.to_string());
        false
    });
    let mut names = names.into_inner();
    names.dedup();
    names
}

/// Cameras with their modes.
pub fn cameras() -> Vec<(CameraSpec, Vec<[u32; 3]>)> {
    #[cfg(feature = "camera")]
    {
        use crate::source::camera;
        // A camera that another program holds tells no modes, and is listed all the same.
        camera::list().into_iter().map(|spec| (spec.clone(), camera::modes(&spec).unwrap_or_default())).collect()
    }
    #[cfg(not(feature = "camera"))]
    Vec::new()
}
