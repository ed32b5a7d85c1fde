//! Where the user is among the stages of a frame, with what is drawn of the stage at hand.

use std::sync::Arc;

use egui::{Context, TextureHandle, TextureOptions};
use mtcmcn::cascade::Trace;

use crate::overlay::heat_image;
use crate::panels::cascade::atlas;
use crate::stages::{self, Mark, Stage};

/// The stage at hand.
#[derive(Default)]
pub struct Walk {
    /// Which step.
    pub at: usize,
    /// Of which trace and step the rest is.
    made: Option<(Arc<Trace>, usize)>,
    /// The stage's boxes.
    pub marks: Vec<Mark>,
    /// Its heat map, or an atlas of its crops.
    pub texture: Option<TextureHandle>,
}

impl Walk {
    /// Goes `by` steps on, not beyond the ends.
    pub fn step(&mut self, by: i64, trace: &Trace) {
        let last = stages::walk(trace).len() - 1;
        self.at = self.at.saturating_add_signed(by as isize).min(last);
    }

    /// The stage at hand of `trace`.
    pub fn stage(&self, trace: &Trace) -> Stage {
        stages::walk(trace).get(self.at).copied().unwrap_or(Stage::Faces)
    }

    /// Makes what is drawn, if the trace or the step is another one.
    pub fn follow(&mut self, ctx: &Context, trace: &Arc<Trace>) {
        let last = stages::walk(trace).len() - 1;
        self.at = self.at.min(last);
        if self.made.as_ref().is_some_and(|(made, at)| Arc::ptr_eq(made, trace) && *at == self.at) {
            return;
        }
        self.made = Some((trace.clone(), self.at));
        let stage = self.stage(trace);
        self.marks = stage.marks(trace);
        let load = |image, options| Some(ctx.load_texture("stage", image, options));
        self.texture = match stage {
            Stage::Heat(level) => trace.heat.get(level).and_then(|map| load(heat_image(map), TextureOptions::NEAREST)),
            Stage::RnetCrops => load(atlas(&trace.rnet, Trace::RNET_SIDE), TextureOptions::NEAREST),
            Stage::OnetCrops => load(atlas(&trace.onet, Trace::ONET_SIDE), TextureOptions::NEAREST),
            _ => None,
        };
    }
}
