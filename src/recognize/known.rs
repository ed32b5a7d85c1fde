//! Recognisers that others published, by the SHA-256 of their files: what the file itself does not say.

use super::{ColourOrder, FaceInput};

/// A published recogniser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnownRecognizer {
    /// SHA-256 of the file.
    pub sha256: &'static str,
    /// Where it is from.
    pub source: &'static str,
    /// Its licence.
    pub license: &'static str,
    /// How it is shown a face.
    pub input: FaceInput,
}

const KNOWN: [KnownRecognizer; 1] = [KnownRecognizer {
    sha256: "b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507",
    source: "mobilefacenet.onnx of github.com/foamliu/MobileFaceNet, commit a6cc9032",
    license: "Apache-2.0",
    input: FaceInput { colours: ColourOrder::Rgb, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225], threshold: None },
}];

/// Returns what is known about the file with this SHA-256, in lower-case hexadecimal digits.
pub fn known(sha256: &str) -> Option<KnownRecognizer> {
    KNOWN.into_iter().find(|known| known.sha256 == sha256)
}
