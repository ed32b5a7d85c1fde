//! Recognition of faces: aligned crops go through a net that gives each an embedding, and embeddings of one
//! person are alike.

mod embedding;
mod input;
mod known;
mod recognizer;

pub use embedding::Embedding;
pub use input::{ColourOrder, FaceInput, Threshold};
pub use known::{KnownRecognizer, known};
pub use recognizer::{RecognizeError, Recognizer};
