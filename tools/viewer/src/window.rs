//! The window: eframe on a device that can also search.

use std::sync::Arc;
use std::time::Instant;

use eframe::egui_wgpu::{WgpuConfiguration, WgpuSetup, WgpuSetupCreateNew, wgpu};
use eframe::{CreationContext, NativeOptions};
use egui::{Color32, ViewportBuilder, Visuals};
use mtcmcn::engine::gpu::Gpu;

use crate::app::App;
use crate::args::Args;
use crate::picture::Renderer;

/// The program in its window.
struct Windowed(App);

impl eframe::App for Windowed {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.0.frame_times.push(Instant::now(), frame.info().cpu_usage);
        self.0.show(ui);
    }

    fn clear_color(&self, visuals: &Visuals) -> [f32; 4] {
        let plain = if visuals.dark_mode { Visuals::dark() } else { Visuals::light() };
        plain.panel_fill.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self) {
        self.0.end();
    }
}

/// Opens the window and stays until it is closed.
///
/// # Errors
///
/// If no window opens: no display, or no device that can draw.
pub fn run(args: Args) -> eframe::Result {
    let options = NativeOptions {
        viewport: ViewportBuilder::default()
            .with_title("mtcmcn viewer")
            .with_app_id("mtcmcn-viewer")
            .with_inner_size([1280.0, 800.0])
            .with_min_inner_size([480.0, 320.0])
            .with_drag_and_drop(true),
        wgpu_options: WgpuConfiguration { wgpu_setup: setup(), ..WgpuConfiguration::default() },
        ..NativeOptions::default()
    };
    eframe::run_native("mtcmcn-viewer", options, Box::new(|creation| Ok(Box::new(Windowed(start(creation, args))))))
}

/// A device with the default limits but for the size of buffers, as the detector opens one, which is also
/// enough to draw.
fn setup() -> WgpuSetup {
    let device_descriptor = |adapter: &wgpu::Adapter| {
        let offered = adapter.limits();
        let wanted = wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            ..wgpu::Limits::default()
        };
        // A device that cannot compute can still draw: the search then runs elsewhere.
        let limits = if wanted.check_limits(&offered) { wanted } else { offered };
        wgpu::DeviceDescriptor { label: Some("window"), required_limits: limits, ..Default::default() }
    };
    WgpuSetup::CreateNew(WgpuSetupCreateNew {
        device_descriptor: Arc::new(device_descriptor),
        ..WgpuSetupCreateNew::without_display_handle()
    })
}

fn start(creation: &CreationContext<'_>, args: Args) -> App {
    let ctx = &creation.egui_ctx;
    // The window is cleared in their colour: filled, they cost a device that draws in software 60 ms a frame.
    ctx.all_styles_mut(|style| style.visuals.panel_fill = Color32::TRANSPARENT);
    let Some(state) = &creation.wgpu_render_state else { return App::new(ctx, args, None) };
    match Gpu::from_device(&state.adapter, state.device.clone(), state.queue.clone()) {
        Ok(gpu) => {
            state.renderer.write().callback_resources.insert(Renderer::new(&state.device, state.target_format));
            App::new(ctx, args, Some(gpu))
        }
        Err(error) => {
            let mut app = App::new(ctx, args, None);
            app.messages.push(format!("the picture cannot be drawn on this device: {error}"));
            app
        }
    }
}
