//! The detector's settings as flags, for every subcommand that runs it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use mtcmcn::{Config, Detector, Device, Engine, Weights};

use super::fetch;

/// How to detect, with what and where.
#[derive(Debug, Clone, clap::Args)]
pub struct DetectorArgs {
    /// Smallest face to look for, in pixels; twice as large is about four times as fast
    #[arg(long, value_name = "PX", allow_negative_numbers = true, value_parser = min_face, default_value_t = Config::default().min_face_px,
        help_heading = "Detection")]
    min_face: f64,

    /// Size of one level of the image pyramid relative to the one before
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true, value_parser = factor, default_value_t = Config::default().factor,
        help_heading = "Detection")]
    factor: f64,

    /// Face probability needed after the first, second and third network; if not given, those that the
    /// weights were tuned for, or else 0.6,0.7,0.7
    #[arg(long, value_name = "P,R,O", allow_hyphen_values = true, help_heading = "Detection")]
    thresholds: Option<Thresholds>,

    /// Most faces to report per image
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = max_faces, default_value_t = Config::default().max_faces,
        help_heading = "Detection")]
    max_faces: u32,

    /// Resample by plain four-tap bilinear interpolation instead of area averages
    #[arg(long, help_heading = "Detection")]
    bilinear: bool,

    /// Average landmarks over each face and its mirror image
    #[arg(long, help_heading = "Detection")]
    mirror_landmarks: bool,

    /// What to run on: auto, gpu, cpu, twin (slow scalar reference), vulkan, metal, dx12, gl, or part of an
    /// adapter's name; of several that have it, `#1` behind it names the second, as `mtcmcn doctor` lists
    /// them
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = device, help_heading = "Engine")]
    pub device: String,

    /// Threads of the CPU engine; as many as there are cores if not given
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = threads, help_heading = "Engine")]
    pub threads: Option<usize>,

    /// Weights of the three networks, as `mtcmcn import` and `train` write them; if not given, those that
    /// `MTCMCN_WEIGHTS` names, or else our own
    #[arg(long, value_name = "FILE", help_heading = "Engine")]
    pub weights: Option<PathBuf>,

    /// Refuse images with more than this many million pixels, before decoding them
    #[arg(long = "max-pixels", value_name = "MPX", allow_negative_numbers = true, value_parser = max_megapixels, default_value_t = 100.0,
        help_heading = "Engine")]
    max_megapixels: f64,
}

impl DetectorArgs {
    /// The settings of a detector with `weights`.
    pub fn config(&self, weights: &Weights) -> Config {
        let mut config = Config::for_weights(weights);
        config.min_face_px = self.min_face;
        config.factor = self.factor;
        config.thresholds = self.thresholds.map_or(config.thresholds, |thresholds| thresholds.0);
        config.max_faces = self.max_faces;
        config.mirror_landmarks = self.mirror_landmarks;
        if self.bilinear {
            config.resampling = mtcmcn::cascade::Resampling::Bilinear;
        }
        config
    }

    /// More pixels than this are refused.
    pub fn max_pixels(&self) -> u64 {
        (self.max_megapixels * 1e6) as u64
    }

    /// The given settings, defaults for the rest.
    pub fn fixed(device: &str, weights: Option<PathBuf>, min_face: f64, thresholds: Option<[f32; 3]>) -> Self {
        let Config { factor, max_faces, mirror_landmarks, .. } = Config::default();
        let (thresholds, device) = (thresholds.map(Thresholds), device.to_owned());
        Self {
            min_face,
            factor,
            thresholds,
            max_faces,
            bilinear: false,
            mirror_landmarks,
            device,
            threads: None,
            weights,
            max_megapixels: 100.0,
        }
    }

    /// The weights that are asked for.
    ///
    /// # Errors
    ///
    /// As [`fetch::default_weights`].
    pub fn load_weights(&self) -> Result<Weights> {
        fetch::default_weights(self.weights.as_deref())
    }

    /// A detector with `weights`.
    ///
    /// # Errors
    ///
    /// If the device cannot be opened or the weights do not fit.
    pub fn open(&self, weights: &Weights) -> Result<Detector> {
        let Ok(device) = self.device.parse();
        let engine = Engine::open_with_threads(&device, self.threads).with_context(|| format!("--device {}", self.device))?;
        tracing::info!("running on {}", engine.name());
        warn_of_software(&engine, &device);
        Ok(Detector::new(engine, weights, self.config(weights))?)
    }
}

