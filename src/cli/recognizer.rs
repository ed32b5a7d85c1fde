//! Faces found and embedded, for every subcommand that recognises them: flags, and what they make.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use mtcmcn::recognize::RecognizeError;
use mtcmcn::{Detections, Detector, Embedding, Face, Frame, Recognizer, Weights};

use super::settings::DetectorArgs;

/// Names a recogniser's weights, after `--recognizer`.
const VARIABLE: &str = "MTCMCN_RECOGNIZER";

/// How faces are found and recognised.
#[derive(Debug, Clone, clap::Args)]
pub struct RecognizerArgs {
    /// Weights of the recogniser, as `mtcmcn import model.onnx --out FILE` writes them; if not given, those
    /// that `MTCMCN_RECOGNIZER` names
    #[arg(long, value_name = "FILE", help_heading = "Engine")]
    pub recognizer: Option<PathBuf>,

    #[command(flatten)]
    pub detector: DetectorArgs,
}

/// A detector and a recogniser on one engine.
pub struct FaceReader {
    detector: Detector,
    pub recognizer: Recognizer,
}

impl RecognizerArgs {
    /// The recogniser's weights.
    ///
    /// # Errors
    ///
    /// If none are named or they cannot be read.
    pub fn load(&self) -> Result<Weights> {
        let named = self.recognizer.clone().or_else(|| env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from));
        let path = named.with_context(|| {
            format!("a recogniser is needed: give --recognizer FILE or set {VARIABLE}; `mtcmcn import model.onnx --out FILE` makes one")
        })?;
        Ok(Weights::load(path)?)
    }

    /// Opens both.
    ///
    /// # Errors
    ///
    /// If no recogniser is named, weights cannot be used, or the device cannot be opened.
    pub fn open(&self) -> Result<FaceReader> {
        let weights = self.load()?;
        let detector = self.detector.open(&self.detector.load_weights()?)?;
        let engine = detector.engine().clone();
        let recognizer = Recognizer::new(engine, weights)?;
        Ok(FaceReader { detector, recognizer })
    }
}

impl FaceReader {
    /// The faces in `frame`, each with its embedding; none for a face whose landmarks allow no crop.
    ///
    /// # Errors
    ///
    /// If the engine fails, or the frame is too large.
    pub fn read(&mut self, frame: &Frame) -> Result<(Detections, Vec<Option<Embedding>>)> {
        let found = self.detector.detect(frame)?;
        let embeddings = self.recognizer.embed(frame, &found.faces)?;
        Ok((found, embeddings))
    }

    /// The face that a photo of one person is about, with its embedding: the one that is largest for its
    /// distance from the middle. `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`FaceReader::read`].
    pub fn main_face(&mut self, frame: &Frame) -> Result<Option<(Face, Embedding)>> {
        let found = self.detector.detect(frame)?;
        let Some(face) = mtcmcn::picture::align::main_face(&found.faces, frame) else { return Ok(None) };
        let embedding = self.recognizer.embed(frame, &[face])?.swap_remove(0);
        Ok(embedding.map(|embedding| (face, embedding)))
    }

    /// The embedding of the middle of a picture, where no face is found: all of it if it is a crop as the net
    /// is shown them, or else the square of half its shorter side.
    ///
    /// # Errors
    ///
    /// If the engine fails, or the picture is too small.
    pub fn middle(&mut self, frame: &Frame) -> Result<Embedding> {
        let crop = mtcmcn::picture::align::middle(frame, self.recognizer.side()).context("a picture without a middle")?;
        let embeddings: Result<Vec<Embedding>, RecognizeError> = self.recognizer.embed_crops(&[&crop]);
        Ok(embeddings?.swap_remove(0))
    }
}
