//! The weights in the binary.

use super::Weights;

/// Trained by `mtcmcn train all`; `assets/weights/MODEL_CARD.md` says on what and how well.
const BYTES: &[u8] = include_bytes!("../../assets/weights/mtcmcn.safetensors");

/// Metadata of weights: three probabilities, as in `0.6,0.7,0.7`.
const THRESHOLDS: &str = "thresholds";

impl Weights {
    /// Our own weights, which are part of the library. Their box convention is that of the authors' release.
    ///
    /// # Panics
    ///
    /// Never: a test reads them.
    pub fn builtin() -> Self {
        Self::from_bytes(BYTES).expect("a test reads them")
    }

    /// The thresholds of the three nets that the weights were tuned for, if they say so.
    pub fn thresholds(&self) -> Option<[f32; 3]> {
        let numbers = self.metadata().get(THRESHOLDS)?.split(',').map(|number| number.trim().parse::<f32>().ok());
        let thresholds: [f32; 3] = numbers.collect::<Option<Vec<_>>>()?.try_into().ok()?;
        thresholds.iter().all(|threshold| (0.0..=1.0).contains(threshold)).then_some(thresholds)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn they_are_complete_and_say_their_thresholds() {
        let weights = Weights::builtin();
        weights.check().unwrap();
        assert!(weights.thresholds().is_some(), "{:?}", weights.metadata());
    }

    #[test]
    fn thresholds_are_three_probabilities_or_none() {
        let of = |text: &str| {
            let weights = Weights::new(BTreeMap::new(), BTreeMap::new()).unwrap();
            weights.with_metadata(THRESHOLDS, text).thresholds()
        };
        assert_eq!(of("0.6, 0.7,1"), Some([0.6, 0.7, 1.0]));
        for text in ["", "0.6,0.7", "0.6,0.7,0.7,0.7", "0.6,x,0.7", "0.6,NaN,0.7", "0.6,1.5,0.7"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(Weights::new(BTreeMap::new(), BTreeMap::new()).unwrap().thresholds(), None);
    }
}
