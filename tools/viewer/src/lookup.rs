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

/// A camera with its modes: columns, rows, frames a second.
pub type Camera = (CameraSpec, Vec<[u32; 3]>);

/// The cameras of this machine, looked for when somebody first asks: to be asked for its modes, a camera has
/// to be opened.
#[derive(Default)]
pub struct Cameras(Option<Lookup<Vec<Camera>>>);

impl Cameras {
    /// Those that were found; `None` while looking.
    pub fn get(&mut self, ctx: &Context) -> Option<&Vec<Camera>> {
        self.0.get_or_insert_with(|| Lookup::start(ctx, cameras)).get()
    }

    /// Looks again when somebody next asks.
    pub fn forget(&mut self) {
        self.0 = None;
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

fn cameras() -> Vec<Camera> {
    #[cfg(feature = "camera")]
    {
        use crate::source::camera;
        // A camera that another program holds tells no modes, and is listed all the same.
        camera::list().into_iter().map(|spec| (spec.clone(), camera::modes(&spec).unwrap_or_default())).collect()
    }
    #[cfg(not(feature = "camera"))]
    Vec::new()
}