/// Three probabilities, as `0.6,0.7,0.7`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Thresholds([f32; 3]);

impl fmt::Display for Thresholds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([p, r, o]) = self;
        write!(f, "{p},{r},{o}")
    }
}

impl FromStr for Thresholds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let three = || format!("three numbers are needed, as in {}", Self(Config::default().thresholds));
        let numbers = text.split(',').map(|part| part.trim().parse()).collect::<Result<Vec<f32>, _>>().map_err(|_| three())?;
        let thresholds = numbers.try_into().map_err(|_| three())?;
        valid(|config| config.thresholds = thresholds)?;
        Ok(Self(thresholds))
    }
}

/// Says that a GPU made of software is slower than the CPU engine, unless it was asked for by its name.
pub fn warn_of_software(engine: &Engine, device: &Device) {
    let software = engine.gpu().is_some_and(|gpu| !gpu.report().hardware);
    if software && !matches!(device, Device::Named(_)) {
        tracing::warn!("{} is a GPU made of software: the CPU engine (--device cpu) is faster", engine.name());
    }
}

/// A device that is named at all, and that this system can have.
pub fn device(text: &str) -> Result<String, String> {
    let elsewhere = match text.trim().to_ascii_lowercase().as_str() {
        "" => return Err("must not be empty: auto, gpu, cpu, a backend, or part of an adapter's name".to_owned()),
        "metal" => (!cfg!(target_vendor = "apple")).then_some("macOS and iOS"),
        "dx12" => (!cfg!(windows)).then_some("Windows"),
        _ => None,
    };
    match elsewhere {
        Some(systems) => Err(format!("a backend of {systems} alone; here there are vulkan, gl and cpu")),
        None => Ok(text.to_owned()),
    }
}

fn min_face(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    valid(|config| config.min_face_px = value).map(|()| value)
}

fn factor(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    valid(|config| config.factor = value).map(|()| value)
}

fn max_faces(text: &str) -> Result<u32, String> {
    let value = text.parse().map_err(|_| "not a whole number")?;
    valid(|config| config.max_faces = value).map(|()| value)
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=1024) => Ok(threads),
        Ok(_) => Err("must be between 1 and 1024".to_owned()),
        Err(_) => Err("not a whole number".to_owned()),
    }
}

fn max_megapixels(text: &str) -> Result<f64, String> {
    let value: f64 = number(text)?;
    // The first inequality also refuses NaN; the last is what 32-bit indices reach.
    if value > 0.0 && value <= 500.0 { Ok(value) } else { Err("must be over 0 and at most 500 (million pixels)".to_owned()) }
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "not a number".to_owned())
}

/// Lets [`Config::validate`] judge one setting, so that its range is written down once.
fn valid(set: impl FnOnce(&mut Config)) -> Result<(), String> {
    let mut config = Config::default();
    set(&mut config);
    config.validate().map_err(|error| format!("must be {}", error.range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused() {
        for text in ["0", "-1", "nan", "inf", "x", ""] {
            assert!(min_face(text).is_err(), "{text}");
        }
        for text in ["0", "1", "nan", "1.5"] {
            assert!(factor(text).is_err(), "{text}");
        }
        for text in ["0.6,0.7", "0.6,0.7,1.5", "0.6,0.7,nan", "a,b,c", "", "0.6,0.7,0.7,0.7", "-0.1,0.7,0.7"] {
            assert!(text.parse::<Thresholds>().is_err(), "{text}");
        }
        for text in ["0", "-1", "1.5", "99999999999"] {
            assert!(max_faces(text).is_err(), "{text}");
        }
        for text in ["0", "-2", "1.5", "1025", ""] {
            assert!(threads(text).is_err(), "{text}");
        }
        for text in ["0", "-3", "nan", "inf", "100000000"] {
            assert!(max_megapixels(text).is_err(), "{text}");
        }
    }

    #[test]
    fn settings_in_range_are_taken() {
        assert_eq!(min_face("12.5"), Ok(12.5));
        assert_eq!("0.5, 0.5,0.3".parse(), Ok(Thresholds([0.5, 0.5, 0.3])));
        assert_eq!(Thresholds(Config::default().thresholds).to_string(), "0.6,0.7,0.7");
    }
}
