//! What the viewer remembers from one start to the next, in one small JSON file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use mtcmcn::{Config, Weights};
use serde::{Deserialize, Serialize};

use crate::source::SourceSpec;

/// Recent sources that are kept.
const RECENT: usize = 8;

/// More than this is no settings file.
const MOST_BYTES: u64 = 1 << 20;

/// Light, dark, or as the system has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// The detector's settings, as a file can hold them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detection {
    /// Smallest face side, px.
    pub min_face_px: f64,
    /// Ratio of pyramid levels.
    pub factor: f64,
    /// Of P-, R- and O-Net.
    pub thresholds: [f32; 3],
    /// Most faces.
    pub max_faces: u32,
    /// Average landmarks over the mirror image.
    pub mirror_landmarks: bool,
    /// `auto`, `window`, `cpu`, `twin`, a backend or part of an adapter's name.
    pub device: String,
    /// `None` for the default weights.
    pub weights: Option<PathBuf>,
}

impl Default for Detection {
    fn default() -> Self {
        // The thresholds that our own weights were tuned for.
        static CONFIG: LazyLock<Config> = LazyLock::new(|| Config::for_weights(&Weights::builtin()));
        let config = &*CONFIG;
        Self {
            min_face_px: 40.0,
            factor: config.factor,
            thresholds: config.thresholds,
            max_faces: config.max_faces,
            mirror_landmarks: config.mirror_landmarks,
            device: "auto".to_owned(),
            weights: None,
        }
    }
}

impl Detection {
    /// For the library. Always valid if [`Detection::sane`] was.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.min_face_px = self.min_face_px;
        config.factor = self.factor;
        config.thresholds = self.thresholds;
        config.max_faces = self.max_faces;
        config.mirror_landmarks = self.mirror_landmarks;
        config
    }

    /// The settings, or the default of each that the library would refuse: a file may hold anything.
    #[must_use]
    pub fn sane(self) -> Self {
        let ok = |change: &dyn Fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().is_ok()
        };
        let standard = Self::default();
        Self {
            min_face_px: if ok(&|c| c.min_face_px = self.min_face_px) { self.min_face_px } else { standard.min_face_px },
            factor: if ok(&|c| c.factor = self.factor) { self.factor } else { standard.factor },
            thresholds: if ok(&|c| c.thresholds = self.thresholds) { self.thresholds } else { standard.thresholds },
            max_faces: if ok(&|c| c.max_faces = self.max_faces) { self.max_faces } else { standard.max_faces },
            ..self
        }
    }
}

/// What is drawn over the picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Show {
    /// Boxes with score and track.
    pub boxes: bool,
    /// Five points.
    pub landmarks: bool,
    /// Aligned crops below the picture.
    pub crops: bool,
    /// The picture as in a mirror.
    pub mirror: bool,
    /// Ids that stay, and smoothing.
    pub tracking: bool,
    /// Plots of speed.
    pub speed: bool,
    /// Times of the stages, once a second.
    pub stage_times: bool,
}

impl Default for Show {
    fn default() -> Self {
        Self { boxes: true, landmarks: true, crops: true, mirror: false, tracking: true, speed: true, stage_times: false }
    }
}

/// Everything that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Of the detector.
    pub detection: Detection,
    /// What is drawn.
    pub show: Show,
    /// Colours.
    pub theme: Theme,
    /// Where snapshots and recordings go; `None` for the folder the viewer was started in.
    pub output: Option<PathBuf>,
    /// Latest first.
    pub recent: Vec<SourceSpec>,
    /// Size of text and widgets, relative to the system's.
    pub zoom: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            detection: Detection::default(),
            show: Show::default(),
            theme: Theme::default(),
            output: None,
            recent: Vec::new(),
            zoom: 1.0,
        }
    }
}

impl Settings {
    /// What `path` holds, or defaults; and what was wrong with the file, if anything.
    pub fn load(path: &Path) -> (Self, Option<String>) {
        let trouble = |what: String| (Self::default(), Some(format!("settings start afresh: {}: {what}", path.display())));
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Self::default(), None),
            Err(error) => return trouble(error.to_string()),
            Ok(metadata) if metadata.len() > MOST_BYTES => return trouble("larger than 1 MiB".to_owned()),
            Ok(_) => {}
        }
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return trouble(error.to_string()),
        };
        match serde_json::from_str::<Self>(&text) {
            Ok(settings) => {
                let zoom = if (0.5..=4.0).contains(&settings.zoom) { settings.zoom } else { 1.0 };
                (Self { detection: settings.detection.clone().sane(), zoom, ..settings }, None)
            }
            Err(error) => trouble(error.to_string()),
        }
    }

    /// Writes `path`, whole or not at all.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)? + "\n";
        mtcmcn::files::write_whole(path, text.as_bytes()).map_err(io::Error::other)
    }

    /// Puts `source` first among the recent ones.
    pub fn remember(&mut self, source: &SourceSpec) {
        self.recent.retain(|other| other != source);
        self.recent.insert(0, source.clone());
        self.recent.truncate(RECENT);
    }

    /// Where settings of this user are kept, if there is a home.
    pub fn default_path() -> Option<PathBuf> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = if cfg!(windows) {
            absolute("APPDATA")?
        } else if cfg!(target_os = "macos") {
            std::env::home_dir()?.join("Library").join("Application Support")
        } else {
            absolute("XDG_CONFIG_HOME").or_else(|| Some(std::env::home_dir()?.join(".config")))?
        };
        Some(base.join("mtcmcn").join("viewer.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_comes_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("deep").join("viewer.json");
        let mut settings = Settings::default();
        settings.detection.thresholds = [0.5, 0.25, 0.125];
        settings.remember(&SourceSpec::Synthetic);
        settings.save(&path).expect("writable");
        assert_eq!(Settings::load(&path), (settings, None));
    }

    #[test]
    fn a_damaged_file_gives_defaults_and_says_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("viewer.json");
        assert_eq!(Settings::load(&path), (Settings::default(), None));
        for text in ["", "{", "[1, 2]", "{\"theme\": 7}", "\u{0}"] {
            fs::write(&path, text).expect("writable");
            let (settings, trouble) = Settings::load(&path);
            assert_eq!(settings, Settings::default());
            assert!(trouble.expect("told").contains("viewer.json"), "{text}");
        }
    }

    #[test]
    fn numbers_that_the_library_refuses_become_the_default() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("viewer.json");
        let text = r#"{"detection": {"min_face_px": -3, "factor": 0.8, "thresholds": [0.1, 7, 0.2], "max_faces": 0}, "unknown": 1}"#;
        fs::write(&path, text).expect("writable");
        let (settings, trouble) = Settings::load(&path);
        assert_eq!(trouble, None);
        assert_eq!(settings.detection, Detection { factor: 0.8, ..Detection::default() });
        assert!(settings.detection.config().validate().is_ok());
    }

    #[test]
    fn recent_sources_are_few_and_unlike() {
        let mut settings = Settings::default();
        for i in 0..20 {
            settings.remember(&SourceSpec::Files(PathBuf::from(format!("{}", i % 12))));
        }
        settings.remember(&SourceSpec::Files(PathBuf::from("5")));
        assert_eq!(settings.recent.len(), RECENT);
        assert_eq!(settings.recent[0], SourceSpec::Files(PathBuf::from("5")));
        assert_eq!(settings.recent.iter().filter(|s| **s == settings.recent[0]).count(), 1);
    }
}
