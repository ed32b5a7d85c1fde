//! The frame on the screen, read from the buffer that the detector reads: no second upload, no copy.
//!
//! [`Renderer`] is made once per window; a [`paint`] is made per frame and names the buffer and the quads to
//! show of it.

use std::sync::{Arc, OnceLock};

use eframe::egui_wgpu::{self, CallbackResources, CallbackTrait, ScreenDescriptor, wgpu};
use egui::{PaintCallback, PaintCallbackInfo, Rect};
use glam::{Affine2, Vec2};
use mtcmcn::engine::gpu::GpuFrame;
use mtcmcn::geometry::{ALIGNED_112, Landmarks, similarity};
use wgpu::util::DeviceExt as _;

use crate::view::Placement;

/// Quads of one draw at most: what the shader's uniform holds.
pub const MOST_QUADS: usize = 64;

/// One quad as the shader reads it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Quad {
    corners: [f32; 4],
    x: [f32; 4],
    y: [f32; 4],
    step: [f32; 4],
}

/// A pipeline for each of the shader's zooms.
pub struct Renderer {
    pipelines: [wgpu::RenderPipeline; 3],
}

impl Renderer {
    /// Compiles the shader for a window's surface format.
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let label = Some("picture");
        let module = device.create_shader_module(wgpu::include_wgsl!("picture.wgsl"));
        let layout = layout(device);
        let pipeline = |zoom: usize| {
            let constants = [("srgb", f64::from(u8::from(target.is_srgb()))), ("zoom", zoom as f64)];
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
                label,
                layout: Some(&layout),
                vertex: wgpu::VertexState {
                    module: &module,
                    entry_point: Some("corner"),
                    compilation_options: wgpu::PipelineCompilationOptions::default(),
                    buffers: &[],
                },
                fragment: Some(wgpu::FragmentState {
                    module: &module,
                    entry_point: Some("colour"),
                    compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
                    targets: &[Some(target.into())],
                }),
                primitive: wgpu::PrimitiveState { topology: wgpu::PrimitiveTopology::TriangleStrip, ..Default::default() },
                depth_stencil: None,
                multisample: wgpu::MultisampleState::default(),
                multiview_mask: None,
                cache: None,
            })
        };
        Self { pipelines: std::array::from_fn(pipeline) }
    }
}

/// What the shader binds, the same at every zoom.
fn layout(device: &wgpu::Device) -> wgpu::PipelineLayout {
    let entry = |binding, visibility, ty| wgpu::BindGroupLayoutEntry {
        binding,
        visibility,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("picture"),
        entries: &[
            entry(0, wgpu::ShaderStages::VERTEX, wgpu::BufferBindingType::Uniform),
            entry(1, wgpu::ShaderStages::FRAGMENT, wgpu::BufferBindingType::Storage { read_only: true }),
        ],
    });
    device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("picture"),
        bind_group_layouts: &[Some(&group)],
        immediate_size: 0,
    })
}

/// Quads of one frame.
struct Draw {
    frame: Arc<GpuFrame>,
    quads: Vec<Quad>,
    bindings: OnceLock<wgpu::BindGroup>,
}

/// What to paint on `area`: `quads` made for this area, out of `frame`.
pub fn paint(area: Rect, frame: Arc<GpuFrame>, mut quads: Vec<Quad>) -> PaintCallback {
    quads.truncate(MOST_QUADS);
    egui_wgpu::Callback::new_paint_callback(area, Draw { frame, quads, bindings: OnceLock::new() })
}

impl CallbackTrait for Draw {
    fn prepare(
        &self,
        device: &wgpu::Device,
        _: &wgpu::Queue,
        _: &ScreenDescriptor,
        _: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let Some(renderer) = resources.get::<Renderer>() else { return Vec::new() };
        let mut quads = self.quads.clone();
        quads.resize(MOST_QUADS, bytemuck::Zeroable::zeroed());
        let uniform = device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("quads"),
            contents: bytemuck::cast_slice(&quads),
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("picture"),
            layout: &renderer.pipelines[0].get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: self.frame.buffer().as_entire_binding() },
            ],
        });
        let _ = self.bindings.set(bindings);
        Vec::new()
    }

    fn paint(&self, _: PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        let (Some(renderer), Some(bindings)) = (resources.get::<Renderer>(), self.bindings.get()) else { return };
        pass.set_bind_group(0, bindings, &[]);
        for (quad, index) in self.quads.iter().zip(0..) {
            pass.set_pipeline(&renderer.pipelines[quad.zoom()]);
            pass.draw(0..4, index..index + 1);
        }
    }
}

impl Quad {
    /// `rect` on `area` showing the frame at `frame_from_uv` of each of its points, (0, 0) at the top left
    /// and (1, 1) at the bottom right. `pixels` are screen pixels per point.
    fn new(rect: Rect, area: Rect, frame_from_uv: Affine2, size: [u32; 2], pixels: f32) -> Self {
        let clip = |p: egui::Pos2| [(p.x - area.min.x) / area.width() * 2.0 - 1.0, 1.0 - (p.y - area.min.y) / area.height() * 2.0];
        let ([left, top], [right, bottom]) = (clip(rect.min), clip(rect.max));
        let (m, t) = (frame_from_uv.matrix2, frame_from_uv.translation);
        let step = Vec2::new(m.x_axis.length() / (rect.width() * pixels), m.y_axis.length() / (rect.height() * pixels));
        Self {
            corners: [left, top, right, bottom],
            x: [m.x_axis.x, m.y_axis.x, t.x, size[0] as f32],
            y: [m.x_axis.y, m.y_axis.y, t.y, size[1] as f32],
            step: [step.x, step.y, 0.0, 0.0],
        }
    }

