//! Live cameras: V4L2, `AVFoundation`, Media Foundation.

use image::{DynamicImage, ImageFormat};
use mtcmcn::Frame;
use nokhwa::pixel_format::RgbAFormat;
use nokhwa::utils::{ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution};
use nokhwa::{Camera, NokhwaError};

use super::{CameraSpec, Picture, Source, SourceError};

/// Cameras that the system knows; none where it has none or will not say.
pub fn list() -> Vec<CameraSpec> {
    allowed();
    let found = nokhwa::query(ApiBackend::Auto).unwrap_or_else(|error| {
        tracing::info!("no list of cameras: {error}");
        Vec::new()
    });
    found.iter().map(|info| CameraSpec { index: info.index().as_string(), name: info.human_name(), mode: None }).collect()
}

/// Columns, rows and frames a second that a camera offers, largest first.
///
/// # Errors
///
/// [`SourceError::Camera`].
pub fn modes(spec: &CameraSpec) -> Result<Vec<[u32; 3]>, SourceError> {
    let mut camera = open(spec, RequestedFormatType::None)?;
    let formats = camera.compatible_camera_formats().map_err(|error| trouble(spec, &error))?;
    let mut modes: Vec<[u32; 3]> = formats.iter().map(|format| [format.width(), format.height(), format.frame_rate()]).collect();
    modes.sort_unstable_by(|a, b| b.cmp(a));
    modes.dedup();
    Ok(modes)
}

/// Asks for permission where a system wants to be asked; elsewhere true at once.
fn allowed() -> bool {
    if cfg!(target_os = "macos") && !nokhwa::nokhwa_check() {
        let (sender, receiver) = std::sync::mpsc::channel();
        nokhwa::nokhwa_initialize(move |granted| {
            let _ = sender.send(granted);
        });
        return receiver.recv_timeout(std::time::Duration::from_secs(60)).unwrap_or(false);
    }
    true
}

fn open(spec: &CameraSpec, format: RequestedFormatType) -> Result<Camera, SourceError> {
    if !allowed() {
        let message = "the system refuses access; allow it in the privacy settings and open the camera again".to_owned();
        return Err(SourceError::Camera { camera: spec.name.clone(), message });
    }
    let index = spec.index.parse().map_or_else(|_| CameraIndex::String(spec.index.clone()), CameraIndex::Index);
    Camera::new(index, RequestedFormat::new::<RgbAFormat>(format)).map_err(|error| trouble(spec, &error))
}

fn trouble(spec: &CameraSpec, error: &NokhwaError) -> SourceError {
    let text = error.to_string();
    let hint = match text.to_lowercase() {
        lower if lower.contains("permission denied") => "; is this user in the group `video`?",
        lower if lower.contains("busy") => "; another program is using it",
        lower if lower.contains("no such") => "; it is not there (any more)",
        _ => "",
    };
    SourceError::Camera { camera: spec.name.clone(), message: format!("{text}{hint}") }
}

/// An open camera.
pub struct Live {
    spec: CameraSpec,
    camera: Camera,
    count: u64,
}

impl Live {
    /// Opens the camera in the mode nearest to the one asked for.
    ///
    /// # Errors
    ///
    /// [`SourceError::Camera`].
    pub fn open(spec: &CameraSpec) -> Result<Self, SourceError> {
        let [width, height, rate] = spec.mode.unwrap_or([1280, 720, 30]);
        let wanted = CameraFormat::new(Resolution::new(width, height), FrameFormat::MJPEG, rate);
        // A camera without this mode or pixel format opens in one of its own.
        let mut camera =
            open(spec, RequestedFormatType::Closest(wanted)).or_else(|_| open(spec, RequestedFormatType::AbsoluteHighestFrameRate))?;
        camera.open_stream().map_err(|error| trouble(spec, &error))?;
        Ok(Self { spec: spec.clone(), camera, count: 0 })
    }
}

impl Source for Live {
    fn next(&mut self) -> Result<Option<Picture>, SourceError> {
        let buffer = self.camera.frame().map_err(|error| trouble(&self.spec, &error))?;
        let image = if buffer.source_frame_format() == FrameFormat::MJPEG {
            image::load_from_memory_with_format(buffer.buffer(), ImageFormat::Jpeg)
                .map(DynamicImage::into_rgba8)
                .map_err(|error| error.to_string())
        } else {
            buffer.decode_image::<RgbAFormat>().map_err(|error| error.to_string())
        };
        // One frame that came damaged over the wire is no reason to give up the camera.
        let image = image.map_err(|message| SourceError::File { path: self.spec.name.clone(), message })?;
        let (width, height) = image.dimensions();
        let name = format!("{} #{}", self.spec.name, self.count);
        self.count += 1;
        Ok(Frame::from_rgba(width, height, image.into_raw()).map(|frame| Picture { frame, name }))
    }
}
