//! [`Recognizer`]: faces in a frame to embeddings.

use image::RgbImage;

use super::{Embedding, FaceInput};
use crate::cascade::{Face, Frame};
use crate::engine::{Engine, EngineError, Session};
use crate::nets::{Model, ModelError};
use crate::picture::align;
use crate::record::{Recording, Slot};
use crate::weights::Weights;

/// Number of faces in a play if there are many; each is shown twice, as it is and mirrored.
const TOGETHER: usize = 8;
/// Name of the result that is an embedding.
const RESULT: &str = "embedding";

/// Error for faces that cannot be embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecognizeError {
    /// The weights hold no net, or one that does not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The weights do not say how the net wants to be shown a face.
    #[error("these weights do not say how their net is shown a face; import them as a recogniser: `mtcmcn import model.onnx --out FILE`")]
    NoInput,
    /// What the weights say about the input cannot be read.
    #[error("what the weights say about the input of their net cannot be read; import them again")]
    Input {
        /// What the reader said.
        #[source]
        source: serde_json::Error,
    },
    /// The net is no recogniser of faces.
    #[error(
        "the net reads {input:?} and has the results {outputs:?}; a recogniser reads square images of three colours, and has an embedding"
    )]
    Kind {
        /// Channels, rows and columns of its input.
        input: [u32; 3],
        /// Names of its results.
        outputs: Vec<String>,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An embedding is zero or not finite.
    #[error("the recogniser gave no embedding for a face: the weights are broken, or the device computes wrongly (see `mtcmcn doctor`)")]
    NotANumber,
}

/// The net loaded for a number of faces.
struct LoadedNet {
    session: Session,
    x: Slot,
    y: Slot,
}

/// Turns faces into embeddings.
pub struct Recognizer {
    engine: Engine,
    model: Model,
    input: FaceInput,
    side: u32,
    elements: usize,
    /// For one face, and for [`TOGETHER`].
    loaded: [Option<LoadedNet>; 2],
}

impl Recognizer {
    /// Creates a recogniser with a net that `mtcmcn import` wrote. The net is loaded on `engine` when it is
    /// first needed.
    ///
    /// # Errors
    ///
    /// [`RecognizeError`] if `weights` hold no net, no recogniser, or do not say how it is shown a face.
    pub fn new(engine: Engine, weights: Weights) -> Result<Self, RecognizeError> {
        let text = weights.metadata().get(FaceInput::KEY).cloned();
        let model = Model::read(weights)?.for_inference()?;
        let input = serde_json::from_str(&text.ok_or(RecognizeError::NoInput)?).map_err(|source| RecognizeError::Input { source })?;
        let shape = &model.graph.node(model.input).shape;
        let (c, level) = (shape.c(), shape.levels()[0]);
        let elements = match model.output(RESULT) {
            Some(output) if c == 3 && level.h == level.w => output.elements() as usize,
            _ => return Err(RecognizeError::Kind { input: [c, level.h, level.w], outputs: model.outputs.keys().cloned().collect() }),
        };
        Ok(Self { engine, side: level.h, model, input, elements, loaded: [None, None] })
    }

    /// Returns the number of elements of an embedding.
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Returns the side of the crops that the net is shown, px.
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Returns how the net is shown a face.
    pub fn input(&self) -> &FaceInput {
        &self.input
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the embeddings of `faces` in `frame`; `None` for a face whose landmarks allow no crop.
    ///
    /// # Errors
    ///
    /// [`RecognizeError`] if the engine fails or the net gives no embedding.
    pub fn embed(&mut self, frame: &Frame, faces: &[Face]) -> Result<Vec<Option<Embedding>>, RecognizeError> {
        let crops: Vec<Option<RgbImage>> = faces.iter().map(|face| align::crop(frame, &face.landmarks, self.side, 0.0)).collect();
        let given: Vec<&RgbImage> = crops.iter().flatten().collect();
        let mut embeddings = self.embed_crops(&given)?.into_iter();
        Ok(crops.iter().map(|crop| crop.as_ref().and_then(|_| embeddings.next())).collect())
    }

    /// Returns the embeddings of aligned crops of [`Recognizer::side`]: the sum of the net's results for the
    /// crop and for its mirror image, scaled to length 1.
    ///
    /// # Errors
    ///
    /// [`RecognizeError`] if the engine fails or the net gives no embedding.
    ///
    /// # Panics
    ///
    /// If a crop has another size: a programming error of the caller.
    pub fn embed_crops(&mut self, crops: &[&RgbImage]) -> Result<Vec<Embedding>, RecognizeError> {
        let mut embeddings = Vec::with_capacity(crops.len());
        let mut rest = crops;
        while !rest.is_empty() {
            // A few faces more than half of many cost less as many of which some are unused.
            let (number, most) = if rest.len() > TOGETHER / 2 { (1, TOGETHER) } else { (0, 1) };
            let (now, later) = rest.split_at(most.min(rest.len()));
            embeddings.extend(self.play(number, most, now)?);
            rest = later;
        }
        Ok(embeddings)
    }

    /// Plays the net of `loaded[number]`, which is for `most` faces, on up to as many crops.
    fn play(&mut self, number: usize, most: usize, crops: &[&RgbImage]) -> Result<Vec<Embedding>, RecognizeError> {
        let item = 3 * (self.side * self.side) as usize;
        let mut pictures = vec![0.0; 2 * most * item];
        let (plain, mirrored) = pictures.split_at_mut(most * item);
        for ((crop, plain), mirrored) in crops.iter().zip(plain.chunks_exact_mut(item)).zip(mirrored.chunks_exact_mut(item)) {
            self.input.planes(crop, self.side as usize, plain, mirrored);
        }
        let loaded = match &mut self.loaded[number] {
            Some(loaded) => loaded,
            none => none.insert(LoadedNet::new(&self.engine, &self.model, 2 * most as u32)?),
        };
        loaded.session.write(loaded.x, bytemuck::cast_slice(&pictures));
        let outputs = loaded.session.play()?;
        let data = outputs.into_iter().find(|(slot, _)| *slot == loaded.y).map_or_else(Vec::new, |(_, data)| data);
        let (plain, mirrored) = data.split_at(most * self.elements);
        let pairs = plain.chunks_exact(self.elements).zip(mirrored.chunks_exact(self.elements));
        let sum =
            |(a, b): (&[f32], &[f32])| Embedding::new(a.iter().zip(b).map(|(a, b)| a + b).collect()).ok_or(RecognizeError::NotANumber);
        pairs.take(crops.len()).map(sum).collect()
    }
}

impl LoadedNet {
    fn new(engine: &Engine, model: &Model, items: u32) -> Result<Self, RecognizeError> {
        let mut recording = Recording::new();
        let x = recording.input("faces", (items * model.graph.node(model.input).shape.elements()) as usize);
        let y = model.record(&mut recording, x, items, engine.facts())?[RESULT];
        recording.output(y);
        Ok(Self { session: engine.load(recording)?, x, y })
    }
}