    /// How the shader samples: 0 shrunk, 1 enlarged, 2 enlarged so much that single pixels are looked at.
    fn zoom(&self) -> usize {
        match self.step[0].max(self.step[1]) {
            step if step > 1.0 => 0,
            step if step >= 0.25 => 1,
            _ => 2,
        }
    }

    /// The part of a placed frame that is on `area`; `drawn` is the size of the buffer, which may be a
    /// thinned-out frame. `None` if nothing of it is there.
    pub fn of_frame(placement: &Placement, area: Rect, drawn: [u32; 2], pixels: f32) -> Option<Self> {
        let visible = placement.rect.intersect(area);
        if !(visible.width() > 0.0 && visible.height() > 0.0) {
            return None;
        }
        let size = Vec2::new(drawn[0] as f32, drawn[1] as f32);
        let whole = |p: egui::Pos2| {
            let share = (p - placement.rect.min) / placement.rect.size();
            Vec2::new(if placement.mirror { 1.0 - share.x } else { share.x }, share.y) * size
        };
        let (first, last) = (whole(visible.min), whole(visible.max));
        let frame_from_uv = Affine2::from_cols(Vec2::new(last.x - first.x, 0.0), Vec2::new(0.0, last.y - first.y), first);
        Some(Self::new(visible, area, frame_from_uv, drawn, pixels))
    }

    /// A face turned upright, as [`mtcmcn::picture::align::crop_112`] cuts it; `scale` is buffer pixels per
    /// frame pixel. `None` if its landmarks leave no such map.
    pub fn of_face(landmarks: &Landmarks, rect: Rect, area: Rect, drawn: [u32; 2], scale: f32, pixels: f32) -> Option<Self> {
        const SIDE: f32 = 112.0;
        let frame_from_crop = similarity(landmarks, &ALIGNED_112)?.inverse();
        // Crop and frame count from pixel centres there, from corners here.
        let crop_from_uv = Affine2::from_scale_angle_translation(Vec2::splat(SIDE), 0.0, Vec2::splat(-0.5));
        let corner = Affine2::from_translation(Vec2::splat(0.5));
        let frame_from_uv = Affine2::from_scale(Vec2::splat(scale)) * corner * frame_from_crop * crop_from_uv;
        frame_from_uv.is_finite().then(|| Self::new(rect, area, frame_from_uv, drawn, pixels))
    }
}

#[cfg(test)]
mod tests {
    use egui::{pos2, vec2};

    use super::*;
    use crate::view::View;

    const AREA: Rect = Rect { min: egui::Pos2 { x: 100.0, y: 50.0 }, max: egui::Pos2 { x: 900.0, y: 650.0 } };

    fn at(quad: &Quad, u: f32, v: f32) -> [f32; 2] {
        [quad.x, quad.y].map(|row| row[0] * u + row[1] * v + row[2])
    }

    #[test]
    fn the_whole_frame_fills_the_area_it_is_fitted_to() {
        let placement = View::default().place(AREA, [800, 600], false).expect("placed");
        let quad = Quad::of_frame(&placement, AREA, [800, 600], 2.0).expect("visible");
        assert_eq!(quad.corners, [-1.0, 1.0, 1.0, -1.0]);
        assert_eq!((at(&quad, 0.0, 0.0), at(&quad, 1.0, 1.0)), ([0.0, 0.0], [800.0, 600.0]));
        assert_eq!(quad.step, [0.5, 0.5, 0.0, 0.0]);
        let mirrored = Quad::of_frame(&Placement { mirror: true, ..placement }, AREA, [400, 300], 1.0).expect("visible");
        assert_eq!((at(&mirrored, 0.0, 0.0), at(&mirrored, 1.0, 1.0)), ([400.0, 0.0], [0.0, 300.0]));
    }

    #[test]
    fn an_aligned_face_shows_the_landmarks_where_the_template_has_them() {
        let landmarks = ALIGNED_112.map(|p| Vec2::new(200.0 - p.y, 30.0 + p.x) * 1.5);
        let rect = Rect::from_min_size(pos2(120.0, 60.0), vec2(56.0, 56.0));
        let quad = Quad::of_face(&landmarks, rect, AREA, [640, 480], 1.0, 1.0).expect("five points apart");
        for (template, landmark) in ALIGNED_112.iter().zip(landmarks) {
            let uv = (*template + 0.5) / 112.0;
            let [x, y] = at(&quad, uv.x, uv.y);
            assert!((x - landmark.x - 0.5).abs() < 1e-2 && (y - landmark.y - 0.5).abs() < 1e-2, "{x} {y} {landmark}");
        }
        assert_eq!(Quad::of_face(&[Vec2::ONE; 5], rect, AREA, [640, 480], 1.0, 1.0), None);
    }

    #[test]
    fn the_struct_is_the_shaders() {
        assert_eq!(size_of::<Quad>(), 64);
        assert!(include_str!("picture.wgsl").contains(&format!("array<Quad, {MOST_QUADS}>")));
    }
}
